package conn

import (
	"testing"
	"time"

	"github.com/liftoff-mq/liftoff/transport/wire"
)

// How many frames go together follows from the answers that are due and from their rate.
func TestBatchTarget(t *testing.T) {
	for _, tt := range []struct {
		due  int
		gap  time.Duration
		want int
	}{
		{0, time.Microsecond, 0},
		{duePerFrame - 1, time.Microsecond, 0},
		{2*duePerFrame - 1, time.Microsecond, 1},
		{2 * duePerFrame, time.Microsecond, 2},
		{1000, time.Microsecond, coalesceFrames},
		{1000, 0, coalesceFrames},
		{1000, coalesceFor / 5, 5},
		{1000, coalesceFor, 1},
		{1000, coalesceFor + 1, 0},
		{1000, flushDelay, 0},
	} {
		if got := batchTarget(tt.due, tt.gap); got != tt.want {
			t.Errorf("%d due, one each %v: %d, want %d", tt.due, tt.gap, got, tt.want)
		}
	}
}

// A flush is due for enough frames, for enough bytes, and for every reply.
func TestFlushDue(t *testing.T) {
	near, _ := pipe(t)
	c, _ := still(t, near)
	due := func() (yes bool) {
		c.locked(func() { yes = c.flushDue() })
		return yes
	}
	if due() {
		t.Error("an empty queue is to be flushed")
	}
	c.due(64) // the target is 16 now
	for i := range coalesceFrames {
		if i > 0 && due() {
			t.Fatalf("a flush is due for %d frames", i)
		}
		r, f := request(t, c, Ask, int32(i), 0)
		c.enqueue(r, f)
	}
	if !due() {
		t.Errorf("no flush is due for %d frames", coalesceFrames)
	}

	c, _ = still(t, near)
	c.due(64)
	r, f := request(t, c, Ask, 1, 0)
	c.enqueue(r, f)
	c.locked(func() { c.admission.bytes = coalesceBytes - 1 })
	if due() {
		t.Errorf("a flush is due for %d bytes", coalesceBytes-1)
	}
	c.locked(func() { c.admission.bytes = coalesceBytes })
	if !due() {
		t.Errorf("no flush is due for %d bytes", coalesceBytes)
	}

	c, _ = still(t, near)
	c.due(64)
	c.Reply(c.shared.NewFrame())
	if !due() {
		t.Error("a reply waits")
	}
}

// With few requests under way, and on a connection about which nothing is known, every
// frame goes at once.
func TestNothingWaitsOnANewConnection(t *testing.T) {
	near, _ := pipe(t)
	c, _ := still(t, near)
	c.due(64)
	c.rate.reset()
	r, f := request(t, c, Ask, 1, 0)
	c.enqueue(r, f)
	c.locked(func() {
		if !c.flushDue() {
			t.Error("it waits")
		}
	})
}

// As many answers are read together as frames are written together.
func TestReadLowWater(t *testing.T) {
	near, _ := pipe(t)
	c, _ := still(t, near)
	if n := c.readLowWater(); n != 1 {
		t.Errorf("%d bytes, with nothing due", n)
	}
	c.due(64)
	c.rate.size = 100
	if n := c.readLowWater(); n != 15*100+1 {
		t.Errorf("%d bytes", n)
	}
	c.rate.size = 1 << 20
	if n := c.readLowWater(); n != coalesceBytes {
		t.Errorf("%d bytes, with large answers", n)
	}
}

// The means follow what comes, by an eighth each time, and nothing counts as slower than
// the flush timer.
func TestAnswerRate(t *testing.T) {
	var a answerRate
	a.reset()
	if a.gap() != flushDelay {
		t.Fatalf("%v", a.gap())
	}
	a.note(time.Hour, 0, 0) // a read without an answer says nothing
	a.note(time.Hour, 1, 800)
	if a.gap() != flushDelay || a.size != 100 {
		t.Errorf("%v, %d bytes", a.gap(), a.size)
	}
	a.note(flushDelay/5, 10, 9000) // 20 µs each, of 900 bytes
	if want := flushDelay - (flushDelay-flushDelay/50)/8; a.gap() != want || a.size != 200 {
		t.Errorf("%v, want %v; %d bytes", a.gap(), want, a.size)
	}
}

// Frames that several callers queue go out in one write.
func TestFramesShareAWrite(t *testing.T) {
	near, far := sockets(t)
	var seen []int32
	got := make(chan struct{})
	peer(t, far, func(cmd wire.Command) {
		if seen = append(seen, cmd.Opaque); len(seen) == 10 {
			close(got)
		}
	})
	c, _ := still(t, near)
	for i := range 10 {
		r, f := request(t, c, Ask, int32(i), 100)
		c.enqueue(r, f)
	}
	c.locked(func() { c.startWrite() })
	c.flush()
	<-got
	for i, opaque := range seen {
		if opaque != int32(i) {
			t.Errorf("the order is %v", seen)
			break
		}
	}
	if n := c.shared.Count.Writes.Load(); n != 1 {
		t.Errorf("%d writes", n)
	}
}
