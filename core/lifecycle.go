package core

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
)

// Start brings the producer into service: it starts the services it owns,
// registers the group, and begins to keep routes fresh. It returns an error,
// and leaves nothing running, if a service or the registration fails, or if the
// producer is not in StateCreated.
func (p *Producer) Start(ctx context.Context) error {
	err := p.start(ctx)
	if err == nil {
		p.cfg.Logger.Debug("producer pipeline", "group", p.cfg.Group, "pipeline", p.Pipeline())
	}
	p.changes.tell(p.stateChanged)
	return err
}

func (p *Producer) start(ctx context.Context) error {
	if err := take(ctx, p.lifecycle); err != nil {
		return fmt.Errorf("producer %q: start: another start, shutdown or change is under way: %w", p.cfg.Group, err)
	}
	defer func() { <-p.lifecycle }()
	if s := p.State(); s != StateCreated {
		return fmt.Errorf("producer %q: cannot start: it is %v", p.cfg.Group, s)
	}
	for i, svc := range p.services {
		if err := startUp(ctx, svc); err != nil {
			p.setState(StateStartFailed)
			return fmt.Errorf("producer %q: start: %w", p.cfg.Group, errors.Join(err, shutDown(ctx, p.services[:i])))
		}
	}
	if r, ok := p.registrar(); ok {
		if err := p.register(ctx, r); err != nil {
			if !errors.Is(err, ErrGroupTaken) || len(p.services) > 0 {
				p.setState(StateStartFailed)
			}
			return fmt.Errorf("producer %q: start: %w", p.cfg.Group, errors.Join(err, shutDown(ctx, p.services)))
		}
	}
	p.engine.routes.begin()
	p.setState(StateRunning)
	return nil
}

// registrar announces the producer's group: the transport or, where that is wrapped by
// something that hides it, the route source, which is usually the same client.
func (p *Producer) registrar() (GroupRegistrar, bool) {
	return find[GroupRegistrar](p.cfg.Transport, p.cfg.Routes)
}

func (p *Producer) register(ctx context.Context, r GroupRegistrar) (err error) {
	defer containPanic("registration of the group", &err)
	return r.RegisterGroup(ctx, Registration{Group: p.cfg.Group, Inbox: p.inbox})
}

// setState changes the state. Whoever has changed it tells the listeners when it no longer
// holds Producer.lifecycle: a listener may call Shutdown.
func (p *Producer) setState(s State) {
	p.changes.add(StateReport{Group: p.cfg.Group, Old: State(p.state.Swap(uint32(s))), New: s})
}

// stateChanged tells of a change of state.
func (p *Producer) stateChanged(r *StateReport) {
	p.cfg.Logger.Info("producer state", "group", r.Group, "old", r.Old.String(), "new", r.New.String())
	p.engine.policies.Load().listeners.stateChanged(r)
}

// stateChanges are the changes of state of which listeners are still to hear. One goroutine at
// a time tells them, in their order, so a listener that blocks holds back the news that
// follow and nothing else.
type stateChanges struct {
	mu      sync.Mutex
	waiting []StateReport
	telling bool
}

func (cs *stateChanges) add(r StateReport) {
	cs.mu.Lock()
	defer cs.mu.Unlock()
	cs.waiting = append(cs.waiting, r)
}

// tell calls f for every change that waits, unless another goroutine is at it already.
func (cs *stateChanges) tell(f func(*StateReport)) {
	cs.mu.Lock()
	defer cs.mu.Unlock()
	if cs.telling {
		return
	}
	cs.telling = true
	defer func() { cs.telling = false }() // also if a listener ends the goroutine
	for len(cs.waiting) > 0 {
		r := cs.waiting[0]
		cs.waiting = slices.Delete(cs.waiting, 0, 1)
		func() {
			cs.mu.Unlock()
			defer cs.mu.Lock()
			f(&r)
		}()
	}
}
