package rocketmqfx

import (
	"fmt"
	"reflect"
	"runtime"

	"github.com/liftoff-mq/liftoff"
	"github.com/liftoff-mq/liftoff/core"
	"go.uber.org/fx"
)

// Use gives the producers a part that they have once, as the interface T, one of those in
// [Params]: constructor returns something that implements T, and perhaps an error.
//
// It is fx.Provide with a check. Producers take such a part only if the graph has it, and to
// fx a part whose own dependencies are missing is not there: the default would take its
// place without a word. Use makes that, and a nil part, an error of the application.
func Use[T any](constructor any) fx.Option {
	if err := check[T]("Use", constructor); err != nil {
		return fx.Error(err)
	}
	part := reflect.TypeFor[T]()
	if reflect.TypeOf(constructor).Out(0) != part {
		constructor = fx.Annotate(constructor, fx.As(new(T)))
	}
	return fx.Options(fx.Provide(constructor), fx.Invoke(func(v T) error {
		if any(v) == nil {
			return fmt.Errorf("rocketmqfx: the constructor of the %v returned nil", part)
		}
		return nil
	}))
}

// AsHook adds a hook to all producers: constructor returns something with a method
// Step() core.Step, and perhaps an error.
func AsHook(constructor any) fx.Option {
	if err := check[liftoff.Stepper]("AsHook", constructor); err != nil {
		return fx.Error(err)
	}
	return fx.Provide(fx.Annotate(constructor, fx.As(new(liftoff.Stepper)), fx.ResultTags(`group:"rocketmq.hooks"`)))
}

// AsStep adds a step to all producers: constructor returns a core.Step and perhaps an error.
func AsStep(constructor any) fx.Option {
	if err := check[core.Step]("AsStep", constructor); err != nil {
		return fx.Error(err)
	}
	return fx.Provide(fx.Annotated{Group: "rocketmq.steps", Target: constructor})
}

// AsOption adds an option of liftoff.New to all producers: constructor returns a
// liftoff.Option and perhaps an error, as liftoff.WithoutBreaker does. Options come in any
// order, so two must not contradict each other.
func AsOption(constructor any) fx.Option {
	if err := check[liftoff.Option]("AsOption", constructor); err != nil {
		return fx.Error(err)
	}
	return fx.Provide(fx.Annotated{Group: "rocketmq.options", Target: constructor})
}

// check reports what a helper was given in place of a constructor of T, with the place. To
// fx a value of another type would be a member of another group, which nobody takes.
func check[T any](helper string, constructor any) error {
	t, want := reflect.TypeOf(constructor), reflect.TypeFor[T]()
	if t != nil && t.Kind() == reflect.Func && t.NumOut() > 0 && t.Out(0).AssignableTo(want) {
		return nil
	}
	const caller = 2 // of the helper
	_, file, line, _ := runtime.Caller(caller)
	return fmt.Errorf("rocketmqfx: %s at %s:%d is given a %v, want a function that returns a %v", helper, file, line, t, want)
}
