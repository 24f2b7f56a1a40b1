package steptest_test

import (
	"context"
	"fmt"
	"maps"
	"os"
	"runtime"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/liftoff-mq/liftoff/core"
	"github.com/liftoff-mq/liftoff/core/rocketmq"
	"github.com/liftoff-mq/liftoff/core/steptest"
)

func pass(ctx context.Context, c *core.Call, next core.Handler) (*core.Result, error) {
	return next(ctx, c)
}

// The rules here are those of the contracts in core, and those of the package comment.
func TestRulesAreThoseOfCore(t *testing.T) {
	doc, err := os.ReadFile("doc.go")
	if err != nil {
		t.Fatal(err)
	}
	want := map[string]bool{}
	add := func(id, word, name string, checks []string) {
		want[name] = true
		for i := range checks {
			checks[i] = strings.TrimPrefix(checks[i], id+"/")
		}
		if line := fmt.Sprintf("//	%-3s %-12s %s\n", id, word, strings.Join(checks, ", ")); !strings.Contains(string(doc), line) {
			t.Errorf("the package comment does not have the line %q", line)
		}
	}
	for _, r := range steptest.StepRules() {
		add(r.ID, r.Word, r.String(), r.Checks())
	}
	for _, r := range steptest.BudgetRules() {
		add(r.ID, r.Word, r.String(), r.Checks())
	}
	for _, r := range steptest.CompressorRules() {
		add(r.ID, r.Word, r.String(), r.Checks())
	}
	got := map[string]bool{}
	for _, file := range []string{"../interceptor.go", "../listener.go", "../strategy.go"} {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		for line := range strings.Lines(string(text)) {
			if rule, ok := strings.CutPrefix(line, "//   - "); ok && strings.ContainsAny(rule[:1], "IALBC") {
				name, _, _ := strings.Cut(rule, ":")
				got[name] = true
			}
		}
	}
	if !maps.Equal(got, want) {
		t.Errorf("core has %v,\nthe kit %v", slices.Sorted(maps.Keys(got)), slices.Sorted(maps.Keys(want)))
	}
}

// What is special about a step is not held against it.
func TestTraits(t *testing.T) {
	for name, open := range map[string]func(tb steptest.TB) steptest.Step{
		"limits and waits": limited(func(*limiter) {}),
		"limits and refuses": func(tb steptest.TB) steptest.Step {
			s := limited(func(l *limiter) {
				l.wait = func(_ context.Context, _ *core.Call, permits chan<- struct{}) error {
					select {
					case permits <- struct{}{}:
						return nil
					default:
						return core.ErrTooManyInFlight
					}
				}
			})(tb)
			s.MayWait, s.Vetoes = false, true
			return s
		},
		"refuses everything": func(steptest.TB) steptest.Step {
			s := calling(intercept(func(context.Context, *core.Call, core.Handler) (*core.Result, error) { return nil, errMine }))
			s.Vetoes = true
			return s
		},
		"refuses one topic": func(steptest.TB) steptest.Step {
			s := calling(intercept(func(ctx context.Context, c *core.Call, next core.Handler) (*core.Result, error) {
				if c.Message().Topic == "forbidden" {
					return nil, core.ErrForbidden
				}
				return next(ctx, c)
			}))
			s.Refused = []*core.Message{{Topic: "forbidden", Body: []byte("x")}}
			return s
		},
		"is about one topic": func(steptest.TB) steptest.Step {
			s := calling(intercept(func(ctx context.Context, c *core.Call, next core.Handler) (*core.Result, error) {
				if c.Message().Topic != "mine" || c.Mode() != core.Oneway && !c.Batch() {
					return nil, core.ErrForbidden
				}
				return next(ctx, c)
			}))
			s.Messages, s.Modes = []*core.Message{{Topic: "mine", Body: []byte("x")}}, []core.Mode{core.Oneway}
			return s
		},
		"repeats": func(steptest.TB) steptest.Step {
			s := calling(intercept(func(ctx context.Context, c *core.Call, next core.Handler) (*core.Result, error) {
				res, err := next(ctx, c)
				if err != nil && ctx.Err() == nil {
					res, err = next(ctx, c)
				}
				return res, err
			}))
			s.Repeats = true
			return s
		},
		"answers": func(steptest.TB) steptest.Step {
			s := calling(intercept(func(ctx context.Context, c *core.Call, next core.Handler) (*core.Result, error) {
				if res, err := next(ctx, c); err == nil {
					return res, nil
				}
				return &core.Result{Status: core.SendOK}, nil
			}))
			s.Answers = true
			return s
		},
		"changes everything": func(steptest.TB) steptest.Step {
			s := calling(intercept(func(ctx context.Context, c *core.Call, next core.Handler) (*core.Result, error) {
				for out := range c.All() {
					out.SetTopic("mine-" + c.Message().Topic)
					out.SetProperty("color", "blue")
					out.SetProperty("mine", "yes")
					if out.Codec() == "" && !c.Batch() {
						body := out.Body()
						out.SetPacked([]byte("packed"), "mine")
						defer out.SetPacked(body, "")
					}
				}
				return next(ctx, c)
			}))
			s.ChangesTopic, s.ChangesBody, s.ChangesProperties = true, true, true
			return s
		},
	} {
		t.Run(name, func(t *testing.T) {
			if failed, rec := verdict(t, steptest.StepRules(), open); failed != "" {
				t.Errorf("it breaks %s:\n%s", failed, strings.Join(rec.failures, "\n"))
			}
		})
	}
}

