package rocketmqfx

import (
	"fmt"
	"reflect"
	"runtime"

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
	scoped func(Scope) fx.Option
}

// newPart makes a part of what make gives for a scope. The extra argument of
// make is fx.Private inside Named and nothing outside.
func newPart(make func(s Scope, private []any) fx.Option) Part {
	return Part{
		Option: make("", nil),
		scoped: func(s Scope) fx.Option { return make(s, []any{fx.Private}) },
	}
}

// Provide is fx.Provide that stays private inside [Named].
func Provide(constructors ...any) Part {
	return newPart(func(_ Scope, private []any) fx.Option {
		return fx.Provide(append(constructors[:len(constructors):len(constructors)], private...)...)
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
	return newPart(func(s Scope, private []any) fx.Option {
		all := make([]fx.Option, len(parts))
		for i, p := range parts {
			if all[i] = p.Option; len(private) > 0 {
				all[i] = p.scoped(s)
			}
		}
		return fx.Options(all...)
	})
}

// The value groups and names that the helpers use.
const (
	groupSteps   = `group:"rocketmq.steps"`
	groupForbid  = `group:"rocketmq.forbid"`
	groupSend    = `group:"rocketmq.sendhooks"`
	groupChoices = `group:"rocketmq.choices"`
)

// member gives a constructor's value, as a T, to a value group.
func member[T any](ctor any, group string) Part {
	return newPart(func(_ Scope, private []any) fx.Option {
		return fx.Provide(append([]any{fx.Annotate(ctor, fx.As(new(T)), fx.ResultTags(group))}, private...)...)
	})
}

// convert gives what turn makes of a constructor's value, as a T, to a value
// group. In between the value has a name, made of what it is and who makes it:
// the same constructor given twice is an error of fx.
func convert[T, M any](ctor any, what, group string, turn func(s Scope, by string, v T) M) Part {
	return newPart(func(s Scope, private []any) fx.Option {
		by := nameOf(ctor)
		name := fmt.Sprintf("rocketmq.%s by %s", what, by)
		if s != "" {
			name += " for " + string(s)
		}
		tag := Tag(name)
		annotations := []fx.Annotation{fx.ResultTags(tag)}
		if reflect.TypeFor[T]().Kind() == reflect.Interface {
			annotations = append(annotations, fx.As(new(T)))
		}
		given := fx.Annotate(ctor, annotations...)
		turned := fx.Annotate(func(v T) M { return turn(s, by, v) }, fx.ParamTags(tag), fx.ResultTags(group))
		return fx.Provide(append([]any{given, turned}, private...)...)
	})
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
