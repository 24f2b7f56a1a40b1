package steptest

import (
	"runtime"
	"sync"
	"time"

	"github.com/liftoff-mq/liftoff/internal/rulekit"
)

// kit is one check under way. It is the TB with which open makes the plugin.
type kit struct {
	*rulekit.Kit

	mu   sync.Mutex
	rigs []*rig
}

// run makes a plugin and checks the rule with it.
func (r Rule[S]) run(c check[S], open func(tb TB) S) rulekit.Outcome {
	k := &kit{Kit: rulekit.New("plugin")}
	return k.Run(func() {
		var s S
		k.call("open", func() { s = open(k) })
		set := s.settings()
		if set.missing != "" {
			k.Fatalf("%s", set.missing)
		}
		if err := rulekit.Misnamed("subject", namesOf[S](), set.skip); err != nil {
			k.Fatalf("%v", err)
		}
		for _, name := range []string{r.ID, r.ID + "/" + c.name} {
			if reason := set.skip[name]; reason != "" {
				k.Skipf("%s", reason)
			}
		}
		if set.limit > 0 {
			k.Limit = set.limit
		}
		if set.late > 0 {
			k.Late = set.late
		}
		defer k.Restart(k.Limit)()
		c.run(k, s)
	}, k.finish)
}

// finish ends everything that the check began.
func (k *kit) finish() {
	k.mu.Lock()
	rigs := k.rigs
	k.mu.Unlock()
	for _, r := range rigs {
		k.Within(max(k.Late, rulekit.DefaultLate), func() { r.close(k.Logf) })
	}
	k.Clean("plugin", "a cleanup")
}

// call calls a method and waits for it.
func (k *kit) call(what string, f func()) { k.Call("plugin", what, f) }

// begin calls a method on a goroutine of its own.
func (k *kit) begin(what string, f func()) (done <-chan struct{}) { return k.Begin("plugin", what, f) }

// moment is how long something that does not wait has to come to where it is looked for. It
// is shorter than Late, so that nothing that takes two of them is late.
func (k *kit) moment() time.Duration { return min(20*time.Millisecond, k.Late/4) }

// forgotten waits until the garbage collector has taken everything that gone looks for, and
// reports whether it has. Pools are emptied by that as well, so what is left is kept by
// somebody.
func (k *kit) forgotten(gone func() bool) bool {
	return k.Patiently(func() bool {
		runtime.GC()
		return gone()
	})
}
