package core_test

import (
	"slices"
	"strings"
	"testing"

	"github.com/liftoff-mq/liftoff/core"
	"github.com/liftoff-mq/liftoff/core/coretest"
)

// A mistake in a field of the configuration is told once, by the field's name: by itself,
// and with policies that leave the field to the configuration.
func TestMistakesOfConfigFields(t *testing.T) {
	var noHealth *healthUnit
	gaps := func() core.PolicySource {
		return &core.PolicyTable{Default: &core.Policy{Name: "rest"}, ByTopic: map[string]*core.Policy{"T": {Name: "t"}}}
	}
	for _, tt := range []struct {
		name   string
		change func(*core.Config)
		want   string
		gaps   []string // the same with policies, if it is told otherwise
	}{
		{"Timeout", func(c *core.Config) { c.Timeout = -1 }, "Config.Timeout is negative: -1ns", nil},
		{"Timeout in no unit", func(c *core.Config) { c.Timeout = 3000 }, "Config.Timeout is 3µs, at least 1ms is needed", nil},
		{"AttemptTimeout", func(c *core.Config) { c.AttemptTimeout = -1 }, "Config.AttemptTimeout is negative: -1ns", nil},
		{"RouteRefresh", func(c *core.Config) { c.RouteRefresh = -1 }, "Config.RouteRefresh is negative: -1ns", nil},
		{"RouteTimeout", func(c *core.Config) { c.RouteTimeout = 3 }, "Config.RouteTimeout is 3ns, at least 1ms is needed", nil},
		{"MaxInFlight", func(c *core.Config) { c.MaxInFlight = 2_000_000_000 }, "Config.MaxInFlight is 2000000000, at most 16777216 is allowed", nil},
		{"MaxInFlightBytes", func(c *core.Config) { c.MaxInFlightBytes = 1 << 50 }, "Config.MaxInFlightBytes is 1125899906842624, at most 1099511627776 is allowed", nil},
		{"many workers", func(c *core.Config) { c.MaxWorkers = 2_000_000_000 }, "Config.MaxWorkers is 2000000000, at most 1048576 is allowed", nil},
		{"a unit too many", func(c *core.Config) { c.Timeout = 3e18 }, "Config.Timeout is 833333h20m, at most 24h is allowed; was it multiplied by its unit twice?", nil},
		{"refreshed never", func(c *core.Config) { c.RouteRefresh = 1<<63 - 1 }, "Config.RouteRefresh is 2562047h47m16.854775807s, at most 8760h is allowed", nil},
		{"MaxWorkers", func(c *core.Config) { c.MaxWorkers = -1 }, "Config.MaxWorkers is negative: -1", nil},
		{"Selector", func(c *core.Config) { c.Selector = nil }, "Config.Selector is nil", []string{
			`policy "t": Selector is nil, and so is Config.Selector`, `policy "rest": Selector is nil, and so is Config.Selector`,
		}},
		{"Retry of a type", func(c *core.Config) { c.Retry = core.RetryPolicyFunc(nil) }, "Config.Retry is nil", []string{
			`policy "t": Retry is nil, and so is Config.Retry`, `policy "rest": Retry is nil, and so is Config.Retry`,
		}},
		{"Budget of a type", func(c *core.Config) { c.Budget = (*budget)(nil) }, "Config.Budget is nil", []string{
			`policy "t": Budget is nil, and so is Config.Budget`, `policy "rest": Budget is nil, and so is Config.Budget`,
		}},
		{"Health of a type", func(c *core.Config) { c.Health = noHealth }, "Config.Health is nil", []string{
			`policy "t": Health is nil, and so is Config.Health`, `policy "rest": Health is nil, and so is Config.Health`,
		}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			check := func(policies core.PolicySource, want ...string) {
				t.Helper()
				cfg := coretest.Config(&coretest.Transport{})
				tt.change(&cfg)
				cfg.Policies = policies
				_, err := core.NewProducer(cfg)
				if err == nil {
					t.Fatal("no error")
				}
				got := strings.Split(strings.TrimPrefix(err.Error(), `producer "test": `), "\n")
				if !slices.EqualFunc(got, want, strings.HasPrefix) {
					t.Errorf("got %q, want %q", got, want)
				}
			}
			check(nil, tt.want)
			if tt.gaps == nil {
				tt.gaps = []string{tt.want}
			}
			check(gaps(), tt.gaps...)
		})
	}
}
