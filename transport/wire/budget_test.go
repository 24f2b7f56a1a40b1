package wire_test

import (
	"errors"
	"sync"
	"testing"

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

// The large frames of all Readers of a budget take no more than its bytes together; small
// ones need none of it.
func TestBudget(t *testing.T) {
	budget := wire.NewBudget(300 << 10)
	open := func() (*wire.Reader, *feed) {
		f := &feed{}
		return wire.NewReaderWithin(f, 0, budget), f
	}
	large := rawFrame(200<<10, 'x')

	a, fa := open()
	fa.b = large[:150<<10]
	if err := fill(a, fa); err != nil {
		t.Fatal(err)
	}
	// No room for another one, and the stream is over. Small frames are as ever.
	b, fb := open()
	fb.b = large[:150<<10]
	var fe *wire.FrameError
	if err := fill(b, fb); !errors.As(err, &fe) || fe.Length != 200<<10 {
		t.Fatalf("a second large frame: %v", err)
	}
	c, fc := open()
	for range 100 {
		fc.b = rawFrame(50<<10, 'x')
		if _, err := c.Next(); err != nil {
			t.Fatalf("a small frame: %v", err)
		}
	}
	// The first one is read. With the next frame its room is free again.
	fa.b = large[150<<10:]
	if frame, err := a.Next(); err != nil || len(frame) != 200<<10-4 {
		t.Fatalf("%d bytes, %v", len(frame), err)
	}
	fa.b = rawFrame(100, 'x')
	if _, err := a.Next(); err != nil {
		t.Fatal(err)
	}
	fc.b = large
	if _, err := c.Next(); err != nil {
		t.Fatalf("once there is room: %v", err)
	}
	// End gives the room back in the middle of a frame, once and for all.
	c.End()
	c.End()
	d, fd := open()
	fd.b = large[:150<<10]
	if err := fill(d, fd); err != nil {
		t.Fatalf("after the end of another one: %v", err)
	}
	fc.b = rawFrame(100, 'x')
	if _, err := c.Next(); err != nil {
		t.Fatal(err)
	}
	fc.b = large
	if _, err := c.Next(); !errors.As(err, &fe) {
		t.Errorf("a large frame after End: %v", err)
	}
	// An error gives it back too.
	e, fe2 := open()
	fe2.b = large
	fd.b = append(large[150<<10:len(large):len(large)], 0xff, 0xff, 0xff, 0xff)
	if _, err := d.Next(); err != nil {
		t.Fatal(err)
	}
	if _, err := d.Next(); err == nil {
		t.Fatal("no error for a negative length")
	}
	if _, err := e.Next(); err != nil {
		t.Errorf("after the error of another one: %v", err)
	}
}

// End may come from another goroutine at any time.
func TestBudgetEndsMeanwhile(t *testing.T) {
	budget := wire.NewBudget(1 << 20)
	large := rawFrame(1<<20-1, 'x')
	for range 50 {
		f := &feed{b: large}
		r := wire.NewReaderWithin(f, 0, budget)
		var wg sync.WaitGroup
		wg.Go(func() { _ = fill(r, f) })
		wg.Go(r.End)
		wg.Wait()
	}
	f := &feed{b: large}
	if _, err := wire.NewReaderWithin(f, 0, budget).Next(); err != nil {
		t.Errorf("the Readers that have ended left no room: %v", err)
	}
}
