package limit_test

import (
	"context"
	"errors"
	"slices"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/liftoff-mq/liftoff/core"
	"github.com/liftoff-mq/liftoff/core/coretest"
	"github.com/liftoff-mq/liftoff/core/rocketmq"
	"github.com/liftoff-mq/liftoff/strategies/limit"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const ms = time.Millisecond

var bg = context.Background()

func newRate(tb testing.TB, cfg limit.RateConfig) *limit.Rate {
	tb.Helper()
	r, err := limit.NewRate(cfg)
	if err != nil {
		tb.Fatal(err)
	}
	return r
}

func newBulkhead(tb testing.TB, most int) *limit.Bulkhead {
	tb.Helper()
	b, err := limit.NewBulkhead(limit.BulkheadConfig{Max: most})
	if err != nil {
		tb.Fatal(err)
	}
	return b
}

func newAdaptive(tb testing.TB, cfg limit.AdaptiveConfig) *limit.Adaptive {
	tb.Helper()
	a, err := limit.NewAdaptive(cfg)
	if err != nil {
		tb.Fatal(err)
	}
	return a
}

// state is what a limit knows of a broker.
func state(states []limit.Status, broker string) limit.Status {
	if i := slices.IndexFunc(states, func(s limit.Status) bool { return s.Broker == broker }); i >= 0 {
		return states[i]
	}
	return limit.Status{}
}

// to makes a message that has to go to a broker.
func to(broker string) *core.Message {
	m := coretest.Message("x")
	m.Queue = &core.Queue{Broker: broker}
	return m
}

// gate is a transport whose attempts wait for an outcome that the test gives them.
type gate struct {
	coretest.Transport
	attempts chan *attempt
}

// attempt waits for its end. Nil is success.
type attempt struct {
	broker string
	end    chan error
}

func newGate() *gate {
	g := &gate{attempts: make(chan *attempt, 1000)}
	g.Do = func(ctx context.Context, at *core.Attempt) (*core.Result, error) {
		a := &attempt{broker: at.Queue().Broker, end: make(chan error)}
		g.attempts <- a
		select {
		case err := <-a.end:
			if err != nil {
				return nil, err
			}
			return g.Ack(at), nil
		case <-ctx.Done():
			return nil, context.Cause(ctx)
		case <-at.Aborted():
			return nil, core.ErrAborted
		case <-time.After(time.Until(at.Deadline())):
			return nil, core.ErrTimeout
		}
	}
	return g
}

// under is how many attempts are under way.
func (g *gate) under() int { return len(g.attempts) }

// sends are sends that each have a goroutine of their own.
type sends struct {
	wg   sync.WaitGroup
	mu   sync.Mutex
	oks  int
	errs []error
}

func (s *sends) start(ctx context.Context, p *core.Producer, m *core.Message, opts ...core.SendOption) {
	s.wg.Go(func() {
		_, err := p.Send(ctx, m, opts...)
		s.mu.Lock()
		defer s.mu.Unlock()
		if err == nil {
			s.oks++
		} else {
			s.errs = append(s.errs, err)
		}
	})
}

func (s *sends) ended() (oks int, errs []error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.oks, slices.Clone(s.errs)
}

// server is a broker in virtual time. It has threads, each of which takes a while for a
// message, and refuses as busy what would wait for a thread for too long.
type server struct {
	far      time.Duration // the round trip of the network
	patience time.Duration // how long a message may wait for a thread; 0 for ever

	mu    sync.Mutex
	each  time.Duration
	free  []time.Time // when each thread has done all that it has
	busy  int         // attempts refused
	under int
	most  int // attempts at a time
}

func newServer(threads int, each, far time.Duration) *server {
	return &server{far: far, each: each, free: make([]time.Time, threads)}
}

// takes makes each message take another time from now on.
func (s *server) takes(each time.Duration) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.each = each
}

func (s *server) RoundTrip(ctx context.Context, at *core.Attempt) (*core.Result, error) {
	at.MarkWritten()
	took, ok := s.begin()
	defer s.end()
	timer := time.NewTimer(took)
	defer timer.Stop()
	late := time.NewTimer(time.Until(at.Deadline()))
	defer late.Stop()
	select {
	case <-timer.C:
	case <-late.C:
		return nil, core.ErrTimeout
	case <-ctx.Done():
		return nil, context.Cause(ctx)
	case <-at.Aborted():
		return nil, core.ErrAborted
	}
	if !ok {
		return nil, coretest.Refuse(at, rocketmq.CodeSystemBusy, "[TIMEOUT_CLEAN_QUEUE]broker busy")
	}
	return at.Result(), nil
}

func (s *server) begin() (took time.Duration, ok bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.under++
	s.most = max(s.most, s.under)
	now := time.Now()
	first := 0
	for i, t := range s.free {
		if t.Before(s.free[first]) {
			first = i
		}
	}
	wait := max(s.free[first].Sub(now), 0)
	if s.patience > 0 && wait > s.patience {
		s.busy++
		return s.far + s.patience, false
	}
	s.free[first] = now.Add(wait + s.each)
	return s.far + wait + s.each, true
}

func (s *server) end() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.under--
}

// world is a transport with a server for each broker.
type world map[string]*server

func (w world) RoundTrip(ctx context.Context, at *core.Attempt) (*core.Result, error) {
	return w[at.Queue().Broker].RoundTrip(ctx, at)
}

var errOther = errors.New("other")
