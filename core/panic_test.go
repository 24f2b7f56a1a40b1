package core_test

import (
	"context"
	"errors"
	"runtime"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/liftoff-mq/liftoff/core"
	"github.com/liftoff-mq/liftoff/core/coretest"
	"github.com/liftoff-mq/liftoff/core/rocketmq"
)

// moody panics while it is in a mood.
type moody struct{ mood string }

func (m *moody) Withdraw(*core.Failure) bool { m.act("withdraw"); return true }
func (m *moody) Deposit()                    { m.act("deposit") }
func (m *moody) Health(core.Broker) core.Health {
	m.act("health")
	return core.HealthGood
}

func (m *moody) act(what string) {
	if m.mood == what {
		panic("moody")
	}
}

// A panic of a budget or of a health view is the send's error under its own name,
// also where no step stands around the engine. A message that was stored before
// stays stored.
func TestPanicsOfBudgetAndHealth(t *testing.T) {
	asking := core.SelectorFactoryFunc(func(string) core.QueueSelector {
		return core.QueueSelectorFunc(func(_ context.Context, s *core.Selection) (int, error) {
			s.Health(0)
			return 0, nil
		})
	})
	for _, tt := range []struct {
		name     string
		mood     string
		selector core.SelectorFactory
		culprit  string
		ends     int // attempts that were reported: one for each choice
	}{
		{"withdraw", "withdraw", coretest.InOrder(), "retry budget", 1},
		{"deposit", "deposit", coretest.InOrder(), "", 1},
		{"health asked by the selector", "health", asking, "health view", 0},
		{"health asked by the engine", "health", coretest.InOrder(), "health view", 1},
	} {
		t.Run(tt.name, func(t *testing.T) {
			m := &moody{}
			var ends int
			cfg := coretest.Config(&coretest.Transport{Do: func(_ context.Context, at *core.Attempt) (*core.Result, error) {
				if m.mood == "withdraw" {
					return nil, coretest.Refuse(at, rocketmq.CodeSystemBusy, "")
				}
				res := at.Result()
				res.Queue = at.Queue()
				return res, nil
			}}, core.ListenerStep("ends", attemptEnds(func(*core.AttemptReport) { ends++ })))
			cfg.Retry, cfg.Budget, cfg.Health, cfg.Selector = coretest.Retry(2), m, m, tt.selector
			p := coretest.Start(t, cfg)
			m.mood = tt.mood
			_, err := p.Send(t.Context(), coretest.Message("x"))
			if ends != tt.ends {
				t.Errorf("%d attempts ended, want %d", ends, tt.ends)
			}
			if tt.culprit == "" {
				if err != nil {
					t.Fatal(err)
				}
				return
			}
			var pe *core.PanicError
			if !errors.As(err, &pe) || pe.Step != tt.culprit || core.ClassOf(err) != core.ClassPlugin {
				t.Fatalf("got %v", err)
			}
			if !strings.Contains(string(pe.Stack), "moody") {
				t.Errorf("the stack does not show the culprit:\n%s", pe.Stack)
			}
		})
	}
}

type attemptEnds func(*core.AttemptReport)

func (f attemptEnds) AttemptDone(_ context.Context, r *core.AttemptReport) { f(r) }

// forgetful ends the goroutine of every report of a forgotten route.
type forgetful struct{ topics []string }

func (f *forgetful) RouteChanged(r *core.RouteReport) {
	if r.New == nil {
		f.topics = append(f.topics, r.Topic)
		runtime.Goexit()
	}
}

// A listener that ends its goroutine hears of every forgotten topic, and routes are still
// looked up.
func TestListenerEndsTheGoroutineThatForgets(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := &forgetful{}
		cfg := coretest.Config(&coretest.Transport{}, core.ListenerStep("forgetful", f))
		cfg.RouteRefresh = 10 * time.Millisecond
		p := coretest.Start(t, cfg)
		for _, topic := range []string{"A", "B", "C"} {
			if _, err := p.Send(t.Context(), &core.Message{Topic: topic, Body: []byte("x")}); err != nil {
				t.Fatal(err)
			}
		}
		time.Sleep(time.Second)
		synctest.Wait()
		slices.Sort(f.topics)
		if !slices.Equal(f.topics, []string{"A", "B", "C"}) {
			t.Errorf("told of %v", f.topics)
		}
	})
}
