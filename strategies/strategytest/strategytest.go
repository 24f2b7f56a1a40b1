package strategytest

import (
	"cmp"
	"slices"
	"time"
)

// TB is what the kit needs of a test. A *testing.T is one.
type TB interface {
	Helper()
	Logf(format string, args ...any)
	Errorf(format string, args ...any)
	Skipf(format string, args ...any)
}

// Runner is a TB with sub-tests. A *testing.T is a Runner[*testing.T].
type Runner[T any] interface {
	TB
	Run(name string, f func(t T)) bool
}

// DefaultLimit is the time that one rule has, unless the options say otherwise. It is time of
// the machine, not of the bubble in which a rule runs.
const DefaultLimit = 30 * time.Second

// rule is one numbered sentence of a contract, and how to check it for a subject.
type rule[S any] struct {
	id, text string
	check    func(k *kit, subject S)
}

// contract is all rules of one kind of strategy.
type contract[S any] struct {
	rules []rule[S]
	numbers
}

// numbers are those of the rules that a strategy can break whatever rule is being checked:
// there is a strategy, its methods neither panic nor wait, and it leaves no goroutine.
type numbers struct{ given, panics, waits, leaves string }

// settings are the options that every kind of strategy has.
type settings struct {
	skip  map[string]string
	limit time.Duration
	real  bool // without virtual time
}

// run checks every rule in a sub-test of its own.
func run[S any, T Runner[T]](t T, c contract[S], subject S, o settings) {
	t.Helper()
	texts := map[string]string{}
	for _, r := range c.rules {
		texts[r.id] = r.text
	}
	for id, reason := range o.skip {
		switch {
		case texts[id] == "":
			t.Errorf("Skip names %q, which is no rule here", id)
		case reason == "":
			t.Errorf("Skip gives no reason for %s", id)
		}
	}
	seen := &seen{known: map[string]bool{}}
	for _, r := range c.rules {
		t.Run(r.id, func(t T) {
			t.Helper()
			if reason := o.skip[r.id]; reason != "" {
				t.Skipf("%s: %s: skipped: %s", r.id, r.text, reason)
				return
			}
			if seen.blocked != "" {
				t.Skipf("%s: %s: not checked, because %s", r.id, r.text, seen.blocked)
				return
			}
			k := &kit{
				rule: r.id, numbers: c.numbers, skip: o.skip, limit: cmp.Or(o.limit, DefaultLimit), seen: seen, inside: map[string]int{},
			}
			k.run(t, o.real, func() { r.check(k, subject) })
			k.tell(t, texts)
		})
	}
}

// tell reports what was found. A finding that an earlier rule has told already is not told
// again, unless it is the rule's own.
func (k *kit) tell(t TB, texts map[string]string) {
	t.Helper()
	k.mu.Lock()
	found, skipped := slices.Clone(k.found), k.skipped
	k.over = true
	k.mu.Unlock()
	told := 0
	for _, f := range found {
		if k.seen.known[f.rule+f.key] && f.rule != k.rule {
			skipped = cmp.Or(skipped, "it breaks "+f.rule)
			continue
		}
		k.seen.known[f.rule+f.key], k.seen.known[f.rule] = true, true
		told++
		if f.rule == k.rule {
			t.Errorf("%s: %s: %s", f.rule, texts[f.rule], f.text)
		} else {
			t.Errorf("%s: %s: %s (seen while %s was checked)", f.rule, texts[f.rule], f.text, k.rule)
		}
	}
	if told == 0 && skipped != "" {
		t.Skipf("%s: %s: not checked, because %s", k.rule, texts[k.rule], skipped)
	}
}

// seen is what the rules that were checked so far have found.
type seen struct {
	known   map[string]bool // rules that are broken, and findings that were told, by rule and key
	blocked string          // what blocks: the other rules would meet it too, each for its whole time
}
