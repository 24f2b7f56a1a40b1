// Package core is the producer: messages, calls, the pipeline around them, the
// engine that retries, and the contracts of everything that can be replaced. It
// knows no hook, no strategy and no network of its own.
//
// A message travels through two scopes, which are two types of interceptor:
//
//	user: Send, SendAsync, SendOneway, SendBatch
//	  │
//	  ├─ message scope, once per call            Interceptor
//	  │    observe   sees every failure below
//	  │    guard     may refuse
//	  │    shape     may change topic and properties
//	  │    encode    may change the body
//	  │
//	  ├─ core: message id, route, queue selection, retry, one deadline for all of it
//	  │
//	  ├─ attempt scope, once per try             AttemptInterceptor
//	  │    observe   sees every attempt
//	  │    guard     may refuse; queue and broker are known
//	  │    protect   may refuse; another broker is tried
//	  │    wire      a last look
//	  │
//	  └─ Transport
//
// The user's [Message] is never written to: a [Call] carries an [Outgoing], its
// private view of what goes on the wire, and each try of it is an [Attempt]. A
// [Step] gives an interceptor its name and stage; [Resolve] puts steps in order.
//
// Decisions are strategies with one method: [QueueSelector], [RetryPolicy],
// [RetryBudget], [HealthView], [Compressor]. Who only wants to know is a
// listener: [CallListener], [AttemptListener], [RetryListener], [RouteListener],
// [StateListener]. Every failed send is a [*SendError], which tells by its
// [Certainty] what became of the message.
//
// Most programs make their producer with package liftoff, which fills [Config]
// with default parts. Package coretest helps to test one's own.
package core
