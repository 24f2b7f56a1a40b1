package core_test

import (
	"bytes"
	"context"
	"errors"
	"math"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/liftoff-mq/liftoff/core"
	"github.com/liftoff-mq/liftoff/core/coretest"
	"github.com/liftoff-mq/liftoff/core/rocketmq"
	"github.com/liftoff-mq/liftoff/internal/race"
)

// shaped sends m with a step that runs f in message scope, and gives the error.
func shaped(t *testing.T, tr core.Transport, m *core.Message, f func(o *core.Outgoing)) error {
	t.Helper()
	p := coretest.Start(t, coretest.Config(tr, core.CallStep("shape", core.StageShape, core.InterceptorFunc(
		func(ctx context.Context, c *core.Call, next core.Handler) (*core.Result, error) {
			f(c.Outgoing())
			return next(ctx, c)
		}))))
	_, err := p.Send(t.Context(), m)
	return err
}

// textForm is the text form of a message's properties, as a transport makes it.
func textForm(o *core.Outgoing) []byte {
	var b []byte
	for name, v := range o.Properties() {
		b = append(b, name...)
		b = append(b, rocketmq.NameValueSeparator)
		b = append(v.AppendTo(b), rocketmq.PropertySeparator)
	}
	return b
}

// checkProperties checks what must hold of the properties of every message.
func checkProperties(t *testing.T, o *core.Outgoing) {
	t.Helper()
	seen := map[string]bool{}
	for name, v := range o.Properties() {
		text := v.String()
		if got := string(v.AppendTo([]byte("before "))); got != "before "+text {
			t.Errorf("%s: String gives %q, AppendTo %q", name, text, got)
		}
		if v.Len() != len(text) {
			t.Errorf("%s: %q has the length %d", name, text, v.Len())
		}
		if got, ok := o.Property(name); !ok || got != text {
			t.Errorf("%s: Property gives %q, %v, want %q", name, got, ok, text)
		}
		if seen[name] {
			t.Errorf("%s is there twice", name)
		}
		seen[name] = true
	}
	if want := len(textForm(o)); o.PropertiesSize() != want {
		t.Errorf("size %d of a text of %d bytes", o.PropertiesSize(), want)
	}
	for name := range o.Properties() { // a walk that ends early, which leaves nothing behind
		if name != rocketmq.PropertyUniqKey {
			t.Errorf("%s is the first", name)
		}
		break
	}
}

// Whatever a message has and a step sets: lengths are those of the texts, nothing is there
// twice, and what is shadowed is not there. A field shadows a property of its name.
func FuzzProperties(f *testing.F) {
	f.Add("tag", "k1,k2", "s", 3, int64(1764000000123), true, "mine", "1", "TAGS", "other", "added", "x")
	f.Add("", "", "", 0, int64(0), false, "", "", "", "", "", "")
	f.Add("t", "k", "s", 1, int64(1), true, "__SHARDINGKEY", "mine", "", "", "", "")
	f.Add("", "", "", 0, int64(0), false, "__SHARDINGKEY", "mine", "", "", "", "")
	f.Add("", ",,", "", -1, int64(-5), true, "b", "2", "b", "3", "WAIT", "true")
	f.Add("t", "k", "s", math.MinInt, int64(math.MaxInt64), false, "KEYS", "mine", "KEYS", "set", "DELAY", "1")
	f.Fuzz(func(t *testing.T, tag, keys, sharding string, level int, ms int64, wait bool, own, ownValue, set, setValue, set2, setValue2 string) {
		m := &core.Message{Topic: "T", Body: []byte("x"), Tag: tag, ShardingKey: sharding, DelayLevel: level, NoWaitStore: wait}
		if keys != "" {
			m.Keys = strings.Split(keys, ",")
		}
		if ms != 0 {
			m.DeliverAt = time.UnixMilli(ms)
		}
		if own != "" && own != rocketmq.PropertyUniqKey {
			m.Properties = map[string]string{own: ownValue, own + "2": "second"}
		}
		set, set2 = "x"+set, "y"+set2 // any name but that of the unique id
		_ = shaped(t, &coretest.Transport{}, m, func(o *core.Outgoing) {
			checkProperties(t, o)
			o.SetProperty(set, setValue)
			o.SetProperty(set[1:], setValue2)
			o.SetProperty(set2, setValue)
			o.SetProperty(set, setValue2)
			if got, ok := o.Property(set); !ok || got != setValue2 {
				t.Errorf("%s is %q, %v", set, got, ok)
			}
			if set[1:] == rocketmq.PropertyUniqKey {
				return // it is refused when the call is sent
			}
			checkProperties(t, o)
		})
	})
}

