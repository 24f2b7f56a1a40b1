package rocketmqfx

import (
	"github.com/liftoff-mq/liftoff/core"
	"github.com/liftoff-mq/liftoff/hooks/forbid"
	"github.com/liftoff-mq/liftoff/hooks/sendhook"
)

// Stepper is what Liftoff's hooks have in common.
type Stepper interface{ Step() core.Step }

// AsHook adds the step of a hook: ctor returns something that has a method
// Step() core.Step, as Liftoff's own hooks do, and perhaps an error.
func AsHook(ctor any) Part { return member[Stepper]("AsHook", ctor, groupHooks) }

// AsStep adds a step: ctor returns a core.Step and perhaps an error.
func AsStep(ctor any) Part { return member[core.Step]("AsStep", ctor, groupSteps) }

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
	return convert("AsInterceptor", ctor, name, groupSteps, func(_ Scope, _ string, i core.Interceptor) (core.Step, error) {
		return core.CallStep(name, stage, i), nil
	})
}

// AsAttemptInterceptor adds a step for attempt scope: ctor returns a
// core.AttemptInterceptor, as any type, and perhaps an error.
func AsAttemptInterceptor(name string, stage core.AttemptStage, ctor any) Part {
	return convert("AsAttemptInterceptor", ctor, name, groupSteps, func(_ Scope, _ string, i core.AttemptInterceptor) (core.Step, error) {
		return core.AttemptStep(name, stage, i), nil
	})
}

// AsListener adds a step that only listens: ctor returns something that is one or
// several of core's listeners, and perhaps an error.
func AsListener(name string, ctor any) Part {
	return convert("AsListener", ctor, name, groupSteps, func(_ Scope, _ string, l any) (core.Step, error) {
		return core.ListenerStep(name, l), nil
	})
}

// AsForbidHook adds a forbid-check hook: ctor returns a forbid.Hook, as any type,
// and perhaps an error.
func AsForbidHook(ctor any) Part { return member[forbid.Hook]("AsForbidHook", ctor, groupForbid) }

// AsSendHook adds a send-message hook: ctor returns a sendhook.Hook, as any type,
// and perhaps an error.
func AsSendHook(ctor any) Part { return member[sendhook.Hook]("AsSendHook", ctor, groupSend) }
