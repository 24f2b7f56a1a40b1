package conn

import (
	"bytes"
	"context"
	"errors"
	"net"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/liftoff-mq/liftoff/core"
	"github.com/liftoff-mq/liftoff/transport/wire"
)

// Each kind of request ends with what its kind says.
func TestDo(t *testing.T) {
	near, far := sockets(t)
	peer(t, far, func(cmd wire.Command) {
		switch {
		case cmd.IsOneway():
		case cmd.Opaque == 2:
			_, _ = far.Write(sent(t, 2))
		default:
			_, _ = far.Write(answer(t, cmd.Opaque, 5, "no"))
		}
	})
	c, o := running(t, near)
	r, f := request(t, c, Ask, 1, 0)
	if err := c.Do(r, f); err != nil || r.Answer.Command.Remark != "no" || r.Answer.Code != 5 || !r.Written() {
		t.Errorf("ask: %v, %+v", err, r.Answer)
	}
	r, f = request(t, c, Send, 2, 0)
	if err := c.Do(r, f); err != nil || r.Answer.Sent.QueueOffset != 42 {
		t.Errorf("send: %v, %+v", err, r.Answer)
	}
	r, f = request(t, c, Send, 3, 0)
	if err := c.Do(r, f); err != nil || r.Answer.Code != 5 || r.Answer.Remark != "no" {
		t.Errorf("refused send: %v, %+v", err, r.Answer)
	}
	r, f = request(t, c, Oneway, 4, 0)
	if err := c.Do(r, f); err != nil || !r.Written() {
		t.Errorf("one-way: %v", err)
	}
	if u := c.Usage(); u.InFlight != 0 || u.QueuedBytes != 0 || u.Sent != 3 || u.BytesIn == 0 || u.Retired {
		t.Errorf("usage %+v", u)
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.firstFrames != 1 || !c.Proven() {
		t.Errorf("%d first frames", o.firstFrames)
	}
}

// A request that is given up in the queue was not sent. One that was written was, and
// its answer is late.
func TestGiveUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		near, far := pipe(t)
		c, _ := running(t, near)
		give := func(opaque int32) (*Request, error) {
			r, f := request(t, c, Ask, opaque, 0)
			ctx, cancel := context.WithTimeout(bg, time.Second)
			defer cancel()
			r.ctx = ctx
			return r, c.Do(r, f)
		}
		var first *Request
		var firstErr error
		var wg sync.WaitGroup
		wg.Go(func() { first, firstErr = give(1) }) // in the write, which hangs: no byte is read
		synctest.Wait()
		second, err := give(2)
		wg.Wait()
		if !errors.Is(firstErr, context.DeadlineExceeded) || !first.Written() || first.Silence() != time.Second {
			t.Errorf("the first: %v, written: %v, silence of %v", firstErr, first.Written(), first.Silence())
		}
		if !errors.Is(err, context.DeadlineExceeded) || second.Written() {
			t.Errorf("the second: %v, written: %v", err, second.Written())
		}
		var seen []int32
		peer(t, far, func(cmd wire.Command) {
			seen = append(seen, cmd.Opaque)
			_, _ = far.Write(answer(t, cmd.Opaque, 0, ""))
		})
		synctest.Wait()
		if len(seen) != 1 || seen[0] != 1 || c.shared.Count.LateAnswers.Load() != 1 {
			t.Errorf("the peer saw %v, late: %d", seen, c.shared.Count.LateAnswers.Load())
		}
		if u := c.Usage(); u.InFlight != 0 || u.QueuedBytes != 0 {
			t.Errorf("left behind: %+v", u)
		}
	})
}

