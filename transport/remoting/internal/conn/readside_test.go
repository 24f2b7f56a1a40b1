package conn

import (
	"net"
	"runtime"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/liftoff-mq/liftoff/transport/wire"
)

// Every transition by itself: where it leads, and whether the reader goroutine is woken.
func TestReadSideTransitions(t *testing.T) {
	r := newRequest()
	for _, tt := range []struct {
		name     string
		from, to readState
		do       func(s *readSide)
		wakes    bool
	}{
		{"offer", readByReader, readOffered, (*readSide).offer, false},
		{"end offer", readOffered, readByReader, (*readSide).endOffer, false},
		{"acquire", readOffered, readByCaller, func(s *readSide) { s.acquire(r) }, false},
		{"recall", readOffered, readHandedOver, (*readSide).recall, true},
		{"offer again", readByCaller, readOffered, (*readSide).offerAgain, false},
		{"hand over", readByCaller, readHandedOver, (*readSide).handOver, true},
		{"resume", readHandedOver, readByReader, (*readSide).resume, false},
		{"resume after the end", readEnded, readEnded, (*readSide).resume, false},
		{"end", readByReader, readEnded, (*readSide).end, false},
		{"end", readOffered, readEnded, (*readSide).end, false},
		{"end", readByCaller, readEnded, (*readSide).end, false},
		{"end", readHandedOver, readEnded, (*readSide).end, false},
	} {
		s := newReadSide()
		s.to(tt.from)
		if tt.from == readByCaller {
			s.leader = r
		}
		tt.do(&s)
		if got := readState(s.state.Load()); got != tt.to || len(s.wake) == 1 != tt.wakes {
			t.Errorf("%s: from %d to %d, want %d; woken: %v", tt.name, tt.from, got, tt.to, len(s.wake) == 1)
		}
		if s.leads(r) != (tt.to == readByCaller) || s.offered() != (tt.to == readOffered) {
			t.Errorf("%s: the caller leads: %v, offered: %v", tt.name, s.leads(r), s.offered())
		}
	}
}

// withOffer is a connection that offers its read side; its loops do not run.
func withOffer(t *testing.T, nc net.Conn, change ...func(*Config)) *Conn {
	t.Helper()
	c, _ := still(t, nc, change...)
	c.locked(func() { c.read.offer() })
	c.stream.lastRead = time.Now().Add(time.Hour) // so that a caller does not look first
	return c
}

// answeredBefore has the bytes of a peer in the socket before the request is made: the
// caller that leads finds them at once, however busy the machine is.
func answeredBefore(t *testing.T, c *Conn, far net.Conn, b []byte) {
	t.Helper()
	if _, err := far.Write(b); err != nil {
		t.Fatal(err)
	}
	c.stream.lastRead = time.Now().Add(time.Hour)
}

// readWhenWoken is the reader goroutine of a connection that offers its read side.
func readWhenWoken(t *testing.T, c *Conn) {
	var loop sync.WaitGroup
	t.Cleanup(loop.Wait)
	t.Cleanup(func() { c.Close(errTestOver) })
	loop.Go(func() {
		select {
		case <-c.read.wake:
			c.locked(c.read.resume)
			c.ReadLoop()
		case <-c.ended:
		}
	})
}

// Offered to by caller, and offered again when the answer is there and nothing else is
// under way.
func TestCallerReadsItsAnswer(t *testing.T) {
	near, far := sockets(t)
	discard(t, far)
	c := withOffer(t, near)
	for i := range 5 {
		answeredBefore(t, c, far, answer(t, int32(i), 0, ""))
		r, f := request(t, c, Ask, int32(i), 0)
		if err := c.Do(r, f); err != nil {
			t.Fatal(err)
		}
		wantRead(t, c, readOffered)
		if c.stream.mode != readUntilReady {
			t.Error("the next reader would not wait")
		}
	}
	if c.read.acquired != 5 {
		t.Errorf("%d callers took the read side", c.read.acquired)
	}
}

// By caller to handed over: another request is under way when the answer is there.
func TestReadingCallerLeavesOthersToTheReader(t *testing.T) {
	near, far := sockets(t)
	discard(t, far)
	c := withOffer(t, near)
	c.locked(func() {
		other := newRequest()
		other.Opaque, other.stage = 99, stageWritten
		c.table.add(other)
	})
	answeredBefore(t, c, far, answer(t, 1, 0, ""))
	r, f := request(t, c, Ask, 1, 0)
	if err := c.Do(r, f); err != nil {
		t.Fatal(err)
	}
	wantRead(t, c, readHandedOver)
	if len(c.read.wake) != 1 {
		t.Error("the reader goroutine was not woken")
	}
}

