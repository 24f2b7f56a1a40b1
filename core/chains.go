package core

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// chains are the steps that a call runs, composed: the producer's own, or those of a policy
// that has others.
type chains struct {
	pipeline    *Pipeline
	call        Handler
	attempt     AttemptHandler
	operation   OperationHandler
	lastCall    string // the innermost step of message scope, for errors
	lastAttempt string // and of attempt scope
}

func (e *engine) compose(p *Pipeline) *chains {
	return &chains{
		pipeline:    p,
		call:        composeCall(e.deliver, p.call),
		attempt:     composeAttempt(e.carry, p.attempt),
		operation:   composeOperation(e.locate(composeOperation(e.operate, p.inner, p.outer)), p.outer, nil),
		lastCall:    callerOf(p.call, len(p.call)),
		lastAttempt: callerOf(p.attempt, len(p.attempt)),
	}
}

// stepNames are the names of all steps, those of policies among them.
func stepNames(steps []Step, listed []TopicPolicy) map[string]bool {
	out := map[string]bool{}
	for i := range steps {
		out[steps[i].name] = true
	}
	for _, tp := range listed {
		if tp.Policy == nil {
			continue
		}
		for i := range tp.Policy.Steps {
			out[tp.Policy.Steps[i].name] = true
		}
	}
	return out
}

// of leaves out the steps that only others have: an order of a producer lists the steps of all
// its policies.
func (o Order) of(steps []Step, known map[string]bool) Order {
	only := func(list []string) []string {
		return slices.DeleteFunc(slices.Clone(list), func(name string) bool {
			return known[name] && !slices.ContainsFunc(steps, func(s Step) bool { return s.name == name })
		})
	}
	return Order{Call: only(o.Call), Attempt: only(o.Attempt)}
}

// place composes the policy's steps, unless they are the producer's, and finds what is wrong
// with them.
func (p *policy) place(e *engine, known map[string]bool) []error {
	var errs []error
	fail := func(format string, args ...any) {
		errs = append(errs, fmt.Errorf("policy %q: "+format, append([]any{p.Name}, args...)...))
	}
	p.Steps, p.Without, p.Require = slices.Clone(p.Steps), slices.Clone(p.Without), slices.Clone(p.Require)
	has := func(steps []Step, name string) bool {
		return slices.ContainsFunc(steps, func(s Step) bool { return s.name == name })
	}
	without := p.Without[:0]
	for _, name := range p.Without {
		name, optional := strings.CutSuffix(name, "?")
		switch {
		case has(p.Steps, name):
			fail("step %q is both in Steps and in Without", name)
		case has(e.cfg.Steps, name):
			without = append(without, name)
		case !optional:
			fail("Without names step %q, which the producer does not have; it has %s", name, quoted(e.cfg.Steps))
		}
	}
	p.Without = without
	if len(p.Steps)+len(p.Without) > 0 {
		steps := slices.Clone(p.Steps)
		for _, s := range e.cfg.Steps {
			if !has(p.Steps, s.name) && !slices.Contains(p.Without, s.name) {
				steps = append(steps, s)
			}
		}
		pipeline, err := Resolve(e.cfg.Order.of(steps, known), steps...)
		if err != nil {
			fail("%w", err)
			return errs
		}
		p.chains = e.compose(pipeline)
	}
	for _, name := range p.Require {
		if !has(p.pipeline.steps, name) {
			fail("requires step %q, which is not in its pipeline; that has %s", name, quoted(p.pipeline.steps))
		}
	}
	return errs
}

func quoted(steps []Step) string {
	if len(steps) == 0 {
		return "no step"
	}
	var names []string
	for i := range steps {
		names = append(names, strconv.Quote(steps[i].name))
	}
	slices.Sort(names)
	return strings.Join(names, ", ")
}

// stepParts are the values of steps.
func stepParts(steps []Step) []any {
	var out []any
	for i := range steps {
		out = append(out, steps[i].Parts()...)
	}
	return out
}
