// Package tenantsfx gives the producers of an fx application the tenants of package tenants. It
// needs a tenants.Config. The application can ask for the *tenants.Tenants too.
package tenantsfx

import (
	"github.com/liftoff-mq/liftoff/core"
	"github.com/liftoff-mq/liftoff/examples/plugin/tenants"
	"github.com/liftoff-mq/liftoff/modules/rocketmqfx"
	"github.com/liftoff-mq/liftoff/strategies/retry"
	"go.uber.org/fx"
)

// Module provides the tenants, and makes them the selector, a step and the retry policy of all
// producers. The retry policy is Liftoff's default for the tenants' brokers.
var Module = fx.Module("tenants",
	fx.Provide(tenants.New),
	rocketmqfx.Use[core.SelectorFactory]((*tenants.Tenants).Selector),
	rocketmqfx.Use[core.RetryPolicy](func(t *tenants.Tenants) core.RetryPolicy { return t.Retry(retry.AtLeastOnce()) }),
	rocketmqfx.AsHook(func(t *tenants.Tenants) *tenants.Tenants { return t }),
)
