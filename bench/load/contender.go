package load

import (
	"errors"
	"sync"
	"time"
)

// Contender is a client under load. Loop is for one that makes its own load; the others have Send and Async.
type Contender struct {
	// Send makes one request and waits for its end: a single message, a batch, or one-way. Called from InFlight
	// goroutines at once.
	Send func() error
	// Async makes one of InFlight senders: start begins a send, whose end calls done exactly once.
	Async func(done func(error)) (start func())
	// Loop makes the load until the meter is stopped, and then waits for what is under way.
	Loop func(*Meter) error
	// Counters are running totals of the client's own, such as system calls. Optional.
	Counters func() map[string]float64
	Close    func() error
}

// run keeps the contender under load until the meter is stopped and everything has its outcome.
func (c *Contender) run(s *Spec, m *Meter) error {
	switch {
	case c.Loop != nil:
		return c.Loop(m)
	case s.Mode == Async:
		return c.async(s, m)
	default:
		return c.sync(s, m)
	}
}

// pause keeps a client that fails at once from spinning.
const pause = 10 * time.Millisecond

func (c *Contender) sync(s *Spec, m *Meter) error {
	var wg sync.WaitGroup
	for range s.InFlight {
		wg.Go(func() {
			for !m.Stopped() {
				start := time.Now()
				if err := c.Send(); err != nil {
					m.Fail(err)
					time.Sleep(pause)
					continue
				}
				m.OK(s.Messages(), time.Since(start))
			}
		})
	}
	wg.Wait()
	return nil
}

// sender is one of the sends under way. It is used again, so that the load itself allocates nothing.
type sender struct {
	start func()
	since time.Time
}

// async is one goroutine that starts a send whenever fewer than InFlight are under way.
func (c *Contender) async(s *Spec, m *Meter) error {
	free := make(chan *sender, s.InFlight)
	for range s.InFlight {
		one := &sender{}
		one.start = c.Async(func(err error) {
			if err != nil {
				m.Fail(err)
			} else {
				m.OK(s.Messages(), time.Since(one.since))
			}
			free <- one
		})
		free <- one
	}
	for !m.Stopped() {
		one := <-free
		one.since = time.Now()
		one.start()
	}
	limit := time.After(drain)
	for range s.InFlight {
		select {
		case <-free:
		case <-limit:
			return errors.New("some asynchronous sends never ended")
		}
	}
	return nil
}

// drain is how long the sends under way at the end may take.
const drain = 15 * time.Second
