// Package core is the producer and everything that plugins are written against:
// messages, calls and attempts, the pipeline, the retry engine, and the contracts
// of strategies and transports. Of other modules it uses golang.org/x/sync alone, of
// this one what lies below it: core/rocketmq for RocketMQ's names and limits, and the small
// internal/fifo, internal/absent and internal/words.
//
// A send runs through two chains of interceptors with the retry loop between
// them:
//
//	Send, SendAsync, SendOneway, SendBatch
//	│
//	├─ message scope, once per call: Interceptor
//	│    StageObserve   StageGuard   StageShape   StageEncode
//	│
//	├─ message id, route, queue selection, retries, one deadline
//	│
//	├─ attempt scope, once per attempt: AttemptInterceptor
//	│    AttemptObserve   AttemptGuard   AttemptProtect   AttemptWire
//	│
//	└─ Transport
//
// Programs usually make a producer with the root package or the fx modules, which
// choose the defaults; [NewProducer] takes every part from its [Config].
//
// To write a plugin, choose a role: an [Interceptor] or [AttemptInterceptor] to
// stop, change, wrap or limit sends; a listener such as [AttemptListener] only to
// know; a strategy such as [QueueSelector] or [RetryPolicy] to decide. Package
// coretest runs it in a real producer without a network.
package core
