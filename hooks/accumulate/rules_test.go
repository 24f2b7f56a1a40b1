package accumulate_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/liftoff-mq/liftoff/core"
	"github.com/liftoff-mq/liftoff/core/coretest"
	"github.com/liftoff-mq/liftoff/hooks/accumulate"
	"github.com/liftoff-mq/liftoff/hooks/compress"
	"github.com/liftoff-mq/liftoff/hooks/namespace"
)

func TestConfig(t *testing.T) {
	tests := []struct {
		name string
		cfg  accumulate.Config
		want []string
	}{
		{"defaults", accumulate.Config{}, nil},
		{"the least", accumulate.Config{Linger: 10 * time.Microsecond, MaxCount: 2, MaxBytes: 1024}, nil},
		{"the most", accumulate.Config{Linger: 30 * time.Second, MaxCount: 100_000, MaxBytes: 4 << 20}, nil},
		{"too little", accumulate.Config{Linger: -1, MaxCount: 1, MaxBytes: 1023}, []string{"Linger is negative: -1ns", "MaxCount is 1, at least 2", "MaxBytes is 1023, at least 1024"}},
		{"too much", accumulate.Config{Linger: 31 * time.Second, MaxCount: 2_000_000_000, MaxBytes: 4<<20 + 1}, []string{
			"Linger is 31s, at most 30s", "MaxCount is 2000000000, at most 100000", "MaxBytes is 4194305, at most 4194304",
		}},
		{"no unit", accumulate.Config{Linger: 5}, []string{"Linger is 5ns, at least 10µs is needed; a plain number counts nanoseconds, so 5 ms is 5*time.Millisecond"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			a, err := accumulate.New(tt.cfg)
			if (a == nil) == (err == nil) || (err == nil) != (tt.want == nil) {
				t.Fatalf("%v, %v", a, err)
			}
			for _, w := range tt.want {
				if !strings.Contains(err.Error(), w) {
					t.Errorf("error %q does not say %q", err, w)
				}
			}
		})
	}
}

// codec is a compressor with a name of the user's.
type codec struct{}

func (codec) Name() string                           { return "mine" }
func (codec) Append(dst, src []byte) ([]byte, error) { return append(dst, src[:len(src)/2]...), nil }

// Every compression is outside of the accumulator, whatever its name is.
func TestPlace(t *testing.T) {
	c, err := compress.New(codec{})
	if err != nil {
		t.Fatal(err)
	}
	a := accumulator(t, accumulate.Config{})
	p, err := core.Resolve(core.Order{}, c.Step(), a.Step())
	if err != nil {
		t.Fatal(err)
	}
	if call, _ := p.Names(); fmt.Sprint(call) != "[compress.mine accumulate]" {
		t.Errorf("order %v", call)
	}
}

func TestDescribe(t *testing.T) {
	for _, tt := range []struct {
		cfg  accumulate.Config
		want string
	}{
		{accumulate.Config{}, "puts small sends together (linger at most 5ms, messages at most 256, size at most 256 KiB)"},
		{
			accumulate.Config{Linger: time.Second, MaxCount: 17, MaxBytes: 5000},
			"puts small sends together (linger at most 1s, messages at most 17, size at most 5000 bytes)",
		},
	} {
		p, err := core.Resolve(core.Order{}, accumulator(t, tt.cfg).Step())
		if err != nil {
			t.Fatal(err)
		}
		s := p.Steps()[0]
		if s.Name != "accumulate" || s.Scope != "call" || s.Stage != "encode" || s.Description.String() != tt.want {
			t.Errorf("got %+v: %s\nwant %s", s, s.Description, tt.want)
		}
	}
}

// noBatch is a transport that carries single messages only.
type noBatch struct{ *line }

func (noBatch) Capabilities() core.Capabilities {
	return core.Capabilities{Lacks: []core.Feature{core.FeatureBatch}}
}

func TestTheTransportHasToCarryBatches(t *testing.T) {
	a := accumulator(t, accumulate.Config{})
	_, err := core.NewProducer(coretest.Config(noBatch{newLine(0)}, a.Step()))
	if !errors.Is(err, core.ErrUnsupported) || !strings.Contains(err.Error(), "accumulate") || !strings.Contains(err.Error(), "batch") {
		t.Errorf("got %v", err)
	}
}

