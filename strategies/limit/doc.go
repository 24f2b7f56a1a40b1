// Package limit bounds what a producer asks of brokers. It has three limits:
//
//	Rate      messages a second of each topic   around a call      token bucket
//	Bulkhead  attempts under way at a broker    around an attempt  a fixed number
//	Adaptive  attempts under way at a broker    around an attempt  a number that follows the broker
//
// Each of them is a step of the producer:
//
//	rate, err := limit.NewRate(limit.RateConfig{PerSecond: 100})
//	...
//	cfg.Steps = append(cfg.Steps, rate.Step())
//
// A [Rate] keeps an agreement: a topic, or those who read it, can take so many messages a
// second. It counts messages once, whatever the number of attempts that they take.
//
// A [Bulkhead] keeps one sick broker from taking all callers and all memory with it: what
// hangs there is bounded, and the other messages go to other brokers. An [Adaptive] does that
// too, and finds the number by itself: it keeps as many attempts under way as the broker can
// work on, and no more, since what waits in a broker's queue only takes longer.
//
// Both never make a send fail that could have succeeded. An attempt that finds its broker
// full is refused while another broker is left, upon which the producer goes on to that one
// without counting an attempt, and no retry policy is asked. Where no other broker is left, or
// no other may take the message because of its sharding key, its fixed queue or a retry at the
// same queue (see core's Attempt.LastResort), the attempt waits for room within its time. Those
// that wait get room in the order in which they came.
//
// Both stand outside of a breaker, so that what an attempt waits for is not part of the time
// that the breaker measures. Operations, such as a recall, are neither counted nor limited.
//
// Whatever an attempt takes it gives back when it ends, also by a panic or runtime.Goexit in a
// step further in.
package limit
