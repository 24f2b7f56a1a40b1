package core_test

import (
	"context"
	"encoding/json"
	"reflect"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/liftoff-mq/liftoff/core"
	"github.com/liftoff-mq/liftoff/core/coretest"
	"github.com/liftoff-mq/liftoff/core/rocketmq"
)

// informer is a health view, and a transport, that knows something about brokers.
type informer struct {
	coretest.Transport
	name  string
	knows string // the broker's name
	grade core.Health
	panic bool
}

func (i *informer) Health(core.Broker) core.Health {
	if i.panic {
		panic("boom")
	}
	return i.grade
}

func (i *informer) BrokerReport(b core.Broker) []core.Setting {
	if i.panic {
		panic("boom")
	}
	if b.Name != i.knows {
		return nil
	}
	return []core.Setting{{Name: i.name, Value: b.Addr}}
}

// ofTime is a snapshot without what the clock alone decides.
func ofTime(s core.Snapshot) core.Snapshot {
	s.Time = time.Time{}
	return s
}

// What a snapshot says of a producer at rest, after everything that it counts has happened.
func TestSnapshotAtRest(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		tr := &informer{name: "connection", knows: "broker-b"}
		tr.Do = func(_ context.Context, at *core.Attempt) (*core.Result, error) {
			switch m := at.Call().Message(); {
			case m.Tag == "lost" || m.Tag == "once" && at.Number() == 1:
				return nil, core.ErrConnectionLost
			case m.Tag == "refused":
				return nil, coretest.Refuse(at, rocketmq.CodeMessageIllegal, "")
			}
			return tr.Ack(at), nil
		}
		a := &informer{name: "breaker", knows: "broker-a", grade: core.HealthSuspect}
		b := &informer{}
		cfg := coretest.Config(tr, core.AttemptStep("veto", core.AttemptGuard, core.AttemptInterceptorFunc(
			func(ctx context.Context, at *core.Attempt, next core.AttemptHandler) (*core.Result, error) {
				if at.Call().Message().Tag == "veto" {
					return nil, core.ErrForbidden
				}
				return next(ctx, at)
			})))
		cfg.MaxInFlight, cfg.MaxInFlightBytes, cfg.MaxWorkers = 11, 1<<20, 7
		cfg.Retry = core.RetryPolicyFunc(func(f *core.Failure) core.Decision {
			return core.Decision{Retry: f.Message.Tag == "once" && f.Err != nil}
		})
		cfg.Policies = &core.PolicyTable{
			Default: &core.Policy{Name: "none"},
			ByTopic: map[string]*core.Policy{"A": {Name: "a", Health: a}, "B": {Name: "b", Health: b}},
		}
		p, err := core.NewProducer(cfg)
		if err != nil {
			t.Fatal(err)
		}
		limits := core.InFlightSnapshot{Max: 11, MaxBytes: 1 << 20}
		want := core.Snapshot{
			Group: "test", State: core.StateCreated, InFlight: limits, Workers: core.WorkerSnapshot{Places: 7, Max: 7},
			Topics: []core.TopicSnapshot{}, Brokers: []core.BrokerSnapshot{}, Policies: []string{"a", "b", "none"},
			Totals: core.TotalsSnapshot{Calls: map[string]uint64{"sync": 0, "async": 0, "oneway": 0}},
		}
		if got := p.Snapshot(); !reflect.DeepEqual(ofTime(got), want) || !got.Time.Equal(time.Now()) {
			t.Errorf("made: %+v\nwant: %+v", got, want)
		}
		if err := p.Start(t.Context()); err != nil {
			t.Fatal(err)
		}
		send := func(topic, tag string) {
			_, _ = p.Send(t.Context(), &core.Message{Topic: topic, Body: []byte("x"), Tag: tag})
		}
		send("A", "")
		send("B", "lost")
		send("C", "once")
		send("C", "refused")
		send("C", "veto")
		p.SendAsync(t.Context(), &core.Message{Topic: "A", Body: []byte("x")}, nil)
		_ = p.SendOneway(t.Context(), &core.Message{Topic: "A", Body: []byte("x")})
		_, _ = p.SendBatch(t.Context(), messages("1", "2", "3"))
		_, _ = p.Send(t.Context(), &core.Message{Topic: "A", Body: []byte("x")}, nil) // no option
		_, _ = p.Recall(t.Context(), "A", "nonsense")
		b.panic = true
		time.Sleep(5 * time.Second)

		brokers := []string{"broker-a", "broker-b"}
		topic := func(name, policy string) core.TopicSnapshot {
			return core.TopicSnapshot{Topic: name, Policies: []string{policy}, Queues: 4, Brokers: brokers, Age: 5 * time.Second}
		}
		health := map[string]core.Health{"a": core.HealthSuspect, "b": core.HealthDown} // a panic is the worst
		want.State, want.Workers.Idle = core.StateRunning, 1
		want.Topics = []core.TopicSnapshot{topic("A", "a"), topic("B", "b"), topic("C", "none"), topic("T", "none")}
		for i := range want.Topics[1:3] { // a lost connection had the route confirmed, as soon as that may be
			want.Topics[1+i].Age -= 100 * time.Millisecond
		}
		want.Brokers = []core.BrokerSnapshot{
			{Name: "broker-a", Addr: "broker-a:10911", Cluster: "DefaultCluster", Health: health, Details: []core.Setting{{Name: "breaker", Value: "broker-a:10911"}}},
			{Name: "broker-b", Addr: "broker-b:10911", Cluster: "DefaultCluster", Health: health, Details: []core.Setting{{Name: "connection", Value: "broker-b:10911"}}},
		}
		want.Totals = core.TotalsSnapshot{
			Calls: map[string]uint64{"sync": 7, "async": 1, "oneway": 1}, Messages: 11, Failed: 4, Maybe: 1, Attempts: 9, Retries: 1, Vetoed: 1,
			Operations: 1, FailedOperations: 1,
		}
		got := p.Snapshot()
		if !reflect.DeepEqual(ofTime(got), want) {
			t.Errorf("at rest: %+v\nwant: %+v", ofTime(got), want)
		}

		text, err := json.Marshal(got)
		if err != nil {
			t.Fatal(err)
		}
		var back core.Snapshot
		if err := json.Unmarshal(text, &back); err != nil || !back.Time.Equal(got.Time) || !reflect.DeepEqual(ofTime(back), ofTime(got)) {
			t.Errorf("%v from JSON: %+v\nwant: %+v", err, back, got)
		}
		for _, has := range []string{`"state":"running"`, `"health":{"a":"suspect","b":"down"}`, `"sync":7`} {
			if !strings.Contains(string(text), has) {
				t.Errorf("%s is not in %s", has, text)
			}
		}

		if err := p.Shutdown(t.Context()); err != nil {
			t.Fatal(err)
		}
		want.State, want.Workers.Idle = core.StateShutdown, 0
		if got := ofTime(p.Snapshot()); !reflect.DeepEqual(got, want) {
			t.Errorf("shut down: %+v\nwant: %+v", got, want)
		}
	})
}

