package rulekit

import (
	"fmt"
	"maps"
	"slices"
	"strings"
)

// Report runs a rule's checks and tells tb what they find, with the rule's name in front. A rule
// with a check that was not skipped counts as checked: why others were skipped is a note.
func Report(tb TB, rule string, checks []string, run func(i int) Outcome) {
	tb.Helper()
	var skipped skips
	failed := false
	for i, name := range checks {
		out := run(i)
		for _, text := range out.Notes {
			tb.Logf("%s: %s: %s", rule, name, text)
		}
		for _, text := range out.Failures {
			tb.Errorf("%s: %s: %s", rule, name, text)
		}
		failed = failed || len(out.Failures) > 0
		if out.Skipped != "" {
			skipped.add(name, out.Skipped)
		}
	}
	switch texts := skipped.texts(len(checks)); {
	case failed, skipped.n < len(checks):
		for _, text := range texts {
			tb.Logf("%s: skipped: %s", rule, text)
		}
	default:
		tb.Skipf("%s: skipped: %s", rule, strings.Join(texts, "; "))
	}
}

// skips are checks that were skipped, by reason.
type skips struct {
	n       int
	reasons []string
	checks  map[string][]string
}

func (s *skips) add(check, reason string) {
	if s.checks == nil {
		s.checks = map[string][]string{}
	}
	if s.checks[reason] == nil {
		s.reasons = append(s.reasons, reason)
	}
	s.checks[reason] = append(s.checks[reason], check)
	s.n++
}

// texts says for each reason which of so many checks it stopped.
func (s *skips) texts(all int) []string {
	if len(s.reasons) == 1 && s.n == all {
		return s.reasons
	}
	var out []string
	for _, reason := range s.reasons {
		out = append(out, strings.Join(s.checks[reason], ", ")+": "+reason)
	}
	return out
}

// Misnamed tells of names in somebody's list of skips that are no rule's and no check's, and of
// skips without a reason. Known are the names that there are.
func Misnamed(whose string, known []string, skip map[string]string) error {
	for _, name := range slices.Sorted(maps.Keys(skip)) {
		switch {
		case !slices.Contains(known, name):
			return fmt.Errorf("the %s's Skip names %q, which is no rule and no check", whose, name)
		case skip[name] == "":
			return fmt.Errorf("the %s's Skip gives no reason for %s", whose, name)
		}
	}
	return nil
}
