// Package rocketmqfx puts producers into an fx application.
//
//	fx.New(
//		fx.Supply(liftoff.Config{Group: "orders"}),
//		rocketmqfx.Module,
//		remotingfx.Module, remotingfx.NameServers("10.0.0.1:9876"),
//		rocketmqfx.AsSendHook(NewAudit),
//		tracingfx.Module,
//		fx.Invoke(func(p *core.Producer) { ... }),
//	)
//
// [Module] provides a *core.Producer and its *core.Pipeline. It needs a
// liftoff.Config, and a core.Transport with its core.RouteSource, which the
// packages remotingfx and embeddedfx provide. The producer is the one that
// liftoff.Defaults assembles; it starts with the application, and when that stops
// it drains: it refuses new sends and waits for those under way, for at most half
// of the time that is left for stopping, so that other hooks have theirs.
//
// fx makes only what somebody asks for: a producer that no constructor and no
// invoked function takes never starts. [Eager] asks for it.
//
// # Adding and replacing parts
//
// The As functions give constructors to the producer; no struct tag is needed.
// The order in which they are given never matters: core sorts the steps by stage,
// neighbours and name, and [Order] lets the application fix it.
//
//	AsStep         func(...) core.Step                    any number, unique names
//	AsHook         func(...) T, T has Step() core.Step    "
//	AsInterceptor  func(...) T, T is a core.Interceptor   "
//	AsAttemptInterceptor, AsListener                      "
//	AsForbidHook   func(...) T, T is a forbid.Hook        "
//	AsSendHook     func(...) T, T is a sendhook.Hook      "
//	AsSelector, AsRetry, AsBudget, AsHealth,              at most one each
//	AsCompressor, AsBreaker
//	Order, Limits, WithoutBreaker, WithoutCompression     "
//
// A constructor may also return an error. One whose dependency is missing fails
// the start with the name of what is missing; it is never passed over in favour
// of a default. Two of one kind, where one is allowed, fail the start as well.
//
// # Several producers
//
// [Named] makes a producer with a name of its own, beside others. What is given
// to Named is for that producer alone; what is given to the application is for
// all. A strategy of its own wins over the application's.
//
//	rocketmqfx.Named("audit", rocketmqfx.Configure(liftoff.Config{Group: "audit"}), rocketmqfx.AsRetry(NewPatient))
//
// Consumers take it with the tag `name:"audit"`.
//
// Everything here works without fx too: liftoff.New makes the same producer.
package rocketmqfx