// By caller to handed over: a part of a next frame is there, and only the reader goroutine
// waits for the rest.
func TestReadingCallerLeavesAPartOfAFrameToTheReader(t *testing.T) {
	near, far := sockets(t)
	discard(t, far)
	c := withOffer(t, near)
	answeredBefore(t, c, far, append(answer(t, 1, 0, ""), answer(t, 99, 0, "")[:10]...))
	r, f := request(t, c, Ask, 1, 0)
	if err := c.Do(r, f); err != nil {
		t.Fatal(err)
	}
	wantRead(t, c, readHandedOver)
}

// By caller to handed over: the answer does not come in the time that a caller reads. The
// reader goroutine reads it then.
func TestReadingCallerDoesNotWaitForLong(t *testing.T) {
	near, far := sockets(t)
	over := make(chan struct{})
	peer(t, far, func(cmd wire.Command) {
		<-over
		_, _ = far.Write(answer(t, cmd.Opaque, 0, ""))
	})
	c := withOffer(t, near)
	r, f := request(t, c, Ask, 1, 0)
	done := make(chan error)
	go func() { done <- c.Do(r, f) }()
	eventually(t, "the reader goroutine has it back", func() bool { return c.readState() == readHandedOver })
	go c.ReadLoop()
	close(over)
	if err := <-done; err != nil {
		t.Error(err)
	}
	c.Close(errTestOver)
}

// By caller to handed over: the caller must wait for admission, and the peer may wait for us
// to read.
func TestReadingCallerThatWaitsForAdmission(t *testing.T) {
	near, far := sockets(t)
	echo(t, far)
	c := withOffer(t, near, func(cfg *Config) { cfg.MaxQueuedBytes = 100 })
	c.locked(func() { c.admission.add(100) })
	r, f := request(t, c, Ask, 1, 0)
	done := make(chan error)
	go func() { done <- c.Do(r, f) }()
	eventually(t, "it waits", func() (waits bool) {
		c.locked(func() { waits = c.admission.waiters.Len() == 1 })
		return waits
	})
	wantRead(t, c, readHandedOver)
	var loop sync.WaitGroup
	loop.Go(c.ReadLoop)
	c.locked(func() { c.admission.free(100) })
	if err := <-done; err != nil {
		t.Error(err)
	}
	c.Close(errTestOver)
	loop.Wait()
}

// Offered to handed over: a request that has not the time to read makes the reader lead.
func TestRequestWithoutTimeDoesNotRead(t *testing.T) {
	near, _ := pipe(t)
	c := withOffer(t, near)
	r := c.shared.NewRequest(bg, time.Now().Add(maxCallerReads*busyPoll-time.Microsecond), nil)
	if c.acquireReadSide(r) {
		t.Error("the caller reads")
	}
	wantRead(t, c, readHandedOver)
}

// Offered stays offered: a one-way request has nothing to read.
func TestOnewayRequestDoesNotRead(t *testing.T) {
	near, far := sockets(t)
	discard(t, far)
	c := withOffer(t, near)
	r, f := request(t, c, Oneway, 1, 0)
	if err := c.Do(r, f); err != nil {
		t.Fatal(err)
	}
	wantRead(t, c, readOffered)
	if c.read.acquired != 0 {
		t.Error("its caller took the read side")
	}
}

// The race of two callers: the second one finds the first one leading, and the first one
// offers the read side again before the second one's request is in the table.
func TestRequestAfterTheReadSideWasOfferedAgain(t *testing.T) {
	near, far := sockets(t)
	discard(t, far)
	c := withOffer(t, near)
	answeredBefore(t, c, far, answer(t, 1, 0, ""))
	first, f1 := request(t, c, Ask, 1, 0)
	if !c.acquireReadSide(first) {
		t.Fatal("the first caller does not get the read side")
	}
	second, f2 := request(t, c, Ask, 2, 0)
	if c.acquireReadSide(second) {
		t.Fatal("two callers have the read side")
	}
	if err := c.submitAndRead(first, f1); err != nil {
		t.Fatal(err)
	}
	wantRead(t, c, readOffered)
	if err := c.submit(second, f2); err != nil {
		t.Fatal(err)
	}
	wantRead(t, c, readHandedOver)
	<-first.done
	readWhenWoken(t, c)
	if _, err := far.Write(answer(t, 2, 0, "")); err != nil {
		t.Fatal(err)
	}
	<-second.done
}