// Silence counts from the time that a request waits for the peer, and any byte ends it.
func TestSilence(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		near, far := pipe(t)
		peer(t, far, func(cmd wire.Command) {
			switch cmd.Opaque {
			case 1:
				_, _ = far.Write(answer(t, 99, 0, "")) // to no request
			case 2:
				_, _ = far.Write(ask(t)) // of its own accord
			case 3:
				_, _ = far.Write(answer(t, 99, 0, "")[:20]) // and not the rest of it
			}
		})
		c, _ := running(t, near)
		for opaque, want := range []time.Duration{time.Second, 0, 0, time.Second} {
			r, f := request(t, c, Ask, int32(opaque), 0)
			r.deadline = time.Now().Add(time.Second)
			if err := c.Do(r, f); !errors.Is(err, core.ErrTimeout) || r.Silence() != want {
				t.Errorf("request %d: %v, silence of %v", opaque, err, r.Silence())
			}
		}
	})
}

// A request whose time is over is not sent.
func TestDoAfterTheDeadline(t *testing.T) {
	near, _ := pipe(t)
	c, _ := still(t, near)
	r, f := request(t, c, Ask, 1, 0)
	r.deadline = time.Now()
	if err := c.Do(r, f); !errors.Is(err, core.ErrTimeout) || r.Written() || c.Usage().InFlight != 0 {
		t.Errorf("got %v", err)
	}
}

// A retired connection takes no requests, and ends with the last answer.
func TestRetire(t *testing.T) {
	near, far := sockets(t)
	came, over := make(chan struct{}), make(chan struct{})
	peer(t, far, func(cmd wire.Command) {
		close(came)
		<-over
		_, _ = far.Write(answer(t, cmd.Opaque, 0, ""))
	})
	c, o := running(t, near)
	r, f := request(t, c, Ask, 1, 0)
	done := make(chan error)
	go func() { done <- c.Do(r, f) }()
	<-came
	c.Retire(errTestOver)
	if !c.Usage().Retired || c.Reason() != nil {
		t.Errorf("usage %+v, reason %v", c.Usage(), c.Reason())
	}
	second, f2 := request(t, c, Ask, 2, 0)
	if err := c.Do(second, f2); err != ErrStale {
		t.Errorf("a new request: %v", err)
	}
	close(over)
	if err := <-done; err != nil {
		t.Error(err)
	}
	<-c.Ended()
	if c.Reason() != ErrUnneeded {
		t.Errorf("reason %v", c.Reason())
	}
	eventually(t, "the owner knows", func() bool {
		o.mu.Lock()
		defer o.mu.Unlock()
		return len(o.ending) == 1 && len(o.ended) == 1 && o.failed == 0
	})
}

// A retired connection ends with the last request that is given up, too, and at once if
// there is none.
func TestRetireWithoutAnswers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		near, far := pipe(t)
		discard(t, far)
		c, _ := running(t, near)
		r, f := request(t, c, Ask, 1, 0)
		r.deadline = time.Now().Add(time.Second)
		done := make(chan error)
		go func() { done <- c.Do(r, f) }()
		synctest.Wait()
		c.Retire(errTestOver)
		synctest.Wait()
		if c.Reason() != nil {
			t.Errorf("it ended under a request: %v", c.Reason())
		}
		if err := <-done; !errors.Is(err, core.ErrTimeout) || c.Reason() != ErrUnneeded {
			t.Errorf("got %v, reason %v", err, c.Reason())
		}
		c, _ = still(t, near)
		if c.Retire(errTestOver); c.Reason() != errTestOver {
			t.Errorf("reason %v", c.Reason())
		}
	})
}

// An idle connection is closed, one with a request under way is not.
func TestCloseIdle(t *testing.T) {
	near, _ := pipe(t)
	c, _ := still(t, near)
	r, f := request(t, c, Ask, 1, 0)
	c.enqueue(r, f)
	if c.CloseIdle(ErrUnneeded) || c.Usage().Retired || c.Reason() != nil {
		t.Errorf("closed with a request under way: %+v", c.Usage())
	}
	c.locked(func() { c.table.remove(r) })
	if !c.CloseIdle(ErrUnneeded) || c.Reason() != ErrUnneeded {
		t.Errorf("not closed: %v", c.Reason())
	}
}

