package tenants

import "github.com/liftoff-mq/liftoff/core"

// Retry makes a retry policy that decides as otherwise does, for the brokers that a tenant has.
//
// [core.Failure] says how many brokers of the route a call has not tried. For a tenant with
// one broker that is too many: the usual policies then try again at once, because another
// broker takes the message, and the selector can only choose the same one. That hurts a broker
// that is in trouble already, and is in vain at one that is read-only.
//
// A nil policy makes a nil one, which a producer refuses by the field's name.
func (t *Tenants) Retry(otherwise core.RetryPolicy) core.RetryPolicy {
	if otherwise == nil {
		return nil
	}
	return &ownBrokers{t, otherwise}
}

// ownBrokers is the policy.
type ownBrokers struct {
	tenants   *Tenants
	otherwise core.RetryPolicy
}

// Next implements [core.RetryPolicy].
func (p *ownBrokers) Next(f *core.Failure) core.Decision {
	tenant, err := p.tenants.of(f.Message)
	switch {
	case err != nil:
		return core.Decision{} // no broker may have it
	case tenant == nil:
		return p.otherwise.Next(f)
	}
	// The failure is the call's, so the change is made to a copy. As long as there is one, the
	// selector chooses a broker that was not tried: each attempt has tried another one.
	own := *f
	own.Untried = min(f.Untried, max(0, len(tenant.brokers)-f.Attempt))
	return p.otherwise.Next(&own)
}

// Describe implements [core.Describer]: what the other policy says of itself, and what is
// different.
func (p *ownBrokers) Describe() core.Description {
	d := core.Describe(p.otherwise)
	d.Settings = append(d.Settings, core.Setting{Name: "other brokers", Value: "the tenant's only"})
	return d
}
