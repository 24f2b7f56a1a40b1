package load

import (
	"sync"
	"sync/atomic"
	"time"

	"github.com/HdrHistogram/hdrhistogram-go"
)

// Meter counts outcomes. It is safe for concurrent use.
type Meter struct {
	stop     atomic.Bool
	accepted atomic.Int64
	failed   atomic.Int64

	mu    sync.Mutex
	took  *hdrhistogram.Histogram // microseconds, of requests that ended in the window
	first error
}

// slowest is the longest time that the histogram can hold; what takes longer counts as this.
const slowest = 60_000_000 // µs

// NewMeter makes an empty meter.
func NewMeter() *Meter {
	m := &Meter{}
	m.reset()
	return m
}

func (m *Meter) reset() *hdrhistogram.Histogram {
	m.mu.Lock()
	defer m.mu.Unlock()
	old := m.took
	m.took = hdrhistogram.New(1, slowest, 3)
	return old
}

// Stop tells the load to end.
func (m *Meter) Stop() { m.stop.Store(true) }

// Stopped reports whether the load has to end.
func (m *Meter) Stopped() bool { return m.stop.Load() }

// OK counts a request of so many messages that succeeded.
func (m *Meter) OK(messages int, took time.Duration) {
	m.accepted.Add(int64(messages))
	m.mu.Lock()
	_ = m.took.RecordValue(min(max(took.Microseconds(), 1), slowest)) // within the histogram's range
	m.mu.Unlock()
}

// OKs counts several requests of so many messages each that ended together.
func (m *Meter) OKs(messages int, took []time.Duration) {
	m.accepted.Add(int64(messages * len(took)))
	m.mu.Lock()
	for _, d := range took {
		_ = m.took.RecordValue(min(max(d.Microseconds(), 1), slowest))
	}
	m.mu.Unlock()
}

// Fail counts a request that failed; the first reason is kept.
func (m *Meter) Fail(err error) {
	m.failed.Add(1)
	m.mu.Lock()
	if m.first == nil {
		m.first = err
	}
	m.mu.Unlock()
}
