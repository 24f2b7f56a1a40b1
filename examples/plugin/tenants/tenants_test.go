package tenants_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"

	"github.com/liftoff-mq/liftoff/core"
	"github.com/liftoff-mq/liftoff/core/coretest"
	"github.com/liftoff-mq/liftoff/examples/plugin/tenants"
	"github.com/liftoff-mq/liftoff/strategies/retry"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func someTenants(t testing.TB) *tenants.Tenants {
	t.Helper()
	some, err := tenants.New(tenants.Config{Tenants: map[string]tenants.Tenant{
		"acme":   {Brokers: []string{"broker-a"}},
		"globex": {Brokers: []string{"broker-b", "broker-c"}, MaxInFlight: 2},
		"hooli":  {Brokers: []string{"broker-x"}},
	}})
	if err != nil {
		t.Fatal(err)
	}
	return some
}

func ofTenant(name string) *core.Message {
	m := coretest.Message("x")
	if name != "" {
		m.Properties = map[string]string{tenants.Property: name}
	}
	return m
}

// start makes a producer with three brokers, to which the tenants' parts are given.
func start(t *testing.T, all *tenants.Tenants, tr *coretest.Transport) *core.Producer {
	t.Helper()
	cfg := coretest.Config(tr, all.Step())
	cfg.Routes = coretest.Routes(2, "broker-a", "broker-b", "broker-c")
	cfg.Selector, cfg.Retry = all.Selector(), all.Retry(retry.AtLeastOnce(retry.Pause(retry.Exponential(-1, -1, 0))))
	return coretest.Start(t, cfg)
}

// where are the brokers of all attempts.
func where(tr *coretest.Transport) string {
	var out []string
	for _, a := range tr.Attempts() {
		out = append(out, strings.TrimPrefix(a.Queue.Broker, "broker-"))
	}
	return strings.Join(out, "")
}

func TestSelector(t *testing.T) {
	for _, tt := range []struct {
		tenant string
		fail   error // at every attempt
		want   string
	}{
		{"acme", nil, "aaaa"},
		{"globex", nil, "bcbc"},
		{"", nil, "abca"},
		// Of two brokers each is tried, and then one of them again.
		{"globex", core.ErrConnect, "bcb" + "cbc" + "bcb" + "cbc"},
		{"acme", core.ErrConnect, "aaa" + "aaa" + "aaa" + "aaa"},
	} {
		t.Run(fmt.Sprint(tt.tenant, tt.fail), func(t *testing.T) {
			tr := &coretest.Transport{}
			tr.Do = func(_ context.Context, at *core.Attempt) (*core.Result, error) {
				if tt.fail != nil {
					return nil, tt.fail
				}
				return tr.Ack(at), nil
			}
			p := start(t, someTenants(t), tr)
			for range 4 {
				if _, err := p.Send(t.Context(), ofTenant(tt.tenant)); !errors.Is(err, tt.fail) {
					t.Fatal(err)
				}
			}
			if got := where(tr); got != tt.want {
				t.Errorf("the attempts went to %s, want %s", got, tt.want)
			}
		})
	}
}

// What other tenants send does not decide which of its queues a tenant's messages get.
func TestTurnsOfEachTenant(t *testing.T) {
	tr := &coretest.Transport{}
	p := start(t, someTenants(t), tr)
	for range 8 {
		for _, tenant := range []string{"acme", "globex", "", "globex"} {
			if _, err := p.Send(t.Context(), ofTenant(tenant)); err != nil {
				t.Fatal(err)
			}
		}
	}
	used := map[string]map[core.Queue]int{}
	for _, a := range tr.Attempts() {
		_, tenant, _ := strings.Cut(a.Properties, tenants.Property+"=")
		if used[tenant] == nil {
			used[tenant] = map[core.Queue]int{}
		}
		used[tenant][a.Queue]++
	}
	// 8 messages for 2 queues, 16 for 4, 8 for 6.
	for tenant, want := range map[string][]int{"acme;": {4, 4}, "globex;": {4, 4, 4, 4}, "": {1, 1, 1, 1, 2, 2}} {
		if got := slices.Sorted(maps.Values(used[tenant])); !slices.Equal(got, want) {
			t.Errorf("the queues of %q got %v messages, want %v", tenant, got, want)
		}
	}
}