// A budget that grants by time need not be refilled.
func TestBudgetOfTime(t *testing.T) {
	failed, rec := verdict(t, steptest.BudgetRules(), func(steptest.TB) steptest.Budget {
		var granted atomic.Int64
		return steptest.Budget{Time: true, Late: time.Millisecond, Budget: unlocked{
			func() bool { return granted.Add(1) <= 20 }, func() {},
		}}
	})
	if failed != "" {
		t.Errorf("it breaks %s:\n%s", failed, strings.Join(rec.failures, "\n"))
	}
	if all := strings.Join(rec.skipped, "\n"); !strings.Contains(all, "B3 refill: skipped: the budget grants by time") {
		t.Errorf("%s", all)
	}
}

// A codec of which nobody knows how to unpack it.
func TestCodecWithoutUnpack(t *testing.T) {
	failed, rec := verdict(t, steptest.CompressorRules(), func(steptest.TB) steptest.Compressor {
		return steptest.Compressor{
			Compressor: &codec{name: func() string { return "mine" }, append: deflate}, Late: time.Millisecond,
			Bodies: [][]byte{[]byte(strings.Repeat("one body ", 10))},
		}
	})
	if failed != "" {
		t.Errorf("it breaks %s:\n%s", failed, strings.Join(rec.failures, "\n"))
	}
	all := strings.Join(rec.skipped, "\n")
	for _, says := range []string{"C5 unpack: skipped: there is no Unpack", "C6 same: skipped: the codec does not promise it"} {
		if !strings.Contains(all, says) {
			t.Errorf("nothing says %q:\n%s", says, all)
		}
	}
}

// attached is a step that passes calls on when it knows its producer, and hears of requests of servers.
type attached struct{ p atomic.Pointer[core.Producer] }

func (a *attached) Attach(p *core.Producer) (map[core.ServerRequestKind]core.ServerRequestHandler, error) {
	if !a.p.CompareAndSwap(nil, p) {
		return nil, errMine
	}
	return map[core.ServerRequestKind]core.ServerRequestHandler{core.RequestReply: a}, nil
}

func (*attached) HandleServerRequest(context.Context, *core.ServerRequest) {}

func (a *attached) Intercept(ctx context.Context, c *core.Call, next core.Handler) (*core.Result, error) {
	if a.p.Load().State() != core.StateRunning {
		return nil, errMine
	}
	return next(ctx, c)
}

// A step is attached to the kit's producer, once, as to any.
func TestAttachedStep(t *testing.T) {
	if failed, rec := verdict(t, steptest.StepRules(), func(steptest.TB) steptest.Step { return calling(&attached{}) }); failed != "" {
		t.Errorf("it breaks %s:\n%s", failed, strings.Join(rec.failures, "\n"))
	}
	failed, rec := verdict(t, steptest.StepRules(), func(steptest.TB) steptest.Step {
		a := &attached{}
		a.p.Store(new(core.Producer)) // it belongs to another one
		return calling(a)
	})
	if all := strings.Join(rec.failures, "\n"); failed == "" || !strings.Contains(all, errMine.Error()) {
		t.Errorf("%q: %s", failed, all)
	}
}

// living is a step with a life of its own.
type living struct {
	mu     sync.Mutex
	events []string
	act    func(method string) error
	over   chan struct{}
}

func (l *living) note(method string) error {
	l.mu.Lock()
	l.events = append(l.events, method)
	l.mu.Unlock()
	if l.act != nil {
		return l.act(method)
	}
	return nil
}

func (l *living) Start(context.Context) error {
	l.over = make(chan struct{})
	go func() { <-l.over }()
	return l.note("Start")
}

func (l *living) Shutdown(context.Context) error {
	close(l.over)
	return l.note("Shutdown")
}

