package remoting

import (
	"errors"
	"fmt"
	"maps"
	"sync"
	"sync/atomic"
	"time"

	"github.com/liftoff-mq/liftoff/core"
	"github.com/liftoff-mq/liftoff/transport/remoting/internal/conn"
	"github.com/liftoff-mq/liftoff/transport/wire"
)

// peer is one address: its connection, the dial under way, and the back-off.
type peer struct {
	c      *Client
	addr   string
	broker bool         // and not a name server
	frames *wire.Budget // of its table
	// legacy is a broker that answered "not supported" to the short form of a
	// send; it gets the long one.
	legacy atomic.Bool

	cur atomic.Pointer[conn.Conn] // takes new requests; nil without one
	// denied is the refusal of this client's credentials by the last heartbeat that the
	// broker answered; nil if it took them.
	denied atomic.Pointer[core.BrokerError]
	// beaten is the connection on which the broker last answered a heartbeat, rejoined the one
	// whose heartbeats name the group innerGroup besides.
	beaten, rejoined atomic.Pointer[conn.Conn]
	// version is the broker's, by the last heartbeat that it answered (Java:
	// MQClientInstance.brokerVersionTable); 0 before. It is for people: no decision needs it.
	version atomic.Int32

	mu       sync.Mutex
	named    []string // the groups that heartbeats have named and that were not taken back since
	standing standing
	intro    *introduction
	dialing  *dialing
	dialed   bool // once at least
	old      []*conn.Conn
	failures int       // in a row: dials that led to nothing, connections that ended early
	until    time.Time // no dial before, if failures > 0
	why      error     // the last failure
	works    bool      // a frame came since
	told     bool      // the log has that the address cannot be dialed
	gone     bool      // no longer in its table
	used     bool      // since the last sweep
}

// maxRetired bounds the connections of one address that only wait for answers: a
// broker that hangs for long is worth no more sockets.
const maxRetired = 2

// connect returns the connection for new requests, dialing if there is none.
func (p *peer) connect(w *conn.Wait) (*conn.Conn, error) {
	if cn := p.cur.Load(); cn != nil {
		return cn, nil
	}
	cn, d, err := p.dial()
	if cn != nil || err != nil {
		return cn, err
	}
	if err := w.Until(d.done); err != nil {
		return nil, err
	}
	return d.conn, d.err
}

// renew waits until a connection that a request came too late for is out of the
// way, so that the next connect gives another one.
func (p *peer) renew(cn *conn.Conn, w *conn.Wait) error {
	if cn == nil || p.cur.Load() != cn {
		return nil
	}
	if err := w.Until(cn.Ended()); err != nil {
		return err
	}
	p.lost(cn, p.explained(cn, cn.Reason()), 0) // it may have gone before it was in place
	return nil
}

// retire takes cn out of use: the next request dials. Calls that wait on it may have their
// answers; it is closed when none is left. With blame its early end counts as a failure.
func (p *peer) retire(cn *conn.Conn, why error, blame bool) { p.replace(cn, nil, why, blame) }

// replace is retire with a connection that is used from now on, or nil. It reports whether cn
// was in use.
func (p *peer) replace(cn, next *conn.Conn, why error, blame bool) bool {
	p.mu.Lock()
	if p.cur.Load() != cn {
		p.mu.Unlock()
		return false
	}
	p.cur.Store(next)
	if blame {
		p.over(cn, why, true)
	}
	p.old = append(p.old, cn)
	var victim *conn.Conn
	if len(p.old) > maxRetired {
		victim = p.old[0]
		p.old = p.old[1:]
	}
	p.mu.Unlock()
	if victim != nil {
		victim.Close(why)
	}
	cn.Retire(why)
	return true
}

// lost forgets a connection that has ended while so many requests were under way.
func (p *peer) lost(cn *conn.Conn, why error, failed int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.standing.shake(settleTime) // the broker learns of the end later, and from another thread
	if p.cur.CompareAndSwap(cn, nil) {
		p.over(cn, why, failed > 0)
		return
	}
	for i, o := range p.old {
		if o == cn {
			p.old = append(p.old[:i], p.old[i+1:]...)
			return
		}
	}
}

// over draws the conclusion from a connection that is no longer in use. Without a frame it
// was no better than a dial that failed. If the peer had spoken the protocol, it is a failure
// where it ended early under requests; the first one in a row may be chance, and the next dial
// need not wait. It is called with p.mu held.
func (p *peer) over(cn *conn.Conn, why error, underRequests bool) {
	switch {
	case cn.Proven() && cn.Age() >= settled:
		p.failures = 0
	case errors.Is(why, conn.ErrUnneeded):
	case !cn.Proven():
		p.failed(why)
	case underRequests:
		p.failed(why)
		p.until = time.Now().Add(backoff(p.failures - 1))
	}
}

// proven notes that the peer has sent a frame.
func (p *peer) proven() {
	p.mu.Lock()
	p.works = true
	p.mu.Unlock()
}

// failed notes a dial that led to nothing. It is called with p.mu held.
func (p *peer) failed(why error) {
	p.failures++
	p.until = time.Now().Add(backoff(p.failures))
	p.why, p.works = why, false
}

// often reports whether the peer has failed more than once in a row.
func (p *peer) often() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.failures > 1
}

// table finds peers by address without a lock.
type table struct {
	c      *Client
	broker bool
	limit  int
	frames *wire.Budget // of what they send
	mu     sync.Mutex
	m      atomic.Pointer[map[string]*peer]
}

func (t *table) init(c *Client, broker bool, limit, frames int) {
	t.c, t.broker, t.limit, t.frames = c, broker, limit, wire.NewBudget(frames)
	t.m.Store(&map[string]*peer{})
}

// get finds or makes the peer of an address.
func (t *table) get(addr string) (*peer, error) {
	if p := (*t.m.Load())[addr]; p != nil {
		return p, nil
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	old := *t.m.Load()
	if p := old[addr]; p != nil {
		return p, nil
	}
	if len(old) >= t.limit {
		return nil, &ConnectError{Addr: addr, Err: fmt.Errorf("%d addresses are in use, which is the limit", len(old))}
	}
	p := &peer{c: t.c, addr: addr, broker: t.broker, frames: t.frames, used: true}
	m := maps.Clone(old)
	m[addr] = p
	t.m.Store(&m)
	return p, nil
}

// peers are the brokers' or the name servers'.
func (c *Client) peers(brokers bool) *table {
	if brokers {
		return &c.brokers
	}
	return &c.servers
}

// drop takes a peer out unless it is in use: connected, dialing, or asked for
// since the last sweep.
func (t *table) drop(p *peer) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.cur.Load() != nil || p.dialing != nil || len(p.old) > 0 || p.used {
		return false
	}
	p.gone = true
	m := maps.Clone(*t.m.Load())
	delete(m, p.addr)
	t.m.Store(&m)
	return true
}

// unuse notes that a sweep has passed: the next one drops the peer if it was not asked
// for meanwhile.
func (p *peer) unuse() {
	p.mu.Lock()
	p.used = false
	p.mu.Unlock()
}

// list returns the peers now in the table. The map must not be changed.
func (t *table) list() map[string]*peer { return *t.m.Load() }
