package sendrules_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"reflect"
	"strings"
	"testing"

	"github.com/liftoff-mq/liftoff/core"
	"github.com/liftoff-mq/liftoff/core/coretest"
	"github.com/liftoff-mq/liftoff/hooks/sendrules"
	"github.com/liftoff-mq/liftoff/hooks/validate"
	"github.com/liftoff-mq/liftoff/internal/race"
	"github.com/liftoff-mq/liftoff/strategies/selector"
)

// sound is a message that no rule of these tests refuses.
func sound() *core.Message {
	return &core.Message{
		Topic: "T", Tag: "paid", Body: []byte("12345678"), Keys: []string{"order-7"}, ShardingKey: "7",
		Properties: map[string]string{"tenant": "acme", "region": "eu"},
	}
}

func all() sendrules.Config {
	return sendrules.Config{
		Key: true, Ordered: true, MaxBody: 8, Modes: []sendrules.Mode{sendrules.Batch, sendrules.Sync},
		Tag: true, Properties: []string{"tenant", "region"},
	}
}

// rules are the broken rules of an error, as "index field rule" each.
func rules(t *testing.T, err error) (out []string) {
	t.Helper()
	if err == nil {
		return nil
	}
	if !errors.Is(err, core.ErrInvalidMessage) || core.ClassOf(err) != core.ClassInvalid || core.CertaintyOf(err) != core.NotSent {
		t.Errorf("%v, %v: %v", core.ClassOf(err), core.CertaintyOf(err), err)
	}
	var many sendrules.Errors
	if !errors.As(err, &many) {
		var one *sendrules.Error
		if !errors.As(err, &one) {
			t.Fatalf("got %T %v", err, err)
		}
		many = sendrules.Errors{one}
	}
	for _, e := range many {
		out = append(out, fmt.Sprint(e.Index, " ", e.Field, " ", e.Rule))
		if !strings.Contains(err.Error(), e.Field+" "+e.Reason) {
			t.Errorf("%q is not in %v", e.Reason, err)
		}
		if (e.Rule == sendrules.TooLong) != (e.Limit > 0) || (e.Limit > 0) != (e.Actual > e.Limit) {
			t.Errorf("%+v", e)
		}
	}
	return out
}

func TestRules(t *testing.T) {
	for name, tt := range map[string]struct {
		change func(m *core.Message)
		want   string
	}{
		"sound":               {func(*core.Message) {}, ""},
		"no keys":             {func(m *core.Message) { m.Keys = nil }, "-1 Keys key"},
		"an empty key":        {func(m *core.Message) { m.Keys = []string{""} }, "-1 Keys key"},
		"a key behind it":     {func(m *core.Message) { m.Keys = []string{"", "k"} }, ""},
		"no sharding key":     {func(m *core.Message) { m.ShardingKey = "" }, "-1 ShardingKey ordered"},
		"a queue":             {func(m *core.Message) { m.ShardingKey = ""; m.Queue = &core.Queue{Broker: "broker-a"} }, ""},
		"a large body":        {func(m *core.Message) { m.Body = append(m.Body, 'x') }, "-1 Body max-body"},
		"no body":             {func(m *core.Message) { m.Body = nil }, ""},
		"no tag":              {func(m *core.Message) { m.Tag = "" }, "-1 Tag tag"},
		"no property":         {func(m *core.Message) { delete(m.Properties, "region") }, `-1 Properties["region"] property`},
		"an empty property":   {func(m *core.Message) { m.Properties["tenant"] = "" }, `-1 Properties["tenant"] property`},
		"no properties":       {func(m *core.Message) { m.Properties = nil }, `-1 Properties["tenant"] property, -1 Properties["region"] property`},
		"everything is wrong": {func(m *core.Message) { *m = core.Message{Topic: "T", Body: make([]byte, 9)} }, `-1 Body max-body, -1 Tag tag, -1 Keys key, -1 ShardingKey ordered, -1 Properties["tenant"] property, -1 Properties["region"] property`},
	} {
		t.Run(name, func(t *testing.T) {
			tr := &coretest.Transport{}
			cfg := config(tr, newRules(t, all()).Step())
			cfg.Selector = selector.Hash()
			p := coretest.Start(t, cfg)
			m := sound()
			tt.change(m)
			_, err := p.Send(t.Context(), m)
			if got := strings.Join(rules(t, err), ", "); got != tt.want {
				t.Errorf("got %s, want %s", got, tt.want)
			}
			if sent := len(tr.Attempts()); (sent == 1) != (tt.want == "") {
				t.Errorf("%d attempts", sent)
			}
		})
	}
}

