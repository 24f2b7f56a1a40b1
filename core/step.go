package core

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

// String gives the stage's name.
func (s Stage) String() string {
	return nameOf([]string{"none", "observe", "guard", "shape", "encode"}, int(s))
}

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

// String gives the stage's name.
func (s AttemptStage) String() string {
	return nameOf([]string{"none", "observe", "guard", "protect", "wire"}, int(s))
}

func nameOf(names []string, i int) string {
	if i < len(names) {
		return names[i]
	}
	return "unknown"
}

// Step is a named thing placed in the pipeline.
type Step struct {
	// Name is unique in the pipeline: dotted lower-case words such as
	// "compress.zlib".
	Name string
	// Stage is where Use's Interceptor goes. It is set if and only if Use is one.
	Stage Stage
	// AttemptStage is where Use's AttemptInterceptor goes, likewise.
	AttemptStage AttemptStage
	// After and Before name neighbours in the same stage that must be further
	// out or further in. A name that ends in "?" may be absent.
	After, Before []string
	// Use is the step itself: any of Interceptor, AttemptInterceptor and the
	// listener interfaces, or several of them. A value that is none of them is
	// an error.
	Use any
}

// Order is the application's word on the order: the complete lists of names,
// outermost first. A nil list leaves that scope to stages, After, Before and
// names. Stages do not bind a list that is given.
type Order struct {
	Call, Attempt []string
}
