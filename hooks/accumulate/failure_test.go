package accumulate_test

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"slices"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/liftoff-mq/liftoff/core"
	"github.com/liftoff-mq/liftoff/core/coretest"
	"github.com/liftoff-mq/liftoff/core/refusal"
	"github.com/liftoff-mq/liftoff/core/rocketmq"
	"github.com/liftoff-mq/liftoff/hooks/accumulate"
)

// together sends bodies in one batch and returns the sends, ended.
func together(t *testing.T, l *line, p *core.Producer, bodies ...string) []*sending {
	t.Helper()
	land := waiting(t, l, p)
	all := each(p, bodies...)
	for _, s := range all {
		s.wait()
	}
	land()
	return all
}

var poison = refusal.Of(rocketmq.CodeMessageIllegal, "the message is illegal", "")

// What fails a batch is everybody's error. Only a refusal that may lie in one
// message is asked for again, one by one.
func TestFailures(t *testing.T) {
	tests := []struct {
		name      string
		fate      func(r request) error
		lost      func(n int) bool // of the answers
		class     core.Class
		certainty core.Certainty
		requests  int // of the three messages
		fails     string
	}{
		{
			name: "busy", fate: func(request) error { return refusal.Of(rocketmq.CodeSystemBusy, "", "") },
			class: core.ClassBusy, certainty: core.NotStored, requests: 1, fails: "a b c",
		},
		{
			name: "answer lost", lost: func(n int) bool { return n == 2 },
			class: core.ClassNetwork, certainty: core.MaybeStored, requests: 1, fails: "a b c",
		},
		{
			name: "unexplained", fate: func(request) error { return refusal.Of(rocketmq.CodeSystemError, "?", "") },
			class: core.ClassBroker, certainty: core.MaybeStored, requests: 1, fails: "a b c",
		},
		{
			name: "one is illegal", fate: func(r request) error {
				if slices.Contains(r.bodies, "b") {
					return poison
				}
				return nil
			},
			class: core.ClassRejected, certainty: core.NotStored, requests: 4, fails: "b",
		},
		{
			name: "the batch is too large for the broker", fate: func(r request) error {
				if r.batch {
					return poison
				}
				return nil
			},
			requests: 4,
		},
		{
			name: "forbidden topic", fate: func(request) error { return refusal.Of(rocketmq.CodeNoPermission, "no", "") },
			class: core.ClassForbidden, certainty: core.NotStored, requests: 4, fails: "a b c",
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				l := newLine(ms)
				l.lost = tt.lost
				if tt.fate != nil {
					l.fate = func(_ int, r request) error { return tt.fate(r) }
				}
				p := coretest.Start(t, config(t, l, accumulate.Config{}))
				bodies := []string{"a", "b", "c"}
				var fails []string
				failed := map[core.MessageID]bool{}
				for i, s := range together(t, l, p, bodies...) {
					if s.err == nil {
						if id := s.res.MessageID.String(); fmt.Sprint(l.stored[id]) != "["+bodies[i]+"]" || s.res.MaybeDuplicate {
							t.Errorf("%s: %+v is %v", bodies[i], s.res, l.stored[id])
						}
						continue
					}
					fails = append(fails, bodies[i])
					var se *core.SendError
					if !errors.As(s.err, &se) || se.Class != tt.class || se.Certainty != tt.certainty || len(se.Attempts) == 0 || se.Topic != "T" {
						t.Errorf("%s: %v", bodies[i], s.err)
						continue
					}
					failed[se.MessageID] = true
				}
				if got := strings.Join(fails, " "); got != tt.fails || len(failed) != len(fails) {
					t.Errorf("failed: %s with %d ids, want %s", got, len(failed), tt.fails)
				}
				if rs := l.of(bodies...); len(rs) != tt.requests || !rs[0].batch {
					t.Errorf("requests %v, want %d", rs, tt.requests)
				}
				ids := map[string]bool{}
				for _, r := range l.of(bodies...) {
					for _, id := range r.ids {
						ids[id] = true
					}
				}
				if len(ids) != 3 {
					t.Errorf("%d ids for 3 messages", len(ids))
				}
			})
		})
	}
}