func (l *living) Drain() { _ = l.note("Drain") }

func (l *living) Intercept(ctx context.Context, c *core.Call, next core.Handler) (*core.Result, error) {
	_ = l.note("Intercept")
	return next(ctx, c)
}

// A step that is a service lives as it does with a producer.
func TestService(t *testing.T) {
	var all []*living
	failed, rec := verdict(t, steptest.StepRules(), func(steptest.TB) steptest.Step {
		l := &living{}
		all = append(all, l)
		return calling(l)
	})
	if failed != "" {
		t.Errorf("it breaks %s:\n%s", failed, strings.Join(rec.failures, "\n"))
	}
	for _, l := range all {
		if slices.Contains(l.events, "Intercept") {
			first := l.events[0]
			if l.events = slices.DeleteFunc(l.events, func(e string) bool { return e == "Intercept" }); first != "Start" || strings.Join(l.events, " ") != "Start Drain Shutdown" {
				t.Errorf("%v", l.events)
			}
		}
	}
}

// A Shutdown that does not come back is the business of I15 alone. Other rules only note it.
func TestBadShutdown(t *testing.T) {
	for says, act := range map[string]func(over <-chan struct{}){
		"living.Shutdown ended its goroutine":          func(<-chan struct{}) { runtime.Goexit() },
		"panic in *steptest_test.living.Shutdown: boo": func(<-chan struct{}) { panic("boo") },
		"living.Shutdown has not returned after 1ms":   func(over <-chan struct{}) { <-over },
	} {
		failed, rec := verdict(t, steptest.StepRules(), func(tb steptest.TB) steptest.Step {
			over := freed(tb)
			return calling(&living{act: func(method string) error {
				if method == "Shutdown" {
					act(over)
				}
				return nil
			}})
		})
		if all := strings.Join(rec.failures, "\n"); failed != "I15" || !strings.Contains(all, says) {
			t.Errorf("it breaks %q, and no failure says %q:\n%s", failed, says, all)
		}
		if all := strings.Join(rec.logs, "\n"); !strings.Contains(all, "I10 result: message: ") || !strings.Contains(all, says) {
			t.Errorf("no other rule says %q:\n%s", says, all)
		}
	}
}

// rule finds a rule of steps by its number.
func rule(t *testing.T, id string) steptest.Rule[steptest.Step] {
	t.Helper()
	rules := steptest.StepRules()
	i := slices.IndexFunc(rules, func(r steptest.Rule[steptest.Step]) bool { return r.ID == id })
	if i < 0 {
		t.Fatalf("there is no rule %s", id)
	}
	return rules[i]
}

// What is wrong with a subject fails every rule, and says what it is. It never ends the test.
func TestBadSubjects(t *testing.T) {
	good := calling(intercept(pass))
	for says, open := range map[string]func(tb steptest.TB) steptest.Step{
		"there is no Step": func(steptest.TB) steptest.Step { return steptest.Step{} },
		`Skip names "I99"`: func(steptest.TB) steptest.Step {
			s := good
			s.Skip = map[string]string{"I99": "no such rule"}
			return s
		},
		"Skip gives no reason for I4/attempt": func(steptest.TB) steptest.Step {
			s := good
			s.Skip = map[string]string{"I4/attempt": ""}
			return s
		},
		"panic in open: boo": func(steptest.TB) steptest.Step { panic("boo") },
		"no plugin": func(tb steptest.TB) steptest.Step {
			tb.Fatalf("no plugin")
			return good
		},
		"panic in a cleanup: boo": func(tb steptest.TB) steptest.Step {
			tb.Cleanup(func() { panic("boo") })
			return good
		},
		"open ended its goroutine": func(steptest.TB) steptest.Step {
			runtime.Goexit()
			return good
		},
		"panic in Config: boo": func(steptest.TB) steptest.Step {
			s := good
			s.Config = func(*core.Config) { panic("boo") }
			return s
		},
		"a producer with the step does not start": func(steptest.TB) steptest.Step {
			s := good
			s.Config = func(cfg *core.Config) { cfg.Group = "" }
			return s
		},
		"living.Start: mine": func(steptest.TB) steptest.Step {
			return calling(&living{act: func(string) error { return errMine }})
		},
		"panic in *steptest_test.living.Start: boo": func(steptest.TB) steptest.Step {
			return calling(&living{act: func(string) error { panic("boo") }})
		},
	} {
		synctest.Test(t, func(t *testing.T) {
			rec := &recorder{}
			rule(t, "I10").Test(rec, open)
			if all := strings.Join(rec.failures, "\n"); !strings.Contains(all, says) {
				t.Errorf("no failure says %q:\n%s", says, all)
			}
			time.Sleep(2 * time.Hour)
		})
	}
	for says, failures := range map[string][]string{
		"there is no Budget":     subjectFailures(steptest.BudgetRules()[0], steptest.Budget{}),
		"there is no Compressor": subjectFailures(steptest.CompressorRules()[0], steptest.Compressor{Compressor: (*codec)(nil)}),
	} {
		if all := strings.Join(failures, "\n"); !strings.Contains(all, says) {
			t.Errorf("no failure says %q:\n%s", says, all)
		}
	}
}

