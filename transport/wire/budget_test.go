package wire_test

import (
	"errors"
	"slices"
	"sync"
	"testing"

	"pgregory.net/rapid"

	"github.com/liftoff-mq/liftoff/transport/wire"
)

// feed is a stream that gives what is put into it, and 0 bytes when that is used up.
type feed struct{ b []byte }

func (f *feed) Read(p []byte) (int, error) {
	n := copy(p, f.b)
	f.b = f.b[n:]
	return n, nil
}

// fill gives a Reader all of a stream, as far as it can be had.
func fill(r *wire.Reader, f *feed) error {
	for len(f.b) > 0 {
		if _, err := r.Fill(); err != nil {
			return err
		}
	}
	return nil
}

// hasRoom reports whether a frame that had to wait may go on.
func hasRoom(r *wire.Reader) bool {
	select {
	case <-r.Room():
		return true
	default:
		return false
	}
}

// The large frames of all Readers of a budget take no more than its bytes together; small
// ones need none of it. What finds no room waits and goes on where it was.
func TestBudget(t *testing.T) {
	budget := wire.NewBudget(300 << 10)
	open := func() (*wire.Reader, *feed) {
		f := &feed{}
		return wire.NewReaderWithin(f, 0, budget), f
	}
	large, small := rawFrame(200<<10, 'x'), rawFrame(100, 'x')
	next := func(r *wire.Reader, want int) {
		t.Helper()
		if frame, err := r.Next(); err != nil || len(frame) != want-4 {
			t.Fatalf("%d bytes, %v", len(frame), err)
		}
	}

	a, fa := open()
	fa.b = large[:150<<10]
	if err := fill(a, fa); err != nil {
		t.Fatal(err)
	}
	// No room for another one now, and as often as it is tried. Small frames are as ever.
	b, fb := open()
	fb.b = slices.Concat(large, small)
	for range 3 {
		if err := fill(b, fb); err != wire.ErrNoRoom {
			t.Fatalf("a second large frame: %v", err)
		}
		if _, err := b.Next(); err != wire.ErrNoRoom || hasRoom(b) || b.Size() != 64<<10 {
			t.Fatalf("%v, room %v, %d bytes", err, hasRoom(b), b.Size())
		}
	}
	c, fc := open()
	for range 100 {
		fc.b = rawFrame(50<<10, 'x')
		next(c, 50<<10)
	}
	// One that there is room for waits behind the second, lest that one waits for ever.
	fc.b = rawFrame(70<<10, 'x')
	if _, err := c.Next(); err != wire.ErrNoRoom {
		t.Fatalf("a third large frame: %v", err)
	}
	// The first one is read. With the next frame its room is that of the others.
	fa.b = slices.Concat(large[150<<10:], small)
	next(a, 200<<10)
	if hasRoom(b) || hasRoom(c) {
		t.Fatal("the frame is in use, and its room is given away")
	}
	next(a, 100)
	if !hasRoom(b) || !hasRoom(c) {
		t.Fatalf("room of the second %v, of the third %v", hasRoom(b), hasRoom(c))
	}
	next(b, 200<<10)
	next(b, 100)
	next(c, 70<<10)

	// End gives the room back in the middle of a frame, once and for all.
	fc.b = large[:150<<10]
	if err := fill(c, fc); err != nil {
		t.Fatal(err)
	}
	fb.b = large
	if err := fill(b, fb); err != wire.ErrNoRoom {
		t.Fatal(err)
	}
	c.End()
	c.End()
	if !hasRoom(b) {
		t.Fatal("no room after the end of another one")
	}
	next(b, 200<<10)
	fb.b = small
	next(b, 100)
	fc.b = large[150<<10:]
	next(c, 200<<10)
	fc.b = slices.Concat(small, large)
	next(c, 100)
	if _, err := c.Next(); err == nil || err == wire.ErrNoRoom {
		t.Fatalf("a large frame after End: %v", err)
	}

	// So does an error, and one that waits does not any longer after its end.
	fa.b = slices.Concat(large, []byte{0xff, 0xff, 0xff, 0xff})
	next(a, 200<<10)
	fb.b = large
	if _, err := b.Next(); err != wire.ErrNoRoom {
		t.Fatal(err)
	}
	b.End()
	d, fd := open()
	fd.b = large
	if _, err := d.Next(); err != wire.ErrNoRoom {
		t.Fatal(err)
	}
	if _, err := a.Next(); !errors.Is(err, wire.ErrFrame) {
		t.Fatalf("a negative length: %v", err)
	}
	if !hasRoom(d) || hasRoom(b) {
		t.Errorf("after the error of another one: room %v, of one that has ended %v", hasRoom(d), hasRoom(b))
	}
	next(d, 200<<10)

	// What is greater than the budget would wait for ever.
	e, fe := open()
	fe.b = rawFrame(301<<10, 'x')
	if _, err := e.Next(); !errors.Is(err, wire.ErrFrame) {
		t.Errorf("greater than the budget: %v", err)
	}
	// Without a budget there is nothing to wait for.
	if wire.NewReader(fe, 0).Room() != nil {
		t.Error("a Reader without a budget waits")
	}
}

// Whatever the streams bring and in which order, the frames do not wait for each other for
// ever: every frame is read.
func TestBudgetEndsEveryWait(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		budget := wire.NewBudget(400 << 10)
		type stream struct {
			r      *wire.Reader
			f      *feed
			rest   []byte
			frames int
		}
		streams := make([]stream, 4)
		for i := range streams {
			s := &streams[i]
			s.f = &feed{}
			s.r = wire.NewReaderWithin(s.f, 0, budget)
			for _, kib := range rapid.SliceOfN(rapid.IntRange(1, 400), 1, 4).Draw(t, "KiB") {
				s.rest = append(s.rest, rawFrame(kib<<10, 'x')...)
				s.frames++
			}
		}
		for turns := 0; ; turns++ {
			left := slices.DeleteFunc(slices.Clone(streams), func(s stream) bool { return s.frames == 0 })
			if len(left) == 0 {
				return
			}
			if turns == 10_000 {
				t.Fatalf("%d streams wait for each other", len(left))
			}
			at := rapid.IntRange(0, len(streams)-1).Draw(t, "stream")
			s := &streams[at]
			n := min(rapid.IntRange(1, 200).Draw(t, "more KiB")<<10, len(s.rest))
			s.f.b, s.rest = append(s.f.b, s.rest[:n]...), s.rest[n:]
			switch ready, err := s.r.Fill(); {
			case err != nil && err != wire.ErrNoRoom:
				t.Fatal(err)
			case ready:
				if _, err := s.r.Next(); err != nil {
					t.Fatal(err)
				}
				s.frames--
			}
		}
	})
}

// End may come from another goroutine at any time.
func TestBudgetEndsMeanwhile(t *testing.T) {
	budget := wire.NewBudget(1 << 20)
	large := rawFrame(1<<20-1, 'x')
	for range 50 {
		var wg sync.WaitGroup
		for range 3 {
			f := &feed{b: large}
			r := wire.NewReaderWithin(f, 0, budget)
			wg.Go(func() { _ = fill(r, f) })
			wg.Go(r.End)
		}
		wg.Wait()
	}
	f := &feed{b: large}
	if _, err := wire.NewReaderWithin(f, 0, budget).Next(); err != nil {
		t.Errorf("the Readers that have ended left no room: %v", err)
	}
}