// An accumulator that two producers share says so, in every send of the second.
func TestOneProducer(t *testing.T) {
	a := accumulator(t, accumulate.Config{})
	first := coretest.Config(newLine(0), a.Step())
	first.Group = "first"
	second := first
	second.Group = "second"
	p, q := coretest.Start(t, first), coretest.Start(t, second)
	for range 2 {
		if _, err := p.Send(t.Context(), coretest.Message("x")); err != nil {
			t.Error(err)
		}
		_, err := q.Send(t.Context(), coretest.Message("x"))
		if !errors.Is(err, core.ErrContract) || core.CertaintyOf(err) != core.NotSent || !strings.Contains(err.Error(), `group "first"`) {
			t.Errorf("the second producer: %v", err)
		}
		if err := q.SendOneway(t.Context(), coretest.Message("x")); !errors.Is(err, core.ErrContract) {
			t.Errorf("the second producer, one-way: %v", err)
		}
	}
}

// byBody is a selector that gives bodies that begin with "key" their queue.
type byBody struct{}

func (byBody) ForTopic(string) core.QueueSelector { return byBody{} }
func (byBody) Select(_ context.Context, s *core.Selection) (int, error) {
	return len(s.Message().Body) % s.Len(), nil
}

func (byBody) RequiresConsistency(m *core.Message) bool {
	return strings.HasPrefix(string(m.Body), "key")
}

// Some messages never wait, although others of their topic are on their way.
func TestPassesThrough(t *testing.T) {
	of := func(change func(*core.Message)) func(*core.Producer) error {
		return func(p *core.Producer) error {
			m := coretest.Message("special")
			change(m)
			_, err := p.Send(context.Background(), m)
			return err
		}
	}
	property := func(name, value string) *core.Step {
		s := core.CallStep("mark", core.StageShape, core.InterceptorFunc(func(ctx context.Context, c *core.Call, next core.Handler) (*core.Result, error) {
			c.Outgoing().SetProperty(name, value)
			return next(ctx, c)
		}))
		return &s
	}
	packed, err := compress.New(codec{}, compress.MinSize(1), compress.AlwaysTry())
	if err != nil {
		t.Fatal(err)
	}
	pack := packed.Step()
	with := func(opt core.SendOption) func(*core.Producer) error {
		return func(p *core.Producer) error {
			_, err := p.Send(context.Background(), coretest.Message("special"), opt)
			return err
		}
	}
	tests := []struct {
		name  string
		step  *core.Step
		send  func(*core.Producer) error
		waits bool
	}{
		{name: "plain", send: of(func(m *core.Message) {}), waits: true},
		{name: "with everything that may wait", send: of(func(m *core.Message) {
			m.Tag, m.Keys, m.Flag, m.Properties = "t", []string{"a", "b"}, 7, map[string]string{"p": "1"}
		}), waits: true},
		{name: "half the limit", send: of(func(m *core.Message) { m.Body = make([]byte, 512) }), waits: true},
		{name: "property", step: property("p", "1"), send: of(func(m *core.Message) {}), waits: true},
		{name: "large", send: of(func(m *core.Message) { m.Body = make([]byte, 513) })},
		{name: "one-way", send: func(p *core.Producer) error { return p.SendOneway(context.Background(), coretest.Message("special")) }},
		{name: "batch", send: func(p *core.Producer) error {
			_, err := p.SendBatch(context.Background(), []*core.Message{coretest.Message("special"), coretest.Message("x")})
			return err
		}},
		{name: "delay", send: of(func(m *core.Message) { m.DelayLevel = 1 })},
		{name: "delay", send: of(func(m *core.Message) { m.DeliverAfter = time.Hour })},
		{name: "priority", send: of(func(m *core.Message) { m.Priority = new(1) })},
		{name: "lite topic", send: of(func(m *core.Message) { m.LiteTopic = "l" })},
		{name: "delivery time", send: of(func(m *core.Message) { m.DeliverAt = time.Now().Add(time.Hour) })},
		{name: "sharding key", send: of(func(m *core.Message) { m.ShardingKey = "k" })},
		{name: "delay by a step", step: property("DELAY", "3"), send: of(func(m *core.Message) {})},
		{name: "timer by a property", send: of(func(m *core.Message) { m.Properties = map[string]string{"TIMER_DELAY_SEC": "3"} })},
		{name: "consistent selector", send: of(func(m *core.Message) { m.Body = []byte("key") })},
		{name: "packed", step: &pack, send: of(func(m *core.Message) { m.Body = []byte("two halves two halves") })},
		{name: "retry topic", send: of(func(m *core.Message) { m.Topic = "%RETRY%g" })},
		{name: "light queues", send: of(func(m *core.Message) { m.Properties = map[string]string{"INNER_MULTI_DISPATCH": "%LMQ%a"} })},
		{name: "lite topic", step: property("__LITE_TOPIC", "l"), send: of(func(m *core.Message) {})},
		{name: "priority", step: property("_SYS_MSG_PRIORITY_", "3"), send: of(func(m *core.Message) {})},
		{name: "half a transaction", step: property("TRAN_MSG", "true"), send: of(func(m *core.Message) {})},
		{name: "own retry policy", send: with(core.SendRetry(coretest.Retry(2)))},
		{name: "own selector", send: with(core.SendSelector(byBody{}))},
		{name: "own attempt timeout", send: with(core.SendAttemptTimeout(time.Minute))},
		{name: "own timeout", send: with(core.SendTimeout(time.Minute)), waits: true},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				l := newLine(0)
				var steps []core.Step
				if tt.step != nil {
					steps = append(steps, *tt.step)
				}
				cfg := config(t, l, accumulate.Config{MaxBytes: 1024, Linger: 50 * ms}, steps...)
				cfg.Selector = byBody{}
				p := coretest.Start(t, cfg)
				release := make(chan struct{})
				l.fate = func(n int, r request) error {
					if n <= 2 {
						<-release
					}
					return nil
				}
				// The packed ones never wait either.
				go p.Send(context.Background(), coretest.Message("flying"))
				go p.Send(context.Background(), &core.Message{Topic: "%RETRY%g", Body: []byte("flying")})
				synctest.Wait()
				begun := time.Now()
				if err := tt.send(p); err != nil {
					t.Error(err)
				}
				if waited := time.Since(begun) > 0; waited != tt.waits {
					t.Errorf("took %v", time.Since(begun))
				}
				if n := len(l.seen()); n != 3 {
					t.Errorf("%d requests, want 3", n)
				}
				close(release)
			})
		})
	}
}

