package core

import (
	"errors"
	"fmt"
	"reflect"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/liftoff-mq/liftoff/internal/absent"
)

// Pipeline is the resolved chain of steps and, for a producer's, its policies. It is
// immutable, and the same for every order in which the same steps were given.
type Pipeline struct {
	steps     []Step // by name
	call      []placed[Interceptor]
	attempt   []placed[AttemptInterceptor]
	outer     []placed[OperationInterceptor] // of operations, before their broker is known
	inner     []placed[OperationInterceptor] // and after
	listeners listeners
	listening []listening
	cfg       *Config // the producer's; nil for a pipeline of [Resolve]
	policies  []*policy
}

// placed is an interceptor at its place.
type placed[T any] struct {
	name  string
	stage string
	use   T
}

// listening is a step's name with the events it listens to, for descriptions.
type listening struct {
	name   string
	events []string
	part   any // the first of its values that listens
}

var stepName = regexp.MustCompile(`^[a-z0-9]+([._-][a-z0-9]+)*$`)

// Resolve puts steps in order: by stage, then by After and Before, then by
// name, so that the order in which they are given never matters. A list in
// order replaces all three for its scope.
//
// All mistakes are reported at once, each naming its step: bad and duplicate
// names, nil and useless values, missing and unknown stages, unknown neighbours, cycles,
// and an order that does not list exactly the steps of its scope.
func Resolve(order Order, steps ...Step) (*Pipeline, error) {
	steps = slices.Clone(steps)
	slices.SortStableFunc(steps, func(a, b Step) int { return strings.Compare(a.name, b.name) })

	var errs []error
	var twice string
	steps = slices.CompactFunc(steps, func(a, b Step) bool {
		if a.name == b.name && a.name != twice {
			twice = a.name
			errs = append(errs, fmt.Errorf("step %q: given more than once", twice))
		}
		return a.name == b.name
	})
	for i := range steps {
		errs = append(errs, steps[i].check()...)
	}
	callNames, callErrs := arrange(steps, order.Call, "call", func(s *Step) int { return int(s.stage) })
	attemptNames, attemptErrs := arrange(steps, order.Attempt, "attempt", func(s *Step) int { return int(s.attemptStage) })
	errs = slices.Concat(errs, callErrs, attemptErrs, checkNeighbours(steps))
	if err := errors.Join(errs...); err != nil {
		return nil, fmt.Errorf("pipeline: %w", err)
	}
	return assemble(steps, callNames, attemptNames), nil
}

// assemble puts steps without mistakes at their places.
func assemble(steps []Step, callNames, attemptNames []string) *Pipeline {
	p := &Pipeline{steps: steps}
	byName := make(map[string]*Step, len(steps))
	for i := range steps {
		byName[steps[i].name] = &steps[i]
	}
	for _, n := range callNames {
		s := byName[n]
		p.call = append(p.call, placed[Interceptor]{n, s.stage.String(), s.call})
		if op, ok := s.call.(OperationInterceptor); ok {
			p.outer = append(p.outer, placed[OperationInterceptor]{n, s.stage.String(), op})
		}
	}
	for _, n := range attemptNames {
		s := byName[n]
		p.attempt = append(p.attempt, placed[AttemptInterceptor]{n, s.attemptStage.String(), s.attempt})
		if op, ok := s.attempt.(OperationInterceptor); ok && !same(s.attempt, s.call) {
			p.inner = append(p.inner, placed[OperationInterceptor]{n, s.attemptStage.String(), op})
		}
	}
	for _, s := range steps {
		l := listening{name: s.name}
		for _, part := range s.Parts() {
			events := p.listeners.add(s.name, part)
			if len(l.events) == 0 {
				l.part = part
			}
			l.events = append(l.events, events...)
		}
		if len(l.events) > 0 {
			p.listening = append(p.listening, l)
		}
	}
	return p
}

// check finds what is wrong with one step by itself.
func (s *Step) check() []error {
	var errs []error
	fail := func(format string, args ...any) {
		errs = append(errs, fmt.Errorf("step %q: "+format, append([]any{s.name}, args...)...))
	}
	if !stepName.MatchString(s.name) {
		fail("a name is dotted lower-case words, such as compress.zlib")
	}
	placedNowhere := s.stage == StageNone && s.attemptStage == AttemptNone
	if s.call == nil && s.attempt == nil && s.listener == nil && placedNowhere {
		fail("it is empty: make it with CallStep, AttemptStep or ListenerStep")
		return errs
	}
	s.checkPlaces(fail)
	if len(s.after)+len(s.before) > 0 && s.call == nil && s.attempt == nil {
		fail("After and Before have no meaning for a listener")
	}
	return errs
}

