package transporttest

import (
	"context"
	"errors"
	"strings"
	"sync"

	"github.com/liftoff-mq/liftoff/core"
)

// ask asks the route source for a topic.
func (k *kit) ask(ctx context.Context, topic string) (r *core.Route, err error) {
	k.call(routeOf, func() { r, err = k.world.Routes.Route(ctx, topic) })
	return r, err
}

// route is the route of the world's topic, without which the check ends.
func (k *kit) route() *core.Route {
	r, err := k.ask(context.Background(), k.world.Topic)
	if wrong := unusable(r, err); wrong != "" {
		k.Fatalf("the known topic %q gives %s", k.world.Topic, wrong)
	}
	return r
}

// unusable says what is wrong with a known topic's route.
func unusable(r *core.Route, err error) string {
	if err != nil || r == nil || r.Len() == 0 {
		return outcomeOf(r, err)
	}
	return ""
}

func outcomeOf(r *core.Route, err error) string {
	switch {
	case err != nil:
		return "the error " + err.Error()
	case r == nil:
		return "neither a route nor an error"
	case r.Len() == 0:
		return "a route without queues"
	default:
		return "a route"
	}
}

func routeRule() Rule {
	return Rule{"R1", "route", "a known topic gives a route with at least one queue and no error", []check{
		{"known", func(k *kit) { k.route() }},
	}}
}

func unknownRule() Rule {
	return Rule{"R2", "unknown", "an unknown topic is an error that wraps ErrNoRoute and names the topic", []check{
		{"unknown", func(k *kit) {
			k.needs(given("UnknownTopic", k.world.UnknownTopic))
			r, err := k.ask(context.Background(), k.world.UnknownTopic)
			switch {
			case r != nil || !errors.Is(err, core.ErrNoRoute):
				k.Errorf("an unknown topic gives %s", outcomeOf(r, err))
			case !strings.Contains(err.Error(), k.world.UnknownTopic):
				k.Errorf("the error of the unknown topic %q does not name it: %v", k.world.UnknownTopic, err)
			}
		}},
	}}
}

func readOnlyRule() Rule {
	return Rule{"R3", "read-only", "a topic whose queues are all read-only is ErrNotWritable", []check{
		{"read-only", func(k *kit) {
			k.needs(given("ReadOnlyTopic", k.world.ReadOnlyTopic))
			if r, err := k.ask(context.Background(), k.world.ReadOnlyTopic); r != nil || !errors.Is(err, core.ErrNotWritable) {
				k.Errorf("a topic that is read-only gives %s", outcomeOf(r, err))
			}
		}},
	}}
}

func routeContextRule() Rule {
	return Rule{"R4", "context", "it returns as soon as ctx is done, with ContextError", []check{
		{"done", func(k *kit) {
			ctx, end := context.WithCancelCause(context.Background())
			end(errCaller)
			// It may know the route without asking anybody.
			if r, err := k.canceledRoute(ctx, func() {}); err != nil && !errors.Is(err, context.Canceled) {
				k.Errorf("with a context that is done it gives %s", outcomeOf(r, err))
			}
		}},
		{"hanging", func(k *kit) {
			if k.world.HangRoutes == nil {
				k.Skipf("the world has no HangRoutes")
			}
			k.Call("world", "the world's HangRoutes", k.world.HangRoutes)
			ctx, end := context.WithCancelCause(context.Background())
			defer end(nil)
			r, err := k.canceledRoute(ctx, func() { end(errCaller) })
			if !errors.Is(err, context.Canceled) || !errors.Is(err, errCaller) {
				k.Errorf("the context ends with a cause, and it gives %s; ContextError gives both", outcomeOf(r, err))
			}
		}},
	}}
}

// canceledRoute asks for a route whose context ends meanwhile.
func (k *kit) canceledRoute(ctx context.Context, end func()) (*core.Route, error) {
	var r *core.Route
	var err error
	done := k.Begin("transport", routeOf, func() { r, err = k.world.Routes.Route(ctx, k.world.Topic) })
	k.Until(done, moment)
	end()
	if !k.Until(done, k.Late) {
		k.Fatalf("%s has not returned %v after its context was done", routeOf, k.Late)
	}
	return r, err
}

func sameRule() Rule {
	return Rule{"R5", "same", "the same cluster gives an equal route again, with the queues in one order", []check{
		{"again", func(k *kit) {
			first, err := k.ask(context.Background(), k.world.Topic)
			k.needs(unusable(first, err))
			for range 9 {
				if r := k.route(); !r.Equal(first) {
					k.Fatalf("two look-ups in a row differ: %s, then %s", queues(first), queues(r))
				}
			}
		}},
	}}
}

// queues shows a route.
func queues(r *core.Route) string {
	var all []string
	for i := range min(r.Len(), 32) {
		all = append(all, r.Queue(i).String()+" at "+r.Broker(i).Addr)
	}
	return strings.Join(all, ", ")
}

func routeConcurrencyRule() Rule {
	return Rule{"R6", "concurrency", "many look-ups may be made at once", []check{
		{"many", func(k *kit) {
			topics := []string{k.world.Topic}
			for _, topic := range []string{k.world.UnknownTopic, k.world.ReadOnlyTopic} {
				if topic != "" {
					topics = append(topics, topic)
				}
			}
			k.needs(unusable(k.ask(context.Background(), k.world.Topic)))
			var wg sync.WaitGroup
			for g := range 8 {
				wg.Go(func() {
					for i := range 25 {
						if topic := topics[(g+i)%len(topics)]; topic == k.world.Topic {
							k.route()
						} else if r, err := k.ask(context.Background(), topic); err == nil {
							k.Errorf("the topic %q gives %s while others are looked up", topic, outcomeOf(r, err))
						}
					}
				})
			}
			wg.Wait()
		}},
	}}
}
