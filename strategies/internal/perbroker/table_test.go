package perbroker_test

import (
	"maps"
	"slices"
	"strconv"
	"sync"
	"testing"

	"go.uber.org/goleak"
	"pgregory.net/rapid"

	"github.com/liftoff-mq/liftoff/core"
	"github.com/liftoff-mq/liftoff/strategies/internal/perbroker"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func route(tb interface{ Fatal(...any) }, brokers ...string) *core.Route {
	var qs []core.Queue
	var bs []core.Broker
	for _, b := range brokers {
		qs = append(qs, core.Queue{Broker: b})
		bs = append(bs, core.Broker{Name: b, Addr: "127.0.0.1:1"})
	}
	r, err := core.NewRoute(qs, bs)
	if err != nil {
		tb.Fatal(err)
	}
	return r
}

func newTable() *perbroker.Table[string] {
	return perbroker.New(func(b string) *string { return &b })
}

func names(t *perbroker.Table[string]) []string { return slices.Sorted(maps.Keys(t.All())) }

func TestGetMakesOnce(t *testing.T) {
	made := 0
	table := perbroker.New(func(b string) *string { made++; return &b })
	if table.Find("a") != nil {
		t.Error("Find on an empty table found something")
	}
	var wg sync.WaitGroup
	got := make([]*string, 8)
	for i := range got {
		wg.Go(func() { got[i] = table.Get("a") })
	}
	wg.Wait()
	for _, v := range got {
		if v != got[0] {
			t.Fatal("two values for one broker")
		}
	}
	if made != 1 || table.Find("a") != got[0] || table.Get("b") == got[0] {
		t.Errorf("made %d values, want 1 for a", made)
	}
}

func TestFindAllocatesNothing(t *testing.T) {
	table := newTable()
	table.Get("a")
	if n := testing.AllocsPerRun(100, func() { table.Find("a"); table.Get("a") }); n != 0 {
		t.Errorf("%v allocations, want 0", n)
	}
}

func TestRouteChangedDropsWhatIsGoneEverywhere(t *testing.T) {
	table := newTable()
	for _, b := range []string{"a", "b", "c", "stray"} {
		table.Get(b)
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
		for i := range rapid.IntRange(1, 12).Draw(rt, "changes") {
			topic := strconv.Itoa(rapid.IntRange(0, 2).Draw(rt, "topic"))
			brokers := rapid.SliceOfNDistinct(rapid.SampledFrom([]string{"a", "b", "c", "d"}), 1, 4, rapid.ID).Draw(rt, "brokers")
			r := route(rt, brokers...)
			reports = append(reports, core.RouteReport{Topic: topic, Old: last[topic], New: r})
			last[topic] = r
			_ = i
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
			table.Get(b)
		}
		table.RouteChanged(&core.RouteReport{}) // sweeps
		if got := names(table); !slices.Equal(got, slices.Sorted(maps.Keys(want))) {
			rt.Fatalf("kept %v, want %v", got, want)
		}
	})
}
