package strategytest

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"reflect"
	"slices"
	"time"

	"github.com/liftoff-mq/liftoff/core"
)

// Here are the rules of selectors about what happens over time: to keys, to counters, to
// memory, and to selectors that hear of attempts.

func changed(before, after *core.Message) string {
	if reflect.DeepEqual(before, after) {
		return ""
	}
	return fmt.Sprintf("the message %+v became %+v", *before, *after)
}

func oneQueue(k *kit, s selectorSubject) {
	f := s.factory(k)
	var consistent, requires bool
	k.do(func() {
		if c, ok := f.ForTopic(s.Topics[0]).(*watchedSelector); ok {
			_, consistent = c.inner.(core.ConsistentSelector)
			requires = s.Keyed != nil && c.RequiresConsistency(s.Keyed)
		}
	})
	switch {
	case !consistent:
		k.skipf("it is no ConsistentSelector")
	case s.Keyed == nil:
		k.fatalf("it is a ConsistentSelector, but the options have no Keyed message")
	case !requires:
		k.fatalf("it does not require consistency for the Keyed message")
	}
	for _, r := range s.Routes {
		s.oneQueueOf(k, r)
	}
}

func (s selectorSubject) oneQueueOf(k *kit, r *core.Route) {
	w, f := s.start(k, r, 3)
	w.sends(5, bySync, s.Keyed)
	first := f.log.take()[0].queue
	check := func(when string) {
		for _, c := range f.log.take() {
			if c.keyed && c.queue != first {
				k.fatalf("it went to %v and, %s, to %v", first, when, c.queue)
			}
		}
	}
	for _, e := range []end{lost, forbidden, busy} {
		w.allEnd(e)
		for by := range modes {
			w.sends(3, by, s.Keyed)
			w.sends(3, by, s.message())
		}
		check("when attempts were " + e.String())
	}
	w.allEnd(stored)
	for _, h := range []core.Health{core.HealthSuspect, core.HealthDown} {
		w.grade(h, first.Broker)
		w.sends(3, bySync, s.Keyed)
		check(fmt.Sprintf("when its broker was %v", h))
	}
	if !k.virtual {
		return
	}
	for _, d := range []time.Duration{time.Nanosecond, time.Millisecond, time.Second, time.Minute, time.Hour, 32 * 24 * time.Hour} {
		k.sleep(d)
		w.sends(1, bySync, s.Keyed)
		check(fmt.Sprintf("%v later", d))
	}
	w.stop()
}

// anyEnd ends an attempt in one of all ways.
func anyEnd(*core.Attempt) end { return end(rand.IntN(int(ends))) }

func selectorStorm(k *kit, s selectorSubject) {
	w, f := s.start(k, s.Routes[0], 3)
	for _, r := range s.Routes {
		w.replace(s.Topics[0], readOnly)
		w.replace(s.Topics[0], r)
		for e := range ends {
			w.allEnd(e)
			for by := range modes {
				w.sends(1, by, s.message())
				if s.Keyed != nil {
					w.sends(1, by, s.Keyed)
				}
				w.sendsTo(1, by, s.Topics[0], r.Queue(0).Broker)
			}
		}
		f.log.take()
	}
}

// together runs calls of every mode and end on many goroutines, while routes come and go.
func (s selectorSubject) together(w *world, each int) {
	w.happens(anyEnd)
	w.k.parallel(9, func(i int) {
		if i == 8 {
			for _, r := range s.Routes {
				w.setRoute("", r)
				_ = w.send(bySync, nowhere(s.Topics[0]), lookUpTime)
			}
			return
		}
		for j := range each {
			m := message(s.Topics[(i+j)%len(s.Topics)])
			_ = w.send(mode(j%int(modes)), m)
			if w.k.isBroken() {
				return
			}
		}
	})
}

func selectAtOnce(k *kit, s selectorSubject) {
	w, _ := s.start(k, s.Routes[0], 2)
	w.k.parallel(8, func(i int) {
		for j := range 100 {
			_ = w.send(mode((i+j)%int(modes)), s.message())
			if k.isBroken() {
				return
			}
		}
	})
	s.together(w, 40)
}

// selectorTide has many attempts under way at the same time, which take their time.
func selectorTide(k *kit, s selectorSubject) {
	for _, r := range s.Routes {
		w, _ := s.start(k, r, 2)
		for _, e := range []end{slowly, hung, stored} {
			w.allEnd(e)
			w.k.parallel(8, func(i int) {
				for by := range modes {
					_ = w.send(by, s.message())
				}
			})
		}
		w.stop()
	}
}

func balance(k *kit, s selectorSubject) {
	s.broad(k)
	routes := s.several()
	if len(routes) == 0 {
		k.skipf("no route has several brokers")
	}
	r := routes[0]
	sick := brokersOf(r)[0]
	for e := range ends {
		w, f := s.start(k, r, 3)
		w.happens(func(at *core.Attempt) end {
			if at.Broker().Name == sick {
				return e
			}
			return stored
		})
		for by := range modes {
			w.sends(20, by, s.message())
		}
		w.k.parallel(8, func(int) {
			for j := range 8 {
				_ = w.send(mode(j%int(modes)), s.message())
			}
		})
		for by := range modes {
			w.sendsTo(10, by, s.Topics[0], sick)
		}
		w.allEnd(stored)
		k.sleep(s.Rest)
		used, n := s.spread(w, f, r)
		for _, b := range brokersOf(r) {
			if !slices.ContainsFunc(slices.Collect(maps.Keys(used)), func(q core.Queue) bool { return q.Broker == b }) {
				k.fatalf("after attempts at %s that were %v %d messages did not use %s", sick, e, n, b)
			}
		}
		w.stop()
	}
}

func selectorKeepsNothing(k *kit, s selectorSubject) {
	r := s.Routes[len(s.Routes)-1]
	if several := s.several(); len(several) > 0 {
		r = several[0]
	}
	k.keeps(func() (*world, any) {
		w, f := s.start(k, r, 2)
		f.log.off = true
		return w, f
	}, s.message)
}

func selectorStartsNothing(k *kit, s selectorSubject) {
	w, f := s.start(k, s.Routes[0], 1)
	f.log.off = true
	w.sends(10, bySync, s.message())
	k.starts(func(n int) { w.sends(n, bySync, s.message()) })
}
