package simulate_test

import (
	"context"
	"encoding/json"
	"errors"
	"maps"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/liftoff-mq/liftoff"
	"github.com/liftoff-mq/liftoff/core"
	"github.com/liftoff-mq/liftoff/internal/race"
	"github.com/liftoff-mq/liftoff/internal/simulate"
	"github.com/liftoff-mq/liftoff/strategies/retry"
	"github.com/liftoff-mq/liftoff/strategies/selector"
)

// short is a scenario that takes a third of the usual time.
func short(i simulate.Incident, seed uint64) simulate.Scenario {
	return simulate.Scenario{Incident: i, Seed: seed, Duration: 20 * time.Second, Onset: 5 * time.Second, Length: 10 * time.Second}
}

func named(t *testing.T, name string) simulate.Policy {
	t.Helper()
	p, err := simulate.Named(name)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// with is a policy of options that need not be made anew.
func with(options ...liftoff.Option) simulate.Policy {
	return simulate.Policy{Name: "test", Options: func() ([]liftoff.Option, error) { return options, nil }}
}

func run(t *testing.T, s simulate.Scenario, p simulate.Policy) *simulate.Report {
	t.Helper()
	r, err := simulate.Run(t.Context(), s, p, nil)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// text is a report as JSON without its seed.
func text(t *testing.T, r *simulate.Report) string {
	t.Helper()
	own := *r
	own.Seed = 0
	b, err := json.Marshal(&own)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

// The same seed gives the same report to the last digit, another one gives another report.
func TestASeedRepeatsARun(t *testing.T) {
	if race.Enabled {
		t.Skip("the race detector shuffles the order of goroutines")
	}
	repeat := func(incident simulate.Incident, policy string) {
		s := short(incident, 7)
		s.Keyed = 0.25
		first := text(t, run(t, s, named(t, policy)))
		if again := text(t, run(t, s, named(t, policy))); again != first {
			t.Errorf("%s, %s: seed 7 gave\n%s\nand then\n%s", incident, policy, first, again)
		}
		s.Seed = 8
		if other := text(t, run(t, s, named(t, policy))); other == first {
			t.Errorf("%s, %s: seeds 7 and 8 gave the same", incident, policy)
		}
	}
	for _, incident := range append(simulate.Incidents(), simulate.None) {
		repeat(incident, "default")
	}
	for _, policy := range simulate.BuiltIn() {
		repeat(simulate.LostAnswers, policy.Name)
	}
}

// What the default policy promises. Plain sends see no error, and two seconds after the onset
// their p99 is less than three times that of before. Sends with a key see errors only while the broker of
// their key is sick. Whatever was acknowledged is stored.
func TestDefaultPolicyInIncidents(t *testing.T) {
	seeds, whole := uint64(2), simulate.Scenario{}
	if race.Enabled { // which is ten times as slow
		seeds, whole = 1, short("", 0)
	}
	for _, incident := range simulate.Incidents() {
		t.Run(string(incident), func(t *testing.T) {
			for seed := range seeds {
				s := whole
				s.Incident, s.Seed, s.Keyed = incident, seed+100, 0.2
				r := run(t, s, named(t, "default"))
				if r.Plain.Errors != 0 {
					t.Errorf("seed %d: %d errors of sends without a key: %v", r.Seed, r.Plain.Errors, r.Classes)
				}
				if r.Plain.SettledP99 >= 3*r.Plain.HealthyP99 {
					t.Errorf("seed %d: p99 of sends without a key went from %v to %v ms", r.Seed, r.Plain.HealthyP99, r.Plain.SettledP99)
				}
				if r.Unexplained != 0 {
					t.Errorf("seed %d: %d errors of keys whose broker was well", r.Seed, r.Unexplained)
				}
				if r.Lost != 0 {
					t.Errorf("seed %d: %d messages were acknowledged and are lost", r.Seed, r.Lost)
				}
				if least := int(200 * r.Seconds); r.Plain.Calls < least || r.WithKey.Calls < least/5 {
					t.Errorf("seed %d: only %d calls without and %d with a key", r.Seed, r.Plain.Calls, r.WithKey.Calls)
				}
			}
		})
	}
}

// Each incident does to a producer that tries once what it is meant to do.
func TestIncidents(t *testing.T) {
	once := with(liftoff.WithoutBreaker(), liftoff.WithRetry(retry.AtLeastOnce(retry.Retries(0))))
	for _, tt := range []struct {
		incident simulate.Incident
		class    string // of nearly all errors
		settled  float64
	}{
		{simulate.None, "", 0},
		{simulate.Dead, "network", 5},
		{simulate.Hung, "timeout", 3000},
		{simulate.Slow, "", 2000},
		{simulate.Busy, "busy", 5},
		{simulate.Flapping, "network", 5},
		{simulate.LostAnswers, "network", 5},
		{simulate.RollingRestart, "network", 5},
	} {
		t.Run(string(tt.incident), func(t *testing.T) {
			s := short(tt.incident, 1)
			r := run(t, s, once)
			switch {
			case tt.class == "" && r.Errors != 0:
				t.Errorf("errors %v, want none", r.Classes)
			case tt.class != "" && (r.Errors == 0 || r.Classes[tt.class] < r.Errors*8/10):
				t.Errorf("errors %v, want %s", r.Classes, tt.class)
			}
			if sum(r.Classes) != r.Errors {
				t.Errorf("classes %v, errors %d", r.Classes, r.Errors)
			}
			if r.SettledP99 < tt.settled*0.8 || r.SettledP99 > tt.settled*1.6 {
				t.Errorf("p99 %v ms in the incident, want about %v", r.SettledP99, tt.settled)
			}
			// 60% of 2 ms are fixed; of an exponential distribution 99% lie below 4.6 times the mean.
			if r.HealthyP99 < 4 || r.HealthyP99 > 6 {
				t.Errorf("p99 %v ms before the incident, want about 4.9", r.HealthyP99)
			}
			if r.Attempts != r.Calls || r.AttemptsPerCall != 1 {
				t.Errorf("%d attempts for %d calls", r.Attempts, r.Calls)
			}
			if r.Lost != 0 || r.Duplicates != 0 {
				t.Errorf("%d lost, %d duplicates", r.Lost, r.Duplicates)
			}
			checkSums(t, r)
		})
	}
}

// checkSums holds the parts of a report against its whole.
func checkSums(t *testing.T, r *simulate.Report) {
	t.Helper()
	var calls, errs, duplicates, attempts int
	for _, s := range r.Series {
		calls, errs, duplicates, attempts = calls+s.Calls, errs+s.Errors, duplicates+s.Duplicates, attempts+sum(s.Attempts)
		if s.P50 > s.P99 || s.P99 > s.Max {
			t.Errorf("a second with p50 %v, p99 %v, max %v", s.P50, s.P99, s.Max)
		}
	}
	if calls != r.Calls || errs != r.Errors || duplicates != r.Duplicates || attempts != r.Attempts {
		t.Errorf("the seconds have %d calls, %d errors, %d duplicates and %d attempts; the whole has %d, %d, %d and %d",
			calls, errs, duplicates, attempts, r.Calls, r.Errors, r.Duplicates, r.Attempts)
	}
	if r.Plain.Calls+r.WithKey.Calls != r.Calls || r.Plain.Errors+r.WithKey.Errors != r.Errors {
		t.Errorf("plain %+v and keyed %+v make %+v", r.Plain, r.WithKey, r.Traffic)
	}
	var all float64
	for _, share := range r.Share {
		all += share
	}
	if len(r.Share) != r.Brokers || all < 0.999 || all > 1.001 {
		t.Errorf("shares %v", r.Share)
	}
}

func sum(counts map[string]int) (n int) {
	for v := range maps.Values(counts) {
		n += v
	}
	return n
}

// A policy that tries again after an unknown outcome stores twice what a broker stored without an
// answer, and one that goes on at once hides the loss of answers.
func TestDuplicatesAreCounted(t *testing.T) {
	s := short(simulate.LostAnswers, 1)
	r := run(t, s, named(t, "java"))
	if r.Errors != 0 || r.Duplicates == 0 {
		t.Errorf("%d errors and %d duplicates, want duplicates alone", r.Errors, r.Duplicates)
	}
	for i, sec := range r.Series {
		if sec.Duplicates > 0 && (i < 5 || i > 15) {
			t.Errorf("%d duplicates in second %d, outside of the incident", sec.Duplicates, i)
		}
	}
	checkSums(t, r)
	r = run(t, s, named(t, "safe"))
	if r.Errors == 0 || r.Duplicates != 0 {
		t.Errorf("safe: %d errors and %d duplicates, want errors alone", r.Errors, r.Duplicates)
	}
}

// Keyed sends fail at their sick broker, and those of a selector that pays no heed to keys
// elsewhere too.
func TestKeysAndTheirBrokers(t *testing.T) {
	s := short(simulate.Hung, 1)
	s.Keyed = 1
	r := run(t, s, named(t, "default"))
	if r.WithKey.Errors == 0 || r.Plain.Calls != 0 || r.Unexplained != 0 {
		t.Errorf("%+v, %d unexplained", r.Traffic, r.Unexplained)
	}
	if late := *r.LastError; late > 1000 || late < -3000 {
		t.Errorf("the last error came %v ms after the end", late)
	}
	// Every key goes to the last broker, so no error is that of the first one, which is sick.
	last := core.QueueSelectorFunc(func(_ context.Context, sel *core.Selection) (int, error) { return sel.Len() - 1, nil })
	lost := func(*core.Failure) core.Decision { return core.Decision{} }
	s.Incident = simulate.LostAnswers
	r = run(t, s, with(liftoff.WithSelector(core.SelectorFactoryFunc(func(string) core.QueueSelector { return last })),
		liftoff.WithRetry(core.RetryPolicyFunc(lost))))
	if r.Errors != 0 || r.SickShare != 0 {
		t.Errorf("%d errors, %v of the attempts at the sick broker", r.Errors, r.SickShare)
	}
	// Homes are broker-c, but from the onset on keys go to the sick broker-a: their errors are not explained
	// by homes, and so by the last attempt only.
	r = run(t, s, with(liftoff.WithSelector(selector.RoundRobin()), liftoff.WithRetry(core.RetryPolicyFunc(lost)), liftoff.WithoutBreaker()))
	if r.Errors == 0 || r.Unexplained != 0 {
		t.Errorf("%d errors, %d of them unexplained", r.Errors, r.Unexplained)
	}
}

func TestRollingRestartMeetsEveryBroker(t *testing.T) {
	s := short(simulate.RollingRestart, 1)
	r := run(t, s, named(t, "default"))
	share := s.Length / 3
	for i, name := range []string{"broker-a", "broker-b", "broker-c"} {
		// A second that lies in its time of rest as a whole.
		at := int((s.Onset + time.Duration(i)*share + time.Second - 1) / time.Second)
		if n := r.Series[at].Attempts[name]; n > 2 {
			t.Errorf("%s got %d attempts in second %d, while it was down", name, n, at)
		}
	}
	// The end of the next broker shows the producer that this one is back. Of the last one it hears when
	// it looks up its routes, half a minute later.
	for _, name := range []string{"broker-a", "broker-b"} {
		if n := r.Series[18].Attempts[name]; n < 100 {
			t.Errorf("%s got %d attempts in second 18, after it was back", name, n)
		}
	}
}

func TestOneBroker(t *testing.T) {
	s := short(simulate.Dead, 1)
	s.Brokers = 1
	r := run(t, s, named(t, "default"))
	if r.Errors == 0 || *r.LastError > 1000 {
		t.Errorf("%d errors, the last one %v ms after the end", r.Errors, *r.LastError)
	}
}

// Policies of a source are found by the topic, and their mistakes are the run's error.
func TestFromSource(t *testing.T) {
	table := func() (core.PolicySource, error) {
		return &core.PolicyTable{
			Default: &core.Policy{Name: "default"},
			ByTopic: map[string]*core.Policy{"Payments": {Name: "payments", Retry: retry.AtLeastOnce(retry.Retries(0))}},
		}, nil
	}
	s := short(simulate.Busy, 1)
	if r := run(t, s, simulate.FromSource("file", table)); r.Errors != 0 || r.Policy != "file" {
		t.Errorf("%s: %d errors by the default policy", r.Policy, r.Errors)
	}
	s.Topic = "Payments"
	if r := run(t, s, simulate.FromSource("file", table)); r.Errors == 0 {
		t.Error("no error by the policy that tries once")
	}
}

func TestErrors(t *testing.T) {
	broken := errors.New("broken file")
	fails := simulate.FromSource("mine", func() (core.PolicySource, error) { return nil, broken })
	if _, err := simulate.Run(t.Context(), simulate.Scenario{}, fails, nil); !errors.Is(err, broken) || !strings.Contains(err.Error(), "mine") {
		t.Errorf("got %v", err)
	}
	panics := simulate.Policy{Name: "wild", Options: func() ([]liftoff.Option, error) { panic("no") }}
	if _, err := simulate.Run(t.Context(), simulate.Scenario{}, panics, nil); err == nil || !strings.Contains(err.Error(), "panicked: no") {
		t.Errorf("got %v", err)
	}
	no := core.QueueSelectorFunc(func(context.Context, *core.Selection) (int, error) { return 0, errors.New("never") })
	refuses := with(liftoff.WithSelector(core.SelectorFactoryFunc(func(string) core.QueueSelector { return no })))
	for keyed, want := range map[float64]string{0: "a send without a key before the incident", 1: "a send with a key before the incident"} {
		if _, err := simulate.Run(t.Context(), simulate.Scenario{Keyed: keyed}, refuses, nil); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("keyed %v: got %v", keyed, err)
		}
	}
	if _, err := simulate.Named("best"); err == nil || !strings.Contains(err.Error(), `"best"`) || !strings.Contains(err.Error(), "java, latency") {
		t.Errorf("got %v", err)
	}
	// And then a run works.
	if r := run(t, short(simulate.None, 1), named(t, "default")); r.Errors != 0 || r.Calls == 0 {
		t.Errorf("%+v", r.Traffic)
	}
}

func TestCheckReportsEverything(t *testing.T) {
	err := simulate.Scenario{
		Incident: "flood", Brokers: -1, Callers: 20_000, Rate: -2, Keyed: 1.5, Duration: time.Hour, Onset: 1, Length: 2 * time.Hour, Service: time.Hour,
	}.Check()
	if err == nil {
		t.Fatal("no error")
	}
	for _, want := range []string{
		`incident "flood" is not known; there are dead, hung`, "brokers: -1", "callers: 20000", "rate: -2", "keyed: 1.5", "onset is 1ns",
		"service time is", "the incident ends after", "the topic is empty",
	} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("%q is missing in: %v", want, err)
		}
	}
	if err := (simulate.Scenario{}).WithDefaults().Check(); err != nil {
		t.Errorf("the defaults: %v", err)
	}
	if _, err := simulate.Run(t.Context(), simulate.Scenario{Rate: 1e9}, named(t, "default"), nil); err == nil || !strings.Contains(err.Error(), "at most 5000000 sends") {
		t.Errorf("got %v", err)
	}
}