// A retry repeats every message under its own id, and says that it may be there
// twice.
func TestRetryKeepsIDs(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newLine(ms)
		l.lost = func(n int) bool { return n == 2 }
		cfg := config(t, l, accumulate.Config{})
		cfg.Retry = coretest.Retry(3)
		p := coretest.Start(t, cfg)
		for i, s := range together(t, l, p, "a", "b", "c") {
			body := string(rune('a' + i))
			if s.err != nil || s.res.Attempts != 2 || !s.res.MaybeDuplicate {
				t.Errorf("%s: %+v, %v", body, s.res, s.err)
			}
			if got := l.stored[s.res.MessageID.String()]; fmt.Sprint(got) != fmt.Sprint([]string{body, body}) {
				t.Errorf("%s is stored as %v", body, got)
			}
		}
	})
}

// A step further out that wraps an error, or fails a send that succeeded, does not
// change what is known of the message.
func TestWrappedErrors(t *testing.T) {
	wrapper := func(also error) core.Step {
		return core.CallStep("wrap", core.StageObserve, core.InterceptorFunc(
			func(ctx context.Context, c *core.Call, next core.Handler) (*core.Result, error) {
				res, err := next(ctx, c)
				if string(c.Message().Body) == "flying" {
					return res, err
				}
				if err != nil {
					return nil, fmt.Errorf("wrapped: %v", err) // loses the type
				}
				return nil, also
			}))
	}
	tests := []struct {
		name string
		lost bool
		want core.Certainty
	}{{"lost", true, core.MaybeStored}, {"stored", false, core.Stored}}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				l := newLine(ms)
				l.lost = func(n int) bool { return tt.lost && n == 2 }
				p := coretest.Start(t, config(t, l, accumulate.Config{}, wrapper(errors.New("not good enough"))))
				for _, s := range together(t, l, p, "a", "b") {
					var se *core.SendError
					if !errors.As(s.err, &se) || se.Certainty != tt.want || (len(se.Attempts) == 1) != tt.lost {
						t.Errorf("%v", s.err)
					}
				}
			})
		})
	}
	t.Run("cancelled", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			l := newLine(20 * ms)
			p := coretest.Start(t, config(t, l, accumulate.Config{MaxCount: 2}, wrapper(nil)))
			send(t.Context(), p, coretest.Message("flying"))
			synctest.Wait()
			ctx, cancel := context.WithCancel(t.Context())
			s := send(ctx, p, coretest.Message("a"))
			send(t.Context(), p, coretest.Message("b"))
			synctest.Wait()
			cancel()
			if _, err := s.wait(); core.CertaintyOf(err) != core.MaybeStored {
				t.Errorf("%v", err)
			}
		})
	})
}

// A step further out that runs the call again gets an honest result.
func TestRunAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newLine(ms)
		l.lost = func(n int) bool { return n == 2 }
		again := core.CallStep("again", core.StageObserve, core.InterceptorFunc(
			func(ctx context.Context, c *core.Call, next core.Handler) (*core.Result, error) {
				if res, err := next(ctx, c); err == nil {
					return res, nil
				}
				return next(ctx, c)
			}))
		p := coretest.Start(t, config(t, l, accumulate.Config{}, again))
		for i, s := range together(t, l, p, "a", "b") {
			body := string(rune('a' + i))
			if s.err != nil || !s.res.MaybeDuplicate || s.res.Attempts != 2 || len(l.stored[s.res.MessageID.String()]) != 2 {
				t.Errorf("%s: %+v, %v", body, s.res, s.err)
			}
		}
	})
}

