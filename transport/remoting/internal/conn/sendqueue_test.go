package conn

import (
	"math/rand/v2"
	"testing"
)

// The queue against a plain slice: frames are pushed, withdrawn and taken at random, in
// order, each once.
func TestSendQueue(t *testing.T) {
	var q sendQueue
	type waiting struct {
		position uint64
		f        *Frame
	}
	var want []waiting // not taken; withdrawn ones are gone
	rng := rand.New(rand.NewPCG(1, 2))
	requests, replies := 0, 0
	isReply := map[*Frame]bool{}
	for range 100_000 {
		switch rng.IntN(40) {
		case 0:
			before := len(want)
			for _, e := range q.popBatch(nil, 1+rng.IntN(5000)) {
				if len(want) == 0 || want[0].f != e.f {
					t.Fatal("a frame came out of order")
				}
				if want = want[1:]; isReply[e.f] {
					replies--
				} else {
					requests--
				}
			}
			if before > 0 && len(want) == before {
				t.Fatal("nothing was taken")
			}
		case 1, 2:
			if i := rng.IntN(len(want) + 1); i < len(want) && !isReply[want[i].f] {
				if got := q.withdraw(want[i].position); got != want[i].f {
					t.Fatal("another frame was withdrawn")
				}
				want = append(want[:i:i], want[i+1:]...)
				requests--
			}
		default:
			f := &Frame{B: make([]byte, 1+rng.IntN(200))}
			kind := entryRequest
			if rng.IntN(10) == 0 {
				kind, isReply[f] = entryReply, true
				replies++
			} else {
				requests++
			}
			want = append(want, waiting{q.push(entry{f: f, kind: kind}), f})
		}
		if q.requests != requests || q.replies != replies {
			t.Fatalf("%d requests and %d replies, want %d and %d", q.requests, q.replies, requests, replies)
		}
		if len(want) > 0 && q.empty() {
			t.Fatal("it counts as empty")
		}
	}
}

// One frame goes out however large it is, and a large one after small ones waits.
func TestBatchIsBounded(t *testing.T) {
	var q sendQueue
	for _, n := range []int{1000, 10, 20, 80, 5} {
		q.push(entry{f: &Frame{B: make([]byte, n)}})
	}
	for i, want := range []int{1, 2, 2, 0} {
		if got := q.popBatch(nil, 100); len(got) != want {
			t.Errorf("batch %d has %d frames, want %d", i, len(got), want)
		}
	}
}

// A queue that is never empty does not grow.
func TestSendQueueIsCompacted(t *testing.T) {
	var q sendQueue
	f := &Frame{B: make([]byte, 1)}
	q.push(entry{f: f})
	for range 100 * compactAfter {
		q.push(entry{f: f})
		q.popBatch(nil, 1)
	}
	if n := cap(q.entries); n > 4*compactAfter {
		t.Errorf("%d places for one frame", n)
	}
}
