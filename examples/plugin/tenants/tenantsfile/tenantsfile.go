// Package tenantsfile gives the parts of package tenants names for files of policies, so that a
// team can choose the topics for which they count:
//
//	policies:
//	  shop:
//	    selector: tenants.brokers
//	    retry: {tenants.brokers: {otherwise: safe}}
//	    steps: {tenants.guard: {}}
//
// A plugin has such names in a package of its own, because the reader of the files brings a YAML
// library along.
package tenantsfile

import (
	"github.com/liftoff-mq/liftoff/core"
	"github.com/liftoff-mq/liftoff/examples/plugin/tenants"
	"github.com/liftoff-mq/liftoff/strategies/policyfile"
	"github.com/liftoff-mq/liftoff/strategies/retry"
)

// Options register the parts of t:
//
//   - the selector "tenants.brokers";
//   - the retry policy "tenants.brokers", whose option otherwise is the policy that it asks,
//     atLeastOnce by default;
//   - the step "tenants.guard".
func Options(t *tenants.Tenants) []policyfile.Option {
	return []policyfile.Option{
		policyfile.WithSelector("tenants.brokers", func(*policyfile.Options) (core.SelectorFactory, error) {
			return t.Selector(), nil
		}),
		policyfile.WithRetry("tenants.brokers", func(o *policyfile.Options) (core.RetryPolicy, error) {
			otherwise := retry.AtLeastOnce()
			o.Retry("otherwise", &otherwise)
			return t.Retry(otherwise), nil
		}),
		policyfile.WithStep("tenants.guard", func(*policyfile.Options) (policyfile.Stepper, error) { return t, nil }),
	}
}
