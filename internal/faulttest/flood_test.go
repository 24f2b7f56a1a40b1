package faulttest_test

import (
	"errors"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/liftoff-mq/liftoff"
	"github.com/liftoff-mq/liftoff/core"
	"github.com/liftoff-mq/liftoff/internal/race"
)

// peak keeps the largest values that it has seen.
type peak struct {
	held, raw, stack      uint64
	goroutines, stackedBy int
}

// look takes a sample. Raw is the heap with the garbage that the collector leaves
// lying: as much as is held and on stacks, with its default goal. Held is the heap
// without.
func (p *peak) look() {
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	p.raw = max(p.raw, m.HeapAlloc)
	n := runtime.NumGoroutine()
	p.goroutines = max(p.goroutines, n)
	runtime.GC()
	runtime.ReadMemStats(&m)
	p.held = max(p.held, m.HeapAlloc)
	if m.StackInuse > p.stack { // without the stacks of goroutines that have ended
		p.stack, p.stackedBy = m.StackInuse, n
	}
}

// 200,000 asynchronous sends of 1 KiB to a broker that never answers, with limits
// of 16 MiB and 10,000 sends: the heap stays below 64 MiB. More
// goroutines would not make the broker answer, so there are some hundreds and not one for each
// send. What finds no room waits within its context or fails as busy, as its caller
// wishes. Each accepted send has one outcome.
func TestAsyncFloodToASilentBroker(t *testing.T) {
	// The race detector keeps so much for each goroutine that a tenth is as telling.
	scale := 1
	if race.Enabled {
		scale = 10
	}
	const (
		each       = 1000
		maxHeap    = 64 << 20
		patience   = 2 * time.Second        // of most sends that wait for room
		impatience = 100 * time.Millisecond // of every tenth
	)
	callers, limit := 200/scale, 10_000/scale
	var most peak
	virtual(t, func(t *testing.T) {
		w := newWorld(t, 1)
		silent := newPeer(t, w.net, (*link).answerAllButSends)
		w.routeIs(routeTo(silent.addr()))
		p := w.startWith(t, liftoff.Config{MaxInFlight: limit, MaxInFlightBytes: 16 << 20}, liftoff.WithRetry(once()))
		p.log.off.Store(true)
		most.look()
		idle := most.held

		var accepted, busy, gaveUp, ended atomic.Int64
		var outcomes sync.Map // class and certainty -> *atomic.Int64
		done := func(_ core.Result, err error) {
			ended.Add(1)
			var se *core.SendError
			if !errors.As(err, &se) {
				t.Errorf("got %v", err)
				return
			}
			if errors.Is(err, core.ErrTooManyInFlight) {
				gaveUp.Add(1)
				if !errors.Is(err, core.ErrTimeout) {
					t.Errorf("gave up before its time: %v", err)
				}
			}
			n, _ := outcomes.LoadOrStore(se.Class.String()+" "+se.Certainty.String(), new(atomic.Int64))
			n.(*atomic.Int64).Add(1)
		}
		var all sync.WaitGroup
		for c := range callers {
			all.Go(func() {
				var m *core.Message // one that was refused is sent again
				for i := range each {
					if m == nil {
						m = &core.Message{Topic: "T", Body: make([]byte, 1024)}
					}
					switch {
					case c%2 == 0:
						// Wait for room; the call's time bounds that.
						most := patience
						if i%10 == 0 {
							most = impatience
						}
						began := time.Now()
						accepted.Add(1)
						p.SendAsync(bg, m, done, core.SendTimeout(most))
						m = nil
						wantAtMost(t, "the wait for room", time.Since(began), most)
					default:
						// Fail at once where there is none.
						switch err := p.TrySendAsync(bg, m, done); {
						case err == nil:
							accepted.Add(1)
							m = nil
						case errors.Is(err, core.ErrTooManyInFlight) && core.CertaintyOf(err) == core.NotSent:
							busy.Add(1)
							time.Sleep(time.Millisecond)
						default:
							t.Errorf("got %v", err)
						}
					}
				}
			})
		}
		finished := make(chan struct{})
		go func() {
			all.Wait()
			close(finished)
		}()
		for sampling := true; sampling; {
			synctest.Wait() // everybody waits: for room, for an answer, or for time
			most.look()
			select {
			case <-finished:
				sampling = false
			case <-time.After(time.Second):
			}
		}
		if err := p.Flush(bg); err != nil {
			t.Error(err)
		}
		want(t, "outcomes", ended.Load(), accepted.Load())
		if gaveUp.Load() == 0 || busy.Load() == 0 {
			t.Error("the limits were not reached")
		}
		want(t, "sends", accepted.Load()+busy.Load(), int64(callers*each))
		synctest.Wait()
		want(t, "requests in the tables", p.client.Stats().InFlight, 0)
		t.Logf("%d sends: %d refused as busy at once, %d gave up waiting for room, %d were under way",
			callers*each, busy.Load(), gaveUp.Load(), accepted.Load()-gaveUp.Load())
		outcomes.Range(func(k, n any) bool {
			t.Logf("  %v: %d", k, n.(*atomic.Int64).Load())
			return true
		})
		t.Logf("heap: %.1f MiB at first, at most %.1f MiB held, %.1f MiB with garbage; stacks: at most %.1f MiB; goroutines: at most %d",
			mib(idle), mib(most.held), mib(most.raw), mib(most.stack), most.goroutines)
	})
	// The callers, the sends that are worked on, and those that fail because their time ended
	// while they waited, of which there are 256 at most each, and the rest of the client.
	if n := most.goroutines; n > callers+2*256+100 {
		t.Errorf("%d goroutines", n)
	}
	if race.Enabled {
		t.Log("the race detector's own memory is on the heap: its size is not judged")
		return
	}
	if most.held > maxHeap {
		t.Errorf("the heap grew to %d bytes, at most %d are allowed", most.held, maxHeap)
	}
	// A frame too many on the way to the answer doubles every waiting send's stack.
	if n := most.stack / uint64(most.stackedBy); n > 15<<10 && runtime.GOARCH == "amd64" {
		t.Errorf("%d bytes of stack a goroutine", n)
	}
}

func mib(n uint64) float64 { return float64(n) / (1 << 20) }
