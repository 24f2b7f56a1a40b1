package transporttest

import (
	"bytes"
	"fmt"
	"runtime/pprof"
	"strconv"
	"strings"
	"time"
)

// noneLeft waits until no goroutine is left that the transport, or the world, has started
// in this check. Goroutines inherit the labels of whoever starts them, so nobody else's
// are counted.
func (k *kit) noneLeft(who, after string) {
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	for patience := time.Now().Add(k.late); ; <-tick.C {
		n, stacks := labelled(k.id(), who)
		if n == 0 {
			return
		}
		if time.Now().After(patience) {
			k.Errorf("%v after %s the %s has %d goroutines left:\n%s", k.late, after, who, n, stacks)
			return
		}
	}
}

// labelled counts the goroutines with a check's labels and shows where they are. The
// profile is text: a paragraph for all goroutines at one place with the same labels, which
// begins with their number.
func labelled(id, who string) (n int, stacks string) {
	var profile bytes.Buffer
	_ = pprof.Lookup("goroutine").WriteTo(&profile, 1) // a buffer takes all
	var found []string
	for _, paragraph := range strings.Split(profile.String(), "\n\n") {
		if !strings.Contains(paragraph, fmt.Sprintf("%q:%q", labelCheck, id)) ||
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
