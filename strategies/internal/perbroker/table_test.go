package perbroker_test

import (
	"maps"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"

	"go.uber.org/goleak"
	"pgregory.net/rapid"

	"github.com/liftoff-mq/liftoff/core"
	"github.com/liftoff-mq/liftoff/strategies/internal/perbroker"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// broker is one whose address follows from its name, or "name@address".
func broker(text string) core.Broker {
	name, addr, ok := strings.Cut(text, "@")
	if !ok {
		addr = name + ":1"
	}
	return core.Broker{Name: name, Addr: addr}
}

func route(tb interface{ Fatal(...any) }, brokers ...string) *core.Route {
	var qs []core.Queue
	var bs []core.Broker
	for _, b := range brokers {
		qs = append(qs, core.Queue{Broker: broker(b).Name})
		bs = append(bs, broker(b))
	}
	r, err := core.NewRoute(qs, bs)
	if err != nil {
		tb.Fatal(err)
	}
	return r
}

func newTable() *perbroker.Table[string] {
	return perbroker.New(func(b core.Broker) *string { return &b.Name })
}

// names are the brokers of a table in its order.
func names(t *perbroker.Table[string]) (out []string) {
	for b := range t.All() {
		out = append(out, b.Name)
	}
	return out
}

func TestGetMakesOnce(t *testing.T) {
	made := 0
	table := perbroker.New(func(b core.Broker) *string { made++; return &b.Name })
	if table.Find(broker("a")) != nil {
		t.Error("Find on an empty table found something")
	}
	var wg sync.WaitGroup
	got := make([]*string, 8)
	for i := range got {
		wg.Go(func() { got[i] = table.Get(broker("a")) })
	}
	wg.Wait()
	for _, v := range got {
		if v != got[0] {
			t.Fatal("two values for one broker")
		}
	}
	if made != 1 || table.Find(broker("a")) != got[0] || table.Get(broker("b")) == got[0] {
		t.Errorf("made %d values, want 1 for a", made)
	}
}

// The address counts, and not the name: one name in two clusters stands for two brokers.
func TestAddressTellsBrokersApart(t *testing.T) {
	table := newTable()
	here, there := table.Get(broker("a@10.0.0.1:1")), table.Get(broker("a@10.0.1.1:1"))
	if here == there {
		t.Error("two brokers share a value because they share a name")
	}
	if table.Get(broker("other@10.0.0.1:1")) != here {
		t.Error("one broker has two values because it has two names")
	}
	var all []string
	for b, v := range table.All() {
		all = append(all, b.Name+"@"+b.Addr+"="+*v)
	}
	if want := []string{"a@10.0.0.1:1=a", "a@10.0.1.1:1=a"}; !slices.Equal(all, want) {
		t.Errorf("the table has %v, want %v", all, want)
	}
	// The broker of one cluster moves to another address. The other cluster's stays.
	one, two, moved := route(t, "a@10.0.0.1:1"), route(t, "a@10.0.1.1:1"), route(t, "a@10.0.0.2:1")
	table.RouteChanged(&core.RouteReport{Topic: "t", New: one})
	table.Get(broker("a@10.0.1.1:1"))
	table.RouteChanged(&core.RouteReport{Topic: "t", New: two}) // of the other cluster's producer
	table.Get(broker("a@10.0.1.1:1"))
	table.RouteChanged(&core.RouteReport{Topic: "t", Old: one, New: moved})
	if table.Find(broker("a@10.0.0.1:1")) != nil || table.Find(broker("a@10.0.1.1:1")) == nil {
		t.Errorf("left are %v, want the broker at 10.0.1.1 alone", names(table))
	}
}

// One address in two networks stands for two brokers: clients that dial in ways of their own
// find another broker there.
func TestNetworkTellsBrokersApart(t *testing.T) {
	table := newTable()
	at := func(network string) core.Broker {
		b := broker("a@10.0.0.1:1")
		b.Network = network
		return b
	}
	route := func(network string) *core.Route {
		r, err := core.NewRoute([]core.Queue{{Broker: "a"}}, []core.Broker{at(network)})
		if err != nil {
			t.Fatal(err)
		}
		return r
	}
	networks := []string{"two", "", "one"}
	values := map[*string]bool{}
	for _, n := range networks {
		table.RouteChanged(&core.RouteReport{Topic: "t", New: route(n)})
		values[table.Get(at(n))] = true
	}
	var got []string
	for b := range table.All() {
		got = append(got, b.Network)
	}
	if want := []string{"", "one", "two"}; len(values) != 3 || !slices.Equal(got, want) {
		t.Errorf("%d values, in the order %q, want %q", len(values), got, want)
	}
	table.RouteChanged(&core.RouteReport{Topic: "t", Old: route("one")})
	if table.Find(at("one")) != nil || table.Find(at("two")) == nil || table.Find(at("")) == nil {
		t.Error("the end of a route in one network has to end that network's broker alone")
	}
}

func TestFindAllocatesNothing(t *testing.T) {
	table := newTable()
	a := broker("a")
	table.Get(a)
	if n := testing.AllocsPerRun(100, func() { table.Find(a); table.Get(a) }); n != 0 {
		t.Errorf("%v allocations, want 0", n)
	}
}

// All has an order, whatever that of the map is.
func TestAllIsInOrder(t *testing.T) {
	table := newTable()
	var want []string
	for _, name := range []string{"b", "a"} {
		for i := range 9 {
			addr := name + "-" + strconv.Itoa(9-i) + ":1"
			table.Get(broker(name + "@" + addr))
			want = append(want, name+" "+addr)
		}
	}
	slices.Sort(want)
	var got []string
	for b := range table.All() {
		got = append(got, b.Name+" "+b.Addr)
	}
	if !slices.Equal(got, want) {
		t.Errorf("got  %v\nwant %v", got, want)
	}
}

func TestAllEndsEarly(t *testing.T) {
	table := newTable()
	for _, b := range []string{"b", "a", "c"} {
		table.Get(broker(b))
	}
	for b := range table.All() {
		if b.Name != "a" {
			t.Errorf("it goes on to %s", b.Name)
		}
		break
	}
}

func TestRouteChangedDropsWhatIsGoneEverywhere(t *testing.T) {
	table := newTable()
	for _, b := range []string{"a", "b", "c", "stray"} {
		table.Get(broker(b))
	}
	r1, r2, r3 := route(t, "a", "b"), route(t, "b", "c"), route(t, "a")
	steps := []struct {
		report core.RouteReport
		want   []string
	}{
		{core.RouteReport{Topic: "t", New: r1}, []string{"a", "b"}},
		{core.RouteReport{Topic: "u", New: r2}, []string{"a", "b"}},
		{core.RouteReport{Topic: "t", Old: r1, New: r3}, []string{"a", "b"}},
		{core.RouteReport{Topic: "u", Old: r2}, []string{"a"}},
		{core.RouteReport{Topic: "t", Old: r3}, nil},
	}
	for i, s := range steps {
		table.RouteChanged(&s.report)
		if got := names(table); !slices.Equal(got, s.want) {
			t.Errorf("after step %d: %v, want %v", i, got, s.want)
		}
	}
}

// Reports of one topic can overtake each other; what counts is the end.
func TestRouteReportsInAnyOrder(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		var reports []core.RouteReport
		last := map[string]*core.Route{}
		for range rapid.IntRange(1, 12).Draw(rt, "changes") {
			topic := strconv.Itoa(rapid.IntRange(0, 2).Draw(rt, "topic"))
			brokers := rapid.SliceOfNDistinct(rapid.SampledFrom([]string{"a", "b", "c", "d"}), 1, 4, rapid.ID).Draw(rt, "brokers")
			r := route(rt, brokers...)
			reports = append(reports, core.RouteReport{Topic: topic, Old: last[topic], New: r})
			last[topic] = r
		}
		want := map[string]bool{}
		for _, r := range last {
			for _, b := range r.Brokers() {
				want[b.Name] = true
			}
		}
		table := newTable()
		for _, r := range rapid.Permutation(reports).Draw(rt, "order") {
			table.RouteChanged(&r)
		}
		for _, b := range []string{"a", "b", "c", "d"} {
			table.Get(broker(b))
		}
		table.RouteChanged(&core.RouteReport{}) // sweeps
		if got := names(table); !slices.Equal(got, slices.Sorted(maps.Keys(want))) {
			rt.Fatalf("kept %v, want %v", got, want)
		}
	})
}
