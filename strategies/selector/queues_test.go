package selector_test

import (
	"crypto/sha256"
	"fmt"
	"os"
	"strconv"
	"strings"
	"testing"

	"github.com/liftoff-mq/liftoff/core/coretest"
	"github.com/liftoff-mq/liftoff/strategies/selector"
)

// Of 10,000 keys each has the queue that other clients give it. testdata/queues.txt was made by them
// (integration/hash_test.go): SelectMessageQueueByHash of the Java client, the hash selector of the Go client, and the load
// balancer of the Java client for gRPC. A line has the function, the number of queues, the SHA-256 of all choices, and the
// first 100 of them.
func TestQueuesOfTenThousandKeys(t *testing.T) {
	keys := make([]string, 10_000)
	for i := range keys {
		keys[i] = fmt.Sprintf([]string{"order-%d", "%d", "客户-%d", "😀 %d ß", "%032x"}[i%5], i*7919)
	}
	golden, err := os.ReadFile("testdata/queues.txt")
	if err != nil {
		t.Fatal(err)
	}
	lines := 0
	for line := range strings.Lines(string(golden)) {
		lines++
		want := strings.Fields(line)
		var f selector.HashFunc
		if err := f.UnmarshalText([]byte(want[0])); err != nil {
			t.Fatal(err)
		}
		n, err := strconv.Atoi(want[1])
		if err != nil {
			t.Fatal(err)
		}
		var chosen []string
		for i, q := range places(t, f, coretest.Routes(n, "a"), keys) {
			chosen = append(chosen, strconv.Itoa(q.ID))
			if i < 100 && chosen[i] != want[3+i] {
				t.Fatalf("%v: key %q is in queue %d of %d, want %s", f, keys[i], q.ID, n, want[3+i])
			}
		}
		if sum := fmt.Sprintf("%x", sha256.Sum256([]byte(strings.Join(chosen, " ")))); sum != want[2] {
			t.Errorf("%v: the first 100 keys are in their queues of %d, and not all of 10,000: %s, want %s", f, n, sum, want[2])
		}
	}
	if lines != 3*4 { // functions, numbers of queues
		t.Errorf("%d lines", lines)
	}
}
