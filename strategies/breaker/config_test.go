package breaker_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"math"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"pgregory.net/rapid"

	"github.com/liftoff-mq/liftoff/core"
	"github.com/liftoff-mq/liftoff/core/coretest"
	"github.com/liftoff-mq/liftoff/core/rocketmq"
	"github.com/liftoff-mq/liftoff/strategies/breaker"
)

func TestConfigErrors(t *testing.T) {
	_, err := breaker.New(breaker.Config{Window: -1, OpenFor: -1, MinWait: -1, Probes: -1})
	if err == nil {
		t.Fatal("no error")
	}
	for _, want := range []string{"Window", "OpenFor", "MinWait", "Probes"} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("error %q does not name %s", err, want)
		}
	}
	_, err = breaker.New(breaker.Config{Window: math.MaxInt64, Probes: math.MaxInt})
	if err == nil || !strings.Contains(err.Error(), "Window is 2562047h") || !strings.Contains(err.Error(), "Probes is ") {
		t.Errorf("numbers that gobreaker cannot add up: %v", err)
	}
	_, err = breaker.New(breaker.Config{Window: 10, OpenFor: 5, MinWait: 50, HangAfter: 500})
	for _, want := range []string{"Window is 10ns", "OpenFor is 5ns", "MinWait is 50ns", "HangAfter is 500ns, at least 1ms is needed"} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("times without a unit: %v, want %q", err, want)
		}
	}
	if _, err := breaker.New(breaker.Config{Window: time.Millisecond}); err == nil {
		t.Error("a window of 1 ms was accepted")
	}
}

// A rule that cannot be meant is refused, with everything that is wrong with it.
func TestTripErrors(t *testing.T) {
	for _, tt := range []struct {
		cfg  breaker.Config
		want []string
	}{
		{
			breaker.Config{ConsecutiveFailures: 1_000_001, FailureRatio: 50, MinRequests: -1},
			[]string{"ConsecutiveFailures is 1000001, at most 1000000", "FailureRatio is 50, at most 1 is allowed: it is a part, and 50% is 0.5", "MinRequests is negative: -1"},
		},
		{breaker.Config{FailureRatio: math.NaN()}, []string{"FailureRatio is NaN"}},
		{breaker.Config{MinRequests: 1_000_001}, []string{"MinRequests is 1000001, at most 1000000"}},
		{breaker.Config{FailureRatio: -1, MinRequests: 5}, []string{"MinRequests is 5, but FailureRatio is switched off"}},
		{
			breaker.Config{ConsecutiveFailures: -1, FailureRatio: -1, HangAfter: -1},
			[]string{"ConsecutiveFailures, FailureRatio and HangAfter are all switched off"},
		},
		{breaker.Config{Trip: breaker.DefaultTrip, ConsecutiveFailures: 5}, []string{"Trip decides in place of"}},
		{breaker.Config{Trip: breaker.DefaultTrip, FailureRatio: 0.5}, []string{"Trip decides in place of"}},
		{breaker.Config{Trip: breaker.DefaultTrip, MinRequests: 5}, []string{"Trip decides in place of"}},
	} {
		_, err := breaker.New(tt.cfg)
		for _, want := range tt.want {
			if err == nil || !strings.Contains(err.Error(), want) {
				t.Errorf("%+v: %v, want %q", tt.cfg, err, want)
			}
		}
	}
}

// What is just within the limits is accepted.
func TestConfigLimits(t *testing.T) {
	for _, cfg := range []breaker.Config{
		{Window: 10 * time.Millisecond, Probes: 1, OpenFor: time.Millisecond, MinWait: time.Millisecond, HangAfter: time.Millisecond},
		{Window: 24 * time.Hour, OpenFor: 24 * time.Hour, MinWait: 24 * time.Hour, HangAfter: 24 * time.Hour, Probes: 10_000},
		{HangAfter: -1},
		{ConsecutiveFailures: 1_000_000, FailureRatio: 1, MinRequests: 1_000_000},
		{ConsecutiveFailures: 1, FailureRatio: math.SmallestNonzeroFloat64, MinRequests: 1},
		{ConsecutiveFailures: -1, FailureRatio: -1},
		{ConsecutiveFailures: -1, HangAfter: -1},
		{FailureRatio: -1, HangAfter: -1},
	} {
		if _, err := breaker.New(cfg); err != nil {
			t.Errorf("%+v: %v", cfg, err)
		}
	}
}

