package core

import (
	"errors"
	"fmt"
	"reflect"
	"regexp"
	"slices"
	"strings"
)

// Pipeline is the resolved chain of steps. It is immutable, and the same for
// every order in which the same steps were given.
type Pipeline struct {
	call      []placed[Interceptor]
	attempt   []placed[AttemptInterceptor]
	listeners listeners
	listening []listening
}

// placed is an interceptor at its place.
type placed[T any] struct {
	name  string
	stage string
	use   T
}

// listening is a step's name with the events it listens to, for String.
type listening struct {
	name   string
	events []string
}

var stepName = regexp.MustCompile(`^[a-z0-9]+([._-][a-z0-9]+)*$`)

// Resolve puts steps in order: by stage, then by After and Before, then by
// name, so that the order in which they are given never matters. A list in
// order replaces all three for its scope.
//
// All mistakes are reported at once, each naming its step: bad and duplicate
// names, a nil or useless Use, a role without a stage, a stage without a role,
// unknown neighbours, cycles, and an order that does not list exactly the steps
// of its scope.
func Resolve(order Order, steps ...Step) (*Pipeline, error) {
	steps = slices.Clone(steps)
	slices.SortStableFunc(steps, func(a, b Step) int { return strings.Compare(a.Name, b.Name) })

	var errs []error
	var twice string
	steps = slices.CompactFunc(steps, func(a, b Step) bool {
		if a.Name == b.Name && a.Name != twice {
			twice = a.Name
			errs = append(errs, fmt.Errorf("step %q: given more than once", twice))
		}
		return a.Name == b.Name
	})
	for i := range steps {
		errs = append(errs, steps[i].check()...)
	}
	callNames, callErrs := arrange(steps, order.Call, "call", func(s *Step) int { return int(s.Stage) })
	attemptNames, attemptErrs := arrange(steps, order.Attempt, "attempt", func(s *Step) int { return int(s.AttemptStage) })
	errs = slices.Concat(errs, callErrs, attemptErrs, checkNeighbours(steps))
	if err := errors.Join(errs...); err != nil {
		return nil, fmt.Errorf("pipeline: %w", err)
	}
	p := &Pipeline{}
	byName := make(map[string]*Step, len(steps))
	for i := range steps {
		byName[steps[i].Name] = &steps[i]
	}
	for _, n := range callNames {
		s := byName[n]
		p.call = append(p.call, placed[Interceptor]{n, s.Stage.String(), s.Use.(Interceptor)})
	}
	for _, n := range attemptNames {
		s := byName[n]
		p.attempt = append(p.attempt, placed[AttemptInterceptor]{n, s.AttemptStage.String(), s.Use.(AttemptInterceptor)})
	}
	for _, s := range steps {
		if events := p.listeners.add(s.Name, s.Use); len(events) > 0 {
			p.listening = append(p.listening, listening{s.Name, events})
		}
	}
	return p, nil
}

// check finds what is wrong with one step by itself.
func (s *Step) check() []error {
	var errs []error
	fail := func(format string, args ...any) {
		errs = append(errs, fmt.Errorf("step %q: "+format, append([]any{s.Name}, args...)...))
	}
	if !stepName.MatchString(s.Name) {
		fail("a name is dotted lower-case words, such as compress.zlib")
	}
	if isNil(s.Use) {
		fail("Use is nil")
		return errs
	}
	_, isCall := s.Use.(Interceptor)
	_, isAttempt := s.Use.(AttemptInterceptor)
	var l listeners
	events := l.add(s.Name, s.Use)
	if !isCall && !isAttempt && len(events) == 0 {
		fail("%T is no interceptor, attempt interceptor or listener", s.Use)
		return errs
	}
	switch {
	case s.Stage > StageEncode:
		fail("unknown stage %d", s.Stage)
	case isCall && s.Stage == StageNone:
		fail("%T is an interceptor, but Stage is not set", s.Use)
	case !isCall && s.Stage != StageNone:
		fail("Stage is %v, but %T is no interceptor", s.Stage, s.Use)
	}
	switch {
	case s.AttemptStage > AttemptWire:
		fail("unknown attempt stage %d", s.AttemptStage)
	case isAttempt && s.AttemptStage == AttemptNone:
		fail("%T is an attempt interceptor, but AttemptStage is not set", s.Use)
	case !isAttempt && s.AttemptStage != AttemptNone:
		fail("AttemptStage is %v, but %T is no attempt interceptor", s.AttemptStage, s.Use)
	}
	if !isCall && !isAttempt && len(s.After)+len(s.Before) > 0 {
		fail("After and Before have no meaning for a listener")
	}
	return errs
}

func isNil(v any) bool {
	if v == nil {
		return true
	}
	switch r := reflect.ValueOf(v); r.Kind() {
	case reflect.Pointer, reflect.Map, reflect.Slice, reflect.Func, reflect.Chan, reflect.Interface:
		return r.IsNil()
	}
	return false
}