// recalling is a transport that can recall.
type recalling struct{ core.Transport }

func (recalling) Recall(context.Context, *core.Operation, string) (string, error) { return "id", nil }

// What is under way is counted while it is, and lists are lists also where they are empty.
func TestSnapshotUnderWay(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := newGate()
		cfg := g.config(2, 10)
		routes, look := cfg.Routes, make(chan struct{})
		cfg.Routes = coretest.RouteFunc(func(ctx context.Context, topic string) (*core.Route, error) {
			if topic == "slow" {
				<-look
			}
			return routes.Route(ctx, topic)
		})
		cfg.Transport = recalling{cfg.Transport}
		p := coretest.Start(t, cfg)
		for range 5 {
			p.SendAsync(t.Context(), coretest.Message("12345"), nil)
		}
		go func() { _, _ = p.Recall(context.Background(), "slow", handleOf("slow", "broker-z")) }()
		synctest.Wait()
		s := p.Snapshot()
		if want := (core.InFlightSnapshot{Sends: 6, Bytes: 25, MaxBytes: core.DefaultMaxInFlightBytes, Max: 10}); s.InFlight != want {
			t.Errorf("in flight %+v, want %+v", s.InFlight, want)
		}
		if want := (core.WorkerSnapshot{Active: 2, Queued: 3, Places: 2, Max: 2}); s.Workers != want {
			t.Errorf("workers %+v, want %+v", s.Workers, want)
		}
		want := []core.TopicSnapshot{
			{Topic: "T", Policies: []string{"default"}, Queues: 4, Brokers: []string{"broker-a", "broker-b"}},
			{Topic: "slow", Policies: []string{}, Brokers: []string{}, LookUp: true},
		}
		if !reflect.DeepEqual(s.Topics, want) {
			t.Errorf("topics %+v, want %+v", s.Topics, want)
		}
		if text, err := json.Marshal(s); err != nil || strings.Contains(string(text), "null") {
			t.Errorf("%s, %v", text, err)
		}
		close(look)
		close(g.open)
	})
}

