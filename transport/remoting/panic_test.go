package remoting_test

import (
	"context"
	"sync"
	"testing"

	"github.com/liftoff-mq/liftoff/core"
	"github.com/liftoff-mq/liftoff/core/coretest"
	"github.com/liftoff-mq/liftoff/transport/remoting"
	"github.com/liftoff-mq/liftoff/transport/wire"
)

// faulty is a context that panics when it is first asked why it has ended.
type faulty struct {
	context.Context
	end  chan struct{}
	once sync.Once
}

func (f *faulty) Done() <-chan struct{} { return f.end }

func (f *faulty) Err() error {
	select {
	case <-f.end:
		f.once.Do(func() { panic("the context") })
		return context.Canceled
	default:
		return nil
	}
}

// A send that panics after its request was written may be stored, and the connection
// serves on.
func TestPanicAfterTheWrite(t *testing.T) {
	ctx := &faulty{Context: bg, end: make(chan struct{})}
	b := broker(t, func(s *session, c wire.Command) {
		if string(c.Body) == "faulty" {
			close(ctx.end)
			return
		}
		s.ok(c)
	})
	c := client(t, remoting.Config{})
	p := producer(t, c, b.addr())
	_, err := p.Send(ctx, coretest.Message("faulty"), core.SendRetry(coretest.Retry(0)))
	if se := failure(t, err); se.Certainty != core.MaybeStored {
		t.Errorf("%v: %v", se.Certainty, err)
	}
	for range 10 {
		if _, err := p.Send(bg, coretest.Message("x")); err != nil {
			t.Fatal(err)
		}
	}
	if s := c.Stats(); s.Dials != 1 {
		t.Errorf("stats %+v", s)
	}
}
