package strategytest

import (
	"runtime"
	"runtime/metrics"
	"sync"
	"weak"

	"github.com/liftoff-mq/liftoff/core"
)

// keeps checks that a strategy keeps nothing of calls that are over: neither what core gives
// it, which is used again for the next call, nor something of its own for each of them.
func (k *kit) keeps(start func() (w *world, strategy any), newMessage func() *core.Message) {
	w, strategy := start()
	calls, messages := w.traces(newMessage)
	w.stop()
	w.forget()
	collect()
	if left(calls) > 0 {
		k.fatalf("it keeps a call, or an attempt, a selection or a failure of it, after the call's outcome")
	}
	if left(messages) > 0 {
		k.fatalf("it keeps the message after the call's outcome")
	}
	runtime.KeepAlive(strategy)
	for range 2 { // others use the memory as well
		if !k.grows(start, newMessage) {
			return
		}
	}
	k.failf("its memory grows with the number of calls")
}

// traces makes some calls and gives weak pointers to them and their messages.
func (w *world) traces(newMessage func() *core.Message) (calls []weak.Pointer[core.Call], messages []weak.Pointer[core.Message]) {
	var mu sync.Mutex
	w.happens(func(at *core.Attempt) end {
		mu.Lock()
		defer mu.Unlock()
		calls = append(calls, weak.Make(at.Call()))
		return lost
	})
	for by := range modes {
		w.k.do(func() {
			for range 5 {
				m := newMessage()
				messages = append(messages, weak.Make(m))
				_ = w.send(by, m)
			}
		})
	}
	return calls, messages
}

// forget drops everything of the producer's, as it holds the memory of its calls.
func (w *world) forget() {
	w.script.Store(nil)
	w.p = nil
}

func left[T any](all []weak.Pointer[T]) (n int) {
	for _, p := range all {
		if p.Value() != nil {
			n++
		}
	}
	return n
}

// collect empties the pools as well.
func collect() {
	for range 3 {
		runtime.GC()
	}
}

// little is how many bytes the heap may grow for a call, which is less than the smallest entry
// of a map takes.
const little = 6

// grows reports whether memory grows with the calls. Other goroutines use memory too, so it
// takes several measurements, of ever more calls, to say so. Each has twice the calls of all
// before it: a map or a slice that grows with them has then outgrown its reserves.
func (k *kit) grows(start func() (w *world, strategy any), newMessage func() *core.Message) bool {
	w, strategy := start()
	defer runtime.KeepAlive(strategy)
	defer w.stop()
	calls := 500
	w.sends(calls, bySync, newMessage())
	for range 3 {
		before := heap()
		w.sends(2*calls, bySync, newMessage())
		if heap() < before+uint64(little*2*calls) {
			return false
		}
		calls *= 3
	}
	return true
}

func heap() uint64 {
	collect()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.HeapAlloc
}

// starts checks that calls start no goroutine. Others start some too, so it takes many rounds
// without one in which there were few.
func (k *kit) starts(calls func(n int)) {
	const rounds, each = 10, 50
	for range rounds {
		before := goroutinesStarted()
		calls(each)
		if goroutinesStarted() < before+each {
			return
		}
	}
	k.failf("%d times in a row %d calls started %d goroutines or more", rounds, each, each)
}

func goroutinesStarted() uint64 {
	sample := []metrics.Sample{{Name: "/sched/goroutines-created:goroutines"}}
	metrics.Read(sample)
	if sample[0].Value.Kind() != metrics.KindUint64 {
		return 0 // not in this version of Go
	}
	return sample[0].Value.Uint64()
}
