package fifo_test

import (
	"math/rand/v2"
	"slices"
	"testing"

	"go.uber.org/goleak"

	"github.com/liftoff-mq/liftoff/internal/fifo"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

type waiter struct {
	id   int
	node fifo.Node[waiter]
}

// TestAgainstASlice pushes and removes at random and compares with a plain slice.
func TestAgainstASlice(t *testing.T) {
	var (
		list  fifo.List[waiter]
		other fifo.List[waiter]
		want  []*waiter
		all   []*waiter
		rng   = rand.New(rand.NewPCG(1, 2))
	)
	for i := range 10_000 {
		switch {
		case rng.IntN(2) == 0:
			w := &waiter{id: i}
			all = append(all, w)
			want = append(want, w)
			list.Push(&w.node, w)
		case len(all) > 0:
			w := all[rng.IntN(len(all))]
			at := slices.Index(want, w)
			if got := list.Remove(&w.node); got != (at >= 0) {
				t.Fatalf("step %d: Remove = %v, in the list: %v", i, got, at >= 0)
			}
			if at >= 0 {
				want = slices.Delete(want, at, at+1)
			}
		}
		if list.Len() != len(want) {
			t.Fatalf("step %d: Len = %d, want %d", i, list.Len(), len(want))
		}
		switch first := list.First(); {
		case len(want) == 0 && first != nil:
			t.Fatalf("step %d: an empty list has a first element", i)
		case len(want) > 0 && first != want[0]:
			t.Fatalf("step %d: First = %d, want %d", i, first.id, want[0].id)
		}
	}
	for _, w := range want {
		if !w.node.In(&list) || !w.node.Listed() || w.node.In(&other) {
			t.Fatal("a node does not know its list")
		}
		if other.Remove(&w.node) {
			t.Fatal("an element left a list that it was not in")
		}
		if list.First() != w || !list.Remove(&w.node) {
			t.Fatal("elements leave in another order than they came")
		}
	}
	if list.First() != nil || list.Len() != 0 {
		t.Fatal("the list is not empty at the end")
	}
}

func TestPushAllocatesNothing(t *testing.T) {
	var list fifo.List[waiter]
	w := new(waiter)
	if n := testing.AllocsPerRun(100, func() {
		list.Push(&w.node, w)
		list.Remove(&w.node)
	}); n != 0 {
		t.Errorf("%v allocations", n)
	}
}