// Each rule by itself refuses what breaks it and nothing else.
func TestOneRule(t *testing.T) {
	bare := &core.Message{Topic: "T", Body: []byte("x")}
	for want, cfg := range map[string]sendrules.Config{
		"-1 Keys key":                   {Key: true},
		"-1 ShardingKey ordered":        {Ordered: true},
		"-1 Tag tag":                    {Tag: true},
		`-1 Properties["a b"] property`: {Properties: []string{"a b"}},
		"-1 mode mode":                  {Modes: []sendrules.Mode{sendrules.Async, sendrules.Oneway, sendrules.Batch}},
		" ":                             {},
		"":                              {MaxBody: 1, Modes: []sendrules.Mode{sendrules.Sync}},
	} {
		p := coretest.Start(t, config(&coretest.Transport{}, newRules(t, cfg).Step()))
		_, err := p.Send(t.Context(), bare)
		if got := strings.Join(rules(t, err), ", "); got != strings.TrimSpace(want) {
			t.Errorf("got %s, want %s", got, want)
		}
	}
}

func TestModes(t *testing.T) {
	bg := context.Background()
	m := sound()
	sends := map[sendrules.Mode]func(p *core.Producer) error{
		sendrules.Sync:   func(p *core.Producer) error { _, err := p.Send(bg, m); return err },
		sendrules.Oneway: func(p *core.Producer) error { return p.SendOneway(bg, m) },
		sendrules.Batch:  func(p *core.Producer) error { _, err := p.SendBatch(bg, []*core.Message{m}); return err },
		sendrules.Async: func(p *core.Producer) error {
			done := make(chan error, 1)
			p.SendAsync(bg, m, func(_ core.Result, err error) { done <- err })
			return <-done
		},
	}
	for allowed := range sends {
		p := coretest.Start(t, config(&coretest.Transport{}, newRules(t, sendrules.Config{Modes: []sendrules.Mode{allowed}}).Step()))
		for mode, send := range sends {
			err := send(p)
			if mode == allowed {
				if err != nil {
					t.Errorf("%v: %v", mode, err)
				}
				continue
			}
			if got := rules(t, err); len(got) != 1 || got[0] != "-1 mode mode" {
				t.Errorf("%v where %v is allowed: %v", mode, allowed, got)
			}
			if want := fmt.Sprintf("mode is %v, allowed: %v", mode, allowed); err == nil || !strings.HasSuffix(err.Error(), want) {
				t.Errorf("%v, want %s", err, want)
			}
		}
	}
}

// A sharding key gives no order where the selector does not look at it.
func TestOrderNeedsAConsistentSelector(t *testing.T) {
	p := coretest.Start(t, config(&coretest.Transport{}, newRules(t, sendrules.Config{Ordered: true}).Step()))
	m := sound()
	_, err := p.Send(t.Context(), m)
	if got := rules(t, err); len(got) != 1 || !strings.Contains(err.Error(), "the selector does not keep messages of one key in one queue") {
		t.Errorf("got %v", err)
	}
	if _, err = p.Send(t.Context(), m, core.SendSelector(selector.Hash().ForTopic("T"))); err != nil {
		t.Errorf("with the call's own selector: %v", err)
	}
	m.Queue = &core.Queue{Broker: "broker-a"}
	if _, err = p.Send(t.Context(), m); err != nil {
		t.Errorf("with a queue: %v", err)
	}
}

func TestBatch(t *testing.T) {
	cfg := config(&coretest.Transport{}, newRules(t, all()).Step())
	cfg.Selector = selector.Hash()
	p := coretest.Start(t, cfg)
	list := []*core.Message{sound(), sound(), sound()}
	if _, err := p.SendBatch(t.Context(), list); err != nil {
		t.Fatal(err)
	}
	list[0].ShardingKey, list[2].Tag, list[2].Keys = "", "", nil
	_, err := p.SendBatch(t.Context(), list)
	if got, want := strings.Join(rules(t, err), ", "), "0 ShardingKey ordered, 2 Tag tag, 2 Keys key"; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
	if !strings.Contains(err.Error(), "rocketmq: invalid message by the team's rules: message 0: ShardingKey is empty") {
		t.Error(err)
	}
	one := []*core.Message{sound(), sound()}
	one[1].Tag = ""
	_, err = p.SendBatch(t.Context(), one)
	if want := "rocketmq: invalid message by the team's rules: message 1: Tag is empty, a tag is required"; err == nil || !strings.HasSuffix(err.Error(), want) {
		t.Errorf("got %v", err)
	}
	var many []*core.Message
	for range 1000 {
		many = append(many, &core.Message{Topic: "T", Body: []byte("x")})
	}
	_, err = p.SendBatch(t.Context(), many)
	if got := rules(t, err); len(got) != 16 || got[15] != "3 Tag tag" {
		t.Errorf("got %d: %v", len(got), got)
	}
}

