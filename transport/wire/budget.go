package wire

import (
	"errors"
	"slices"
	"sync"
)

// ErrNoRoom says that the frames of other Readers leave no room in the budget for the next one now.
var ErrNoRoom = errors.New("wire: no room for a frame beside those of other streams")

var errReaderEnded = errors.New("wire: the reader has ended")

// Budget bounds what the frames of many Readers take together, beyond 64 KiB each: that much a
// Reader has of its own. It is safe for concurrent use.
//
// A frame that needs more gets room for its whole length at once, or it waits and has none. So
// whoever has room lacks nothing, and gives it back when its frame was read or its stream ends.
// With a part of the room each, two frames could wait for each other for ever. Frames get room in
// the order in which they asked for it, so that small ones do not keep a large one waiting.
type Budget struct {
	mu        sync.Mutex
	most, now int
	waiting   []*Reader // longest first
}

// NewBudget returns a Budget of so many bytes.
func NewBudget(bytes int) *Budget { return &Budget{most: bytes} }

// share is what a Reader has of its budget, whose lock guards it.
type share struct {
	held  int           // for the frame that is being read
	wants int           // while it waits
	room  chan struct{} // closed when it has what it wants; nil if it never had to wait for this frame
	ended bool
}

// claim gets room for a frame of n bytes.
func (r *Reader) claim(n int) error {
	b, s := r.of, &r.share
	if b == nil {
		return nil
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	switch {
	case s.held >= n:
		return nil
	case s.ended:
		return errReaderEnded
	case n > b.most:
		return &FrameError{Length: int64(n), Reason: "length beyond what the frames of all connections may take"}
	case s.room != nil: // it waits already
		return ErrNoRoom
	case len(b.waiting) == 0 && b.now+n <= b.most:
		b.now += n
		s.held = n
		return nil
	}
	s.wants, s.room = n, make(chan struct{})
	b.waiting = append(b.waiting, r)
	return ErrNoRoom
}

// Room is closed when the frame for which Next or Fill returned [ErrNoRoom] has room. It is nil
// before that. After End it may never be closed.
func (r *Reader) Room() <-chan struct{} {
	if r.of == nil {
		return nil
	}
	r.of.mu.Lock()
	defer r.of.mu.Unlock()
	return r.share.room
}

// release gives back what the Reader has of its budget. If it waits it does not any longer.
func (r *Reader) release() { r.giveBack(false) }

// End gives back what the Reader has of its budget, for good. Another goroutine may be using the
// Reader meanwhile.
func (r *Reader) End() { r.giveBack(true) }

func (r *Reader) giveBack(end bool) {
	b, s := r.of, &r.share
	if b == nil {
		return
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	if i := slices.Index(b.waiting, r); i >= 0 {
		b.waiting = slices.Delete(b.waiting, i, i+1)
	}
	b.now -= s.held
	*s = share{ended: s.ended || end}
	for len(b.waiting) > 0 {
		next := &b.waiting[0].share
		if b.now+next.wants > b.most {
			break
		}
		b.now += next.wants
		next.held = next.wants
		close(next.room)
		b.waiting = slices.Delete(b.waiting, 0, 1)
	}
}
