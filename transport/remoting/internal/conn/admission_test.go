package conn

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/liftoff-mq/liftoff/core"
	"github.com/liftoff-mq/liftoff/transport/wire"
)

// There is room below the limit, for a frame of any size. A request that comes later does
// not pass one that waits.
func TestAdmits(t *testing.T) {
	a := admission{limit: 100}
	a.add(99)
	if !a.admits() {
		t.Error("no room below the limit")
	}
	a.add(1 << 20)
	if a.admits() || a.room() {
		t.Error("room beyond the limit")
	}
	a.free(1<<20 + 98)
	if !a.admits() {
		t.Error("no room again")
	}
	r := newRequest()
	a.waiters.Push(&r.waiting, r)
	if a.admits() {
		t.Error("the queue is passed by")
	}
}

// Room admits the requests that waited longest, as many as fit and no more.
func TestFreeAdmitsInOrder(t *testing.T) {
	a := admission{limit: 100, bytes: 200}
	var requests []*Request
	for range 5 {
		r := newRequest()
		r.size = 60
		a.waiters.Push(&r.waiting, r)
		requests = append(requests, r)
	}
	a.free(100)
	if a.waiters.Len() != 5 {
		t.Fatal("one is admitted at the limit")
	}
	a.free(50) // 50 are queued: the first makes it 110
	if a.waiters.Len() != 4 || a.bytes != 110 || len(requests[0].done) != 1 {
		t.Fatalf("%d wait, %d bytes", a.waiters.Len(), a.bytes)
	}
	a.free(90) // 20: two more make it 140
	if a.waiters.Len() != 2 || a.bytes != 140 || len(requests[2].done) != 1 || len(requests[3].done) != 0 {
		t.Fatalf("%d wait, %d bytes", a.waiters.Len(), a.bytes)
	}
	a.admitAll()
	if a.waiters.Len() != 0 || len(requests[4].done) != 1 {
		t.Errorf("%d wait", a.waiters.Len())
	}
}

// waiting has a request wait for admission, and returns where its outcome will be.
func waiting(t *testing.T, c *Conn, r *Request, f *Frame) chan error {
	t.Helper()
	before := 0
	c.locked(func() { before = c.admission.waiters.Len() })
	done := make(chan error, 1)
	go func() { done <- c.submit(r, f) }()
	synctest.Wait()
	c.locked(func() {
		if c.admission.waiters.Len() != before+1 {
			t.Fatalf("%d wait", c.admission.waiters.Len())
		}
	})
	return done
}

// A request that waits for admission is not on the connection: its end is certain, and
// leaves nothing behind.
func TestEndsOfTheWaitForAdmission(t *testing.T) {
	for name, tt := range map[string]struct {
		end   func(c *Conn, cancel func())
		want  error
		bytes int
	}{
		"cancelled": {func(_ *Conn, cancel func()) { cancel() }, context.Canceled, 1 << 20},
		"time":      {func(*Conn, func()) { time.Sleep(time.Minute) }, core.ErrTimeout, 1 << 20},
		"retired":   {func(c *Conn, _ func()) { c.locked(c.retire) }, ErrStale, 1 << 20},
		"ended":     {func(c *Conn, _ func()) { c.Close(errTestOver) }, ErrStale, 0},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				near, _ := pipe(t)
				c, _ := still(t, near)
				c.locked(func() { c.admission.add(1 << 20) })
				ctx, cancel := context.WithCancel(bg)
				defer cancel()
				r, f := request(t, c, Ask, 1, 0)
				r.ctx = ctx
				done := waiting(t, c, r, f)
				tt.end(c, cancel)
				if err := <-done; !errors.Is(err, tt.want) {
					t.Errorf("got %v", err)
				}
				if u := c.Usage(); u.InFlight != 0 || (tt.want != ErrStale && u.QueuedBytes != tt.bytes) || r.Written() {
					t.Errorf("left behind: %+v, written: %v", u, r.Written())
				}
				if tt.want == ErrStale {
					// What admitted it counted its bytes; they are off again.
					if u := c.Usage(); u.QueuedBytes > 1<<20 {
						t.Errorf("left behind: %+v", u)
					}
				}
			})
		})
	}
}

// The race: the caller gives up just when it is admitted. The room goes to the next one.
func TestGivingUpWhileAdmitted(t *testing.T) {
	a, b := newRequest(), newRequest()
	near, _ := pipe(t)
	c, _ := still(t, near, func(cfg *Config) { cfg.MaxQueuedBytes = 100 })
	c.locked(func() {
		c.admission.add(100)
		for _, r := range []*Request{a, b} {
			r.size = 100
			c.admission.waiters.Push(&r.waiting, r)
		}
		c.admission.free(100) // admits a, which fills the room
		if c.admission.bytes != 100 || len(a.done) != 1 || len(b.done) != 0 {
			t.Fatalf("%d bytes", c.admission.bytes)
		}
		c.leaveQueue(a)
		if c.admission.bytes != 100 || len(a.done) != 0 || len(b.done) != 1 {
			t.Errorf("%d bytes, the next one is admitted: %v", c.admission.bytes, len(b.done) == 1)
		}
	})
}

// A request is admitted when what is queued was written, and then goes out.
func TestAdmittedWhenWritten(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		near, far := pipe(t)
		c, _ := running(t, near, func(cfg *Config) { cfg.MaxQueuedBytes = 100 })
		first, f1 := request(t, c, Oneway, 1, 200)
		got := make(chan error, 2)
		go func() { got <- c.Do(first, f1) }()
		synctest.Wait() // the peer does not read: the write hangs
		second, f2 := request(t, c, Oneway, 2, 200)
		done := waiting(t, c, second, f2)
		seen := make(chan int32, 2)
		peer(t, far, func(cmd wire.Command) { seen <- cmd.Opaque })
		if err := <-done; err != nil {
			t.Error(err)
		}
		if a, b := <-seen, <-seen; a != 1 || b != 2 {
			t.Errorf("%d came before %d", a, b)
		}
		<-second.done
		if err := <-got; err != nil {
			t.Error(err)
		}
		if u := c.Usage(); u.QueuedBytes != 0 || u.InFlight != 0 {
			t.Errorf("left behind: %+v", u)
		}
	})
}
