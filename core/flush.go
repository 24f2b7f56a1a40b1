package core

import (
	"context"
	"sync"
)

// Flush waits until every send that was accepted before it has its outcome and,
// if it is asynchronous, its done has returned. Meanwhile steps that hold calls back, such as
// one that puts sends together, let go of them ([Flusher]). It returns the end of ctx if
// that comes first. Called from a done function it waits for that, until ctx ends.
func (p *Producer) Flush(ctx context.Context) error {
	steps := stepsThatAre[Flusher](p.stepsOf(p.engine.policies.Load()))
	if len(steps) == 0 {
		return p.inflight.drain(ctx)
	}
	told, over, ended := make(chan struct{}), make(chan struct{}), make(chan struct{})
	tell := sync.OnceFunc(func() { close(told) })
	go func() { // a step that blocks holds up this goroutine, and Flush until ctx ends
		defer close(ended)
		defer tell() // if a step ends the goroutine
		for _, s := range steps {
			defer p.endFlush(s, p.flushStep(s))
		}
		tell()
		<-over
	}()
	defer func() {
		close(over)
		select {
		case <-ended:
		case <-ctx.Done():
		}
	}()
	select {
	case <-told:
		return p.inflight.drain(ctx)
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// flushStep tells a step to let go of the calls that it holds back. A panic in it is logged: the
// calls still have their deadlines.
func (p *Producer) flushStep(s namedPart) (end func()) {
	defer p.flushPanicked(s)
	return s.part.(Flusher).Flush()
}

func (p *Producer) endFlush(s namedPart, end func()) {
	defer p.flushPanicked(s)
	if end != nil {
		end()
	}
}

func (p *Producer) flushPanicked(s namedPart) {
	if v := recover(); v != nil {
		p.cfg.Logger.Error("flush panicked", "group", p.cfg.Group, "step", s.name, "panic", v)
	}
}