// The order of the properties is fixed: the unique id, the fields, the user's by name, what
// steps set in their order. What is set shadows the others, and a walk within a walk does
// not disturb it.
func TestPropertiesInOrder(t *testing.T) {
	m := &core.Message{
		Topic: "T", Body: []byte("x"), Tag: "t", Keys: []string{"a", "", "b"}, ShardingKey: "s", DelayLevel: 2,
		DeliverAt: time.UnixMilli(-5), DeliverAfter: 1500 * time.Millisecond, Priority: new(0), LiteTopic: "l",
		NoWaitStore: true, Properties: map[string]string{"z": "1", "m": "2", "a": "3", "k": "4"},
	}
	for _, tt := range []struct {
		name string
		set  []core.Property
		want string
	}{
		{"nothing set", nil, "TAGS=t KEYS=a  b __SHARDINGKEY=s DELAY=2 TIMER_DELIVER_MS=-5 TIMER_DELAY_MS=1500 _SYS_MSG_PRIORITY_=0 __LITE_TOPIC=l WAIT=false a=3 k=4 m=2 z=1"},
		{
			"first and last of each kind",
			[]core.Property{{Name: "WAIT", Value: "true"}, {Name: "TAGS", Value: "u"}, {Name: "z", Value: "9"}, {Name: "a", Value: "8"}, {Name: "new", Value: "7"}, {Name: "WAIT", Value: "no"}},
			"KEYS=a  b __SHARDINGKEY=s DELAY=2 TIMER_DELIVER_MS=-5 TIMER_DELAY_MS=1500 _SYS_MSG_PRIORITY_=0 __LITE_TOPIC=l k=4 m=2 WAIT=no TAGS=u z=9 a=8 new=7",
		},
	} {
		t.Run(tt.name, func(t *testing.T) {
			walk := func(o *core.Outgoing, within func()) string {
				var parts []string
				for name, v := range o.Properties() {
					parts = append(parts, name+"="+v.String())
					within()
				}
				return strings.Join(parts[1:], " ")
			}
			err := shaped(t, &coretest.Transport{}, m, func(o *core.Outgoing) {
				for _, p := range tt.set {
					o.SetProperty(p.Name, p.Value)
				}
				checkProperties(t, o)
				if got := walk(o, func() { walk(o, func() {}) }); got != tt.want {
					t.Errorf("got  %s\nwant %s", got, tt.want)
				}
				for n := range 15 {
					i := 0
					for range o.Properties() {
						if i++; i > n {
							break
						}
					}
				}
			})
			if err != nil {
				t.Error(err)
			}
		})
	}
	var zero core.PropertyValue
	if zero.Len() != 0 || zero.String() != "" || len(zero.AppendTo(nil)) != 0 {
		t.Error("the zero value is not the empty text")
	}
}