// The end of a connection ends each request with the truth, once, in the order that the
// owner may rely on; only the first reason counts.
func TestClose(t *testing.T) {
	near, _ := pipe(t)
	c, o := still(t, near)
	queued, f1 := request(t, c, Ask, 1, 0)
	written, f2 := request(t, c, Ask, 2, 0)
	c.enqueue(queued, f1)
	c.enqueue(written, f2)
	c.locked(func() { written.stage = stageWritten })
	c.Close(errTestOver)
	c.Close(ErrUnneeded)
	for _, r := range []*Request{queued, written} {
		<-r.done
		var lost *LostError
		if !errors.As(r.err, &lost) || lost.Reason != errTestOver || r.Written() != (r == written) {
			t.Errorf("got %v, written: %v", r.err, r.Written())
		}
	}
	if len(o.ending) != 1 || len(o.ended) != 1 || o.ended[0] != errTestOver || o.failed != 2 || c.Reason() != errTestOver {
		t.Errorf("the owner heard %v, %v of %d requests", o.ending, o.ended, o.failed)
	}
	if u := c.Usage(); u.InFlight != 0 || u.QueuedBytes != 0 {
		t.Errorf("left behind: %+v", u)
	}
	r, f := request(t, c, Ask, 3, 0)
	if err := c.Do(r, f); err != ErrStale {
		t.Errorf("a request after the end: %v", err)
	}
	if c.Reply(c.shared.NewFrame()) {
		t.Error("a reply was queued after the end")
	}
}

// Replies are bounded, until they are written.
func TestReplyIsBounded(t *testing.T) {
	near, far := sockets(t)
	discard(t, far)
	c, _ := still(t, near)
	reply := func() bool {
		f := c.shared.NewFrame()
		f.B = append(f.B, answer(t, 1, 3, "")...)
		return c.Reply(f)
	}
	for i := range maxReplies {
		if !reply() {
			t.Fatalf("reply %d was dropped", i)
		}
	}
	if reply() {
		t.Error("one too many")
	}
	c.locked(c.write.acquireByWriter)
	c.flush()
	if !reply() {
		t.Error("no room after the write")
	}
	c.locked(c.write.acquireByWriter)
	if c.flush(); c.Usage().QueuedBytes != 0 {
		t.Errorf("left behind: %+v", c.Usage())
	}
}

// What a peer asks goes to the owner, which may answer.
func TestPeerRequests(t *testing.T) {
	near, far := sockets(t)
	answered := make(chan wire.Command, 1)
	peer(t, far, func(cmd wire.Command) { answered <- cmd })
	_, o := running(t, near)
	o.answer(func(c *Conn, head wire.ResponseHead, frame []byte) error {
		cmd, err := wire.ParseFrame(frame)
		if err != nil || cmd.Code != 39 || head.Code != 39 || head.Opaque != 77 {
			t.Errorf("%+v, %+v, %v", head, cmd, err)
		}
		f := c.shared.NewFrame()
		f.B = append(f.B, answer(t, head.Opaque, 0, "here")...)
		if !c.Reply(f) {
			t.Error("the reply was dropped")
		}
		return nil
	})
	b, err := wire.AppendCommand(nil, &wire.Command{Code: 39, Opaque: 77, Serialization: wire.RocketMQ})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := far.Write(b); err != nil {
		t.Fatal(err)
	}
	if cmd := <-answered; !cmd.IsResponse() || cmd.Opaque != 77 || cmd.Remark != "here" {
		t.Errorf("got %+v", cmd)
	}
}

