package core

import (
	"context"
	"fmt"
)

// Announcer is implemented by transports whose brokers must know the client before they can
// bring it anything, such as the reply to a request.
type Announcer interface {
	// Announce makes sure that the brokers of a route know the client and its producer
	// groups, as they do after a heartbeat. It returns when each of them was told or could
	// not be, or when ctx ends ([ContextError]). For brokers that know the client already it
	// costs nothing, so it may be called before every request; a broker that does not answer
	// holds up one call in some seconds. It is no error that a broker cannot be told: the next
	// call tries again.
	Announce(ctx context.Context, route *Route) error
}

// Route is a topic's route, by its name on the wire: that of the producer's cache, or else the
// one that a look-up gives, for which it waits until ctx ends. The topic counts as in use: its
// route is kept fresh for the next ten minutes.
func (p *Producer) Route(ctx context.Context, topic string) (*Route, error) {
	leave, err := p.Hold()
	if err != nil {
		return nil, err
	}
	defer leave()
	return p.engine.routeOf(ctx, topic)
}

// routeOf is Route for what is counted as under way.
func (e *engine) routeOf(ctx context.Context, name string) (*Route, error) {
	t := e.routes.topic(name)
	t.used.mark()
	if r := t.route.Load(); r != nil {
		return r, nil
	}
	until, _ := ctx.Deadline()
	look := e.routes.lookUp(t, refreshGap, until)
	select {
	case <-look.done:
		return look.route, look.err
	case <-ctx.Done():
		return nil, look.unfinished(name, ContextError(ctx))
	case <-e.aborted:
		return nil, look.unfinished(name, ErrAborted)
	}
}

// Announce makes sure that the brokers of a topic's route know this client and its groups, and
// waits for that until ctx ends or Shutdown aborts it; see [Announcer]. The topic is named as on the wire. A
// transport that is no Announcer has nothing to make sure of.
func (p *Producer) Announce(ctx context.Context, topic string) (err error) {
	leave, err := p.Hold()
	if err != nil {
		return err
	}
	defer leave()
	a, ok := find[Announcer](p.cfg.Transport, p.cfg.Routes)
	if !ok {
		return nil
	}
	route, err := p.engine.routeOf(ctx, topic)
	if err != nil {
		return fmt.Errorf("announce: %w", err)
	}
	ctx, end := context.WithCancelCause(ctx)
	defer end(nil)
	defer context.AfterFunc(p.engine.life, func() { end(ErrAborted) })()
	defer containPanic("transport", &err)
	return a.Announce(ctx, route)
}
