package core

import "testing"

func TestBatchResultBounds(t *testing.T) {
	b := BatchResult{n: 2}
	for _, i := range []int{-1, 2} {
		func() {
			defer func() {
				if recover() == nil {
					t.Errorf("At(%d) did not panic", i)
				}
			}()
			b.At(i)
		}()
	}
}

// A broker that has just taken over a queue of a static topic does not know offsets yet and says -1. The messages of a
// batch got -1, 0, 1 and so on, as if they stood at the queue's begin.
func TestUnknownOffsetOfABatch(t *testing.T) {
	for offset, want := range map[int64][3]int64{-1: {-1, -1, -1}, 0: {0, 1, 2}, 7: {7, 8, 9}} {
		b := BatchResult{n: 3, shared: Result{Status: SendOK, QueueOffset: offset}}
		for i := range want {
			if got := b.At(i).QueueOffset; got != want[i] {
				t.Errorf("the broker says %d, message %d: got %d, want %d", offset, i, got, want[i])
			}
		}
	}
}