// A run tells how far it is, ends when it is told to, and leaves the process as it was.
func TestProgressAndCancel(t *testing.T) {
	procs := runtime.GOMAXPROCS(0)
	var told []time.Duration
	s := short(simulate.None, 1)
	s.Duration = 3*time.Second + 500*time.Millisecond
	if _, err := simulate.Run(t.Context(), s, named(t, "default"), func(d time.Duration) { told = append(told, d) }); err != nil {
		t.Fatal(err)
	}
	if want := []time.Duration{time.Second, 2 * time.Second, 3 * time.Second, s.Duration}; !slices.Equal(told, want) {
		t.Errorf("told %v, want %v", told, want)
	}
	ctx, cancel := context.WithCancelCause(t.Context())
	s = simulate.Scenario{Incident: simulate.Hung, Duration: time.Hour}
	var last time.Duration
	_, err := simulate.Run(ctx, s, named(t, "default"), func(d time.Duration) {
		if last = d; d >= 12*time.Second {
			cancel(errors.New("enough"))
		}
	})
	if !errors.Is(err, context.Canceled) || last != 12*time.Second {
		t.Errorf("ended after %v with %v", last, err)
	}
	if now := runtime.GOMAXPROCS(0); now != procs {
		t.Errorf("GOMAXPROCS is %d after the runs, was %d", now, procs)
	}
}