// Unexpected frames are counted, logged once, and end the connection when
// there are too many. Requests count as such if the owner says so; its other errors end
// the connection at once.
func TestUnexpectedFrames(t *testing.T) {
	for name, tt := range map[string]struct {
		frame     []byte
		onRequest error
		most      int
	}{
		"answers":  {answer(t, 1, 0, ""), nil, maxUnexpected},
		"requests": {ask(t), ErrUnexpected, maxUnexpected},
		"error":    {ask(t), errTestOver, 1},
	} {
		t.Run(name, func(t *testing.T) {
			near, far := sockets(t)
			c, o := running(t, near)
			o.answer(func(*Conn, wire.ResponseHead, []byte) error { return tt.onRequest })
			for range tt.most - 1 {
				if _, err := far.Write(tt.frame); err != nil {
					t.Fatal(err)
				}
			}
			eventually(t, "they are counted", func() bool { return c.shared.Count.FramesIn.Load() == uint64(tt.most-1) })
			if c.Reason() != nil {
				t.Fatalf("it ended too early: %v", c.Reason())
			}
			if _, err := far.Write(tt.frame); err != nil {
				t.Fatal(err)
			}
			<-c.Ended()
			if tt.most == 1 {
				if c.Reason() != errTestOver {
					t.Errorf("reason %v", c.Reason())
				}
				return
			}
			if n := c.shared.Count.Unexpected.Load(); n != maxUnexpected || !strings.Contains(c.Reason().Error(), "nobody asked for") {
				t.Errorf("%d are counted, reason %v", n, c.Reason())
			}
			if n := strings.Count(o.log.String(), "unexpected"); n != 1 {
				t.Errorf("%d lines in the log: %s", n, o.log.String())
			}
		})
	}
}

// ask is the frame of a request.
func ask(t *testing.T) []byte {
	t.Helper()
	b, err := wire.AppendCommand(nil, &wire.Command{Code: 40, Opaque: 1, Serialization: wire.RocketMQ})
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// A frame that comes byte by byte gets no more time for each byte.
func TestFrameTimeoutIsNotExtended(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		near, far := pipe(t)
		c, _ := running(t, near)
		start, frame := time.Now(), ask(t)
		var slow sync.WaitGroup
		slow.Go(func() {
			for _, b := range frame {
				if _, err := far.Write([]byte{b}); err != nil {
					return
				}
				time.Sleep(time.Second)
			}
		})
		<-c.Ended()
		if d := time.Since(start); d != 10*time.Second {
			t.Errorf("it ended after %v", d)
		}
		slow.Wait()
	})
}

// A frame that stays incomplete ends the connection at its time; one that comes in many
// reads does not.
func TestFrameTimeout(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		near, far := pipe(t)
		c, _ := running(t, near)
		frame := ask(t)
		for range 5 {
			_, _ = far.Write(frame[:9])
			time.Sleep(9 * time.Second)
			_, _ = far.Write(frame[9:])
		}
		synctest.Wait()
		if c.Reason() != nil {
			t.Fatalf("it ended: %v", c.Reason())
		}
		// Every read ends in the middle of a frame, but each time of another one.
		_, _ = far.Write(frame[:9])
		for range 5 {
			time.Sleep(9 * time.Second)
			_, _ = far.Write(append(frame[9:len(frame):len(frame)], frame[:9]...))
		}
		synctest.Wait()
		if c.Reason() != nil {
			t.Fatalf("it ended: %v", c.Reason())
		}
		start := time.Now()
		<-c.Ended()
		if d := time.Since(start); d != 10*time.Second || !strings.Contains(c.Reason().Error(), "incomplete for 10s") {
			t.Errorf("after %v: %v", d, c.Reason())
		}
	})
}

// largeAnswer is the frame of an answer of so many bytes and some more.
func largeAnswer(t *testing.T, opaque int32, size int) []byte {
	t.Helper()
	b, err := wire.AppendCommand(nil, &wire.Command{Opaque: opaque, Flag: wire.FlagResponse, Body: make([]byte, size)})
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// A large frame waits for room beside that of another connection. What it waited does not count
// as the peer's time for it, and its connection lives on.
func TestFrameBudget(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		budget := wire.NewBudget(1 << 20)
		large := largeAnswer(t, 1, 900<<10)
		near, far := pipe(t)
		first, _ := runningWithin(t, near, budget)
		if _, err := far.Write(large[:800<<10]); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Second)
		near, far = pipe(t)
		second, _ := runningWithin(t, near, budget)
		written := make(chan error)
		go func() {
			_, err := far.Write(large[:800<<10])
			written <- err
		}()
		// The first peer never ends its frame: its time is over before that of the second one, and
		// the second has all of its own when it goes on.
		<-first.Ended()
		if err := <-written; err != nil || second.Reason() != nil {
			t.Fatalf("%v, it ended: %v", err, second.Reason())
		}
		time.Sleep(9 * time.Second)
		if _, err := far.Write(large[800<<10:]); err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		if n := second.Usage().BytesIn; n != uint64(len(large)) || second.Reason() != nil {
			t.Errorf("%d bytes, it ended: %v", n, second.Reason())
		}
		// Its time is bounded as ever.
		_, _ = far.Write(large[:800<<10])
		start := time.Now()
		<-second.Ended()
		if d := time.Since(start); d != 10*time.Second || !strings.Contains(second.Reason().Error(), "incomplete for 10s") {
			t.Errorf("after %v: %v", d, second.Reason())
		}
	})
}

