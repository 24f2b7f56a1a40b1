package pace

import (
	"sync"
	"time"

	"github.com/liftoff-mq/liftoff/core"
	"github.com/liftoff-mq/liftoff/internal/fifo"
)

const (
	// samplesPerWindow is how many samples a full window holds: enough for the
	// window to move on in small steps, and few enough to cost nothing.
	samplesPerWindow = 4
	// maxSamples bounds the samples under way, for a window that has just shrunk.
	maxSamples = 2 * samplesPerWindow
)

// broker is what is kept for one broker.
type broker struct {
	at  core.Broker
	cfg *Config

	mu         sync.Mutex
	window     int
	seq        uint64            // attempts that were let through
	confirmed  uint64            // the last of these that is out of the broker's queue
	unsent     uint64            // later ones that were not sent after all
	sampled    uint64            // the last sample's place
	samples    int               // under way
	recovery   uint64            // the last attempt before the window shrank
	lastAnswer time.Time         // when a sample ended last
	baseRTT    time.Duration     // the quickest answer; -1 before the first
	waiting    fifo.List[waiter] // the wait queue, in order of arrival
}

// ticket is a place among the attempts at a broker.
type ticket struct {
	seq     uint64
	sample  bool
	limited bool // of a sample: more would have been sent if the window were larger
}

func newBroker(at core.Broker, cfg *Config) *broker {
	return &broker{at: at, cfg: cfg, window: cfg.MinWindow, baseRTT: -1}
}

// admit lets an attempt through unless there is no room, or others wait.
func (b *broker) admit() (t ticket, ok bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.waiting.Len() > 0 || !b.room() {
		return ticket{}, false
	}
	return b.take(), true
}

// room reports whether the next attempt may go. Where no sample is under way, one
// must go in any case, or nothing would ever make room again.
func (b *broker) room() bool { return b.unconfirmed() < b.window || b.samples == 0 }

func (b *broker) unconfirmed() int { return int(b.seq - b.confirmed - b.unsent) }

// take gives the next attempt its place; there is room.
func (b *broker) take() ticket {
	before := b.unconfirmed()
	b.seq++
	t := ticket{seq: b.seq}
	due := b.seq-b.sampled >= uint64(max(b.window/samplesPerWindow, 1)) && b.samples < maxSamples
	if due || before >= b.window {
		t.sample, t.limited = true, b.limited(before)
		b.sampled = t.seq
		b.samples++
	}
	return t
}

// limited reports whether the window is what limits the senders: half of it is full, or a
// quarter went out within the target time. Senders that are slower must not widen it: the
// broker was never seen to take so many at a time.
func (b *broker) limited(before int) bool {
	return before >= b.window/2 || time.Since(b.lastAnswer) <= b.cfg.Target
}

// takeBack takes an attempt back of which nothing left.
func (b *broker) takeBack(t ticket) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.confirmed < t.seq {
		b.unsent++
	}
	if t.sample {
		b.samples--
		if b.sampled == t.seq {
			b.sampled = 0 // the next attempt asks in its place
		}
	}
	b.wake()
}

// answered ends a sample that was sent. Those before it are out of the queue, or what
// became of them will never be known: either way they make room.
func (b *broker) answered(t ticket, v signal, took time.Duration) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.samples--
	if b.confirmed < t.seq {
		// Some of those that were not sent may come later than t: they count again, as
		// if they were sent, until the next answer.
		b.confirmed, b.unsent = t.seq, 0
	}
	b.lastAnswer = time.Now()
	switch {
	case v == overloaded:
		b.shrink(t, b.window/2)
	case v == silent || b.late(took):
		b.shrink(t, b.window-b.window/4)
	case t.limited:
		b.window = min(b.window+b.growth(took), b.cfg.MaxWindow)
	}
	b.wake()
}

// growth is by how much an answer in time widens the window: by a quarter, and by less
// where answers take long. That the window has become too large is seen a round trip
// late, when samplesPerWindow answers more have widened it; what they let through in
// excess must not take the broker longer than twice the target.
func (b *broker) growth(took time.Duration) int {
	most := 2 * b.cfg.Target
	return max(int(most*time.Duration(b.window)/(samplesPerWindow*max(took, most))), 1)
}

// late reports whether an answer took longer than the quickest plus the target.
// When the window is as small as can be, it is not our messages that take the
// time: then that is how far the broker is.
func (b *broker) late(took time.Duration) bool {
	if b.baseRTT < 0 || took < b.baseRTT || b.window <= b.cfg.MinWindow {
		b.baseRTT = took
	}
	return took > b.baseRTT+b.cfg.Target
}

// shrink makes the window smaller, once for all samples that were under way: they
// tell of one and the same queue.
func (b *broker) shrink(t ticket, to int) {
	if t.seq <= b.recovery {
		return
	}
	b.recovery = b.seq
	b.window = max(to, b.cfg.MinWindow)
}

// wake lets those through that wait and have room now, in the order in which they came.
func (b *broker) wake() {
	for b.waiting.Len() > 0 && b.room() {
		w := b.waiting.First()
		b.waiting.Remove(&w.node)
		w.ticket = b.take()
		w.ready <- struct{}{}
	}
}

func (b *broker) status() Status {
	b.mu.Lock()
	defer b.mu.Unlock()
	return Status{
		Broker: b.at.Name, Addr: b.at.Addr, Window: b.window,
		Unconfirmed: b.unconfirmed(), Samples: b.samples, Waiting: b.waiting.Len(),
	}
}
