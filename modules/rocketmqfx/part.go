package rocketmqfx

import (
	"fmt"
	"reflect"
	"runtime"
	"slices"

	"go.uber.org/fx"
)

// Scope is the name of the [Named] producer that something is for, "" for the
// application's own and for what all producers share.
type Scope string

// Part is an fx option that knows where it is used: given to the application it
// is for all producers, given directly to [Named] for that one alone. Wrapped in
// fx.Options or fx.Module it is always for all.
type Part struct {
	fx.Option
	scoped     func(Scope) fx.Option
	configures bool // it gives a producer its configuration
}

// newPart makes a part of what make gives for a scope. The extra argument of
// make is fx.Private inside Named and nothing outside.
func newPart(make func(s Scope, private []any) fx.Option) Part {
	return Part{
		Option: make("", nil),
		scoped: func(s Scope) fx.Option { return make(s, []any{fx.Private}) },
	}
}

// provide is fx.Provide, with what newPart gives to keep the constructors private.
func provide(private []any, constructors ...any) fx.Option {
	return fx.Provide(slices.Concat(constructors, private)...)
}

// Provide is fx.Provide that stays private inside [Named].
func Provide(constructors ...any) Part {
	return newPart(func(_ Scope, private []any) fx.Option {
		return provide(private, constructors...)
	})
}

// Supply is fx.Supply that stays private inside [Named].
func Supply(values ...any) Part {
	return newPart(func(_ Scope, private []any) fx.Option {
		return fx.Supply(append(values[:len(values):len(values)], private...)...)
	})
}

// Join makes one part of several.
func Join(parts ...Part) Part {
	joined := newPart(func(s Scope, private []any) fx.Option {
		all := make([]fx.Option, len(parts))
		for i, p := range parts {
			if all[i] = p.Option; len(private) > 0 {
				all[i] = p.scoped(s)
			}
		}
		return fx.Options(all...)
	})
	joined.configures = slices.ContainsFunc(parts, func(p Part) bool { return p.configures })
	return joined
}

// The value groups and names that the helpers use.
const (
	groupSteps   = `group:"rocketmq.steps"`
	groupHooks   = `group:"rocketmq.hooks"`
	groupForbid  = `group:"rocketmq.forbid"`
	groupSend    = `group:"rocketmq.sendhooks"`
	groupChoices = `group:"rocketmq.choices"`
)

// constructor reports what a helper was given in place of a constructor of T. fx
// would say it too, but by the names of its own helpers, and too late for nil.
func constructor[T any](helper string, ctor any) error {
	want := reflect.TypeFor[T]()
	t := reflect.TypeOf(ctor)
	switch {
	case t == nil:
		return fmt.Errorf("rocketmqfx: %s is given nil, want a function that returns a %v", helper, want)
	case t.Kind() != reflect.Func && t.AssignableTo(want):
		return fmt.Errorf("rocketmqfx: %s is given a %v, want a function that returns it: func() %v { return ... }", helper, t, want)
	case t.Kind() == reflect.Func && (t.NumOut() == 0 || !t.Out(0).AssignableTo(want)):
		return fmt.Errorf("rocketmqfx: %s is given a %v, want a function that returns a %v", helper, t, want)
	}
	return nil
}

// wrong is a part that fails the application.
func wrong(err error) Part {
	return newPart(func(Scope, []any) fx.Option { return fx.Error(err) })
}

// member gives a constructor's value, as a T, to a value group.
func member[T any](helper string, ctor any, group string) Part {
	if err := constructor[T](helper, ctor); err != nil {
		return wrong(err)
	}
	return newPart(func(_ Scope, private []any) fx.Option {
		return provide(private, annotate[T](ctor, group))
	})
}

// convert gives what turn makes of a constructor's value, as a T, to a value
// group. In between the value has a name, made of what it is and who makes it:
// the same constructor given twice is an error of fx.
func convert[T, M any](helper string, ctor any, what, group string, turn func(s Scope, by string, v T) (M, error)) Part {
	if err := constructor[T](helper, ctor); err != nil {
		return wrong(err)
	}
	return newPart(func(s Scope, private []any) fx.Option {
		by := nameOf(ctor)
		name := fmt.Sprintf("rocketmq.%s by %s", what, by)
		if s != "" {
			name += " for " + string(s)
		}
		tag := Tag(name)
		given := annotate[T](ctor, tag)
		turned := fx.Annotate(func(v T) (M, error) { return turn(s, by, v) }, fx.ParamTags(tag), fx.ResultTags(group))
		return provide(private, given, turned)
	})
}

// annotate tags a constructor's value and, if T is an interface, turns it into that.
func annotate[T any](ctor any, tag string) any {
	annotations := []fx.Annotation{fx.ResultTags(tag)}
	if reflect.TypeFor[T]().Kind() == reflect.Interface {
		annotations = append(annotations, fx.As(new(T)))
	}
	return fx.Annotate(ctor, annotations...)
}

// nameOf names a constructor in errors; fx itself loses the name of an annotated one.
func nameOf(ctor any) string {
	if v := reflect.ValueOf(ctor); v.Kind() == reflect.Func {
		if f := runtime.FuncForPC(v.Pointer()); f != nil {
			return f.Name()
		}
	}
	return fmt.Sprintf("%T", ctor)
}
