package rocketmqfx

import (
	"github.com/liftoff-mq/liftoff/core"
	"github.com/liftoff-mq/liftoff/hooks/forbid"
	"github.com/liftoff-mq/liftoff/hooks/sendhook"
	"go.uber.org/fx"
)

// Stepper is what Liftoff's hooks have in common.
type Stepper interface{ Step() core.Step }

// AsHook adds the step of a hook: ctor returns something that has a method
// Step() core.Step, as Liftoff's own hooks do, and perhaps an error.
func AsHook(ctor any) Part { return member[Stepper](ctor, `group:"rocketmq.hooks"`) }

// AsStep adds a step: ctor returns a core.Step and perhaps an error.
func AsStep(ctor any) Part {
	return newPart(func(_ Scope, private []any) fx.Option {
		return fx.Provide(append([]any{fx.Annotate(ctor, fx.ResultTags(groupSteps))}, private...)...)
	})
}

// Steps adds steps that exist already.
func Steps(steps ...core.Step) Part {
	parts := make([]Part, len(steps))
	for i, s := range steps {
		parts[i] = AsStep(func() core.Step { return s })
	}
	return Join(parts...)
}

// AsInterceptor adds a step for message scope: ctor returns a core.Interceptor,
// as any type, and perhaps an error. One that is an attempt interceptor as well
// needs AsStep or AsHook.
func AsInterceptor(name string, stage core.Stage, ctor any) Part {
	return convert(ctor, name, groupSteps, func(_ Scope, _ string, i core.Interceptor) core.Step {
		return core.Step{Name: name, Stage: stage, Use: i}
	})
}

// AsAttemptInterceptor adds a step for attempt scope: ctor returns a
// core.AttemptInterceptor, as any type, and perhaps an error.
func AsAttemptInterceptor(name string, stage core.AttemptStage, ctor any) Part {
	return convert(ctor, name, groupSteps, func(_ Scope, _ string, i core.AttemptInterceptor) core.Step {
		return core.Step{Name: name, AttemptStage: stage, Use: i}
	})
}

// AsListener adds a step that only listens: ctor returns something that is one or
// several of core's listeners, and perhaps an error.
func AsListener(name string, ctor any) Part {
	return convert(ctor, name, groupSteps, func(_ Scope, _ string, l any) core.Step {
		return core.Step{Name: name, Use: l}
	})
}

// AsForbidHook adds a forbid-check hook: ctor returns a forbid.Hook, as any type,
// and perhaps an error.
func AsForbidHook(ctor any) Part { return member[forbid.Hook](ctor, groupForbid) }

// AsSendHook adds a send-message hook: ctor returns a sendhook.Hook, as any type,
// and perhaps an error.
func AsSendHook(ctor any) Part { return member[sendhook.Hook](ctor, groupSend) }