func subjectFailures[S steptest.Subject](r steptest.Rule[S], s S) []string {
	rec := &recorder{}
	r.Test(rec, func(steptest.TB) S { return s })
	return rec.failures
}

// What is not checked says why: a rule or a check that is left out, a step without a part.
func TestSkips(t *testing.T) {
	step := calling(intercept(func(ctx context.Context, c *core.Call, next core.Handler) (*core.Result, error) {
		c.Outgoing().SetProperty(rocketmq.PropertyTags, "mine")
		c.Outgoing().SetProperty("empty", "")
		return next(context.Background(), c)
	}))
	step.Skip = map[string]string{"I4/message": "the caller does not matter", "I7": "a known bug", "I6": "another one"}
	failed, rec := verdict(t, steptest.StepRules(), always(step))
	if failed != "" {
		t.Errorf("it breaks %s:\n%s", failed, strings.Join(rec.failures, "\n"))
	}
	all := strings.Join(slices.Concat(rec.skipped, rec.logs), "\n")
	for _, says := range []string{
		"I4 context: skipped: message: the caller does not matter; attempt: the step has no attempt interceptor",
		"I7 properties: skipped: a known bug",
		"I6 changes: skipped: another one",
		"A2 frozen: skipped: the step has no attempt interceptor",
		"L3 kept: skipped: the step is not told of it",
	} {
		if !strings.Contains(all, says) {
			t.Errorf("nothing says %q:\n%s", says, all)
		}
	}
	_, rec = verdict(t, steptest.StepRules(), callFunc(func(context.Context, *core.Call, core.Handler) (*core.Result, error) { panic("boo") }))
	if all := strings.Join(rec.skipped, "\n"); !strings.Contains(all, "I5 message: skipped: message: a plain message does not come through") {
		t.Errorf("%s", all)
	}
}

// A limit that is over names the method that blocks, and the test goes on.
func TestLimit(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		rec := &recorder{}
		steptest.BudgetRules()[2].Test(rec, func(tb steptest.TB) steptest.Budget {
			over := freed(tb)
			n := 0
			return steptest.Budget{Limit: time.Minute, Late: time.Second, Budget: unlocked{
				func() bool { return false },
				func() {
					if n++; n > 10 {
						<-over
					}
				},
			}}
		})
		want := "B3 refill: usual: it is not over in its time: RetryBudget.Deposit has not returned"
		if !slices.Equal(rec.failures, []string{want}) {
			t.Errorf("%q", rec.failures)
		}
	})
}

// The tests of a kind make a sub-test of each rule.
func TestSubTests(t *testing.T) {
	sub := &subTests{}
	steptest.TestStep(sub, func(steptest.TB) steptest.Step { return steptest.Step{} })
	if len(sub.names) != len(steptest.StepRules()) || sub.names[3] != "I4 context" {
		t.Errorf("%q", sub.names)
	}
	sub.names = nil
	steptest.TestBudget(sub, func(steptest.TB) steptest.Budget { return steptest.Budget{} })
	if len(sub.names) != len(steptest.BudgetRules()) || sub.names[0] != "B1 returns" {
		t.Errorf("%q", sub.names)
	}
	sub.names = nil
	steptest.TestCompressor(sub, func(steptest.TB) steptest.Compressor { return steptest.Compressor{} })
	if len(sub.names) != len(steptest.CompressorRules()) || sub.names[8] != "C9 goroutines" {
		t.Errorf("%q", sub.names)
	}
	if len(sub.failures) == 0 {
		t.Error("subjects without anything pass")
	}
}

type subTests struct {
	recorder
	names []string
}

func (s *subTests) Run(name string, f func(s *subTests)) bool {
	s.names = append(s.names, name)
	f(s)
	return true
}

// In real time a good step passes as well.
func TestRealTime(t *testing.T) {
	steptest.TestStep(t, func(steptest.TB) steptest.Step {
		return steptest.Step{Step: core.CallStep("pass", core.StageGuard, intercept(pass))}
	})
}
