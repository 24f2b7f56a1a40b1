package limit

import (
	"fmt"
	"math"
	"testing"
	"time"
)

// Where too many topics are in use at once the rest share a bucket. A look for idle ones takes
// time for each topic, so there is at most one a second.
func TestTooManyTopics(t *testing.T) {
	r, err := NewRate(RateConfig{PerSecond: 0.001, Burst: 2})
	if err != nil {
		t.Fatal(err)
	}
	now := time.Now()
	take := func(topic string) bool {
		r.mu.Lock()
		defer r.mu.Unlock()
		return r.bucket(topic, now).take(now, 1)
	}
	for i := range maxTopics + 2 {
		if !take(fmt.Sprint("t", i)) {
			t.Fatalf("topic %d has no token", i)
		}
	}
	if take("more") {
		t.Error("a third message beyond has a token")
	}
	if !take("t0") || take("t0") {
		t.Error("a topic with a bucket of its own shares it")
	}
	got := r.States()
	if len(got) != maxTopics+1 || got[0].Topic != "" || got[1].Topic != "t0" {
		t.Errorf("%d topics, first %+v", len(got), got[:2])
	}
	now = now.Add(time.Hour) // they are full again
	if !take("more") || len(r.topics) != 1 || r.sweepAt != firstSweep {
		t.Errorf("%d topics are left, the next look is at %d", len(r.topics), r.sweepAt)
	}
	for i := range 200 {
		take(fmt.Sprint("u", i))
	}
	now = now.Add(sweepGap - 1)
	take("v")
	if len(r.topics) != 202 {
		t.Errorf("%d topics, want 202", len(r.topics))
	}
	now = now.Add(1)
	take("w")
	if len(r.topics) != 203 || r.sweepAt != 404 {
		t.Errorf("%d topics, want 203 that are not idle; the next look is at %d", len(r.topics), r.sweepAt)
	}
}

// However many topics were in use at the last look, the next one comes before their number ends.
func TestLooksBeforeTheEnd(t *testing.T) {
	r, err := NewRate(RateConfig{PerSecond: 0.001, Burst: 1})
	if err != nil {
		t.Fatal(err)
	}
	now := time.Now()
	fill := func(prefix string, n int) {
		for i := range n {
			r.bucket(fmt.Sprint(prefix, i), now).take(now, 1)
		}
	}
	fill("t", 9000)
	now = now.Add(sweepGap)
	fill("u", maxTopics-9000)
	if len(r.topics) != maxTopics || r.sweepAt != maxTopics {
		t.Fatalf("%d topics, the next look is at %d", len(r.topics), r.sweepAt)
	}
	now = now.Add(time.Hour)
	if fill("v", 1); len(r.topics) != 1 {
		t.Errorf("%d topics are left", len(r.topics))
	}
}

// A call that gives up at the moment of its turn leaves no turn behind: what waits next would
// take it for its own.
func TestTurnThatCameTooLate(t *testing.T) {
	r, err := NewRate(RateConfig{PerSecond: 1, Burst: 1})
	if err != nil {
		t.Fatal(err)
	}
	b, one := r.newBucket(), &turn{n: 1, ready: make(chan struct{}, 1)}
	b.line.Push(&one.node, one)
	if b.idle(time.Now()) {
		t.Error("a bucket with a call in line is idle")
	}
	b.line.Remove(&one.node)
	b.queue(one, time.Now())
	r.giveUp(b, one)
	if len(one.ready) != 0 || b.waiting != 0 || b.line.Len() != 0 {
		t.Errorf("%d turns are left, %d wait", len(one.ready), b.waiting)
	}
}

// Waits that no clock can count are as long as can be.
func TestEndlessWait(t *testing.T) {
	r, err := NewRate(RateConfig{PerSecond: 0.001, Burst: 1})
	if err != nil {
		t.Fatal(err)
	}
	b := r.newBucket()
	if got := b.until(time.Now(), math.MaxInt32); got != 1<<63-1 {
		t.Errorf("got %v", got)
	}
	if got := b.until(time.Now(), 0); got != 0 {
		t.Errorf("for what is there: %v", got)
	}
}
