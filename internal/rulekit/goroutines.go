package rulekit

import (
	"bytes"
	"fmt"
	"runtime/pprof"
	"strconv"
	"strings"
	"time"
)

// The labels of a check's goroutines. Whatever a method starts inherits them, so that a
// goroutine that was left is known by them, also beside other tests.
const (
	labelCheck = "rulekit"
	labelWho   = "rulekit-by"
)

// Labels are those of the goroutines that somebody has in the check.
func (k *Kit) Labels(who string) pprof.LabelSet {
	return pprof.Labels(labelCheck, k.id(), labelWho, who)
}

func (k *Kit) id() string { return fmt.Sprintf("%p", k) }

// Patiently looks again and again whether something is so, for at most the time of Late.
func (k *Kit) Patiently(so func() bool) bool {
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	for patience := time.Now().Add(k.Late); ; <-tick.C {
		if so() {
			return true
		}
		if time.Now().After(patience) {
			return false
		}
	}
}

// NoneLeft waits until no goroutine is left that somebody's methods have started in this check.
func (k *Kit) NoneLeft(who, after string) {
	n, stacks := 0, ""
	if !k.Patiently(func() bool {
		n, stacks = k.Goroutines(who)
		return n == 0
	}) {
		k.Errorf("%v after %s the %s has %d goroutines left:\n%s", k.Late, after, who, n, stacks)
	}
}

// Goroutines counts the goroutines with the labels and shows where they are. The profile is
// text: a paragraph for all goroutines at one place with the same labels, which begins with
// their number.
func (k *Kit) Goroutines(who string) (n int, stacks string) {
	var profile bytes.Buffer
	_ = pprof.Lookup("goroutine").WriteTo(&profile, 1) // a buffer takes all
	var found []string
	for paragraph := range strings.SplitSeq(profile.String(), "\n\n") {
		if !strings.Contains(paragraph, fmt.Sprintf("%q:%q", labelCheck, k.id())) ||
			!strings.Contains(paragraph, fmt.Sprintf("%q:%q", labelWho, who)) {
			continue
		}
		lines := strings.Split(paragraph, "\n")
		for i, line := range lines {
			if count, _, ok := strings.Cut(line, " @ "); ok {
				c, _ := strconv.Atoi(count)
				n += c
				lines = lines[i+1:]
				break
			}
		}
		found = append(found, strings.Join(lines, "\n"))
	}
	return n, strings.Join(found, "\n\n")
}
