// Package tenants keeps the messages of a company's tenants apart. It is a plugin for Liftoff
// as an outside author writes it: it needs package core and nothing more.
//
// A message names its tenant in the property "tenant". Each tenant has brokers of its own:
//
//	t, err := tenants.New(tenants.Config{Tenants: map[string]tenants.Tenant{
//		"acme":   {Brokers: []string{"broker-a"}},
//		"globex": {Brokers: []string{"broker-b", "broker-c"}, MaxInFlight: 64},
//	}})
//	producer, err := liftoff.New(cfg,
//		liftoff.WithSelector(t.Selector()),
//		liftoff.WithRetry(t.Retry(retry.AtLeastOnce())),
//		liftoff.WithHooks(t),
//	)
//
// Its three parts decide three things:
//
//   - [Tenants.Selector] chooses among the queues of the tenant's brokers.
//   - [Tenants.Step] refuses an attempt at another tenant's broker, which a message that names
//     its queue would get otherwise, and holds the tenant to its number of attempts at a time.
//   - [Tenants.Retry] tells a retry policy that only the tenant's brokers are left for another
//     attempt, and not all of the route's.
//
// Package tenantsfx is for fx applications, package tenantsfile for files of policies.
package tenants