func TestDefaultTrip(t *testing.T) {
	tests := []struct {
		counts breaker.Counts
		want   bool
	}{
		{breaker.Counts{}, false},
		{breaker.Counts{Failures: 4, ConsecutiveFailures: 4}, false},
		{breaker.Counts{Failures: 5, ConsecutiveFailures: 5}, true},
		{breaker.Counts{Successes: 10, Failures: 9, ConsecutiveFailures: 1}, false},
		{breaker.Counts{Successes: 10, Failures: 10, ConsecutiveFailures: 1}, true},
		{breaker.Counts{Successes: 11, Failures: 10, ConsecutiveFailures: 1}, false},
		{breaker.Counts{Successes: 1 << 31, Failures: 1 << 31, ConsecutiveFailures: 1}, true},
		{breaker.Counts{Successes: 1000, Failures: 1, ConsecutiveFailures: 1, Hung: true}, true},
	}
	for _, tt := range tests {
		if got := breaker.DefaultTrip(tt.counts); got != tt.want {
			t.Errorf("%+v: %v, want %v", tt.counts, got, tt.want)
		}
	}
}

// trips finds which failure of a plan of outcomes opens the breaker, from 1; 0 for none. In the
// plan o is a success, x a failure, and h a failure of a broker that is silent for a second.
func trips(t *testing.T, cfg breaker.Config, plan string) (at int) {
	t.Helper()
	inBubble(t, cfg, func(w *world) {
		for i, c := range plan {
			w.times(1, map[rune]behaviour{'o': ok, 'x': refused, 'h': hang}[c])
			if at == 0 && w.state() == breaker.Open {
				at = i + 1
			}
		}
	})
	return at
}

// The numbers of the configuration say when a breaker opens.
func TestTripByNumbers(t *testing.T) {
	many := strings.Repeat("o", 20)
	for _, tt := range []struct {
		name string
		cfg  breaker.Config
		plan string
		want int
	}{
		{"five in a row", breaker.Config{}, many + "xxxxx", 25},
		{"three in a row", breaker.Config{ConsecutiveFailures: 3}, many + "xxoxxx", 26},
		{"one is enough", breaker.Config{ConsecutiveFailures: 1}, many + "x", 21},
		{"not in a row", breaker.Config{ConsecutiveFailures: -1}, many + strings.Repeat("x", 19), 0},
		{"but half of them", breaker.Config{ConsecutiveFailures: -1}, many + strings.Repeat("x", 20), 40},
		{"a tenth", breaker.Config{FailureRatio: 0.1}, strings.Repeat("o", 18) + "xx", 20},
		{"a tenth, of too few", breaker.Config{FailureRatio: 0.1}, strings.Repeat("o", 17) + "x", 0},
		{"a tenth, of five", breaker.Config{FailureRatio: 0.1, MinRequests: 5}, "oooxx", 5},
		{"7 of 100, which no binary fraction is", breaker.Config{ConsecutiveFailures: -1, FailureRatio: 0.07}, strings.Repeat("o", 93) + "xxxxxxx", 100},
		{"all", breaker.Config{ConsecutiveFailures: -1, FailureRatio: 1, MinRequests: 3}, "oxxxx", 0},
		{"all, none served", breaker.Config{ConsecutiveFailures: -1, FailureRatio: 1, MinRequests: 3}, "xxx", 3},
		{"no part", breaker.Config{FailureRatio: -1}, strings.Repeat("xxxxo", 20), 0},
		{"hung, whatever the numbers", breaker.Config{ConsecutiveFailures: -1, FailureRatio: -1}, "ooxxxxxxh", 9},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if got := trips(t, tt.cfg, tt.plan); got != tt.want {
				t.Errorf("%s opened it at %d, want %d", tt.plan, got, tt.want)
			}
		})
	}
}