// checkNeighbours makes sure that every After and Before names a step of the
// same stage in at least one scope.
func checkNeighbours(steps []Step) []error {
	var errs []error
	byName := make(map[string]*Step, len(steps))
	for i := range steps {
		byName[steps[i].Name] = &steps[i]
	}
	for i := range steps {
		s := &steps[i]
		for _, name := range slices.Concat(s.After, s.Before) {
			bare, optional := strings.CutSuffix(name, "?")
			other, known := byName[bare]
			switch {
			case !known && !optional:
				errs = append(errs, fmt.Errorf("step %q: neighbour %q is unknown", s.Name, bare))
			case known && !(s.Stage != StageNone && s.Stage == other.Stage) &&
				!(s.AttemptStage != AttemptNone && s.AttemptStage == other.AttemptStage):
				errs = append(errs, fmt.Errorf("step %q: neighbour %q is in no stage with it: %s, but %s", s.Name, bare, s.places(), other.places()))
			}
		}
	}
	return errs
}

// places says where a step stands.
func (s *Step) places() string {
	switch {
	case s.Stage != StageNone && s.AttemptStage != AttemptNone:
		return fmt.Sprintf("%v of message scope and %v of attempt scope", s.Stage, s.AttemptStage)
	case s.Stage != StageNone:
		return fmt.Sprintf("%v of message scope", s.Stage)
	case s.AttemptStage != AttemptNone:
		return fmt.Sprintf("%v of attempt scope", s.AttemptStage)
	default:
		return "no stage, it only listens"
	}
}

// arrange gives the names of one scope's steps in order.
func arrange(steps []Step, explicit []string, scope string, stageOf func(*Step) int) ([]string, []error) {
	var names []string
	for i := range steps {
		if stageOf(&steps[i]) != 0 {
			names = append(names, steps[i].Name)
		}
	}
	if explicit != nil {
		return checkOrder(names, explicit, scope)
	}
	const stages = 4
	var out []string
	for stage := 1; stage <= stages; stage++ {
		var members []*Step
		for i := range steps {
			if stageOf(&steps[i]) == stage {
				members = append(members, &steps[i])
			}
		}
		sorted, err := sortStage(members)
		if err != nil {
			return nil, []error{fmt.Errorf("%s scope: %w", scope, err)}
		}
		out = append(out, sorted...)
	}
	return out, nil
}

// checkOrder accepts an explicit order that lists each of names exactly once.
func checkOrder(names, explicit []string, scope string) ([]string, []error) {
	var errs []error
	seen := make(map[string]bool, len(explicit))
	for _, n := range explicit {
		switch {
		case seen[n]:
			errs = append(errs, fmt.Errorf("step %q: twice in the %s order", n, scope))
		case !slices.Contains(names, n):
			errs = append(errs, fmt.Errorf("step %q: in the %s order, but not a step of that scope", n, scope))
		}
		seen[n] = true
	}
	for _, n := range names {
		if !seen[n] {
			errs = append(errs, fmt.Errorf("step %q: missing in the %s order", n, scope))
		}
	}
	return slices.Clone(explicit), errs
}

// sortStage sorts the members of one stage, given by name, topologically: of
// those that may come next the first by name does.
func sortStage(members []*Step) ([]string, error) {
	index := make(map[string]int, len(members))
	for i, s := range members {
		index[s.Name] = i
	}
	outer := make([]map[int]bool, len(members)) // who must be further out than i
	for i := range outer {
		outer[i] = map[int]bool{}
	}
	for i, s := range members {
		for _, n := range s.After {
			if j, ok := index[strings.TrimSuffix(n, "?")]; ok {
				outer[i][j] = true
			}
		}
		for _, n := range s.Before {
			if j, ok := index[strings.TrimSuffix(n, "?")]; ok {
				outer[j][i] = true
			}
		}
	}
	var out []string
	done := make([]bool, len(members))
	for len(out) < len(members) {
		next := -1
		for i := range members {
			if !done[i] && len(outer[i]) == 0 {
				next = i
				break
			}
		}
		if next < 0 {
			return nil, cycleError(members, outer, done)
		}
		done[next] = true
		out = append(out, members[next].Name)
		for i := range outer {
			delete(outer[i], next)
		}
	}
	return out, nil
}

// cycleError follows the constraints backwards until a step comes up again.
func cycleError(members []*Step, outer []map[int]bool, done []bool) error {
	at := slices.Index(done, false)
	var path []int
	for !slices.Contains(path, at) {
		path = append(path, at)
		// Every step that is left waits for another that is left; take the
		// first by name, so that the message is the same each time.
		for i := range members {
			if outer[at][i] {
				at = i
				break
			}
		}
	}
	path = path[slices.Index(path, at):]
	slices.Reverse(path)
	var names []string
	for _, i := range append(path, path[0]) {
		names = append(names, fmt.Sprintf("%q", members[i].Name))
	}
	return fmt.Errorf("steps form a cycle: %s", strings.Join(names, " before "))
}

// String lists the chain, outermost first, one step a line.
func (p *Pipeline) String() string {
	var b strings.Builder
	width := len("message id, route, queue selection, retry")
	for _, s := range p.call {
		fmt.Fprintf(&b, "call     %-8s %s\n", s.stage, s.name)
	}
	fmt.Fprintf(&b, "core     %-8s %-*s\n", "", width, "message id, route, queue selection, retry")
	for _, s := range p.attempt {
		fmt.Fprintf(&b, "attempt  %-8s %s\n", s.stage, s.name)
	}
	b.WriteString("attempt           transport\n")
	for _, l := range p.listening {
		fmt.Fprintf(&b, "listener          %s: %s\n", l.name, strings.Join(l.events, ", "))
	}
	return b.String()
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
