package strategytest

import (
	"slices"
	"time"

	"github.com/liftoff-mq/liftoff/core"
	"github.com/liftoff-mq/liftoff/core/coretest"
	"github.com/liftoff-mq/liftoff/internal/absent"
)

// SelectorOptions says what is special about a selector. The zero value expects one that
// spreads messages over all queues and avoids brokers that were tried or are down.
type SelectorOptions struct {
	// Keyed is a message that requires consistency. Selectors that are a
	// [core.ConsistentSelector] need it for S7.
	Keyed *core.Message
	// Narrow is for selectors that use some queues only, such as a sticky one: S3, S12 and
	// S13 are not checked.
	Narrow bool
	// IgnoresTried is for selectors that may choose a broker again that the call has tried:
	// S4 is not checked.
	IgnoresTried bool
	// IgnoresHealth is for selectors that do not look at health: S5 is not checked. Nor is it
	// for a factory that is the health view itself.
	IgnoresHealth bool
	// Topics are the topics that selectors are asked for, "T", "U" and "%RETRY%g" by default.
	// The rules about single messages use the first.
	Topics []string
	// Routes are the routes that a selector meets, in the order in which each replaces the one
	// before. By default they grow, shrink and move, from one queue to sixteen brokers, with
	// an absent broker and the queues of a static topic among them. They should have good
	// names for a selector that goes by names.
	Routes []*core.Route
	// Rest is how long after its last failure a broker is used again at the latest, an hour
	// by default. It costs no time where the test has a *testing.T.
	Rest time.Duration
	// RealTime checks without virtual time, for a strategy that has to do with goroutines or
	// channels outside of the test. Rules that need hours are skipped then.
	RealTime bool
	// Limit is the time of one rule, [DefaultLimit] by default.
	Limit time.Duration
	// Skip gives the reason why a rule is not checked, by its number.
	Skip map[string]string
}

// TestSelector checks a selector against the rules S1 to S15, each in a sub-test of its
// number. The function makes a fresh factory each time; it is called more than once for a
// rule. A factory that is also a [core.HealthView] is the producer's view.
func TestSelector[T Runner[T]](t T, newFactory func() core.SelectorFactory, opts SelectorOptions) {
	t.Helper()
	if len(opts.Topics) == 0 {
		opts.Topics = []string{"T", "U", "%RETRY%g"}
	}
	if len(opts.Routes) == 0 {
		opts.Routes = routesByDefault()
	}
	if opts.Rest == 0 {
		opts.Rest = time.Hour
	}
	run(t, selectorContract, selectorSubject{newFactory, opts}, settings{opts.Skip, opts.Limit, opts.RealTime})
}

type selectorSubject struct {
	newFactory func() core.SelectorFactory
	SelectorOptions
}

var selectorContract = contract[selectorSubject]{
	rules: []rule[selectorSubject]{
		{"S1", "every topic gets a selector", everyTopic},
		{"S2", "an index is in range, also when the route grows, shrinks or is replaced", inRange},
		{"S3", "every queue is used when all brokers are good", allUsed},
		{"S4", "a call goes to a broker that it has not tried as long as there is one", untriedFirst},
		{"S5", "a broker that is down is avoided as long as there is another", downLast},
		{"S6", "there is a choice and no error, also when all brokers were tried, are down or absent", alwaysAChoice},
		{"S7", "a message that requires consistency goes to one queue as long as the route stays", oneQueue},
		{"S8", "many goroutines may select at once", selectAtOnce},
		{"S9", "the message stays as it is", messageStays},
		{"S10", "no method panics or ends its goroutine", selectorStorm},
		{"S11", "no method waits", selectorTide},
		{"S12", "of a route that replaces another one every queue is used", newRouteUsed},
		{"S13", "a broker is used again after attempts that failed, were vetoed or cancelled, or came without a Select", balance},
		{"S14", "nothing of a call is kept after its outcome", selectorKeepsNothing},
		{"S15", "no call starts a goroutine, and none is left", selectorStartsNothing},
	},
	numbers: numbers{given: "S1", waits: "S11", panics: "S10", leaves: "S15"},
}

// factory makes a factory behind the kit.
func (s selectorSubject) factory(k *kit) *watchedFactory {
	var f core.SelectorFactory
	k.do(func() { f = s.newFactory() })
	if absent.Is(f) {
		k.spoil(k.given, "nil", "the factory is nil")
		k.do(func() {})
	}
	return &watchedFactory{ears: hears(k, f), inner: f, log: &choices{noChoice: k.blame("S6"), outside: k.blame("S2")}}
}

// blame is the rule that a wrong choice breaks. If choices are right as long as there is one at
// a time, it is S8.
func (k *kit) blame(own string) string {
	if !k.seen.known[own] && (k.rule == "S8" || k.seen.known["S8"]) {
		return "S8"
	}
	return own
}

// start makes a producer with a new factory and a policy of so many attempts.
func (s selectorSubject) start(k *kit, route *core.Route, attempts int) (*world, *watchedFactory) {
	f := s.factory(k)
	cfg := core.Config{Selector: f, Retry: coretest.Retry(attempts)}
	if v, ok := f.inner.(core.HealthView); ok {
		cfg.Health = watchView(deaf(k), v)
	}
	return k.start(route, cfg), f
}