// checkPlaces finds parts that are nil, placed nowhere or placed wrongly.
func (s *Step) checkPlaces(fail func(format string, args ...any)) {
	if s.call != nil || s.stage != StageNone {
		switch {
		case absent.Is(s.call):
			fail("the interceptor is nil")
		case s.stage == StageNone:
			fail("%T has no stage", s.call)
		case s.stage > StageEncode:
			fail("unknown stage %d", s.stage)
		}
	}
	if s.attempt != nil || s.attemptStage != AttemptNone {
		switch {
		case absent.Is(s.attempt):
			fail("the attempt interceptor is nil")
		case s.attemptStage == AttemptNone:
			fail("%T has no attempt stage", s.attempt)
		case s.attemptStage > AttemptWire:
			fail("unknown attempt stage %d", s.attemptStage)
		}
	}
	if s.listener != nil {
		var l listeners
		if absent.Is(s.listener) {
			fail("the listener is nil")
		} else if len(l.add(s.name, s.listener)) == 0 {
			fail("%T is no listener", s.listener)
		}
	}
	// A value that is left out of one of its scopes would be silently without effect there.
	for _, part := range s.Parts() {
		if _, ok := part.(Interceptor); ok && s.call == nil {
			fail("%T is an interceptor as well: place it with CallStep", part)
		}
		if _, ok := part.(AttemptInterceptor); ok && s.attempt == nil {
			fail("%T is an attempt interceptor as well: place it with WithAttempt", part)
		}
	}
}

// same reports whether a and b are one value. Values that cannot be compared are
// not.
func same(a, b any) bool {
	return a != nil && b != nil && reflect.ValueOf(a).Comparable() && reflect.ValueOf(b).Comparable() && a == b
}

// checkNeighbours makes sure that every After and Before names a step of the
// same stage in at least one scope.
func checkNeighbours(steps []Step) []error {
	var errs []error
	byName := make(map[string]*Step, len(steps))
	for i := range steps {
		byName[steps[i].name] = &steps[i]
	}
	for i := range steps {
		s := &steps[i]
		for _, name := range slices.Concat(s.after, s.before) {
			bare, optional := strings.CutSuffix(name, "?")
			other, known := byName[bare]
			switch {
			case !known && !optional:
				errs = append(errs, fmt.Errorf("step %q: neighbour %q is unknown; %s", s.name, bare, s.others(steps)))
			case known && !s.meets(other):
				errs = append(errs, fmt.Errorf("step %q is in %s; %q is in %s: After and Before order neighbours of one stage only", s.name, s.places(), bare, other.places()))
			}
		}
	}
	return errs
}

// meets reports whether two steps are in one stage, in at least one scope.
func (s *Step) meets(other *Step) bool {
	return s.stage != StageNone && s.stage == other.stage ||
		s.attemptStage != AttemptNone && s.attemptStage == other.attemptStage
}

// others says which steps could have been meant by a neighbour that is unknown.
func (s *Step) others(steps []Step) string {
	var names []string
	for i := range steps {
		if other := &steps[i]; other.name != s.name && s.meets(other) {
			names = append(names, strconv.Quote(other.name))
		}
	}
	where := "stage"
	if s.stage != StageNone && s.attemptStage != AttemptNone {
		where = "stages"
	}
	if len(names) == 0 {
		return "no other step is in its " + where
	}
	return fmt.Sprintf("the other steps of its %s are %s", where, strings.Join(names, ", "))
}

// places says where a step stands.
func (s *Step) places() string {
	switch {
	case s.stage != StageNone && s.attemptStage != AttemptNone:
		return fmt.Sprintf("message scope, %v, and in attempt scope, %v", s.stage, s.attemptStage)
	case s.stage != StageNone:
		return fmt.Sprintf("message scope, %v", s.stage)
	case s.attemptStage != AttemptNone:
		return fmt.Sprintf("attempt scope, %v", s.attemptStage)
	default:
		return "no stage, it only listens"
	}
}

// Names returns the names in message scope and in attempt scope, outermost first.
func (p *Pipeline) Names() (call, attempt []string) {
	for _, s := range p.call {
		call = append(call, s.name)
	}
	for _, s := range p.attempt {
		attempt = append(attempt, s.name)
	}
	return call, attempt
}
