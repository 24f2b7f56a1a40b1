package pace

import (
	"sync"
	"time"
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
	name string
	cfg  *Config

	mu        sync.Mutex
	window    int
	seq       uint64    // attempts that were let through
	confirmed uint64    // the last of these that is out of the broker's queue
	gone      uint64    // later ones that were not sent after all
	sampled   uint64    // the last sample's place
	samples   int       // under way
	cut       uint64    // the last attempt before the window shrank
	moved     time.Time // when a sample ended last
	nearest   time.Duration
	waiting   waiters
}

// ticket is a place among the attempts at a broker.
type ticket struct {
	seq     uint64
	sample  bool
	pressed bool // of a sample: more would have been sent if the window were larger
}

func newBroker(name string, cfg *Config) *broker {
	return &broker{name: name, cfg: cfg, window: cfg.MinWindow, nearest: -1}
}

// enter lets an attempt through unless there is no room, or others wait.
func (b *broker) enter() (t ticket, ok bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.waiting.len > 0 || !b.room() {
		return ticket{}, false
	}
	return b.take(), true
}

// room reports whether the next attempt may go. Where no sample is under way, one
// must go in any case, or nothing would ever make room again.
func (b *broker) room() bool { return b.unconfirmed() < b.window || b.samples == 0 }

func (b *broker) unconfirmed() int { return int(b.seq - b.confirmed - b.gone) }

// take gives the next attempt its place; there is room.
func (b *broker) take() ticket {
	before := b.unconfirmed()
	b.seq++
	t := ticket{seq: b.seq}
	due := b.seq-b.sampled >= uint64(max(b.window/samplesPerWindow, 1)) && b.samples < maxSamples
	if due || before >= b.window {
		t.sample, t.pressed = true, b.pressed(before)
		b.sampled = t.seq
		b.samples++
	}
	return t
}

// pressed reports whether the window is in use: half of it is full, or a quarter
// went out within the target time. Senders that are slower must not widen it: the
// broker was never seen to take so many at a time.
func (b *broker) pressed(before int) bool {
	return before >= b.window/2 || time.Since(b.moved) <= b.cfg.Target
}

// unsent takes an attempt back of which nothing left.
func (b *broker) unsent(t ticket) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.confirmed < t.seq {
		b.gone++
	}
	if t.sample {
		b.samples--
		if b.sampled == t.seq {
			b.sampled = 0 // the next attempt asks in its place
		}
	}
	b.wake()
}

// answered ends a sample that was sent. Those before it are out of the queue, or
// nobody will ever know: either way they make room.
func (b *broker) answered(t ticket, v verdict, took time.Duration) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.samples--
	if b.confirmed < t.seq {
		// Some of those that are gone may come later than t: they count again, as
		// if they were sent, until the next answer.
		b.confirmed, b.gone = t.seq, 0
	}
	b.moved = time.Now()
	switch {
	case v == overloaded:
		b.shrink(t, b.window/2)
	case v == silent || b.late(took):
		b.shrink(t, b.window-b.window/4)
	case t.pressed:
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

// late reports whether an answer took longer than the nearest plus the target.
// When the window is as small as can be, it is not our messages that take the
// time: then that is how far the broker is.
func (b *broker) late(took time.Duration) bool {
	if b.nearest < 0 || took < b.nearest || b.window <= b.cfg.MinWindow {
		b.nearest = took
	}
	return took > b.nearest+b.cfg.Target
}

// shrink makes the window smaller, once for all samples that were under way: they
// tell of one and the same queue.
func (b *broker) shrink(t ticket, to int) {
	if t.seq <= b.cut {
		return
	}
	b.cut = b.seq
	b.window = max(to, b.cfg.MinWindow)
}

// wake lets those through who wait and have room now, in the order in which they came.
func (b *broker) wake() {
	for b.waiting.len > 0 && b.room() {
		w := b.waiting.pop()
		w.ticket = b.take()
		w.ready <- struct{}{}
	}
}

func (b *broker) status() Status {
	b.mu.Lock()
	defer b.mu.Unlock()
	return Status{Broker: b.name, Window: b.window, Unconfirmed: b.unconfirmed(), Samples: b.samples, Waiting: b.waiting.len}
}