// The same while the loops run.
func TestCallersAndReaderPassTheReadSideOn(t *testing.T) {
	if runtime.GOMAXPROCS(0) == 1 {
		t.Skip("with one processor the read side is never offered")
	}
	near, far := sockets(t)
	echo(t, far)
	c, _ := running(t, near)
	opaque := int32(0)
	next := func() (*Request, *Frame) {
		opaque++
		return request(t, c, Ask, opaque, 0)
	}
	for played := 0; played < 20; {
		for !c.Usage().ReadOffered {
			r, f := next()
			if err := c.Do(r, f); err != nil {
				t.Fatal(err)
			}
			c.shared.FreeRequest(r)
		}
		first, f1 := next()
		if !c.acquireReadSide(first) {
			c.shared.FreeFrame(f1)
			c.shared.FreeRequest(first)
			continue // the reader goroutine has just taken it back
		}
		second, f2 := next()
		if c.acquireReadSide(second) {
			t.Fatal("two callers have the read side")
		}
		if err := c.submitAndRead(first, f1); err != nil {
			t.Fatal(err)
		}
		if err := c.submit(second, f2); err != nil {
			t.Fatal(err)
		}
		if u := c.Usage(); u.ReadOffered && u.InFlight > 0 {
			t.Fatal("no goroutine reads, with a request under way")
		}
		<-first.done
		<-second.done
		c.shared.FreeRequest(first)
		c.shared.FreeRequest(second)
		played++
	}
}

// Offered to by reader: no caller came for offerFor. One that comes extends it.
func TestUnusedOfferIsWithdrawn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		near, _ := pipe(t)
		c, _ := still(t, near)
		start := time.Now()
		back := make(chan bool)
		go func() { back <- c.offerReadSide() }()
		synctest.Wait()
		wantRead(t, c, readOffered)
		time.Sleep(offerFor / 2)
		c.locked(func() {
			c.read.acquire(newRequest())
			c.read.offerAgain()
		})
		if alive := <-back; !alive || time.Since(start) != 2*offerFor {
			t.Errorf("alive: %v, after %v", alive, time.Since(start))
		}
		wantRead(t, c, readByReader)
	})
}

// By caller when the time of the offer is over: the reader goroutine waits for it.
func TestOfferIsNotWithdrawnFromACaller(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		near, _ := pipe(t)
		c, _ := still(t, near)
		back := make(chan bool)
		go func() { back <- c.offerReadSide() }()
		synctest.Wait()
		c.locked(func() { c.read.acquire(newRequest()) })
		time.Sleep(10 * offerFor)
		wantRead(t, c, readByCaller)
		c.locked(func() { c.read.handOver() })
		if !<-back {
			t.Error("the connection counts as ended")
		}
		wantRead(t, c, readByReader)
	})
}

// Offered to ended: the reader goroutine notices.
func TestEndWhileOffered(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		near, _ := pipe(t)
		c, _ := still(t, near)
		back := make(chan bool)
		go func() { back <- c.offerReadSide() }()
		synctest.Wait()
		c.Close(errTestOver)
		if <-back {
			t.Error("the connection counts as alive")
		}
		wantRead(t, c, readEnded)
		if c.offerReadSide() {
			t.Error("an ended connection offers its read side")
		}
		if c.acquireReadSide(newRequest()) {
			t.Error("a caller takes the read side of an ended connection")
		}
	})
}

// By reader stays: a request came while the reader goroutine made up its mind.
func TestNoOfferWithARequestUnderWay(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		near, _ := pipe(t)
		c, _ := still(t, near)
		r, f := request(t, c, Ask, 1, 0)
		c.enqueue(r, f)
		start := time.Now()
		if !c.offerReadSide() || time.Since(start) != 0 {
			t.Errorf("back after %v", time.Since(start))
		}
		wantRead(t, c, readByReader)
	})
}