// Steps further in that panic, refuse, end the goroutine or break the contract.
func TestStepsFurtherIn(t *testing.T) {
	is := func(o *core.Outgoing, body string) bool { return string(o.Body()) == body }
	has := func(c *core.Call, body string) bool {
		for o := range c.All() {
			if is(o, body) {
				return true
			}
		}
		return false
	}
	attempt := func(f core.AttemptInterceptorFunc) core.Step {
		return core.AttemptStep("step", core.AttemptGuard, f)
	}
	inner := func(f core.InterceptorFunc) core.Step {
		return core.CallStep("step", core.StageEncode, f).After("accumulate")
	}
	forbidden := fmt.Errorf("b: %w", core.ErrForbidden)
	tests := []struct {
		name      string
		step      core.Step
		fails     string
		is        error
		class     core.Class
		certainty core.Certainty
		requests  int
	}{
		{
			"hook forbids one", attempt(func(ctx context.Context, at *core.Attempt, next core.AttemptHandler) (*core.Result, error) {
				if has(at.Call(), "b") {
					return nil, forbidden
				}
				return next(ctx, at)
			}), "b", core.ErrForbidden, core.ClassForbidden, core.NotSent, 2,
		},
		{
			"hook panics at one", attempt(func(ctx context.Context, at *core.Attempt, next core.AttemptHandler) (*core.Result, error) {
				if has(at.Call(), "b") {
					panic(forbidden)
				}
				return next(ctx, at)
			}), "b", core.ErrForbidden, core.ClassPlugin, core.NotSent, 2,
		},
		{
			"hook panics afterwards", attempt(func(ctx context.Context, at *core.Attempt, next core.AttemptHandler) (*core.Result, error) {
				res, err := next(ctx, at)
				if has(at.Call(), "b") {
					panic(forbidden)
				}
				return res, err
			}), "a b c", core.ErrForbidden, core.ClassPlugin, core.Stored, 1,
		},
		{
			"inner step panics", inner(func(ctx context.Context, c *core.Call, next core.Handler) (*core.Result, error) {
				if has(c, "b") {
					panic(forbidden)
				}
				return next(ctx, c)
			}), "b", core.ErrForbidden, core.ClassPlugin, core.NotSent, 2,
		},
		{
			"inner step ends the goroutine", inner(func(ctx context.Context, c *core.Call, next core.Handler) (*core.Result, error) {
				if has(c, "b") {
					runtime.Goexit()
				}
				return next(ctx, c)
			}), "a b c", core.ErrContract, core.ClassPlugin, core.MaybeStored, 0,
		},
		{
			"inner step changes a message", inner(func(ctx context.Context, c *core.Call, next core.Handler) (*core.Result, error) {
				if has(c, "b") {
					c.Outgoing().SetBody([]byte("changed"))
				}
				return next(ctx, c)
			}), "a b c", core.ErrFrozen, core.ClassPlugin, core.NotSent, 0,
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				l := newLine(ms)
				p := coretest.Start(t, config(t, l, accumulate.Config{}, tt.step))
				var fails []string
				for i, s := range together(t, l, p, "a", "b", "c") {
					if s.err == nil {
						continue
					}
					fails = append(fails, string(rune('a'+i)))
					var se *core.SendError
					if !errors.As(s.err, &se) || se.Class != tt.class || se.Certainty != tt.certainty || !errors.Is(s.err, tt.is) {
						t.Errorf("%v", s.err)
					}
				}
				if got := strings.Join(fails, " "); got != tt.fails {
					t.Errorf("failed: %s, want %s", got, tt.fails)
				}
				if rs := l.of("a", "b", "c", "changed"); len(rs) != tt.requests {
					t.Errorf("requests %v, want %d", rs, tt.requests)
				}
			})
		})
	}
}

// What a broker tells of the messages of a batch is each caller's own: in one text, one by
// one, one for all, or nothing. Then each message lies behind the one before.
func TestAnswers(t *testing.T) {
	tests := []struct {
		name   string
		answer func(at *core.Attempt, res *core.Result, ids []string)
		want   func(i int, id string) string
		step   int64 // between the offsets
	}{
		{
			"in one text", func(at *core.Attempt, _ *core.Result, ids []string) {
				at.SetOffsetIDs(strings.Join(ids, ","), nth)
			}, func(_ int, id string) string { return "off-" + id }, 1,
		},
		{
			"one by one", func(at *core.Attempt, _ *core.Result, ids []string) {
				for i := range ids {
					at.SetMessage(i, core.MessageResult{OffsetMessageID: fmt.Sprint("id", i), QueueOffset: int64(10 * i)})
				}
			}, func(i int, _ string) string { return fmt.Sprint("id", i) }, 10,
		},
		{
			"one for all", func(at *core.Attempt, _ *core.Result, ids []string) {
				for i := range ids {
					at.SetMessage(i, core.MessageResult{OffsetMessageID: "inner"})
				}
			}, func(int, string) string { return "inner" }, 0,
		},
		{"none", func(*core.Attempt, *core.Result, []string) {}, func(int, string) string { return "" }, 1},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				l := newLine(ms)
				l.answer = tt.answer
				p := coretest.Start(t, config(t, l, accumulate.Config{Linger: 100 * ms}))
				land := waiting(t, l, p)
				var all []*sending
				for _, b := range []string{"a", "b", "c"} {
					all = append(all, each(p, b)...)
					synctest.Wait()
				}
				for i, s := range all {
					res, err := s.wait()
					if want := tt.want(i, res.MessageID.String()); err != nil || res.OffsetMessageID != want || res.QueueOffset != int64(i)*tt.step {
						t.Errorf("message %d: %+v, %v, want offset id %q", i, res, err, want)
					}
				}
				land()
			})
		})
	}
}