// The wait for room is bounded too, and ends with the connection, whoever ends that.
func TestWaitForRoomEnds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		budget := wire.NewBudget(1 << 20)
		large := largeAnswer(t, 1, 900<<10)
		holding, holder := wire.NewReaderWithin(bytes.NewReader(large[:800<<10]), 0, budget), 0
		for holder < 800<<10 {
			if _, err := holding.Fill(); err != nil {
				t.Fatal(err)
			}
			holder = holding.Pending()
		}
		for _, closed := range []bool{false, true} {
			near, far := pipe(t)
			c, _ := runningWithin(t, near, budget)
			go func() { _, _ = far.Write(large) }()
			synctest.Wait()
			if c.Reason() != nil {
				t.Fatalf("it ended: %v", c.Reason())
			}
			want := errTestOver.Error()
			if closed {
				c.Close(errTestOver)
			} else {
				want = "no room beside those of other connections for 10s"
			}
			start := time.Now()
			<-c.Ended()
			if d := time.Since(start); d > 10*time.Second || !strings.Contains(c.Reason().Error(), want) {
				t.Errorf("after %v: %v", d, c.Reason())
			}
			synctest.Wait() // the goroutines have ended, and the wait with them
		}
		// Neither of them took the room along.
		holding.End()
		if _, err := wire.NewReaderWithin(bytes.NewReader(large), 0, budget).Next(); err != nil {
			t.Error(err)
		}
	})
}

// A caller that leads does not wait for room: the reader goroutine does.
func TestReadingCallerDoesNotWaitForRoom(t *testing.T) {
	near, far := sockets(t)
	discard(t, far)
	budget := wire.NewBudget(300 << 10)
	large := largeAnswer(t, 1, 200<<10)
	holding := wire.NewReaderWithin(bytes.NewReader(large[:100<<10]), 0, budget)
	for holding.Pending() < 100<<10 {
		if _, err := holding.Fill(); err != nil {
			t.Fatal(err)
		}
	}
	c, _ := stillWithin(t, near, budget)
	c.locked(func() { c.read.offer() })
	// The buffer has its usual size, and the first look of the caller fills it.
	for c.stream.frames.Size() < 64<<10 {
		if _, err := far.Write(largeAnswer(t, 99, 5<<10)); err != nil {
			t.Fatal(err)
		}
		if _, err := c.readOnce(time.Minute); err != nil {
			t.Fatal(err)
		}
	}
	if err := near.(*net.TCPConn).SetReadBuffer(1 << 20); err != nil {
		t.Fatal(err)
	}
	if _, err := far.Write(large[:100<<10]); err != nil {
		t.Fatal(err)
	}
	go func() { _, _ = far.Write(large[100<<10:]) }()
	c.stream.lastRead = time.Now().Add(-time.Hour)
	r, f := request(t, c, Ask, 1, 0)
	done := make(chan error, 1)
	go func() { done <- c.Do(r, f) }()
	eventually(t, "the reader goroutine has it back", func() bool { return c.readState() == readHandedOver })
	readWhenWoken(t, c)
	eventually(t, "it waits for room", func() bool { return c.stream.frames.Room() != nil })
	if len(done) > 0 {
		t.Fatalf("the caller has returned: %v", <-done)
	}
	holding.End()
	if err := <-done; err != nil {
		t.Error(err)
	}
}