// What is not the tenant's is refused: nothing is sent, and no other broker is tried.
func TestRefused(t *testing.T) {
	at := func(tenant, broker string) *core.Message {
		m := ofTenant(tenant)
		m.Queue = &core.Queue{Broker: broker}
		return m
	}
	for _, tt := range []struct {
		name string
		msg  *core.Message
		want string // in the error; "" for none
	}{
		{"a tenant that is not known", ofTenant("initech"), `tenant "initech" is not known`},
		{"and names a queue", at("initech", "broker-a"), `tenant "initech" is not known`},
		{"a tenant without a broker in the route", ofTenant("hooli"), `no broker of tenant "hooli" has a queue of topic "T"`},
		{"another tenant's queue", at("acme", "broker-b"), `broker-b is no broker of tenant "acme"`},
		{"its own queue", at("acme", "broker-a"), ""},
		{"a queue for a message that is nobody's", at("", "broker-b"), ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			tr := &coretest.Transport{}
			_, err := start(t, someTenants(t), tr).Send(t.Context(), tt.msg)
			if tt.want == "" {
				if err != nil {
					t.Error(err)
				}
				return
			}
			if !errors.Is(err, core.ErrForbidden) || core.CertaintyOf(err) != core.NotSent || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("got %v, want %q", err, tt.want)
			}
			if n := len(tr.Attempts()); n != 0 {
				t.Errorf("%d attempts came to the transport", n)
			}
		})
	}
}

// A read-only broker refuses with "no permission". Another one may take the message; if the
// tenant has none, the broker is spared.
func TestReadOnlyBroker(t *testing.T) {
	for tenant, want := range map[string]string{"acme": "a", "globex": "bc"} {
		tr := &coretest.Transport{Do: func(_ context.Context, at *core.Attempt) (*core.Result, error) {
			return nil, &core.BrokerError{Class: core.ClassForbidden, Certainty: core.NotStored, Addr: at.Addr()}
		}}
		_, err := start(t, someTenants(t), tr).Send(t.Context(), ofTenant(tenant))
		if got := where(tr); core.ClassOf(err) != core.ClassForbidden || got != want {
			t.Errorf("%s: attempts at %s, want %s: %v", tenant, got, want, err)
		}
	}
}

// The policy asks the other one about the tenant's brokers, and leaves the failure alone.
func TestRetry(t *testing.T) {
	var asked []int
	policy := someTenants(t).Retry(core.RetryPolicyFunc(func(f *core.Failure) core.Decision {
		asked = append(asked, f.Untried)
		return core.Decision{Retry: true}
	}))
	for _, tt := range []struct {
		tenant           string
		attempt, untried int
		want             int // brokers; -1: nobody is asked
	}{
		{"", 1, 2, 2},
		{"acme", 1, 2, 0},
		{"acme", 2, 1, 0},
		{"globex", 1, 2, 1},
		{"globex", 2, 1, 0},
		{"globex", 3, 0, 0},
		{"globex", 1, 0, 0},
		{"initech", 1, 2, -1},
	} {
		asked = nil
		f := &core.Failure{Attempt: tt.attempt, Untried: tt.untried, Message: ofTenant(tt.tenant)}
		d := policy.Next(f)
		if f.Untried != tt.untried {
			t.Errorf("%+v: the failure has changed to %d", tt, f.Untried)
		}
		if want := []int{tt.want}; tt.want >= 0 && (!slices.Equal(asked, want) || !d.Retry) || tt.want < 0 && (asked != nil || d.Retry) {
			t.Errorf("%+v: asked about %v brokers, decided %+v", tt, asked, d)
		}
	}
	if someTenants(t).Retry(nil) != nil {
		t.Error("there is a policy without the other one")
	}
}

