package core

import (
	"slices"

	"github.com/liftoff-mq/liftoff/internal/absent"
	"github.com/liftoff-mq/liftoff/internal/enum"
)

// Stage is the named place of an interceptor in message scope. Stages have a
// fixed order: observe, guard, shape, encode.
type Stage uint8

// The stages of message scope, outermost first.
const (
	StageNone    Stage = iota
	StageObserve       // tracing, metrics: sees every failure below; adds no more than trace context
	StageGuard         // validation, rate limits, topic rules: may veto
	StageShape         // namespace, defaults: may change topic and properties
	StageEncode        // compression, encryption: may change the body; the last writer
)

var stageNames = []string{"none", "observe", "guard", "shape", "encode"}

// String gives the stage's name.
func (s Stage) String() string { return enum.Name(stageNames, int(s)) }

// MarshalText gives the name.
func (s Stage) MarshalText() ([]byte, error) { return enum.Marshal("stage", stageNames, int(s)) }

// UnmarshalText takes a name.
func (s *Stage) UnmarshalText(text []byte) error { return enum.Unmarshal("stage", stageNames, text, s) }

// AttemptStage is the named place of an interceptor in attempt scope. Stages
// have a fixed order: observe, guard, protect, wire.
type AttemptStage uint8

// The stages of attempt scope, outermost first.
const (
	AttemptNone    AttemptStage = iota
	AttemptObserve              // attempt spans, send-message hooks before and after
	AttemptGuard                // forbid-check hooks: queue and broker are known; may veto
	AttemptProtect              // circuit breaker, limits per broker: may veto, see AttemptInterceptor
	AttemptWire                 // a last look, for reading only
)

var attemptStageNames = []string{"none", "observe", "guard", "protect", "wire"}

// String gives the stage's name.
func (s AttemptStage) String() string { return enum.Name(attemptStageNames, int(s)) }

// MarshalText gives the name.
func (s AttemptStage) MarshalText() ([]byte, error) {
	return enum.Marshal("attempt stage", attemptStageNames, int(s))
}

// UnmarshalText takes a name.
func (s *AttemptStage) UnmarshalText(text []byte) error {
	return enum.Unmarshal("attempt stage", attemptStageNames, text, s)
}

// Step is a named thing placed in the pipeline. Make it with [CallStep], [AttemptStep] or
// [ListenerStep]. It is a value: its methods return changed copies.
//
// What is placed may be more than it is placed as, and is found at construction: a
// listener (see [CallListener] and its siblings) is told, an [OperationInterceptor] runs
// around operations too, a [Service] is started and stopped with the producer, a [Drainer]
// is told when the producer shuts down, a [Finisher] when its calls have ended then, a [Describer]
// and a [BrokerReporter] are asked when the pipeline is described.
type Step struct {
	name          string
	stage         Stage
	call          Interceptor
	attemptStage  AttemptStage
	attempt       AttemptInterceptor
	listener      any
	after, before []string
}

// CallStep places an interceptor in a stage of message scope. The name is unique in the
// pipeline: dotted lower-case words such as "compress.zlib".
func CallStep(name string, stage Stage, i Interceptor) Step {
	return Step{name: name, stage: stage, call: i}
}

// AttemptStep places an interceptor in a stage of attempt scope.
func AttemptStep(name string, stage AttemptStage, i AttemptInterceptor) Step {
	return Step{name: name, attemptStage: stage, attempt: i}
}

// ListenerStep subscribes a listener: a value that implements at least one of
// [CallListener], [AttemptListener], [RetryListener], [RouteListener] and [StateListener].
func ListenerStep(name string, listener any) Step {
	return Step{name: name, listener: listener}
}

// WithAttempt places the step in attempt scope as well.
func (s Step) WithAttempt(stage AttemptStage, i AttemptInterceptor) Step {
	s.attemptStage, s.attempt = stage, i
	return s
}

// After names neighbours in the same stage that must be further out. A name that ends in
// "?" may be absent.
func (s Step) After(names ...string) Step {
	s.after = append(slices.Clip(s.after), names...)
	return s
}

// Before names neighbours in the same stage that must be further in, likewise.
func (s Step) Before(names ...string) Step {
	s.before = append(slices.Clip(s.before), names...)
	return s
}

// Name is the step's name.
func (s Step) Name() string { return s.name }

// Parts are the values that the step is made of, each once.
func (s Step) Parts() []any {
	var out []any
	for _, v := range []any{s.call, s.attempt, s.listener} {
		if !absent.Is(v) && !slices.ContainsFunc(out, func(o any) bool { return same(o, v) }) {
			out = append(out, v)
		}
	}
	return out
}

// Order is the application's word on the order: the complete lists of names,
// outermost first. A nil list leaves that scope to stages, After, Before and
// names. Stages do not bind a list that is given.
type Order struct {
	Call, Attempt []string
}
