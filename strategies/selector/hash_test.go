package selector_test

import (
	"context"
	"testing"
	"unicode/utf16"

	"pgregory.net/rapid"

	"github.com/liftoff-mq/liftoff/core"
	"github.com/liftoff-mq/liftoff/core/coretest"
	"github.com/liftoff-mq/liftoff/strategies/selector"
)

// The numbers were printed by a JDK 17: s.hashCode(), and its remainders.
var javaHashes = []struct {
	s        string
	hash     int32
	of8, of7 int
}{
	{"hello", 99162322, 2, 0},
	{"polygenelubricants", -2147483648, 0, 2},
	{"order-42", 1234255197, 5, 0},
	{"日本", 835047, 7, 3},
	{"😀", 1772899, 3, 2},
	{"a😀b\uFFFD", 1793406047, 7, 6},
	{"Straße", -1808122922, 2, 4},
	{"\x00x", 120, 0, 1},
	{"a\xffb", 2124838, 6, 2},
}

func TestJavaHash(t *testing.T) {
	for _, tt := range javaHashes {
		if got := selector.JavaHash(tt.s); got != tt.hash {
			t.Errorf("JavaHash(%q) = %d, want %d", tt.s, got, tt.hash)
		}
	}
	if got := selector.JavaHash(""); got != 0 {
		t.Errorf("JavaHash of nothing = %d, want 0", got)
	}
}

func TestJavaHashIsOverUTF16(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		s := rapid.String().Draw(rt, "s")
		var want int32
		for _, u := range utf16.Encode([]rune(s)) {
			want = 31*want + int32(u)
		}
		if got := selector.JavaHash(s); got != want {
			rt.Errorf("JavaHash(%q) = %d, want %d", s, got, want)
		}
	})
}

func TestHashChoosesJavasQueue(t *testing.T) {
	for _, tt := range javaHashes {
		msg := coretest.Message("x")
		msg.ShardingKey = tt.s
		for queues, want := range map[int]int{8: tt.of8, 7: tt.of7} {
			// Health and what was tried do not matter.
			in(t, situation{routes: coretest.Routes(queues, "a"), msg: msg, health: map[string]core.Health{"a": down}},
				func(ctx context.Context, sel *core.Selection) {
					s := selector.Hash().ForTopic("T")
					if got := pick(t, ctx, s, sel); got != want {
						t.Errorf("key %q of %d queues: %d, want %d", tt.s, queues, got, want)
					}
				})
		}
	}
}

// What the doc of HashJava says of keys that end in digits.
func TestJavasHashOfNumbers(t *testing.T) {
	for queues, want := range map[int]int{31: 10, 30: 30} {
		used := map[core.Queue]bool{}
		keys := numbered(10000)
		for _, q := range places(t, selector.HashJava, coretest.Routes(queues, "a"), keys[1000:]) { // of one length
			used[q] = true
		}
		if len(used) != want {
			t.Errorf("numbers use %d of %d queues, want %d", len(used), queues, want)
		}
	}
}

func TestHashConsistency(t *testing.T) {
	s, ok := selector.Hash().ForTopic("T").(core.ConsistentSelector)
	if !ok {
		t.Fatal("not a consistent selector")
	}
	msg := coretest.Message("x")
	if s.RequiresConsistency(msg) {
		t.Error("consistent without a sharding key")
	}
	msg.ShardingKey = "k"
	if !s.RequiresConsistency(msg) {
		t.Error("not consistent with a sharding key")
	}
}

// Through a producer: the same key keeps its queue over all attempts and calls.
func TestSameKeySameQueue(t *testing.T) {
	fails := 2
	tr := &coretest.Transport{}
	tr.Do = func(_ context.Context, at *core.Attempt) (*core.Result, error) {
		if at.Number() <= fails {
			return nil, core.ErrConnectionLost
		}
		return tr.Ack(at), nil
	}
	cfg := coretest.Config(tr)
	cfg.Selector, cfg.Retry = selector.HashBy(func(m *core.Message) string { return m.Properties["user"] }), coretest.Retry(3)
	p := coretest.Start(t, cfg)
	for _, user := range []string{"ann", "bob", "日本"} {
		msg := coretest.Message(user)
		msg.Properties = map[string]string{"user": user}
		for range 3 {
			if _, err := p.Send(t.Context(), msg); err != nil {
				t.Fatal(err)
			}
		}
	}
	queues := map[string]core.Queue{}
	for _, a := range tr.Attempts() {
		if q, ok := queues[a.Body]; ok && q != a.Queue {
			t.Errorf("user %s went to %v and %v", a.Body, q, a.Queue)
		}
		queues[a.Body] = a.Queue
	}
	if got, want := len(tr.Attempts()), 3*3*3; got != want {
		t.Errorf("%d attempts, want %d", got, want)
	}
}

func TestHashByWithoutFunction(t *testing.T) {
	cfg := coretest.Config(&coretest.Transport{})
	cfg.Selector = selector.HashBy(nil)
	if _, err := core.NewProducer(cfg); err == nil {
		t.Error("a producer was made without a selector")
	}
}