// globex has two attempts under way at a time. The third waits for one of them, or until its
// time is over; the other tenants do not.
func TestMaxInFlight(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		answer := make(chan struct{})
		tr := &coretest.Transport{}
		tr.Do = func(ctx context.Context, at *core.Attempt) (*core.Result, error) {
			if at.Call().Message().Properties[tenants.Property] == "globex" {
				if err := at.Wait(ctx, answer); err != nil {
					return nil, err
				}
			}
			return tr.Ack(at), nil
		}
		p := start(t, someTenants(t), tr)
		outcomes := make(chan error, 3)
		for range 3 {
			go func() {
				_, err := p.Send(t.Context(), ofTenant("globex"), core.SendTimeout(time.Minute))
				outcomes <- err
			}()
			synctest.Wait()
		}
		if n := len(tr.Attempts()); n != 2 {
			t.Errorf("%d attempts came to the transport, want 2", n)
		}
		if _, err := p.Send(t.Context(), ofTenant("acme")); err != nil {
			t.Errorf("another tenant: %v", err)
		}
		_, err := p.Send(t.Context(), ofTenant("globex"), core.SendTimeout(10*time.Millisecond))
		if !errors.Is(err, core.ErrTimeout) || core.CertaintyOf(err) != core.NotSent || !strings.Contains(err.Error(), `tenant "globex" has 2 attempts under way`) {
			t.Errorf("the fourth: %v", err)
		}
		answer <- struct{}{}
		synctest.Wait()
		if n := len(tr.Attempts()); n != 4 { // of acme one
			t.Errorf("%d attempts came to the transport after an answer, want 4", n)
		}
		close(answer)
		for range 3 {
			if err := <-outcomes; err != nil {
				t.Error(err)
			}
		}
	})
}

func TestConfigErrors(t *testing.T) {
	for _, tt := range []struct {
		cfg  string
		want []string
	}{
		{`{}`, []string{"Tenants is empty"}},
		{`{"tenants": {"": {"brokers": ["a"]}}}`, []string{`"": the name is empty`}},
		{
			`{"tenants": {"acme": {}, "globex": {"brokers": ["b", ""], "maxInFlight": -1}}, "default": "hooli"}`,
			[]string{`"acme": Brokers is empty`, `"globex": Brokers has an empty name`, `"globex": MaxInFlight is -1`, `Default is "hooli"`},
		},
		{`{"tenants": {"acme": {"brokers": ["a"], "maxInFlight": 100001}}}`, []string{"MaxInFlight is 100001, want 0 to 100000"}},
		{`{"tenants": {"acme": {"brokers": ["a"], "maxInFlight": 100000}}}`, nil},
	} {
		var cfg tenants.Config
		if err := json.Unmarshal([]byte(tt.cfg), &cfg); err != nil {
			t.Fatal(err)
		}
		got, err := tenants.New(cfg)
		if ok := err == nil; ok != (tt.want == nil) || ok != (got != nil) {
			t.Errorf("%s: %v, %v", tt.cfg, got, err)
			continue
		}
		for _, want := range tt.want {
			if !strings.Contains(err.Error(), want) {
				t.Errorf("%s: %v, want %q", tt.cfg, err, want)
			}
		}
	}
}

// What the program does with its configuration afterwards changes nothing.
func TestConfigIsCopied(t *testing.T) {
	brokers := []string{"broker-a"}
	all, err := tenants.New(tenants.Config{Tenants: map[string]tenants.Tenant{"acme": {Brokers: brokers}}})
	if err != nil {
		t.Fatal(err)
	}
	brokers[0] = "broker-b"
	tr := &coretest.Transport{}
	if _, err := start(t, all, tr).Send(t.Context(), ofTenant("acme")); err != nil || where(tr) != "a" {
		t.Errorf("it went to %s: %v", where(tr), err)
	}
}

// No send pays for the plugin with an allocation.
func TestNoAllocations(t *testing.T) {
	all := someTenants(t)
	tr := &coretest.Transport{Forget: true}
	with, without := start(t, all, tr), coretest.Start(t, coretest.Config(tr))
	m := ofTenant("globex")
	allocs := func(p *core.Producer) float64 {
		return testing.AllocsPerRun(1000, func() {
			if _, err := p.Send(t.Context(), m); err != nil {
				t.Fatal(err)
			}
		})
	}
	if a, b := allocs(with), allocs(without); a > b {
		t.Errorf("%v allocations a send, %v without the plugin", a, b)
	}
}