// message is a message that goes anywhere.
func (s selectorSubject) message() *core.Message { return message(s.Topics[0]) }

// several are the routes with more than one broker.
func (s selectorSubject) several() (out []*core.Route) {
	for _, r := range s.Routes {
		if len(brokersOf(r)) > 1 {
			out = append(out, r)
		}
	}
	return out
}

func everyTopic(k *kit, s selectorSubject) {
	f := s.factory(k)
	k.parallel(len(s.Topics), func(i int) { f.ForTopic(s.Topics[i]) })
	k.parallel(len(s.Topics), func(int) { f.ForTopic(s.Topics[0]) }) // again
}

func inRange(k *kit, s selectorSubject) {
	w, f := s.start(k, s.Routes[0], 2)
	for _, r := range slices.Concat(s.Routes, s.Routes) {
		w.replace(s.Topics[0], r)
		for by := range modes {
			w.sends(10+r.Len()/2, by, s.message()) // a lap and more
		}
		f.log.take()
	}
}

// laps is how often each queue would be used in its share of the messages.
const laps = 25

// spread sends messages, and says which queues of the route were used.
func (s selectorSubject) spread(w *world, f *watchedFactory, r *core.Route) (used map[core.Queue]bool, n int) {
	f.log.take()
	n = laps * len(queuesOf(r))
	w.sends(n, bySync, s.message())
	used = map[core.Queue]bool{}
	for _, c := range f.log.take() {
		used[c.queue] = true
	}
	return used, n
}

// use reports the queues that are not used.
func (s selectorSubject) use(w *world, f *watchedFactory, r *core.Route) {
	used, n := s.spread(w, f, r)
	all := queuesOf(r)
	missed := slices.DeleteFunc(slices.Clone(all), func(q core.Queue) bool { return used[q] })
	if len(missed) > 0 {
		w.k.fatalf("%d messages used %d of %d queues, and not %v", n, len(all)-len(missed), len(all), missed[0])
	}
}

func (s selectorSubject) broad(k *kit) {
	if s.Narrow {
		k.skipf("the options say that it is Narrow")
	}
}

func allUsed(k *kit, s selectorSubject) {
	s.broad(k)
	for _, r := range s.Routes {
		w, f := s.start(k, r, 1)
		s.use(w, f, r)
		w.stop()
	}
}

func newRouteUsed(k *kit, s selectorSubject) {
	s.broad(k)
	w, f := s.start(k, s.Routes[0], 1)
	for _, r := range slices.Concat(s.Routes, s.Routes[:1]) {
		w.replace(s.Topics[0], r)
		s.use(w, f, r)
	}
}

func untriedFirst(k *kit, s selectorSubject) {
	if s.IgnoresTried {
		k.skipf("the options say IgnoresTried")
	}
	for _, r := range s.several() {
		w, f := s.start(k, r, len(brokersOf(r)))
		w.allEnd(lost)
		w.sends(20, bySync, s.message())
		for _, c := range f.log.take() {
			if !c.fresh {
				k.fatalf("it chose %v, whose broker the call had tried, and there was another", c.queue)
			}
		}
		w.stop()
	}
}

func downLast(k *kit, s selectorSubject) {
	if s.IgnoresHealth {
		k.skipf("the options say IgnoresHealth")
	}
	for _, r := range s.several() {
		w, f := s.start(k, r, 1)
		if _, own := f.inner.(core.HealthView); own {
			k.skipf("it is the health view itself")
		}
		for _, up := range brokersOf(r) {
			w.grade(core.HealthDown, without(brokersOf(r), up)...)
			w.sends(20, bySync, s.message())
			for _, c := range f.log.take() {
				if !c.up {
					k.fatalf("it chose %v, whose broker is down, and %s is not", c.queue, up)
				}
			}
		}
		w.stop()
	}
}

func without(all []string, one string) []string {
	return slices.DeleteFunc(slices.Clone(all), func(s string) bool { return s == one })
}

// What alwaysAChoice looks for is a finding of every Select.
func alwaysAChoice(k *kit, s selectorSubject) {
	for _, r := range s.Routes {
		w, f := s.start(k, r, len(r.Brokers())+2)
		w.allEnd(lost)
		for _, h := range []core.Health{core.HealthGood, core.HealthSuspect, core.HealthDown} {
			w.grade(h, brokersOf(r)...)
			for by := range modes {
				w.sends(3, by, s.message())
			}
		}
		f.log.take()
		w.stop()
	}
}

func messageStays(k *kit, s selectorSubject) {
	for _, r := range s.Routes {
		w, _ := s.start(k, r, 2)
		w.allEnd(lost)
		for by := range modes {
			for _, m := range []*core.Message{s.message(), s.Keyed} {
				if m == nil {
					continue
				}
				m = clone(m)
				before := clone(m)
				w.sends(2, by, m)
				if diff := changed(before, m); diff != "" {
					k.fatalf("%s", diff)
				}
			}
		}
		w.stop()
	}
}
