package core

import (
	"fmt"
	"slices"
	"strings"
)

// The order of steps: by stage, then by their neighbours, then by name.

// arrange gives the names of one scope's steps in order.
func arrange(steps []Step, explicit []string, scope string, stageOf func(*Step) int) ([]string, []error) {
	var names []string
	for i := range steps {
		if stageOf(&steps[i]) != 0 {
			names = append(names, steps[i].name)
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
		index[s.name] = i
	}
	outer := make([]map[int]bool, len(members)) // who must be further out than i
	for i := range outer {
		outer[i] = map[int]bool{}
	}
	for i, s := range members {
		for _, n := range s.after {
			if j, ok := index[strings.TrimSuffix(n, "?")]; ok {
				outer[i][j] = true
			}
		}
		for _, n := range s.before {
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
		out = append(out, members[next].name)
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
		names = append(names, fmt.Sprintf("%q", members[i].name))
	}
	return fmt.Errorf("steps form a cycle: %s", strings.Join(names, " before "))
}
