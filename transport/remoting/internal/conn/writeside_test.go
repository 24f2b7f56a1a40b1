package conn

import (
	"errors"
	"io"
	"testing"
	"testing/synctest"
	"time"

	"github.com/liftoff-mq/liftoff/transport/wire"
)

// Idle to by caller, and back when all is written.
func TestCallerWritesAndReleases(t *testing.T) {
	near, far := sockets(t)
	c, _ := still(t, near)
	r, f := request(t, c, Ask, 1, 0)
	size := len(f.B)
	c.enqueue(r, f)
	c.locked(func() {
		if !c.startWrite() {
			t.Error("the caller does not get the write side")
		}
	})
	wantWrite(t, c, writeByCaller)
	c.flush()
	wantWrite(t, c, writeIdle)
	if !r.Written() {
		t.Error("the request does not count as written")
	}
	if _, err := io.ReadFull(far, make([]byte, size)); err != nil {
		t.Error(err)
	}
	if n := c.admission.bytes; n != 0 {
		t.Errorf("%d bytes count as queued", n)
	}
}

// By caller: another caller leaves its frame to the one that writes.
func TestCallerFindsTheWriteSideTaken(t *testing.T) {
	near, far := sockets(t)
	discard(t, far)
	c, _ := still(t, near)
	for _, state := range []writeState{writeByCaller, writeHandedOver, writeByWriter, writeEnded} {
		c.locked(func() {
			c.write.state = state
			if c.startWrite() || c.write.state != state {
				t.Errorf("in state %d another caller got the write side", state)
			}
		})
	}
	c.locked(func() { c.write.acquireByCaller() })
	r, f := request(t, c, Ask, 1, 0)
	c.enqueue(r, f)
	c.flush() // by the goroutine that has the write side
	wantWrite(t, c, writeIdle)
	if !r.Written() {
		t.Error("the frame was left behind")
	}
}

// By caller to handed over: the kernel takes no more. Then by writer, and idle.
func TestCallerHandsOverToTheWriter(t *testing.T) {
	near, far := sockets(t)
	c, _ := still(t, near)
	const size = 15 << 20
	r, f := request(t, c, Ask, 1, size)
	c.enqueue(r, f)
	c.locked(func() { c.startWrite() })
	c.flush()
	wantWrite(t, c, writeHandedOver)
	if len(c.write.data) == 0 || len(c.write.wake) != 1 {
		t.Fatalf("%d bytes are left, %d wake-ups for the writer goroutine", len(c.write.data), len(c.write.wake))
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		c.WriteLoop()
	}()
	defer func() { c.Close(errTestOver); <-done }()
	eventually(t, "the writer goroutine has the write side", func() bool { return c.writeState() == writeByWriter })
	if _, err := io.ReadFull(far, make([]byte, size)); err != nil {
		t.Fatal(err)
	}
	discard(t, far)
	eventually(t, "the writer goroutine is done", func() bool { return c.writeState() == writeIdle })
}

// By caller to handed over: the caller has written for others often enough.
func TestCallerWritesForOthersOnlySoOften(t *testing.T) {
	near, far := sockets(t)
	discard(t, far)
	c, _ := still(t, near)
	c.locked(func() { c.write.acquireByCaller() })
	r, f := request(t, c, Ask, 1, 0)
	c.enqueue(r, f)
	c.locked(func() {
		if !c.nextWrite(maxCallerWrites - 1) {
			t.Error("handed over too early")
		}
		c.write.data = nil // as if it were written
	})
	r, f = request(t, c, Ask, 2, 0)
	c.enqueue(r, f)
	c.locked(func() {
		if c.nextWrite(maxCallerWrites) || c.write.state != writeHandedOver || len(c.write.wake) != 1 {
			t.Errorf("state %d, %d wake-ups", c.write.state, len(c.write.wake))
		}
	})
	// The writer goroutine has no such limit.
	c.locked(func() {
		c.write.acquireByWriter()
		if !c.nextWrite(maxCallerWrites) {
			t.Error("the writer goroutine stops")
		}
	})
}

// Idle with frames that are coalesced: the timer fires, and the writer goroutine writes.
func TestFlushTimerMakesTheWriterWrite(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		near, far := pipe(t)
		start := time.Now()
		came := make(chan time.Duration, 1)
		peer(t, far, func(wire.Command) { came <- time.Since(start) })
		c, _ := running(t, near)
		c.due(64)
		r, f := request(t, c, Ask, 1, 0)
		if err := c.submit(r, f); err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		wantWrite(t, c, writeIdle)
		if len(came) != 0 || c.written(r) {
			t.Fatal("the frame was not coalesced")
		}
		if d := <-came; d != flushDelay {
			t.Errorf("it was written after %v", d)
		}
		synctest.Wait()
		wantWrite(t, c, writeIdle)
		if c.write.timer.running {
			t.Error("the timer still runs")
		}
	})
}

// By caller while the timer fires: the writer goroutine keeps out, and the timer runs
// again for a frame that stays.
func TestFlushTimerFiresWhileACallerWrites(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		near, far := pipe(t)
		discard(t, far)
		c, _ := running(t, near)
		c.due(64)
		r, f := request(t, c, Ask, 1, 0)
		c.enqueue(r, f)
		c.locked(func() {
			c.write.timer.start()
			c.write.acquireByCaller()
		})
		time.Sleep(10 * flushDelay)
		synctest.Wait()
		wantWrite(t, c, writeByCaller)
		c.locked(func() {
			if c.write.timer.running {
				t.Error("the timer counts as running")
			}
			if c.nextWrite(1) {
				t.Error("the caller writes too little")
			}
			if c.write.state != writeIdle || !c.write.timer.running {
				t.Errorf("state %d, the timer runs: %v", c.write.state, c.write.timer.running)
			}
		})
		time.Sleep(flushDelay)
		synctest.Wait()
		if !c.written(r) {
			t.Error("the frame that stayed was not written")
		}
	})
}