// Only messages that can share a request do: of one topic, one fixed queue, one
// setting of the store, one mode.
func TestKeys(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newLine(ms)
		p := coretest.Start(t, config(t, l, accumulate.Config{}))
		a0, a1 := core.Queue{Broker: "broker-a"}, core.Queue{Broker: "broker-a", ID: 1}
		kinds := []struct {
			name  string
			m     core.Message
			async bool
		}{
			{"plain", core.Message{Topic: "T"}, false},
			{"async", core.Message{Topic: "T"}, true},
			{"queue 0", core.Message{Topic: "T", Queue: &a0}, false},
			{"queue 1", core.Message{Topic: "T", Queue: &a1}, false},
			{"no wait", core.Message{Topic: "T", NoWaitStore: true}, false},
			{"other", core.Message{Topic: "U"}, false},
		}
		const each = 6
		for n := range each {
			for _, k := range kinds {
				m := k.m
				m.Body = []byte(fmt.Sprint(k.name, "/", n))
				if k.async {
					p.SendAsync(t.Context(), &m, func(_ core.Result, err error) {
						if err != nil {
							t.Error(err)
						}
					})
					continue
				}
				go func() {
					if _, err := p.Send(context.Background(), &m); err != nil {
						t.Error(err)
					}
				}()
			}
		}
		time.Sleep(time.Minute) // Flush would not let them come together
		for _, k := range kinds {
			var counts []int
			for _, r := range l.seen() {
				if !strings.HasPrefix(r.bodies[0], k.name) {
					continue
				}
				counts = append(counts, len(r.bodies))
				if i := slices.IndexFunc(r.bodies, func(b string) bool { return !strings.HasPrefix(b, k.name+"/") }); i >= 0 {
					t.Errorf("%s and %s in one request", k.name, r.bodies[i])
				}
				if r.topic != k.m.Topic || k.m.Queue != nil && r.queue != *k.m.Queue || (r.mode == core.Async) != k.async {
					t.Errorf("%s: topic %s, queue %v, mode %v", k.name, r.topic, r.queue, r.mode)
				}
			}
			if want := []int{1, each - 1}; !slices.Equal(counts, want) {
				t.Errorf("%s: requests of %v, want %v", k.name, counts, want)
			}
		}
	})
}

