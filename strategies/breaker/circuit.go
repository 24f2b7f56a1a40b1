package breaker

import (
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/sony/gobreaker/v2"

	"github.com/liftoff-mq/liftoff/core"
	"github.com/liftoff-mq/liftoff/strategies/internal/verdict"
)

// What gobreaker is told of an attempt, besides nil for a success.
var (
	errFailed  = errors.New("failed")
	errHung    = errors.New("hung")
	errNothing = errors.New("proves nothing")
)

// broker is what is kept for one broker.
//
// Lock order: gobreaker's lock, then mu, then the lock of changes. gobreaker is
// never called under mu.
type broker struct {
	at      core.Broker
	parent  *Breakers
	refusal error        // made once: under an outage it is returned often
	alive   atomic.Int64 // when it last answered, on the parent's clock; -1 for never
	need    verdict.Need // of the messages that it stored

	current atomic.Pointer[circuit]
	state   atomic.Uint32 // of current as last heard, to skip its lock while closed
	mu      sync.Mutex    // held by changes of the two above
	since   time.Time     // of the last change
	logged  logged
}

// circuit is a gobreaker that can be thrown away for a fresh one, which is the
// only way to close an open gobreaker early.
type circuit struct {
	two *gobreaker.TwoStepCircuitBreaker[struct{}]
	// Both are changed under two's lock.
	hung bool          // about the failure being counted
	row  atomic.Uint32 // failures in a row; gobreaker's number forgets those that left the window
}

func newBroker(parent *Breakers, at core.Broker) *broker {
	b := &broker{
		at: at, parent: parent, since: time.Now(),
		refusal: fmt.Errorf("%w: broker %q at %q", core.ErrCircuitOpen, at.Name, at.Addr),
	}
	b.alive.Store(-1)
	b.current.Store(newCircuit(b))
	return b
}

func newCircuit(b *broker) *circuit {
	cfg := &b.parent.cfg
	c := new(circuit)
	// All these functions run under the lock of two: they must not call it.
	c.two = gobreaker.NewTwoStepCircuitBreaker[struct{}](gobreaker.Settings{
		Name:         b.at.Addr,
		MaxRequests:  uint32(cfg.Probes),
		Interval:     cfg.Window,
		BucketPeriod: cfg.Window / 10,
		Timeout:      cfg.OpenFor,
		IsExcluded:   func(err error) bool { return err == errNothing },
		IsSuccessful: func(err error) bool {
			// Asked just before ReadyToTrip, which does not get to see err.
			c.hung = err == errHung
			if err == nil {
				if c.row.Load() != 0 {
					c.row.Store(0)
				}
				return true
			}
			c.row.Add(1)
			return false
		},
		ReadyToTrip: func(n gobreaker.Counts) bool { return b.parent.trip(c.counts(n, c.hung)) },
		OnStateChange: func(_ string, _, to gobreaker.State) {
			c.row.Store(0)
			b.mu.Lock()
			defer b.mu.Unlock()
			if b.current.Load() == c { // a circuit that was thrown away has no say
				b.change(stateOf(to))
			}
		},
	})
	return c
}

func (c *circuit) counts(n gobreaker.Counts, hung bool) Counts {
	return Counts{
		Successes: n.TotalSuccesses, Failures: n.TotalFailures,
		ConsecutiveFailures: c.row.Load(), Hung: hung,
	}
}

// change records a new state; mu is held.
func (b *broker) change(to State) {
	from := State(b.state.Swap(uint32(to)))
	if from == to {
		return
	}
	b.since = time.Now()
	b.parent.changes.push(change{broker: b, from: from, to: to, when: b.since})
}

// close closes an open or half-open breaker, because the broker was seen to work.
func (b *broker) close() {
	b.mu.Lock()
	defer b.mu.Unlock()
	if State(b.state.Load()) == Closed {
		return
	}
	b.current.Store(newCircuit(b))
	b.change(Closed)
}

// health is what the selector should know. A half-open breaker that has room
// for a probe is good: as anything less, it would never be tried while another
// broker is good, and so would never close.
func (b *broker) health() core.Health {
	if State(b.state.Load()) == Closed {
		return core.HealthGood // only a failure can change that, not the time
	}
	two := b.current.Load().two
	switch two.State() {
	case gobreaker.StateClosed:
		return core.HealthGood
	case gobreaker.StateHalfOpen:
		if n := two.Counts(); n.Requests-min(n.Requests, n.TotalExclusions) < uint32(b.parent.cfg.Probes) {
			return core.HealthGood
		}
	}
	return core.HealthDown
}

func (b *broker) status() Status {
	c := b.current.Load()
	c.two.State() // moves on from open when the time has come
	counts := c.counts(c.two.Counts(), false)
	b.mu.Lock()
	defer b.mu.Unlock()
	return Status{Broker: b.at.Name, Addr: b.at.Addr, State: State(b.state.Load()), Since: b.since, Counts: counts}
}