// To idle with an empty queue: the timer stops.
func TestReleaseStopsTheFlushTimer(t *testing.T) {
	near, _ := pipe(t)
	c, _ := still(t, near)
	c.locked(func() {
		c.write.timer.start()
		c.write.acquireByWriter()
		if c.nextWrite(1) || c.write.state != writeIdle || c.write.timer.running {
			t.Errorf("state %d, the timer runs: %v", c.write.state, c.write.timer.running)
		}
	})
}

// A wake-up that comes too late finds nothing to do.
func TestWakeUpTooMany(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		near, _ := pipe(t)
		c, o := running(t, near)
		for range 5 {
			c.wakeWriter()
		}
		synctest.Wait()
		wantWrite(t, c, writeIdle)
		if n := c.shared.Count.Writes.Load(); n != 0 || len(o.ended) != 0 {
			t.Errorf("%d writes, ended: %v", n, o.ended)
		}
	})
}

// A connection that is no plain socket is written by the writer goroutine alone.
func TestLayersAreWrittenByTheWriter(t *testing.T) {
	near, _ := pipe(t)
	c, _ := still(t, near)
	r, f := request(t, c, Ask, 1, 0)
	c.enqueue(r, f)
	c.locked(func() {
		if c.startWrite() {
			t.Error("the caller got the write side")
		}
	})
	wantWrite(t, c, writeHandedOver)
	if len(c.write.wake) != 1 {
		t.Error("the writer goroutine was not woken")
	}
}

// Symptom: on TLS a request lay in the queue until its deadline, because the answers came
// quicker between the wake-up of the writer goroutine and its look at the queue, so that it
// went on to wait for more frames, and no timer ran.
func TestDueFlushIsNotJudgedAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		near, far := pipe(t)
		c, _ := still(t, near)
		got := make(chan byte, 1)
		go func() {
			var b [1]byte
			_, _ = io.ReadFull(far, b[:])
			got <- b[0]
			_, _ = io.Copy(io.Discard, far)
		}()
		c.due(8)
		c.rate.meanGap.Store(int64(260 * time.Microsecond)) // one frame is enough
		r, f := request(t, c, Ask, 1, 0)
		c.enqueue(r, f)
		c.locked(func() { c.startWrite() })
		c.rate.meanGap.Store(int64(230 * time.Microsecond)) // two are better
		go c.WriteLoop()
		synctest.Wait()
		if len(got) != 1 {
			t.Error("the frame was not written")
		}
		c.Close(errTestOver)
		near.Close()
		far.Close()
		synctest.Wait()
	})
}

// Any state to ended: the goroutine that writes stops, the writer goroutine returns, and
// no other gets the write side.
func TestEndOfTheWriteSide(t *testing.T) {
	for _, state := range []writeState{writeIdle, writeByCaller, writeHandedOver, writeByWriter} {
		near, _ := pipe(t)
		c, _ := still(t, near)
		r, f := request(t, c, Ask, 1, 0)
		c.enqueue(r, f)
		c.locked(func() { c.write.state = state })
		c.Close(errTestOver)
		wantWrite(t, c, writeEnded)
		<-r.done
		c.WriteLoop() // returns
		c.locked(func() {
			if c.startWrite() || c.nextWrite(0) || c.nextWrite(1) {
				t.Errorf("from state %d: something is written after the end", state)
			}
		})
	}
}

// A write that fails tells of which requests the kernel took a byte.
func TestFailedWriteTellsWhatWasSent(t *testing.T) {
	for taken, want := range map[int][3]bool{
		0: {false, false, false}, 1: {true, false, false}, 100: {true, false, false},
		101: {true, true, false}, 200: {true, true, false}, 299: {true, true, true},
	} {
		near, _ := pipe(t)
		c, _ := still(t, near)
		var requests [3]*Request
		for i := range requests {
			requests[i] = newRequest()
			requests[i].Opaque = int32(i)
			c.enqueue(requests[i], &Frame{B: make([]byte, 100)})
		}
		c.locked(func() {
			c.write.acquireByWriter()
			if !c.nextWrite(0) || len(c.write.data) != 300 {
				t.Fatalf("a batch of %d bytes", len(c.write.data))
			}
			for _, r := range requests {
				if !r.Written() {
					t.Error("a request does not count as written before the write")
				}
			}
		})
		c.writeFailed(300 - taken)
		c.Close(errTestOver)
		for i, r := range requests {
			if <-r.done; r.Written() != want[i] {
				t.Errorf("%d bytes taken: request %d counts as written: %v", taken, i, r.Written())
			}
		}
	}
}

// errWriter is a connection whose writes fail after some bytes.
type errWriter struct {
	*pipeEnd
	takes int
}

var errWrite = errors.New("no more")

func (w errWriter) Write(b []byte) (int, error) { return min(w.takes, len(b)), errWrite }

// A write's error ends the connection and all that was queued meanwhile.
func TestWriteErrorEndsTheConnection(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		near, _ := pipe(t)
		c, o := running(t, errWriter{&pipeEnd{near}, 10})
		r, f := request(t, c, Ask, 1, 0)
		err := c.Do(r, f)
		var lost *LostError
		if !errors.As(err, &lost) || !errors.Is(err, errWrite) || !r.Written() {
			t.Errorf("got %v, written: %v", err, r.Written())
		}
		synctest.Wait()
		if len(o.ended) != 1 || o.ended[0] != errWrite {
			t.Errorf("ended: %v", o.ended)
		}
	})
}