// Topics that are one topic on the wire may have different policies. Their messages do not
// share a request, which goes by one policy.
func TestPolicies(t *testing.T) {
	ns, err := namespace.New("ns")
	if err != nil {
		t.Fatal(err)
	}
	synctest.Test(t, func(t *testing.T) {
		l := newLine(ms)
		cfg := config(t, l, accumulate.Config{}, ns.Step())
		cfg.Policies = &core.PolicyTable{
			Default: &core.Policy{Name: "default"},
			ByTopic: map[string]*core.Policy{"ns%T": {Name: "other", Retry: coretest.Retry(3)}},
		}
		p := coretest.Start(t, cfg)
		land := waiting(t, l, p)
		flying := send(t.Context(), p, &core.Message{Topic: "ns%T", Body: []byte("flying")})
		synctest.Wait()
		var all []*sending
		for i := range 3 {
			all = append(all, send(t.Context(), p, &core.Message{Topic: "T", Body: fmt.Append(nil, "a", i)}),
				send(t.Context(), p, &core.Message{Topic: "ns%T", Body: fmt.Append(nil, "b", i)}))
		}
		for _, s := range all {
			if _, err := s.wait(); err != nil {
				t.Error(err)
			}
		}
		land()
		if _, err := flying.wait(); err != nil {
			t.Error(err)
		}
		rs := l.seen()[2:]
		if len(rs) != 2 {
			t.Errorf("requests %v, want one for each policy", rs)
		}
		for _, r := range rs {
			slices.Sort(r.bodies)
			if first := r.bodies[0][:1]; r.topic != "ns%T" || !slices.Equal(r.bodies, []string{first + "0", first + "1", first + "2"}) {
				t.Errorf("request of %v to %s", r.bodies, r.topic)
			}
		}
	})
}

// A batch that is full by number leaves at once.
func TestMaxCount(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newLine(0)
		p := coretest.Start(t, config(t, l, accumulate.Config{MaxCount: 4, Linger: 50 * ms}))
		land := waiting(t, l, p)
		var all []*sending
		for i := range 10 {
			all = append(all, each(p, fmt.Sprint(i))...)
			synctest.Wait()
		}
		for i, s := range all {
			if _, err := s.wait(); err != nil {
				t.Error(err)
			}
			if want := 50 * ms; i < 8 && s.at != 0 || i >= 8 && s.at != want {
				t.Errorf("message %d took %v", i, s.at)
			}
		}
		land()
		var got []string
		for _, r := range l.seen()[1:] {
			got = append(got, fmt.Sprint(r.bodies))
		}
		if want := "[0 1 2 3] [4 5 6 7] [8 9]"; strings.Join(got, " ") != want {
			t.Errorf("requests %v, want %v", got, want)
		}
	})
}

// A batch takes messages until the next one would pass the byte limit, exactly.
func TestMaxBytes(t *testing.T) {
	// A record has 22 bytes, the property with the unique id 42.
	const fixed = 22 + 42
	tests := []struct {
		name  string
		sizes []int // of the bodies
		want  string
	}{
		{"exactly full", []int{448, 448}, "[2]"}, // 2 * (448+64) = 1024
		{"exactly full, and one", []int{448, 448, 10}, "[2 1]"},
		{"one byte more", []int{448, 449, 10}, "[1 2]"},
		{"many", []int{64, 64, 64, 64, 64, 64, 64, 64, 64}, "[8 1]"}, // 8 * 128 = 1024
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				l := newLine(0)
				p := coretest.Start(t, config(t, l, accumulate.Config{MaxBytes: 1024, Linger: 50 * ms}))
				land := waiting(t, l, p)
				var all []*sending
				for _, n := range tt.sizes {
					all = append(all, each(p, strings.Repeat("x", n))...)
					synctest.Wait()
				}
				for _, s := range all {
					if _, err := s.wait(); err != nil {
						t.Error(err)
					}
				}
				land()
				var got []int
				for i, r := range l.seen()[1:] {
					got = append(got, len(r.bodies))
					sum := 0
					for _, b := range r.bodies {
						sum += fixed + len(b)
					}
					if r.size != sum || sum > 1024 {
						t.Errorf("request %d has %d bytes, computed %d", i, r.size, sum)
					}
				}
				if fmt.Sprint(got) != tt.want {
					t.Errorf("messages a request %v, want %v", got, tt.want)
				}
				if tt.name == "exactly full" && all[1].at != 0 {
					t.Errorf("a full batch waited %v", all[1].at)
				}
			})
		})
	}
}

// What a caller that gave up has left counts no more.
func TestGivenUpBytes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newLine(0)
		p := coretest.Start(t, config(t, l, accumulate.Config{MaxBytes: 1024, Linger: 50 * ms}))
		land := waiting(t, l, p)
		all := each(p, strings.Repeat("a", 448))
		synctest.Wait()
		for range 3 {
			ctx, cancel := context.WithCancel(t.Context())
			gone := send(ctx, p, coretest.Message(strings.Repeat("b", 400)))
			synctest.Wait()
			cancel()
			gone.wait()
		}
		all = append(all, each(p, strings.Repeat("c", 448))...)
		for _, s := range all {
			if _, err := s.wait(); err != nil || s.at != 0 {
				t.Errorf("took %v: %v", s.at, err)
			}
		}
		land()
		if rs := l.seen()[1:]; len(rs) != 1 || rs[0].size != 1024 {
			t.Errorf("requests %v", rs)
		}
	})
}
