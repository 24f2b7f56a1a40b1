package tenants_test

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/liftoff-mq/liftoff/core"
	"github.com/liftoff-mq/liftoff/core/coretest"
	"github.com/liftoff-mq/liftoff/core/steptest"
	"github.com/liftoff-mq/liftoff/examples/plugin/tenants"
	"github.com/liftoff-mq/liftoff/strategies/retry"
	"github.com/liftoff-mq/liftoff/strategies/strategytest"
)

// anybody serves every message of the kits, which name no tenant.
func anybody(tb interface {
	Helper()
	Fatalf(format string, args ...any)
}, maxInFlight int, brokers ...string,
) *tenants.Tenants {
	tb.Helper()
	t, err := tenants.New(tenants.Config{
		Tenants: map[string]tenants.Tenant{"anybody": {Brokers: brokers, MaxInFlight: maxInFlight}},
		Default: "anybody",
	})
	if err != nil {
		tb.Fatalf("%v", err)
	}
	return t
}

// Without a tenant the selector goes over all queues of all brokers, and keeps every rule.
func TestSelectorWithoutTenants(t *testing.T) {
	strategytest.TestSelector(t, func() core.SelectorFactory { return someTenants(t).Selector() }, strategytest.SelectorOptions{})
}

// With one it keeps them among the tenant's brokers, for which the routes have to be of these.
func TestSelectorOfATenant(t *testing.T) {
	strategytest.TestSelector(t, func() core.SelectorFactory { return anybody(t, 0, "a", "b", "c").Selector() }, strategytest.SelectorOptions{
		Routes: []*core.Route{route(t, 2, "a", "b"), route(t, 4, "c", "b", "a"), route(t, 1, "b")},
	})
}

func route(t *testing.T, queues int, brokers ...string) *core.Route {
	t.Helper()
	r, err := coretest.Routes(queues, brokers...).Route(t.Context(), "T")
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func TestRetryKit(t *testing.T) {
	for name, brokers := range map[string][]string{"one broker": {"a"}, "three brokers": {"a", "b", "c"}} {
		t.Run(name, func(t *testing.T) {
			strategytest.TestRetryPolicy(t, func() core.RetryPolicy {
				return anybody(t, 0, brokers...).Retry(retry.AtLeastOnce())
			}, strategytest.RetryOptions{})
		})
	}
	t.Run("safe", func(t *testing.T) {
		strategytest.TestRetryPolicy(t, func() core.RetryPolicy {
			return anybody(t, 0, "a").Retry(retry.Safe())
		}, strategytest.RetryOptions{SafeOnly: true})
	})
}

// The rules run in virtual time, in which it costs nothing to wait.
func TestStepKit(t *testing.T) {
	const broker = "broker-a"
	here := func(cfg *core.Config) { cfg.Routes = coretest.Routes(1, broker) }
	for name, open := range map[string]func(tb steptest.TB) steptest.Step{
		"without a limit": func(tb steptest.TB) steptest.Step {
			return steptest.Step{Step: anybody(tb, 0, broker).Step(), Config: here, Refused: []*core.Message{ofTenant("initech")}, Late: time.Millisecond}
		},
		"with a limit": func(tb steptest.TB) steptest.Step {
			return steptest.Step{Step: anybody(tb, 2, broker).Step(), Config: here, MayWait: true, Permits: 4, Late: time.Millisecond}
		},
	} {
		for _, r := range steptest.StepRules() {
			t.Run(name+"/"+r.String(), func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) { r.Test(t, open) })
			})
		}
	}
}
