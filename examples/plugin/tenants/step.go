package tenants

import (
	"context"
	"fmt"
	"strconv"

	"github.com/liftoff-mq/liftoff/core"
)

// StepName is the name of the step in the pipeline.
const StepName = "tenants"

// Step places the tenants in attempt scope, among the steps that may refuse an attempt.
//
// An attempt at a broker that is not the tenant's fails with [core.ErrForbidden], not sent. An
// attempt above the tenant's MaxInFlight waits until another one has ended, or until its time
// is over, and then fails with [core.ErrTimeout], not sent.
func (t *Tenants) Step() core.Step {
	return core.AttemptStep(StepName, core.AttemptGuard, (*guard)(t))
}

// guard is the attempt interceptor.
type guard Tenants

// InterceptAttempt implements [core.AttemptInterceptor].
func (g *guard) InterceptAttempt(ctx context.Context, at *core.Attempt, next core.AttemptHandler) (*core.Result, error) {
	tenant, err := (*Tenants)(g).of(at.Call().Message())
	if err != nil {
		return nil, err
	}
	if broker := at.Broker().Name; !tenant.mayUse(broker) {
		return nil, fmt.Errorf("%w: %s is no broker of tenant %q", core.ErrForbidden, broker, tenant.name)
	}
	if tenant == nil || tenant.permits == nil {
		return next(ctx, at)
	}
	if err := at.Wait(ctx, tenant.permits); err != nil {
		return nil, fmt.Errorf("tenant %q has %d attempts under way: %w", tenant.name, cap(tenant.permits), err)
	}
	defer func() { tenant.permits <- struct{}{} }() // also if a step further in panics
	return next(ctx, at)
}

// Describe implements [core.Describer].
func (g *guard) Describe() core.Description {
	return (*Tenants)(g).describe("a tenant's attempts go to its brokers only", func(one *tenant) string {
		if one.permits == nil {
			return "any number at a time"
		}
		return strconv.Itoa(cap(one.permits)) + " at a time"
	})
}