// Topics that steps send to one name on the wire are listed with all their policies.
func TestSnapshotOfASharedTopic(t *testing.T) {
	cfg := coretest.Config(&coretest.Transport{}, core.CallStep("one", core.StageShape, core.InterceptorFunc(
		func(ctx context.Context, c *core.Call, next core.Handler) (*core.Result, error) {
			c.Outgoing().SetTopic("one")
			return next(ctx, c)
		})))
	cfg.Policies = &core.PolicyTable{Default: &core.Policy{Name: "z"}, ByTopic: map[string]*core.Policy{"A": {Name: "y"}}}
	p := coretest.Start(t, cfg)
	for _, topic := range []string{"A", "B", "C"} {
		if _, err := p.Send(t.Context(), &core.Message{Topic: topic, Body: []byte("x")}); err != nil {
			t.Fatal(err)
		}
	}
	if s := p.Snapshot(); len(s.Topics) != 1 || s.Topics[0].Topic != "one" || !slices.Equal(s.Topics[0].Policies, []string{"y", "z"}) {
		t.Errorf("topics %+v", s.Topics)
	}
}

// Snapshots are taken while everything else happens: sends, changes of policies, Shutdown.
func TestSnapshotUnderLoad(t *testing.T) {
	tr := &coretest.Transport{Forget: true}
	cfg := coretest.Config(tr)
	cfg.Health = &informer{knows: "broker-a"}
	p, err := core.NewProducer(cfg)
	if err == nil {
		err = p.Start(t.Context())
	}
	if err != nil {
		t.Fatal(err)
	}
	var stop atomic.Bool
	var load, watchers sync.WaitGroup
	for i := range 4 {
		watchers.Go(func() {
			var last core.TotalsSnapshot
			for !stop.Load() {
				s := p.Snapshot()
				_ = p.Pipeline().String()
				if s.Totals.Messages < last.Messages || s.Totals.Attempts < last.Attempts || s.InFlight.Sends < 0 || s.InFlight.Bytes < 0 {
					t.Errorf("totals go back from %+v to %+v, in flight %+v", last, s.Totals, s.InFlight)
				}
				last = s.Totals
			}
		})
		load.Go(func() {
			for n := range 500 {
				topic := string(rune('A' + (n+i)%20))
				p.SendAsync(context.Background(), &core.Message{Topic: topic, Body: []byte("x")}, nil)
				_, _ = p.SendBatch(context.Background(), []*core.Message{{Topic: topic, Body: []byte("x")}, {Topic: topic, Body: []byte("y")}})
			}
		})
	}
	for i := range 20 {
		source := &core.PolicyTable{Default: &core.Policy{Name: "p", Health: &informer{grade: core.Health(i % 3)}}}
		if err := p.SetPolicies(t.Context(), source); err != nil {
			t.Error(err)
		}
	}
	load.Wait()
	if err := p.Shutdown(t.Context()); err != nil {
		t.Error(err)
	}
	stop.Store(true)
	watchers.Wait()
	s := p.Snapshot()
	if want := (core.TotalsSnapshot{Calls: map[string]uint64{"sync": 2000, "async": 2000, "oneway": 0}, Messages: 6000, Attempts: 4000}); !reflect.DeepEqual(s.Totals, want) {
		t.Errorf("totals %+v, want %+v", s.Totals, want)
	}
	if want := (core.InFlightSnapshot{Max: core.DefaultMaxInFlight, MaxBytes: core.DefaultMaxInFlightBytes}); s.InFlight != want {
		t.Errorf("in flight %+v", s.InFlight)
	}
	if want := (core.WorkerSnapshot{Places: s.Workers.Places, Max: core.DefaultMaxWorkers}); s.Workers != want {
		t.Errorf("workers %+v", s.Workers)
	}
}
