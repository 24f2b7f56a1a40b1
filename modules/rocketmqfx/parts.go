package rocketmqfx

import (
	"fmt"
	"reflect"
	"runtime"
	"strings"

	"github.com/liftoff-mq/liftoff"
	"github.com/liftoff-mq/liftoff/core"
	"go.uber.org/fx"
)

// Use gives the producers a part that they have once, as T, the type of an optional field of
// [Params]: constructor returns something that implements T, and perhaps an error.
//
// It is fx.Provide with a check. Producers take such a part only if the graph has it, and to
// fx a part whose own dependencies are missing is not there: the default would take its
// place without a word. Use makes that, and a nil part, an error of the application.
func Use[T any](constructor any) fx.Option {
	part := reflect.TypeFor[T]()
	if err := checkPart(part); err != nil {
		return fx.Error(err)
	}
	if err := check[T]("Use", constructor); err != nil {
		return fx.Error(err)
	}
	if reflect.TypeOf(constructor).Out(0) != part {
		constructor = located(constructor, fx.As(new(T)))
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
	return fx.Provide(located(constructor, fx.As(new(liftoff.Stepper)), fx.ResultTags(`group:"rocketmq.hooks"`)))
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
	return fmt.Errorf("rocketmqfx: %s at %s is given a %v, want a function that returns a %v", helper, place(), t, want)
}

// place is where the helper of this package that calls a function that calls this was
// called.
func place() string {
	const depth = 3 // place, its caller, the helper
	_, file, line, _ := runtime.Caller(depth)
	return fmt.Sprintf("%s:%d", file, line)
}

// checkPart reports that Use was given a type that producers do not take from the graph.
func checkPart(part reflect.Type) error {
	var parts []string
	params := reflect.TypeFor[Params]()
	for i := range params.NumField() {
		f := params.Field(i)
		if f.Tag.Get("optional") != "true" {
			continue
		}
		if f.Type == part {
			return nil
		}
		parts = append(parts, f.Type.String())
	}
	return fmt.Errorf("rocketmqfx: Use at %s is given a %v, which no producer takes: the parts are %s", place(), part, strings.Join(parts, ", "))
}

// located is fx.Annotate of a constructor that keeps its place. What fx makes of an
// annotated constructor is a function of package reflect, so all its errors would name that.
// fx has a field for the place, which it leaves empty. Without that field the errors are as
// they were.
func located(constructor any, annotations ...fx.Annotation) any {
	annotated := reflect.ValueOf(fx.Annotate(constructor, annotations...))
	v := reflect.New(annotated.Type()).Elem() // a copy, whose fields can be set
	v.Set(annotated)
	if v.Kind() != reflect.Struct {
		return v.Interface()
	}
	if place := v.FieldByName("FuncPtr"); place.Kind() == reflect.Uintptr && place.CanSet() {
		place.SetUint(uint64(reflect.ValueOf(constructor).Pointer()))
	}
	return v.Interface()
}