func TestConfig(t *testing.T) {
	for name, tt := range map[string]struct {
		cfg  sendrules.Config
		want []string
	}{
		"zero":  {},
		"most":  {cfg: sendrules.Config{MaxBody: 16 << 20, Modes: []sendrules.Mode{3, 2, 1, 0}, Properties: []string{"a", "b", "CHECK_IMMUNITY_TIME_IN_SECONDS"}}},
		"large": {sendrules.Config{MaxBody: 16<<20 + 1}, []string{"sendrules: MaxBody is 16777217, at most 16777216 is allowed"}},
		"wrong": {
			sendrules.Config{MaxBody: -1, Modes: []sendrules.Mode{0, 4, 0}, Properties: []string{"a", " ", "KEYS", "a", "x\x01"}},
			[]string{
				"MaxBody is negative: -1", "Modes[1] is unknown(4), there are sync, async, oneway and batch", "Modes[2] is sync once more",
				`Properties[1] is blank: " "`, `Properties[2] is "KEYS", which is RocketMQ's own`, `Properties[3] is "a" once more`, `Properties[4] is "x\x01", which has a character`,
			},
		},
	} {
		r, err := sendrules.New(tt.cfg)
		if (err == nil) != (tt.want == nil) || (r == nil) != (err != nil) {
			t.Errorf("%s: got %v, %v", name, r, err)
		}
		for _, w := range tt.want {
			if err != nil && !strings.Contains(err.Error(), w) {
				t.Errorf("%s: %q is not in %v", name, w, err)
			}
		}
	}
}

func TestConfigAsJSON(t *testing.T) {
	const text = `{"key":true,"ordered":true,"maxBody":8,"modes":["batch","sync"],"tag":true,"properties":["tenant","region"]}`
	var got sendrules.Config
	if err := json.Unmarshal([]byte(text), &got); err != nil || !reflect.DeepEqual(got, all()) {
		t.Errorf("got %+v, %v", got, err)
	}
	if out, err := json.Marshal(got); err != nil || string(out) != text {
		t.Errorf("got %s, %v", out, err)
	}
	err := json.Unmarshal([]byte(`{"keys":true,"modes":["fast"]}`), &got)
	for _, want := range []string{"keys: it is not known; there are key, ordered, maxBody", `modes: rocketmq: mode "fast" is not known; there are sync, async, oneway, batch`} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("got %v, want %s", err, want)
		}
	}
}

// The step has what it was given, whatever becomes of the lists.
func TestConfigIsCopied(t *testing.T) {
	cfg := all()
	r := newRules(t, cfg)
	cfg.Modes[0], cfg.Modes[1], cfg.Properties[0] = sendrules.Oneway, sendrules.Async, "other"
	pc := config(&coretest.Transport{}, r.Step())
	pc.Selector = selector.Hash()
	if _, err := coretest.Start(t, pc).Send(t.Context(), sound()); err != nil {
		t.Error(err)
	}
}

func TestDescription(t *testing.T) {
	v, err := validate.New()
	if err != nil {
		t.Fatal(err)
	}
	for want, cfg := range map[string]sendrules.Config{
		"the team's rules for messages (rules none)": {},
		"the team's rules for messages (key required, order a sharding key that keeps its queue, or a fixed queue, is required, body at most 8 bytes, sent sync, batch, tag required, properties tenant, region required)": all(),
	} {
		p, err := core.Resolve(core.Order{}, newRules(t, cfg).Step(), v.Step())
		if err != nil {
			t.Fatal(err)
		}
		s := p.Steps()[1]
		if s.Name != "sendrules" || s.Scope != "call" || s.Stage != "guard" || s.Description.String() != want {
			t.Errorf("got %+v: %s\nwant %s", s, s.Description, want)
		}
	}
}

func TestAllocatesNothing(t *testing.T) {
	if race.Enabled {
		t.Skip("the race detector allocates")
	}
	cfg := config(&coretest.Transport{Forget: true}, newRules(t, all()).Step())
	cfg.Selector = selector.Hash()
	p, m := coretest.Start(t, cfg), sound()
	if n := testing.AllocsPerRun(1000, func() {
		if _, err := p.Send(context.Background(), m); err != nil {
			t.Fatal(err)
		}
	}); n != 0 {
		t.Errorf("a message that passes costs %v allocations, want 0", n)
	}
}

func BenchmarkRules(b *testing.B) {
	for name, rules := range map[string]sendrules.Config{"none": {}, "all": all()} {
		b.Run(name, func(b *testing.B) {
			cfg := config(&coretest.Transport{Forget: true}, newRules(b, rules).Step())
			cfg.Selector = selector.Hash()
			p, m := coretest.Start(b, cfg), sound()
			b.ReportAllocs()
			for b.Loop() {
				if _, err := p.Send(context.Background(), m); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
