package core

import (
	"context"
	"runtime"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

type ackTransport struct{}

func (ackTransport) RoundTrip(_ context.Context, at *Attempt) (*Result, error) {
	at.MarkWritten()
	return at.Result(), nil
}

type oneRoute struct{}

func (oneRoute) Route(context.Context, string) (*Route, error) {
	return NewRoute([]Queue{{Broker: "broker-a"}}, []Broker{{Name: "broker-a", Addr: "a:1"}})
}

// ackProducer is a started producer with one worker.
func ackProducer(t *testing.T) *Producer {
	t.Helper()
	p, err := NewProducer(Config{
		Group: "test", Transport: ackTransport{}, Routes: oneRoute{}, MaxWorkers: 1,
		Selector: SelectorFactoryFunc(func(string) QueueSelector {
			return QueueSelectorFunc(func(context.Context, *Selection) (int, error) { return 0, nil })
		}),
		Retry: RetryPolicyFunc(func(*Failure) Decision { return Decision{} }),
	})
	if err == nil {
		err = p.Start(t.Context())
	}
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// The only worker ends its last call, and finds the queue empty, between the moment when a
// send finds all workers busy and the moment when it stands in the queue. The send then has
// to see to itself.
func TestLastWorkerLeavesBeforeTheQueue(t *testing.T) {
	p := ackProducer(t)
	w := p.workers
	if !w.admit() { // a worker is busy
		t.Fatal("no room for a worker")
	}
	w.mu.Lock()
	outcome := make(chan error, 1)
	go p.SendAsync(t.Context(), &Message{Topic: "T", Body: []byte("x")}, func(_ Result, err error) { outcome <- err })
	for !waitsIn("core.(*workers).send(", "sync.Mutex.Lock") {
		runtime.Gosched()
	}
	if c := w.next(); c != nil { // and ends
		t.Error("the queue is not empty")
	}
	w.mu.Unlock()
	if err := <-outcome; err != nil {
		t.Error(err)
	}
	if err := p.Shutdown(t.Context()); err != nil {
		t.Error(err)
	}
}

// A call comes to the queue between the moment when the last worker finds the queue empty and
// the moment when it counts itself out. The worker then has to take the call, and to count
// itself in again.
func TestCallComesWhileTheLastWorkerLeaves(t *testing.T) {
	w := newWorkers(1)
	w.admit()
	w.queued.Add(1) // somebody is about to stand in the queue
	next := make(chan *Call, 1)
	go func() { next <- w.next() }()
	for rounds := 0; rounds < 100; runtime.Gosched() { // it goes round and round until the call is there
		if waitsIn("core.(*workers).next(", "") {
			rounds++
		}
		if len(next) > 0 {
			t.Fatalf("the worker left with %p", <-next)
		}
	}
	c := &Call{}
	c.deadline, c.async.ctx = time.Now().Add(time.Hour), t.Context()
	w.wait(c)
	if got := <-next; got != c {
		t.Errorf("the worker took %p, want %p", got, c)
	}
	if n := w.active.Load(); n != 1 {
		t.Errorf("%d workers are counted", n)
	}
}

// The timer of a call in line may ring for an earlier use of the call's memory, and is set
// anew for each use.
func TestTimerOfACallInLine(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := ackProducer(t)
		w := p.workers
		g, err := p.admit()
		if err != nil || !p.tryAcquire(1) || !w.admit() {
			t.Fatal("no room", err)
		}
		c := p.engine.newCall(t.Context(), Async, &Message{Topic: "T", Body: []byte("x")})
		outcome := make(chan error, 1)
		c.async = asyncSend{ctx: t.Context(), done: func(_ Result, err error) { outcome <- err }, generation: g, weight: 1}
		start := time.Now()
		c.deadline = start.Add(time.Hour)
		dequeue := func() {
			w.mu.Lock()
			unwatch := w.dequeue(c)
			w.mu.Unlock()
			unwatch()
		}
		w.wait(c)
		dequeue()
		w.wait(c)
		w.overdue(c)               // too early
		w.cancelled(c, c.ticket-1) // of the earlier wait
		if n := w.queued.Load(); n != 1 {
			t.Fatalf("%d calls in line", n)
		}
		dequeue()
		c.deadline = start.Add(time.Second)
		w.wait(c)
		if err := <-outcome; ClassOf(err) != ClassTimeout || time.Since(start) != time.Second {
			t.Errorf("%v after %v", err, time.Since(start))
		}
		w.next() // the busy worker ends
		if err := p.Shutdown(t.Context()); err != nil {
			t.Error(err)
		}
	})
}

// Expired calls beyond those that may fail at a time wait for that, are counted as long, and
// look for no worker any more when they have failed.
func TestExpiredCallsAreCounted(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := ackProducer(t)
		w := p.workers
		if !w.admit() { // a worker is busy
			t.Fatal("no room for a worker")
		}
		failing := func(n int) {
			w.mu.Lock()
			defer w.mu.Unlock()
			w.failing += n
		}
		const calls = 3
		failing(maxFailing)
		outcomes := make(chan error, calls)
		for range calls {
			p.SendAsync(t.Context(), &Message{Topic: "T", Body: []byte("x")}, func(_ Result, err error) { outcomes <- err }, SendTimeout(time.Second))
		}
		time.Sleep(2 * time.Second)
		if q, l := w.queued.Load(), w.late.Load(); q != 0 || l != calls || len(outcomes) != 0 {
			t.Errorf("%d stand in line, %d wait to fail, %d have failed", q, l, len(outcomes))
		}
		failing(-1)
		if !w.look() {
			t.Error("nobody fails the calls")
		}
		time.Sleep(time.Second)
		if l := w.late.Load(); l != 0 || len(outcomes) != calls {
			t.Errorf("%d wait to fail, %d have failed", l, len(outcomes))
		}
		failing(1 - maxFailing)
		if w.failing != 0 || w.look() {
			t.Errorf("%d calls are being failed", w.failing)
		}
		w.next() // the busy worker ends
		if err := p.Shutdown(t.Context()); err != nil {
			t.Error(err)
		}
	})
}

// waitsIn reports whether a goroutine in the function waits for what reason says.
func waitsIn(function, reason string) bool {
	buf := make([]byte, 64<<10)
	for trace := range strings.SplitSeq(string(buf[:runtime.Stack(buf, true)]), "\n\n") {
		head, _, _ := strings.Cut(trace, "\n")
		if strings.Contains(trace, function) && strings.Contains(head, reason) {
			return true
		}
	}
	return false
}
