package selector

import (
	"math"
	"sync/atomic"
	"time"

	"github.com/liftoff-mq/liftoff/core"
	"github.com/liftoff-mq/liftoff/strategies/internal/perbroker"
)

// load is what is known of one broker's load.
type load struct {
	inFlight atomic.Int64 // attempts that were chosen for it and are not done
	latency  estimate
	broker   core.Broker // as it was when it was met
	_        [48]byte    // cache lines of its own: all goroutines write to it
}

// loads are the loads of the brokers that a factory's selectors choose from, of all topics
// together, because a broker carries them together.
type loads struct {
	table *perbroker.Table[load]
	taken core.Slot[*load] // that the call's attempt is counted for
}

func newLoads(name string) *loads {
	return &loads{
		table: perbroker.New(func(b core.Broker) *load { return &load{broker: b} }),
		taken: core.NewSlot[*load](name),
	}
}

// take counts an attempt of the call for l. Where an earlier choice was not followed by an
// attempt, because another selector asked twice, it is not counted any more.
func (ls *loads) take(c *core.Call, l *load) {
	ls.release(c)
	l.inFlight.Add(1)
	ls.taken.Set(c, l)
}

// release ends what take began, and gives the load that it was counted for. An attempt for which
// nothing was chosen has nothing to end: its message names the queue, or its retry policy
// wanted the same queue again.
func (ls *loads) release(c *core.Call) *load {
	l, _ := ls.taken.Get(c)
	if l != nil {
		l.inFlight.Add(-1)
		ls.taken.Set(c, nil)
	}
	return l
}

// done ends the count of an attempt, and gives the load of its broker. A broker that was
// forgotten and met again has a new one; old reports that the attempt was counted for the
// one before, so what was worked out of the route is outdated.
func (ls *loads) done(at *core.Attempt) (l *load, old bool) {
	taken, b := ls.release(at.Call()), at.Broker()
	l = ls.table.Get(b)
	return l, taken != nil && taken != l && taken.broker.Addr == b.Addr && taken.broker.Network == b.Network
}

// loaded are the brokers of a route with their loads, in one order.
type loaded struct {
	groups []group
	loads  []*load
}

func (ls *loads) of(r *core.Route) *loaded {
	out := &loaded{groups: groupsOf(r)}
	for _, g := range out.groups {
		out.loads = append(out.loads, ls.table.Get(g.broker))
	}
	return out
}

// estimate is a peak EWMA of latencies, as in Twitter's Finagle: it follows a longer latency at
// once and shorter ones slowly, and where nothing is observed it fades away. The zero estimate
// knows nothing. It is safe for concurrent use.
type estimate struct {
	// A float32 with seconds in the upper half, and in the lower one the millisecond, since
	// the start and modulo 2^32, when it was observed last.
	word atomic.Uint64
}

// decay is by how much estimates fade in a time: to 1/e in tau.
type decay struct {
	tau   float64 // in milliseconds
	start time.Time
}

// now is the time by which estimates fade, in milliseconds.
func (d *decay) now() uint32 { return uint32(time.Since(d.start) / time.Millisecond) }

// factor is what is left of an estimate after a time in milliseconds.
func (d *decay) factor(elapsed uint32) float64 {
	if elapsed == 0 {
		return 1
	}
	return math.Exp(-float64(elapsed) / d.tau)
}

// seconds is the estimate at now, 0 for unknown. What is known never fades to 0.
func (e *estimate) seconds(d *decay, now uint32) float64 {
	value, at := unpack(e.word.Load())
	if value == 0 {
		return 0
	}
	return max(value*d.factor(since(at, now)), math.SmallestNonzeroFloat32)
}

// observe takes a latency into account, one that was longer than the estimate in full, and a
// shorter one by the time since the last. So those that come within a millisecond count as one,
// and to hear of one attempt twice does no harm. No observation makes the estimate shorter than
// it would have faded without.
func (e *estimate) observe(d *decay, now uint32, latency time.Duration) {
	seen := max(latency.Seconds(), 1e-6)
	for {
		old := e.word.Load()
		value, at := unpack(old)
		if value == 0 {
			at = now
		}
		elapsed := since(at, now)
		if f := d.factor(elapsed); seen >= value {
			value = seen
		} else {
			value = value*f + seen*(1-f)
		}
		if e.word.CompareAndSwap(old, uint64(math.Float32bits(float32(value)))<<32|uint64(at+elapsed)) {
			return
		}
	}
}

func unpack(word uint64) (seconds float64, at uint32) {
	return float64(math.Float32frombits(uint32(word >> 32))), uint32(word)
}

// since is the time from one millisecond to another. A time that lies a little ahead, because
// another goroutine looked at the clock later, counts as now.
func since(at, now uint32) uint32 {
	const ahead = 60_000
	if d := now - at; d < math.MaxUint32-ahead {
		return d
	}
	return 0
}