// By caller to handed over: frames come all the time, and none is the caller's answer.
func TestReadingCallerDoesNotReadForOthers(t *testing.T) {
	near, far := sockets(t)
	c := withOffer(t, near)
	frame := ask(t)
	peer(t, far, func(cmd wire.Command) {
		for range 5000 {
			if _, err := far.Write(frame); err != nil || c.readState() == readHandedOver {
				break
			}
			time.Sleep(busyPoll / 10)
		}
		_, _ = far.Write(answer(t, cmd.Opaque, 0, ""))
	})
	r, f := request(t, c, Ask, 1, 0)
	r.deadline = time.Now().Add(5 * time.Second)
	done := make(chan error)
	go func() { done <- c.Do(r, f) }()
	eventually(t, "the caller has stopped to read", func() bool { return c.readState() == readHandedOver })
	if n := c.shared.Count.Reads.Load(); n > maxCallerReads+1 {
		t.Errorf("%d reads", n)
	}
	var loop sync.WaitGroup
	loop.Go(c.ReadLoop)
	if err := <-done; err != nil {
		t.Error(err)
	}
	c.Close(errTestOver)
	loop.Wait()
}

// A probe that took long keeps the read side from being offered for some time.
func TestProbe(t *testing.T) {
	s := &stream{}
	for range probeEvery - 1 {
		if !s.probe() {
			t.Fatal("a request between two probes must not read")
		}
	}
	if !s.probed(quickYield-1) || s.aloneInARow != 0 {
		t.Error("a quick probe has consequences")
	}
	if s.probed(quickYield) || s.aloneInARow != -probePenalty {
		t.Errorf("after a slow one %d answers in a row count as alone", s.aloneInARow)
	}
}

// The end while a caller leads: its request learns of it, and it gives nothing back.
func TestEndWhileACallerReads(t *testing.T) {
	near, far := sockets(t)
	peer(t, far, func(wire.Command) { far.Close() })
	c := withOffer(t, near)
	readWhenWoken(t, c)
	r, f := request(t, c, Ask, 1, 0)
	if err := c.Do(r, f); err == nil || !r.Written() {
		t.Errorf("got %v, written: %v", err, r.Written())
	}
	wantRead(t, c, readEnded)
}

// A caller that leads looks before it sends, if the last read was some time ago: the
// peer may have hung up.
func TestReadingCallerLooksFirst(t *testing.T) {
	near, far := sockets(t)
	c := withOffer(t, near)
	far.Close()
	time.Sleep(time.Millisecond) // loopback delivers the end at once
	eventually(t, "the caller saw the end", func() bool {
		c.stream.lastRead = time.Now().Add(-2 * lookAfter)
		r, f := request(t, c, Ask, 1, 0)
		err := c.Do(r, f)
		if err == ErrStale && r.Written() {
			t.Error("something was sent")
		}
		return err == ErrStale
	})
	if n := c.shared.Count.Writes.Load(); n != 0 {
		t.Errorf("%d writes", n)
	}
}

// The read side is offered when one caller at a time gets quick answers.
func TestWorthOffering(t *testing.T) {
	near, _ := sockets(t)
	good := func() *Conn {
		c, _ := still(t, near)
		c.stream.aloneInARow, c.stream.oneProcessor = offerAfter, false
		c.rate.meanGap.Store(int64(100 * time.Microsecond))
		return c
	}
	if !good().worthOffering() {
		t.Fatal("it is not offered")
	}
	for name, change := range map[string]func(c *Conn){
		"too few answers in a row": func(c *Conn) { c.stream.aloneInARow-- },
		"a part of a frame":        func(c *Conn) { c.stream.received++ },
		"slow answers":             func(c *Conn) { c.rate.meanGap.Store(int64(flushDelay / 2)) },
		"no plain socket":          func(c *Conn) { c.socket = nil },
		"one processor":            func(c *Conn) { c.stream.oneProcessor = true },
	} {
		c := good()
		if change(c); c.worthOffering() {
			t.Errorf("%s: it is offered", name)
		}
	}
}

// Answers count as alone in a row while nothing is under way after them.
func TestAloneInARow(t *testing.T) {
	s := &stream{}
	for range 3 {
		s.handled()
	}
	if s.aloneInARow != 3 {
		t.Errorf("%d in a row", s.aloneInARow)
	}
	s.underWay = 1
	if s.handled(); s.aloneInARow != 0 {
		t.Errorf("%d in a row, with a request under way", s.aloneInARow)
	}
}
