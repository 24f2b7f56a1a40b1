// Package rocketmqfx puts producers into an fx application.
//
//	fx.New(
//		rocketmqfx.Module,
//		fx.Supply(liftoff.Config{Group: "orders", NameServers: []string{"10.0.0.1:9876"}}),
//		fx.Invoke(func(p *core.Producer) { ... }),
//	)
//
// [Module] provides a *core.Producer. It is the one that liftoff.New makes of the
// liftoff.Config and the parts in the application's graph. Here is only the way from the
// graph to liftoff's options, and from fx's lifecycle to the producer's.
//
// # Parts
//
// A part that a producer has once is taken from the graph by its type, if it is there:
// provide it as the interface that [Params] names. [Use] does that and, unlike a plain
// fx.Provide, reports a constructor that fx would pass over.
//
//	rocketmqfx.Use[core.RetryPolicy](NewPatient)
//
// What a producer has many of is added: [AsHook] for what has a method Step, as all of
// package hooks do, [AsStep] for a core.Step, and [AsOption] for everything else that
// liftoff.New can be told. The order in which they are given never matters: core sorts
// the steps by stage, neighbours and name.
//
// # Several producers
//
// [Named] makes a producer beside others. Its function gets the parts of the application,
// changes what is different, and calls [New].
package rocketmqfx
