package steptest

import (
	"bytes"
	"fmt"
	"runtime"
	"runtime/pprof"
	"strconv"
	"strings"
	"time"
)

// labelCheck is the label of a check's goroutines. Whatever a plugin starts inherits it, so
// that a goroutine is known by it, also beside other tests.
const labelCheck = "steptest"

func (k *kit) labels() pprof.LabelSet { return pprof.Labels(labelCheck, k.id()) }

func (k *kit) id() string { return fmt.Sprintf("%p", k) }

// patiently looks again and again whether something is so, for at most the time of Late.
func (k *kit) patiently(so func() bool) bool {
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	for patience := time.Now().Add(k.late); ; <-tick.C {
		if so() {
			return true
		}
		if time.Now().After(patience) {
			return false
		}
	}
}

// noneLeft waits until no goroutine is left that the plugin has started in this check.
func (k *kit) noneLeft(after string) {
	n, stacks := 0, ""
	if !k.patiently(func() bool {
		n, stacks = k.goroutines()
		return n == 0
	}) {
		k.Errorf("%v after %s it has %d goroutines left:\n%s", k.late, after, n, stacks)
	}
}

// goroutines counts the goroutines with the check's label and shows where they are. The
// profile is text: a paragraph for all goroutines at one place with the same labels, which
// begins with their number.
func (k *kit) goroutines() (n int, stacks string) {
	var profile bytes.Buffer
	_ = pprof.Lookup("goroutine").WriteTo(&profile, 1) // a buffer takes all
	var found []string
	for paragraph := range strings.SplitSeq(profile.String(), "\n\n") {
		if !strings.Contains(paragraph, fmt.Sprintf("%q:%q", labelCheck, k.id())) {
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

// forgotten waits until the garbage collector has taken everything that gone looks for, and
// reports whether it has. Pools are emptied by that as well, so what is left is kept by
// somebody.
func (k *kit) forgotten(gone func() bool) bool {
	return k.patiently(func() bool {
		runtime.GC()
		return gone()
	})
}