// A Trip that is a copy of the default numbers, and the numbers, open at the same counts.
func TestNumbersAndDefaultTripAgree(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		plan := rapid.StringOfN(rapid.RuneFrom([]rune("ooxxh")), 1, 60, -1).Draw(rt, "plan")
		if a, b := trips(t, breaker.Config{}, plan), trips(t, breaker.Config{Trip: breaker.DefaultTrip}, plan); a != b {
			rt.Errorf("the numbers open it at %d, DefaultTrip at %d", a, b)
		}
	})
}

func TestConfigAsText(t *testing.T) {
	const text = `{"consecutiveFailures":-1,"failureRatio":0.25,"minRequests":8,"window":"20s","openFor":"2s","probes":3}`
	var cfg breaker.Config
	if err := json.Unmarshal([]byte(text), &cfg); err != nil {
		t.Fatal(err)
	}
	back, err := json.Marshal(cfg)
	if err != nil || string(back) != text {
		t.Errorf("%s became %s, %v", text, back, err)
	}
	if err := json.Unmarshal([]byte(`{"failureRatio":"half"}`), &cfg); err == nil || err.Error() != "failureRatio: string does not fit: want a number" {
		t.Errorf("a text for a number: %v", err)
	}
}

func TestOwnTrip(t *testing.T) {
	var seen []breaker.Counts
	trip := func(c breaker.Counts) bool { seen = append(seen, c); return c.Failures == 2 }
	inBubble(t, breaker.Config{Trip: trip}, func(w *world) {
		w.times(1, refused)
		w.times(1, ok)
		w.expect(breaker.Closed)
		w.times(1, hang)
		w.expect(breaker.Open)
	})
	want := []breaker.Counts{
		{Failures: 1, ConsecutiveFailures: 1},
		{Successes: 1, Failures: 2, ConsecutiveFailures: 1, Hung: true},
	}
	if !slices.Equal(seen, want) {
		t.Errorf("the rule saw %+v, want %+v", seen, want)
	}
}

func TestIgnore(t *testing.T) {
	busy := refuse(rocketmq.CodeSystemBusy, "")
	inBubble(t, breaker.Config{Ignore: func(err error) bool { return core.ClassOf(err) == core.ClassBusy }}, func(w *world) {
		w.times(10, busy)
		w.expect(breaker.Closed)
		w.times(5, refused)
		w.expect(breaker.Open)
	})
}

func TestPanicsOfTheUsersFunctions(t *testing.T) {
	var log bytes.Buffer
	inBubble(t, breaker.Config{
		Trip:          func(breaker.Counts) bool { panic("trip") },
		Ignore:        func(error) bool { panic("ignore") },
		OnStateChange: func(core.Broker, breaker.State, breaker.State) { panic("change") },
		Logger:        slog.New(slog.NewTextHandler(&log, nil)),
	}, func(w *world) {
		w.set("broker-a", refused)
		for range 5 {
			if err := w.sendA(w.Context()); !errors.Is(err, core.ErrConnect) {
				t.Errorf("send ended with %v, want the broker's error", err)
			}
		}
		w.expect(breaker.Open)
	})
	for _, want := range []string{"function=Trip", "function=Ignore", "function=OnStateChange", "level=WARN msg=\"circuit breaker changed\" component=rocketmq.breaker broker=broker-a addr=broker-a:10911 from=closed to=open"} {
		if !strings.Contains(log.String(), want) {
			t.Errorf("the log lacks %s:\n%s", want, log.String())
		}
	}
}