// The unique id is the call's: neither a step nor the user sets it.
func TestUniqueIDCannotBeSet(t *testing.T) {
	for name, tt := range map[string]struct {
		own map[string]string
		set func(*core.Outgoing)
	}{
		"by a step":   {nil, func(o *core.Outgoing) { o.SetProperty("UNIQ_KEY", "mine") }},
		"by the user": {map[string]string{"UNIQ_KEY": "mine"}, func(*core.Outgoing) {}},
	} {
		tr := &coretest.Transport{}
		m := coretest.Message("x")
		m.Properties = tt.own
		err := shaped(t, tr, m, tt.set)
		if se := sendError(t, err); se.Class != core.ClassInvalid || se.Certainty != core.NotSent || !strings.Contains(err.Error(), `property "UNIQ_KEY" cannot be set`) || len(tr.Attempts()) != 0 {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// What a step sets must survive the text form.
func TestPropertiesThatCannotBeSent(t *testing.T) {
	for _, p := range []core.Property{{Name: "", Value: "x"}, {Name: "x"}, {Name: "a\x01b", Value: "x"}, {Name: "x", Value: "a\x02b"}} {
		err := shaped(t, &coretest.Transport{}, coretest.Message("x"), func(o *core.Outgoing) { o.SetProperty(p.Name, p.Value) })
		if !errors.Is(err, core.ErrInvalidMessage) || !errors.Is(err, rocketmq.ErrProperty) {
			t.Errorf("%q: %v", p, err)
		}
	}
	// The limit is of the text form: one byte more is too much.
	empty := len("UNIQ_KEY") + 2*len(core.MessageID{}) + 2 + len("p") + 2
	for n, ok := range map[int]bool{rocketmq.MaxPropertiesLength: true, rocketmq.MaxPropertiesLength + 1: false} {
		err := shaped(t, &coretest.Transport{}, coretest.Message("x"), func(o *core.Outgoing) { o.SetProperty("p", strings.Repeat("x", n-empty)) })
		if (err == nil) != ok {
			t.Errorf("%d bytes: %v", n, err)
		}
	}
}

// A body that a codec has packed is changed by SetPacked alone.
func TestPackedBody(t *testing.T) {
	for name, tt := range map[string]struct {
		change func(o *core.Outgoing)
		body   string
		codec  string
		is     error
	}{
		"plain":        {func(o *core.Outgoing) { o.SetBody([]byte("a")); o.SetBody([]byte("b")) }, "b", "", nil},
		"packed":       {func(o *core.Outgoing) { o.SetBody([]byte("a")); o.SetPacked([]byte("p"), "zlib") }, "p", "zlib", nil},
		"packed again": {func(o *core.Outgoing) { o.SetPacked([]byte("p"), "zlib"); o.SetPacked([]byte("q"), "lz4") }, "q", "lz4", nil},
		"packed and back": {func(o *core.Outgoing) {
			o.SetPacked([]byte("p"), "zlib")
			o.SetPacked([]byte("q"), "")
			o.SetBody([]byte("r"))
		}, "r", "", nil},
		"changed after": {func(o *core.Outgoing) { o.SetPacked([]byte("p"), "zlib"); o.SetBody([]byte("q")) }, "", "", core.ErrEncoded},
	} {
		t.Run(name, func(t *testing.T) {
			tr := &coretest.Transport{}
			err := shaped(t, tr, coretest.Message("x"), tt.change)
			if tt.is != nil {
				if se := sendError(t, err); !errors.Is(err, tt.is) || se.Certainty != core.NotSent || se.Class != core.ClassPlugin || len(tr.Attempts()) != 0 {
					t.Errorf("got %v", err)
				}
				return
			}
			if err != nil || tr.Attempts()[0].Body != tt.body || tr.Attempts()[0].Codec != tt.codec {
				t.Errorf("%v, sent %+v", err, tr.Attempts())
			}
		})
	}
}

// former is a transport that makes the form of each message of a call, and lists what it made
// and sent.
type former struct {
	coretest.Transport
	made int
	sent []string
}

func newFormer(fail func(at *core.Attempt) error) *former {
	f := &former{}
	f.Do = func(_ context.Context, at *core.Attempt) (*core.Result, error) {
		for o := range at.Call().All() {
			form, err := o.Form(f.encode)
			if err != nil {
				return nil, err
			}
			again, _ := o.Form(func([]byte, *core.Outgoing) ([]byte, error) { return nil, errors.New("asked again") })
			if !bytes.Equal(form, again) || cap(form) != len(form) {
				return nil, errors.New("another form")
			}
			f.sent = append(f.sent, string(form))
		}
		if err := fail(at); err != nil {
			return nil, err
		}
		return f.Ack(at), nil
	}
	return f
}

func (f *former) encode(dst []byte, o *core.Outgoing) ([]byte, error) {
	f.made++
	shape, _ := o.Property("shape")
	return append(append(append(dst, o.Body()...), ' '), shape...), nil
}

// The form of a message is made once for all attempts of a call, and again when a step runs
// the call again.
func TestFormIsMadeOnce(t *testing.T) {
	f := newFormer(func(at *core.Attempt) error {
		if at.Number() != 3 && at.Number() != 5 {
			return core.ErrConnectionLost
		}
		return nil
	})
	runs := 0
	cfg := coretest.Config(f, core.CallStep("again", core.StageObserve, core.InterceptorFunc(
		func(ctx context.Context, c *core.Call, next core.Handler) (*core.Result, error) {
			if _, err := next(ctx, c); err != nil {
				t.Errorf("first run: %v", err)
			}
			return next(ctx, c)
		})), core.CallStep("shape", core.StageShape, core.InterceptorFunc(func(ctx context.Context, c *core.Call, next core.Handler) (*core.Result, error) {
		runs++
		for o := range c.All() {
			o.SetProperty("shape", strings.Repeat("r", runs))
		}
		return next(ctx, c)
	})))
	cfg.Retry = coretest.Retry(10)
	p := coretest.Start(t, cfg)
	if _, err := p.SendBatch(t.Context(), messages("1", strings.Repeat("2", 1000), "3")); err != nil {
		t.Fatal(err)
	}
	var want []string
	for run, attempts := range []int{3, 2} {
		for range attempts {
			for _, body := range []string{"1", strings.Repeat("2", 1000), "3"} {
				want = append(want, body+" "+strings.Repeat("r", run+1))
			}
		}
	}
	if !slices.Equal(f.sent, want) || f.made != 6 {
		t.Errorf("made %d forms, sent %.30q", f.made, f.sent)
	}
	// The memory is used again by the next call, and holds the next call's form alone.
	f.sent = nil
	if _, err := p.Send(t.Context(), coretest.Message("other")); err != nil || f.sent[0] != "other rrr" {
		t.Errorf("sent %q, %v", f.sent, err)
	}
}

// A form that cannot be made fails the attempt, and is asked for again at the next one.
func TestFormFails(t *testing.T) {
	tr, tries := &coretest.Transport{Unwritten: true}, 0
	tr.Do = func(_ context.Context, at *core.Attempt) (*core.Result, error) {
		form, err := at.Call().Outgoing().Form(func(dst []byte, _ *core.Outgoing) ([]byte, error) {
			if tries++; tries == 1 {
				return append(dst, "half"...), core.ErrConnect
			}
			return append(dst, "whole"...), nil
		})
		if err != nil {
			return nil, err
		}
		if string(form) != "whole" {
			t.Errorf("form %q", form)
		}
		return tr.Ack(at), nil
	}
	cfg := coretest.Config(tr)
	cfg.Retry = coretest.Retry(2)
	if res, err := coretest.Start(t, cfg).Send(t.Context(), coretest.Message("x")); err != nil || res.Attempts != 2 || tries != 2 {
		t.Errorf("%+v, %v after %d tries", res, err, tries)
	}
}

// A send whose transport walks the properties and makes its form allocates nothing.
func TestFormAllocatesNothing(t *testing.T) {
	if race.Enabled {
		t.Skip("the race detector allocates")
	}
	encode := func(dst []byte, o *core.Outgoing) ([]byte, error) {
		dst = append(dst, o.Body()...)
		for name, v := range o.Properties() {
			dst = append(dst, name...)
			dst = append(dst, rocketmq.NameValueSeparator)
			dst = append(v.AppendTo(dst), rocketmq.PropertySeparator)
		}
		if o.PropertiesSize() == 0 {
			return nil, errors.New("no properties")
		}
		return dst, nil
	}
	tr := &coretest.Transport{Forget: true}
	tr.Do = func(_ context.Context, at *core.Attempt) (*core.Result, error) {
		for o := range at.Call().All() {
			if _, err := o.Form(encode); err != nil {
				return nil, err
			}
			if o.Message().Tag != "" {
				at.SetOffsetIDs("ids", idIn)
			}
		}
		return tr.Ack(at), nil
	}
	p := coretest.Start(t, coretest.Config(tr, core.CallStep("shape", core.StageShape, core.InterceptorFunc(
		func(ctx context.Context, c *core.Call, next core.Handler) (*core.Result, error) {
			for o := range c.All() {
				o.SetProperty("TAGS", "other")
				o.SetPacked(o.Body(), "zlib")
			}
			return next(ctx, c)
		}))))
	ctx := context.Background()
	m := &core.Message{
		Topic: "T", Body: []byte("x"), Tag: "tag", Keys: []string{"a", "b"}, ShardingKey: "s", DelayLevel: 3, DeliverAt: time.UnixMilli(1764000000123),
		DeliverAfter: time.Hour, Priority: new(7), LiteTopic: "l", NoWaitStore: true, Properties: map[string]string{"p": "1", "q": "2", "r": "3"},
	}
	batch := []*core.Message{m, m, m}
	for name, send := range map[string]func() error{
		"single":  func() error { _, err := p.Send(ctx, m); return err },
		"one-way": func() error { return p.SendOneway(ctx, m) },
		"batch":   func() error { _, err := p.SendBatch(ctx, batch); return err },
	} {
		n := testing.AllocsPerRun(1000, func() {
			if err := send(); err != nil {
				t.Fatal(err)
			}
		})
		if n != 0 {
			t.Errorf("%s: %v allocations, want 0", name, n)
		}
	}
}
