package strategytest

import (
	"context"
	"errors"
	"maps"
	"reflect"
	"slices"
	"sync"
	"testing"

	"github.com/liftoff-mq/liftoff/core"
	"github.com/liftoff-mq/liftoff/core/coretest"
)

// SelectorOptions says what is special about a selector.
type SelectorOptions struct {
	// Keyed is a message that requires consistency; without it S7 is checked
	// only for selectors that are no [core.ConsistentSelector], where it is void.
	Keyed *core.Message
	// Skip gives the reason why a rule is not checked, by its number.
	Skip map[string]string
}

// TestSelector checks a selector against the rules S1 to S9. The function makes
// a fresh factory for each rule.
func TestSelector(t *testing.T, newFactory func() core.SelectorFactory, opts SelectorOptions) {
	t.Helper()
	run(t, selectorRules, selectorSubject{newFactory, opts.Keyed}, opts.Skip)
}

type selectorSubject struct {
	factory func() core.SelectorFactory
	keyed   *core.Message
}

var selectorRules = []rule[selectorSubject]{
	{"S1", "every topic gets a selector", func(t coretest.TB, s selectorSubject) {
		f := s.factory()
		if f == nil {
			t.Fatalf("the factory is nil")
		}
		for _, topic := range []string{"T", "U", "%RETRY%g"} {
			if sel := f.ForTopic(topic); sel == nil {
				t.Errorf("topic %q got none", topic)
			}
		}
	}},
	{"S2", "an index is in range, also when the route grows and shrinks", func(t coretest.TB, s selectorSubject) {
		sel := s.one(t)
		for _, queues := range []int{1, 7, 2, 64, 1, 3} {
			w := selection{selector: sel, queues: queues, brokers: []string{"a", "b"}}
			w.send(t, 20+2*queues, message()) // a lap at least
		}
	}},
	{"S3", "every queue is used when all brokers are good", func(t coretest.TB, s selectorSubject) {
		w := selection{selector: s.one(t), queues: 4, brokers: []string{"a", "b", "c"}}
		used := map[core.Queue]int{}
		for _, call := range w.send(t, 40*12, message()) {
			used[call[0]]++
		}
		if len(used) != 12 {
			t.Errorf("%d of 12 queues were used for 480 messages: %v", len(used), used)
		}
	}},
	{"S4", "a call goes to a broker that it has not tried as long as there is one", func(t coretest.TB, s selectorSubject) {
		w := selection{selector: s.one(t), queues: 2, brokers: []string{"a", "b", "c"}, attempts: 3, fail: true}
		for _, call := range w.send(t, 20, message()) {
			if got := brokersOf(call); len(got) != 3 {
				t.Fatalf("three attempts went to %v only: %v", got, call)
			}
		}
	}},
	{"S5", "a broker that is down is avoided as long as there is another", func(t coretest.TB, s selectorSubject) {
		w := selection{selector: s.one(t), queues: 2, brokers: []string{"a", "b", "c"}, down: []string{"a", "c"}}
		for _, call := range w.send(t, 40, message()) {
			if call[0].Broker != "b" {
				t.Fatalf("%v was chosen, and only b is not down", call[0])
			}
		}
	}},
	{"S6", "there is a choice also when all brokers were tried and are down", func(t coretest.TB, s selectorSubject) {
		w := selection{selector: s.one(t), queues: 2, brokers: []string{"a", "b"}, down: []string{"a", "b"}, attempts: 4, fail: true}
		for _, call := range w.send(t, 10, message()) {
			if len(call) != 4 {
				t.Fatalf("%d of 4 attempts got a queue", len(call))
			}
		}
	}},
	{"S7", "a message that requires consistency goes to one queue, whatever happens", func(t coretest.TB, s selectorSubject) {
		sel := s.one(t)
		c, ok := sel.(core.ConsistentSelector)
		if !ok {
			return
		}
		if s.keyed == nil {
			t.Fatalf("it is a ConsistentSelector, but the options have no Keyed message")
		}
		if !c.RequiresConsistency(s.keyed) {
			t.Fatalf("it does not require consistency for the Keyed message")
		}
		w := selection{selector: sel, queues: 4, brokers: []string{"a", "b", "c"}, attempts: 3, fail: true}
		calls := w.send(t, 10, s.keyed)
		w.down = []string{calls[0][0].Broker}
		calls = append(calls, w.send(t, 10, s.keyed)...)
		first := calls[0][0]
		for _, call := range calls {
			for _, q := range call {
				if q != first {
					t.Fatalf("it went to %v and to %v", first, q)
				}
			}
		}
	}},
	{"S8", "many goroutines may select at once", func(t coretest.TB, s selectorSubject) {
		w := selection{selector: s.one(t), queues: 4, brokers: []string{"a", "b", "c"}, down: []string{"b"}, goroutines: 8}
		w.send(t, 800, message())
	}},
	{"S9", "the message stays as it is", func(t coretest.TB, s selectorSubject) {
		w := selection{selector: s.one(t), queues: 4, brokers: []string{"a", "b"}, attempts: 2, fail: true}
		for _, m := range []*core.Message{message(), s.keyed} {
			if m == nil {
				continue
			}
			before := clone(m)
			w.send(t, 5, m)
			if !reflect.DeepEqual(m, before) {
				t.Errorf("%+v became %+v", before, m)
			}
		}
	}},
}

