package pace_test

import (
	"context"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"

	"github.com/liftoff-mq/liftoff/core"
	"github.com/liftoff-mq/liftoff/core/coretest"
	"github.com/liftoff-mq/liftoff/core/rocketmq"
	"github.com/liftoff-mq/liftoff/strategies/pace"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const ms = time.Millisecond

var bg = context.Background()

func pacer(tb testing.TB, cfg pace.Config) *pace.Pacer {
	tb.Helper()
	p, err := pace.New(cfg)
	if err != nil {
		tb.Fatal(err)
	}
	return p
}

// config has the pacer and time to spare.
func config(t core.Transport, p *pace.Pacer, steps ...core.Step) core.Config {
	cfg := coretest.Config(t, append(steps, p.Step())...)
	cfg.Timeout, cfg.AttemptTimeout = 5*time.Minute, 5*time.Minute
	return cfg
}

// state is what the pacer knows of a broker.
func state(p *pace.Pacer, broker string) pace.Status {
	for _, s := range p.States() {
		if s.Broker == broker {
			return s
		}
	}
	return pace.Status{}
}

// gate is a transport whose samples wait for an outcome that the test gives them.
// What wants no answer is written at once.
type gate struct {
	coretest.Transport
	samples chan *sample
}

// sample waits for its answer. Nil is success.
type sample struct {
	broker string
	end    chan error
}

func newGate() *gate {
	g := &gate{samples: make(chan *sample, 1000)}
	g.Do = func(ctx context.Context, at *core.Attempt) (*core.Result, error) {
		if at.WantsAnswer() {
			s := &sample{broker: at.Queue().Broker, end: make(chan error)}
			g.samples <- s
			select {
			case err := <-s.end:
				if err != nil {
					return nil, err
				}
			case <-ctx.Done():
				return nil, context.Cause(ctx)
			case <-at.Aborted():
				return nil, core.ErrAborted
			}
		}
		return g.Ack(at), nil
	}
	return g
}

// sends is a number of one-way sends, each on a goroutine of its own.
type sends struct {
	wg   sync.WaitGroup
	mu   sync.Mutex
	oks  int
	errs []error
}

// start begins them one after the other, so that they come in order.
func (s *sends) start(ctx context.Context, p *core.Producer, n int, broker string) {
	for range n {
		s.wg.Go(func() {
			m := coretest.Message("x")
			m.Queue = &core.Queue{Broker: broker}
			err := p.SendOneway(ctx, m)
			s.mu.Lock()
			defer s.mu.Unlock()
			if err == nil {
				s.oks++
			} else {
				s.errs = append(s.errs, err)
			}
		})
		synctest.Wait()
	}
}

// count is how many have ended so far.
func (s *sends) count() (oks int, errs []error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.oks, s.errs
}

// server is a broker in virtual time: one thread that takes a while for each
// message, and a queue from which it drops what has waited for too long, silently
// if no answer is wanted.
type server struct {
	each  time.Duration // for a message
	far   time.Duration // the round trip of the network
	limit time.Duration // of the wait

	mu              sync.Mutex
	free            time.Time // when the thread has done all that it has
	stored, dropped int
}

func (s *server) RoundTrip(ctx context.Context, at *core.Attempt) (*core.Result, error) {
	at.MarkWritten()
	s.mu.Lock()
	now := time.Now()
	wait := max(s.free.Sub(now), 0)
	busy := wait > s.limit
	took := s.limit
	if busy {
		s.dropped++
	} else {
		s.stored++
		s.free = now.Add(wait + s.each)
		took = wait + s.each
	}
	s.mu.Unlock()
	res := at.Result()
	if !at.WantsAnswer() {
		return res, nil
	}
	timer := time.NewTimer(s.far + took)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-ctx.Done():
		return nil, context.Cause(ctx)
	case <-at.Aborted():
		return nil, core.ErrAborted
	}
	if busy {
		return nil, coretest.Refuse(at, rocketmq.CodeSystemBusy, "[TIMEOUT_CLEAN_QUEUE]broker busy")
	}
	res.Status = core.SendOK
	return res, nil
}

func (s *server) counts() (stored, dropped int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.stored, s.dropped
}

// slow makes the server take a different time for each message.
func (s *server) slow(each time.Duration) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.each = each
}
