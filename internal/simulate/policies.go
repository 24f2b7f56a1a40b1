package simulate

import (
	"fmt"
	"strings"
	"time"

	"github.com/liftoff-mq/liftoff"
	"github.com/liftoff-mq/liftoff/core"
	"github.com/liftoff-mq/liftoff/strategies/health"
	"github.com/liftoff-mq/liftoff/strategies/retry"
	"github.com/liftoff-mq/liftoff/strategies/selector"
)

// BuiltIn are the policies that the documentation compares, in its order.
func BuiltIn() []Policy {
	return []Policy{
		{"java", java},
		{"latency", latency},
		{"default", func() ([]liftoff.Option, error) { return nil, nil }},
		{"p2c", powerOfTwo},
		{"safe", func() ([]liftoff.Option, error) { return []liftoff.Option{liftoff.WithRetry(retry.Safe())}, nil }},
	}
}

// Named is the built-in policy of a name.
func Named(name string) (Policy, error) {
	var names []string
	for _, p := range BuiltIn() {
		if p.Name == name {
			return p, nil
		}
		names = append(names, p.Name)
	}
	return Policy{}, fmt.Errorf("policy %q is not known; there are %s", name, strings.Join(names, ", "))
}

// java is what RocketMQ's Java producer 5.x does by default: round-robin, three attempts, each
// of which has all the time that is left, and neither breaker nor budget.
func java() ([]liftoff.Option, error) {
	return []liftoff.Option{
		liftoff.WithoutBreaker(), liftoff.WithoutBudget(),
		liftoff.WithPolicies(&core.PolicyTable{Default: &core.Policy{
			Name: "java", Timeout: javaTimeout, AttemptTimeout: javaTimeout, Retry: retry.Java5(),
		}}),
	}, nil
}

const javaTimeout = 3 * time.Second // Java: DefaultMQProducer.sendMsgTimeout

// latency is the default with Java's latency table, which is off there by default, in the place of
// the breakers.
func latency() ([]liftoff.Option, error) {
	view, err := health.NewLatency(health.Config{})
	return []liftoff.Option{liftoff.WithoutBreaker(), liftoff.WithHealth(view)}, err
}

// powerOfTwo is the default with a selector that looks at latencies and attempts under way, for sends
// without a key.
func powerOfTwo() ([]liftoff.Option, error) {
	p2c, err := selector.NewPowerOfTwo(selector.PowerOfTwoConfig{})
	if err != nil {
		return nil, err
	}
	keyed, err := selector.NewHash(selector.HashConfig{Rest: p2c})
	return []liftoff.Option{liftoff.WithSelector(keyed)}, err
}