// one makes the selector of one topic.
func (s selectorSubject) one(t coretest.TB) core.QueueSelector {
	t.Helper()
	sel := s.factory().ForTopic("T")
	if sel == nil {
		t.Fatalf("the factory gave no selector")
	}
	return sel
}

func message() *core.Message {
	return &core.Message{Topic: "T", Body: []byte("x"), Keys: []string{"k"}, Properties: map[string]string{"p": "v"}}
}

func clone(m *core.Message) *core.Message {
	c := *m
	c.Body, c.Keys, c.Properties = slices.Clone(m.Body), slices.Clone(m.Keys), maps.Clone(m.Properties)
	if m.Queue != nil {
		q := *m.Queue
		c.Queue = &q
	}
	return &c
}

func brokersOf(call []core.Queue) []string {
	var names []string
	for _, q := range call {
		names = append(names, q.Broker)
	}
	slices.Sort(names)
	return slices.Compact(names)
}

// selection is a producer's world in which a selector has to choose.
type selection struct {
	selector   core.QueueSelector
	queues     int // per broker
	brokers    []string
	down       []string
	attempts   int  // per call, 1 if 0
	fail       bool // every attempt fails
	goroutines int  // 1 if 0
}

// send makes n calls of message m, through a producer of its own, and returns
// the queues of each call's attempts. A choice that core refuses fails the rule.
func (s selection) send(t coretest.TB, n int, m *core.Message) [][]core.Queue {
	t.Helper()
	tr := &coretest.Transport{}
	if s.fail {
		tr.Do = func(context.Context, *core.Attempt) (*core.Result, error) { return nil, core.ErrConnectionLost }
	}
	cfg := coretest.Config(tr)
	cfg.Routes = coretest.Routes(s.queues, s.brokers...)
	cfg.Selector = core.SelectorFactoryFunc(func(string) core.QueueSelector { return s.selector })
	cfg.Retry = coretest.Retry(max(1, s.attempts))
	if s.down != nil {
		cfg.Health = downBrokers(s.down)
	}
	p := coretest.Start(t, cfg)
	errs := make(chan error, n)
	var wg sync.WaitGroup
	goroutines := max(1, s.goroutines)
	for range goroutines {
		wg.Go(func() {
			for range n / goroutines {
				_, err := p.Send(context.Background(), m)
				errs <- err
			}
		})
	}
	wg.Wait()
	close(errs)
	for err := range errs {
		if err != nil && !(s.fail && errors.Is(err, core.ErrConnectionLost)) {
			t.Fatalf("%v", err)
		}
	}
	byCall := map[core.MessageID][]core.Queue{}
	var order []core.MessageID
	for _, a := range tr.Attempts() {
		if byCall[a.MessageID] == nil {
			order = append(order, a.MessageID)
		}
		byCall[a.MessageID] = append(byCall[a.MessageID], a.Queue)
	}
	calls := make([][]core.Queue, 0, n)
	for _, id := range order {
		calls = append(calls, byCall[id])
	}
	return calls
}

type downBrokers []string

// Health makes downBrokers a health view.
func (d downBrokers) Health(b core.Broker) core.Health {
	if slices.Contains(d, b.Name) {
		return core.HealthDown
	}
	return core.HealthGood
}
