package health

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/liftoff-mq/liftoff/core"
)

// probing is one life of the goroutine that starts probes: from the first Start to the Shutdown
// of the last.
type probing struct {
	r       *Reachability
	ctx     context.Context // ends with the run
	cancel  context.CancelFunc
	running atomic.Int32 // probes under way
	probes  sync.WaitGroup
	over    chan struct{} // closed when it starts no more probes
	joined  chan struct{} // closed when its probes have ended too
}

// Start implements [core.Service]. It waits for nothing.
func (r *Reachability) Start(context.Context) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.starts++; r.starts > 1 {
		return nil
	}
	p := &probing{r: r, over: make(chan struct{}), joined: make(chan struct{})}
	p.ctx, p.cancel = context.WithCancel(context.Background())
	before := r.run
	r.run = p
	go p.live(before)
	return nil
}

// Shutdown implements [core.Service]. The last one, as many as there were starts, ends the
// probes and waits for them. It returns an error if ctx ends before they do, which a Probe can
// cause that does not end with its own ctx. Without a Start it does nothing.
func (r *Reachability) Shutdown(ctx context.Context) error {
	p := r.release()
	if p == nil {
		return nil
	}
	p.cancel()
	select {
	case <-p.joined:
		return nil
	case <-ctx.Done():
		return fmt.Errorf("reachability health: %d probes do not end: %w", p.running.Load(), context.Cause(ctx))
	}
}

// release takes one start back, and gives the run if it was the last.
func (r *Reachability) release() *probing {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.starts == 0 {
		return nil
	}
	if r.starts--; r.starts > 0 {
		return nil
	}
	return r.run
}

// poke wakes the goroutine that starts probes, to look what is due.
func (r *Reachability) poke() {
	select {
	case r.wake <- struct{}{}:
	default: // it is awake, or will be
	}
}

// live starts the probes of a run, after the run before has stopped doing so, and joins them.
func (p *probing) live(before *probing) {
	defer close(p.joined)
	defer p.probes.Wait()
	defer close(p.over)
	if before != nil {
		<-before.over
	}
	for {
		var next <-chan time.Time
		if wait, must := p.startDue(); must {
			next = time.After(wait)
		}
		select {
		case <-p.ctx.Done():
			return
		case <-p.r.wake:
		case <-next:
		}
	}
}

// startDue starts the probes that are due, as far as there is room, those first whose last one is
// longest ago. It gives the time until the next, if there is one that has room.
func (p *probing) startDue() (wait time.Duration, must bool) {
	r := p.r
	now := r.now()
	type candidate struct {
		at core.Broker
		*target
	}
	var list []candidate
	for at, t := range r.brokers.All() {
		if t.down(now) && !t.probing.Load() {
			list = append(list, candidate{at, t})
		}
	}
	slices.SortFunc(list, func(a, b candidate) int { return cmp.Compare(a.turn, b.turn) })
	for _, c := range list {
		switch {
		case p.running.Load() >= int32(r.cfg.MaxProbes):
			return 0, false // the end of a probe wakes this goroutine
		case c.next > now:
			return c.next - now, true
		}
		r.turns++
		c.turn, c.next = r.turns, now+r.cfg.Interval
		c.probing.Store(true)
		p.running.Add(1)
		p.probes.Go(func() { p.probe(c.at, c.target) })
	}
	return 0, false
}

// probe asks one broker, on a goroutine of its own.
func (p *probing) probe(at core.Broker, t *target) {
	defer func() { // also if the program's function ends the goroutine
		p.running.Add(-1)
		t.probing.Store(false)
		p.r.poke()
	}()
	trouble := t.until.Load()
	ctx, cancel := context.WithTimeout(p.ctx, p.r.cfg.Timeout)
	defer cancel()
	err := p.r.ask(ctx, at)
	if p.ctx.Err() != nil {
		return // the end of the run says nothing of the broker
	}
	t.probed.Store(&outcome{err})
	if err == nil {
		t.until.CompareAndSwap(trouble, 0) // a failure that came meanwhile is newer
	}
}

// ask calls the probe, and keeps its panic.
func (r *Reachability) ask(ctx context.Context, at core.Broker) (err error) {
	defer func() {
		if v := recover(); v != nil {
			err = fmt.Errorf("the probe panicked: %v", v)
		}
	}()
	return r.cfg.Probe(ctx, at)
}
