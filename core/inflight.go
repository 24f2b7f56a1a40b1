package core

import (
	"context"
	"sync"
	"sync/atomic"
)

// Hold counts work that belongs to p as a send under way, until release is called: Flush and
// Shutdown wait for it. It is for a step that works for a caller on a goroutine of its own, which
// makes calls of p and ends later than they do. When Shutdown's context ends, the producer aborts
// those calls, but it cannot end the work: the step has to end it and to call release. Further
// calls of release do nothing. Hold fails for a producer that does not run, with [ErrNotRunning],
// or with [ErrClosed] once it was shut down. It is safe for concurrent use, and so is release.
func (p *Producer) Hold() (release func(), err error) {
	g, err := p.admit()
	if err != nil {
		return nil, err
	}
	p.decided.Add(1)
	return sync.OnceFunc(func() {
		p.decided.Add(-1)
		p.inflight.leave(g)
	}), nil
}

// inflight counts the sends under way, in two generations: a drain turns to the
// other one and waits until the old is empty, so that it ends even when new
// sends never stop coming.
type inflight struct {
	turn     atomic.Uint32 // which generation new sends belong to
	count    [2]atomic.Int64
	waiting  atomic.Bool
	notice   chan struct{} // a generation became empty while a drain waits
	draining chan struct{} // holds a token during a drain
}

func newInflight() inflight {
	return inflight{notice: make(chan struct{}, 1), draining: make(chan struct{}, 1)}
}

// enter counts a send and returns its generation.
func (f *inflight) enter() uint32 {
	g := f.turn.Load() & 1
	f.count[g].Add(1)
	return g
}

// leave ends a send.
func (f *inflight) leave(g uint32) {
	// The order matters: a drain sets waiting before it reads the count, so
	// either it sees zero or leave sees that it waits.
	if f.count[g].Add(-1) == 0 && f.waiting.Load() {
		select {
		case f.notice <- struct{}{}:
		default:
		}
	}
}

func (f *inflight) len() int { return int(f.count[0].Load() + f.count[1].Load()) }

// drain waits until every send that entered before it has left.
func (f *inflight) drain(ctx context.Context) error {
	if err := take(ctx, f.draining); err != nil {
		return err
	}
	defer func() { <-f.draining }()
	f.waiting.Store(true)
	defer f.waiting.Store(false)
	old := f.turn.Load() & 1
	// A drain that gave up may have left sends in the other generation.
	if err := f.empty(ctx, old^1); err != nil {
		return err
	}
	f.turn.Add(1)
	return f.empty(ctx, old)
}

func (f *inflight) empty(ctx context.Context, g uint32) error {
	for f.count[g].Load() != 0 {
		select {
		case <-f.notice:
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
	return nil
}