// The callback runs outside the locks: it may ask the breakers and even send.
func TestOnStateChangeMayUseTheBreakers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var w *world
		var j journal
		w = newWorld(t, breaker.Config{OnStateChange: func(b core.Broker, from, to breaker.State) {
			j.add(b, from, to)
			w.breakers.States()
			w.breakers.Health(b)
			alarm := coretest.Message("alarm")
			alarm.Queue = &core.Queue{Broker: "broker-b"}
			if _, err := w.p.Send(w.Context(), alarm); err != nil {
				t.Error(err)
			}
		}}, nil)
		w.halfOpen()
		w.times(1, ok)
		w.expect(breaker.Closed)
		want := []string{"broker-a closed>open", "broker-a open>half-open", "broker-a half-open>closed"}
		if got := j.all(); !slices.Equal(got, want) {
			t.Errorf("changes %v, want %v", got, want)
		}
	})
}

// A callback that blocks holds up one send; the others go on, and what happened
// meanwhile is delivered in order afterwards, also beyond the limit.
func TestBlockedCallback(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var j journal
		release := make(chan struct{})
		var once sync.Once
		w := newWorld(t, breaker.Config{OnStateChange: func(b core.Broker, from, to breaker.State) {
			once.Do(func() { <-release })
			j.add(b, from, to)
		}}, func(c *core.Config) { c.Routes = coretest.Routes(1, "broker-a") })
		w.set("broker-a", refused)
		blocked := make(chan struct{})
		go func() {
			defer close(blocked)
			w.times(5, refused)
		}()
		synctest.Wait()
		const cycles = 600 // two changes each
		for range cycles {
			w.times(1, ok) // last resort: closes
			w.times(5, refused)
		}
		if got := j.all(); len(got) != 0 {
			t.Fatalf("delivered %v while the first was not finished", got)
		}
		close(release)
		<-blocked
		got := j.all()
		if len(got) != 1+1024 {
			t.Errorf("%d changes delivered, want the first and the last 1024", len(got))
		}
		for i, c := range got[1:] {
			want := "broker-a open>closed"
			if i%2 == 1 {
				want = "broker-a closed>open"
			}
			if c != want {
				t.Fatalf("change %d is %q, want %q", i, c, want)
			}
		}
	})
}

// Many goroutines, random outcomes: changes come in an order that makes sense,
// and no place for a probe is lost.
func TestConcurrently(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		plan := rapid.SliceOfN(rapid.IntRange(0, 6), 20, 200).Draw(rt, "outcomes")
		synctest.Test(t, func(t *testing.T) {
			var j journal
			w := newWorld(t, breaker.Config{OnStateChange: j.add}, nil)
			w.set("broker-a", func(ctx context.Context, at *core.Attempt) error {
				switch at.Call().Message().Body[0] {
				case 0:
					return after(20*ms, refused)(ctx, at)
				case 1, 2:
					return after(400*ms, refused)(ctx, at)
				case 3:
					return hang(ctx, at)
				case 4:
					panic("x")
				default:
					return after(30*ms, ok)(ctx, at)
				}
			})
			var wg sync.WaitGroup
			for g := range 4 {
				wg.Go(func() {
					for i := g; i < len(plan); i += 4 {
						ctx, cancel := context.WithTimeout(w.Context(), time.Duration(1+plan[i])*200*ms)
						msg := coretest.Message("x")
						msg.Body[0] = byte(plan[i])
						if _, err := w.p.Send(ctx, msg, toA); errors.Is(err, core.ErrCircuitOpen) {
							time.Sleep(time.Second)
						}
						cancel()
					}
				})
			}
			wg.Wait()
			time.Sleep(breaker.DefaultOpenFor + ms)
			w.times(1, ok)
			w.expect(breaker.Closed)

			state := "closed"
			for _, c := range j.all() {
				from, to, _ := strings.Cut(strings.TrimPrefix(c, "broker-a "), ">")
				if from != state {
					rt.Fatalf("change %q after state %s in %v", c, state, j.all())
				}
				state = to
			}
			if state != "closed" {
				rt.Fatalf("the last change told is to %s", state)
			}
		})
	})
}
