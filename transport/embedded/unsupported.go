package embedded

import (
	"strings"
	"sync"

	"github.com/liftoff-mq/liftoff/transport/wire"
)

// maxUnsupported is how many kinds of unsupported things are told apart.
const maxUnsupported = 256

// unsupported is what clients have asked for and the cluster does not have.
type unsupported struct {
	mu   sync.Mutex
	told map[string]bool
}

// first reports whether what is asked for the first time.
func (u *unsupported) first(what string) bool {
	u.mu.Lock()
	defer u.mu.Unlock()
	if u.told[what] || len(u.told) >= maxUnsupported {
		return false
	}
	if u.told == nil {
		u.told = make(map[string]bool)
	}
	u.told[what] = true
	return true
}

// answer is handle, which also tells Config.Unsupported.
func (n *node) answer(c *conn, cmd *wire.Command) reply {
	r := n.handle(c, cmd)
	if tell := n.cluster.cfg.Unsupported; tell != nil && r.missing != "" && n.cluster.asked.first(r.missing) {
		tell(newRequest(c, cmd), r.missing)
	}
	return r
}

// without marks a refusal as one of something that the cluster does not have.
func (r reply) without(what string) reply {
	r.missing = what
	return r
}

// requestInWords is a request code as Java names it, in small letters.
func requestInWords(code int) string {
	return strings.ToLower(strings.ReplaceAll(wire.RequestName(code), "_", " "))
}
