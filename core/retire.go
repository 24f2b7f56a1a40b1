package core

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
)

// The life of services: those that a producer owns, and the steps and strategies that are
// services. A policy that was replaced still serves the calls that began with it, so its
// services run until the last of these calls has ended.

// retirement is the services that one change of policies left without a use.
type retirement struct {
	services []Service     // to be shut down; a later change may take some back
	begun    bool          // they are being shut down
	done     chan struct{} // closed when they are
}

// retirements are those that are not over.
type retirements struct {
	mu  sync.Mutex
	all []*retirement
	wg  sync.WaitGroup
}

// retire shuts services down when no call uses them any more. Where the producer ends
// before that, it leaves them to Shutdown.
func (p *Producer) retire(services []Service) {
	if len(services) == 0 {
		return
	}
	rs, r := &p.retired, &retirement{services: services, done: make(chan struct{})}
	rs.mu.Lock()
	rs.all = append(rs.all, r)
	rs.mu.Unlock()
	rs.wg.Add(1)
	go func() {
		defer rs.wg.Done()
		if p.idle(p.engine.life) != nil {
			return
		}
		unused := rs.begin(r)
		defer rs.end(r)
		s := newEnding(context.Background())
		defer s.stop()
		s.shutDown(unused)
		if err := s.result(); err != nil {
			p.cfg.Logger.Warn("a service of a replaced policy did not shut down", "group", p.cfg.Group, "err", err)
		}
		s.join() // so that Shutdown knows of it
	}()
}

// idle waits until every call and batch that is under way has ended. No batch goes on its
// way without a call that is, so the order is right.
func (p *Producer) idle(ctx context.Context) error {
	if err := p.inflight.drain(ctx); err != nil {
		return err
	}
	return p.batching.drain(ctx)
}

// begin gives the services of r that nobody took back. From now on nobody can.
func (rs *retirements) begin(r *retirement) []Service {
	rs.mu.Lock()
	defer rs.mu.Unlock()
	r.begun = true
	return r.services
}

func (rs *retirements) end(r *retirement) {
	rs.mu.Lock()
	defer rs.mu.Unlock()
	rs.all = slices.DeleteFunc(rs.all, func(o *retirement) bool { return o == r })
	close(r.done)
}

// takeBack reports whether s still runs because it waits for its end, and takes it back
// then. Where s is being shut down it waits until s is.
func (rs *retirements) takeBack(ctx context.Context, s Service) (running bool, err error) {
	over, running := rs.remove(s)
	if over == nil {
		return running, nil
	}
	select {
	case <-over:
		return false, nil
	case <-ctx.Done():
		return false, fmt.Errorf("service %T is being shut down: %w", s, ContextError(ctx))
	}
}

// remove takes s out of its retirement. If that has begun it gives the channel that closes
// at its end.
func (rs *retirements) remove(s Service) (over <-chan struct{}, removed bool) {
	rs.mu.Lock()
	defer rs.mu.Unlock()
	for _, r := range rs.all {
		i := slices.IndexFunc(r.services, func(o Service) bool { return same(o, s) })
		switch {
		case i < 0:
		case r.begun:
			return r.done, false
		default:
			r.services = slices.Delete(r.services, i, i+1)
			return nil, true
		}
	}
	return nil, false
}

// left are the services whose retirement has not begun.
func (rs *retirements) left() []Service {
	rs.mu.Lock()
	defer rs.mu.Unlock()
	var out []Service
	for _, r := range rs.all {
		if !r.begun {
			out = append(out, r.services...)
		}
	}
	return out
}

// employ makes services run. One that waits for its end since an earlier change runs still.
// If one cannot be started, the others are as before.
func (p *Producer) employ(ctx context.Context, services []Service) error {
	var begun, kept []Service
	for _, s := range services {
		running, err := p.retired.takeBack(ctx, s)
		if err == nil && !running {
			err = startUp(ctx, s)
		}
		if err != nil {
			p.retire(kept)
			return errors.Join(err, shutDown(ctx, begun))
		}
		if running {
			kept = append(kept, s)
		} else {
			begun = append(begun, s)
		}
	}
	return nil
}

// startUp starts a service, and keeps its panic.
func startUp(ctx context.Context, s Service) (err error) {
	defer containPanic(fmt.Sprintf("service %T", s), &err)
	return s.Start(ctx)
}

// without are the services of a that are not in b.
func without(a, b []Service) []Service {
	return slices.DeleteFunc(slices.Clone(a), func(s Service) bool {
		return slices.ContainsFunc(b, func(o Service) bool { return same(o, s) })
	})
}
