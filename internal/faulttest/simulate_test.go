package faulttest_test

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/liftoff-mq/liftoff"
	"github.com/liftoff-mq/liftoff/core"
	"github.com/liftoff-mq/liftoff/strategies/retry"
	"github.com/liftoff-mq/liftoff/transport/embedded"
	"github.com/liftoff-mq/liftoff/transport/remoting"
)

var (
	seeds   = flag.Int("seeds", 50, "how many seeds the fault simulation runs")
	oneSeed = flag.Uint64("seed", 0, "run the fault simulation with this seed alone")
)

const (
	simTime   = 10 * time.Second // of load and faults
	realTime  = 2 * time.Second  // the same over loopback
	simHealed = 2 * time.Second  // after the last fault, until every send has to succeed
)

// TestRandomFaults runs producers of all kinds against a cluster with random
// faults, in virtual time, one seed after the other. Whatever happens:
//
//   - each call has one outcome, within its time;
//   - what was acknowledged is stored, and stored twice only where the result says
//     that this is possible;
//   - what is reported as not sent or not stored is not stored;
//   - a producer that must not store twice never does;
//   - two seconds after the last fault every send succeeds;
//   - Shutdown, which comes in the middle of everything for some, is in time, and
//     leaves no request, connection or goroutine behind.
//
// A seed decides about the load and the faults; the scheduler and the client's
// jitter are free, so that a rare failure may take several runs of its seed.
func TestRandomFaults(t *testing.T) {
	first, n := uint64(1), *seeds
	if *oneSeed != 0 {
		first, n = *oneSeed, 1
	}
	var total tally
	for seed := first; seed < first+uint64(n); seed++ {
		t.Run(fmt.Sprintf("seed=%d", seed), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				newSimulation(t, seed, embedded.NewNetwork()).run(&total)
			})
		})
	}
	t.Logf("%d seeds of %v: %v", n, simTime, &total)
	if n >= 10 && (total.acked == 0 || total.maybe == 0 || total.unsent == 0 || total.refused == 0 || total.twice == 0) {
		t.Error("some outcome never came up: the simulation is too kind")
	}
}

// TestRandomFaultsOverLoopback is one such run over real sockets, which take
// another way through the client, in real time. Times are not judged.
func TestRandomFaultsOverLoopback(t *testing.T) {
	var total tally
	newSimulation(t, max(1, *oneSeed), nil).run(&total)
	t.Logf("%v: %v", realTime, &total)
	if total.acked == 0 {
		t.Error("nothing was acknowledged")
	}
}

// tally counts outcomes, by message.
type tally struct {
	acked, written, unsent, refused, maybe, twice, faults int
}

func (n *tally) String() string {
	return fmt.Sprintf("%d acknowledged (%d of them stored twice), %d written one-way, %d not sent, %d not stored, %d maybe stored; %d faults",
		n.acked, n.twice, n.written, n.unsent, n.refused, n.maybe, n.faults)
}

// simulation is one seed's run.
type simulation struct {
	t         *testing.T
	seed      uint64
	w         *world
	virtual   bool
	time      time.Duration    // of load and faults
	client    *remoting.Client // where the producers share one
	producers []*simProducer
	load      sync.WaitGroup

	mu      sync.Mutex
	entries []*entry
	events  []string
	faults  int
	began   time.Time
}

type simProducer struct {
	*sender
	name string
	safe bool // its policy retries only what is surely not stored
	// doomed is when it is shut down in the middle of everything; 0 for never.
	doomed time.Duration
}

// entry is one call and what it was told.
type entry struct {
	p        *simProducer
	mode     string
	keys     []string // one per message; that is how stored messages are found
	limit    time.Duration
	took     time.Duration
	outcomes int
	results  []core.Result // of what was acknowledged or written
	err      error
}

// rng is a source of its own for each part of the run.
func (s *simulation) rng(part int) *rand.Rand {
	return rand.New(rand.NewPCG(s.seed, uint64(part)))
}

// newSimulation prepares a run on a network in memory or, where that is nil, on
// loopback.
func newSimulation(t *testing.T, seed uint64, network *embedded.Network) *simulation {
	s := &simulation{t: t, seed: seed, began: time.Now(), virtual: network != nil, time: simTime}
	if !s.virtual {
		s.time = realTime
	}
	rnd := s.rng(0)
	s.w = newWorldOf(t, embedded.Config{
		Brokers: embedded.BrokerNames(1 + rnd.IntN(3)), NameServers: 1 + rnd.IntN(2),
		Network: network, RecordedRequests: -1,
	})
	var shared []liftoff.Option
	if rnd.IntN(3) == 0 {
		c, err := remoting.NewClient(remoting.Config{NameServers: s.w.NameServers(), Dial: s.w.Dial})
		if err != nil {
			t.Fatal(err)
		}
		if err := c.Start(bg); err != nil {
			t.Fatal(err)
		}
		s.client = c
		shared = append(shared, liftoff.WithTransport(c, c))
	}
	for i := range 3 {
		p := &simProducer{name: fmt.Sprintf("p%d", i)}
		cfg := liftoff.Config{Group: p.name}
		opts := slices.Clone(shared)
		if i > 0 && rnd.IntN(3) == 0 {
			p.doomed = time.Duration(rnd.Int64N(int64(s.time)))
		}
		if rnd.IntN(3) == 0 {
			cfg.Client.Serialization = remoting.JSON
		}
		switch rnd.IntN(3) {
		case 0:
			p.safe = true
			opts = append(opts, liftoff.WithRetry(retry.Safe()))
		case 1:
			opts = append(opts, liftoff.WithRetry(retry.WithBackoff(retry.AtLeastOnce(retry.Retries(4)), retry.Exponential(20*time.Millisecond, time.Second, 0.5))))
		}
		if rnd.IntN(4) == 0 {
			opts = append(opts, liftoff.WithoutBreaker())
		}
		p.sender = s.w.startWith(t, cfg, opts...)
		p.log.off.Store(true)
		s.producers = append(s.producers, p)
	}
	return s
}

// run does everything and judges it.
func (s *simulation) run(total *tally) {
	s.act()
	s.checkHealed()
	s.checkEnd()
	s.judge(total)
	if s.t.Failed() {
		s.t.Logf("to run it again: go test ./internal/faulttest -run TestRandomFaults -seed %d", s.seed)
		s.t.Logf("%s", s.story())
	}
}

// act makes load and faults.
func (s *simulation) act() {
	ctx, cancel := context.WithTimeout(bg, s.time)
	defer cancel()
	for i, p := range s.producers {
		for worker := range 3 {
			rnd := s.rng(100 + 10*i + worker)
			s.load.Go(func() {
				for n := 0; ctx.Err() == nil; n++ {
					s.send(p, rnd, fmt.Sprintf("%s-%d-%d", p.name, worker, n))
					time.Sleep(time.Duration(rnd.Int64N(int64(s.time / 50))))
				}
			})
		}
		if p.doomed > 0 {
			wait := time.Duration(s.rng(200 + i).Int64N(int64(2 * time.Second)))
			s.load.Go(func() { s.doom(p, wait) })
		}
	}
	s.disturb(ctx)
	s.note("healed")
	if s.virtual {
		time.Sleep(simHealed)
	}
	s.load.Wait()
}

// checkHealed sends through every producer that is still there.
func (s *simulation) checkHealed() {
	for i, p := range s.producers {
		for n := range 8 {
			switch {
			case p.doomed > 0:
			case !s.virtual:
				p.recovery(s.t) // a slow machine may need several
			default:
				if _, err := p.Send(bg, msg("healed")); err != nil {
					s.t.Errorf("%v after the last fault producer %d cannot send (%d): %v", simHealed, i, n, err)
				}
			}
		}
		if err := p.Flush(bg); err != nil {
			s.t.Error(err)
		}
	}
}

// checkEnd shuts everything down and looks for what is left.
func (s *simulation) checkEnd() {
	for _, p := range s.producers {
		if err := p.Shutdown(bg); err != nil {
			s.t.Errorf("shutdown: %v", err)
		}
	}
	if s.client != nil {
		if err := s.client.Shutdown(bg); err != nil {
			s.t.Errorf("shutdown of the client: %v", err)
		}
	}
	if s.virtual {
		time.Sleep(15 * time.Second) // answers that are still under way
		synctest.Wait()
	}
	for _, p := range s.producers {
		if st := p.client.Stats(); st.InFlight != 0 || st.QueuedBytes != 0 || st.Connections != 0 {
			s.t.Errorf("left behind: %+v", st)
		}
	}
	for _, b := range s.w.Brokers() {
		if n := b.Connections(); n != 0 && s.virtual {
			s.t.Errorf("%s has %d connections", b.Name(), n)
		}
	}
}

// doom shuts a producer down under load, with little patience.
func (s *simulation) doom(p *simProducer, patience time.Duration) {
	time.Sleep(p.doomed)
	s.note("%s is shut down within %v", p.name, patience)
	ctx, cancel := context.WithTimeout(bg, patience)
	defer cancel()
	began := time.Now()
	err := p.Shutdown(ctx)
	var left *core.ShutdownError
	if err != nil && !errors.As(err, &left) {
		s.t.Errorf("shutdown of %s: %v", p.name, err)
	}
	// Its context, and the moment in which aborted sends come back and connections close.
	if d := time.Since(began); s.virtual && d > patience+50*time.Millisecond {
		s.t.Errorf("shutdown of %s within %v took %v", p.name, patience, d)
	}
	s.note("%s is shut down: %v", p.name, err)
}

// send makes one call of a random kind.
func (s *simulation) send(p *simProducer, rnd *rand.Rand, key string) {
	e := &entry{p: p, limit: core.DefaultTimeout}
	message := func(i int) *core.Message {
		k := fmt.Sprintf("%s-%d", key, i)
		e.keys = append(e.keys, k)
		m := &core.Message{Topic: "T", Body: []byte("body of " + k), Keys: []string{k}}
		if rnd.IntN(10) == 0 {
			m.Body = []byte(strings.Repeat("a long body ", 600)) // it gets packed
		}
		return m
	}
	ctx := bg
	var opts []core.SendOption
	switch rnd.IntN(10) {
	case 0:
		c, cancel := context.WithCancel(bg)
		d := time.Duration(rnd.Int64N(int64(2 * time.Second)))
		time.AfterFunc(d, cancel)
		ctx, e.limit = c, min(d, e.limit)
	case 1:
		d := time.Duration(1 + rnd.Int64N(int64(3*time.Second)))
		opts = append(opts, core.SendTimeout(d))
		e.limit = d
	}
	began := time.Now()
	done := func(results []core.Result, err error) {
		s.mu.Lock()
		defer s.mu.Unlock()
		e.outcomes++
		e.took = time.Since(began)
		if e.err = err; err == nil {
			e.results = results
		}
	}
	s.mu.Lock()
	s.entries = append(s.entries, e)
	s.mu.Unlock()
	switch kind := rnd.IntN(10); {
	case kind < 4:
		e.mode = "sync"
		m := message(0)
		if rnd.IntN(5) == 0 {
			m.ShardingKey = key
		}
		res, err := p.Send(ctx, m, opts...)
		done([]core.Result{res}, err)
	case kind < 8:
		e.mode = "async"
		p.SendAsync(ctx, message(0), func(res core.Result, err error) { done([]core.Result{res}, err) }, opts...)
	case kind < 9:
		e.mode = "oneway"
		done([]core.Result{{Status: core.Written}}, p.SendOneway(ctx, message(0), opts...))
	default:
		e.mode = "batch"
		results, err := p.SendBatch(ctx, []*core.Message{message(0), message(1), message(2)}, opts...)
		var each []core.Result
		for _, r := range results.All() {
			each = append(each, r)
		}
		done(each, err)
	}
}

// judge holds every outcome against what the brokers stored.
func (s *simulation) judge(total *tally) {
	copies := map[string][]embedded.Stored{}
	for _, m := range s.w.Stored("T") {
		if k := m.Property("KEYS"); k != "" {
			copies[k] = append(copies[k], m)
		}
	}
	total.faults += s.faults
	for _, e := range s.entries {
		if e.outcomes != 1 {
			s.t.Errorf("%v: %d outcomes", e, e.outcomes)
			continue
		}
		if s.virtual && e.took > e.limit {
			s.t.Errorf("%v: took %v, its time was %v", e, e.took, e.limit)
		}
		for i, key := range e.keys {
			stored := copies[key]
			if e.p.safe && len(stored) > 1 {
				s.t.Errorf("%v: stored %d times by a policy that must not", e, len(stored))
			}
			for _, m := range stored {
				if m.UniqueID() != stored[0].UniqueID() {
					s.t.Errorf("%v: copies with the ids %s and %s", e, m.UniqueID(), stored[0].UniqueID())
				}
			}
			if e.err != nil {
				s.judgeError(e, stored, total)
			} else {
				s.judgeResult(e, &e.results[i], stored, total)
			}
		}
	}
}

func (s *simulation) judgeError(e *entry, stored []embedded.Stored, total *tally) {
	var se *core.SendError
	if !errors.As(e.err, &se) {
		s.t.Errorf("%v: not a *core.SendError", e)
		return
	}
	switch se.Certainty {
	case core.NotSent:
		total.unsent++
	case core.NotStored:
		total.refused++
	default:
		total.maybe++
		return
	}
	if len(stored) > 0 {
		s.t.Errorf("%v: stored %d times", e, len(stored))
	}
	for _, a := range se.Attempts {
		if a.Certainty > se.Certainty {
			s.t.Errorf("%v: surer than its attempt %d", e, a.Number)
		}
	}
}

func (s *simulation) judgeResult(e *entry, res *core.Result, stored []embedded.Stored, total *tally) {
	if !res.Acked() {
		total.written++
		if len(stored) > 1 {
			s.t.Errorf("%v: stored %d times", e, len(stored))
		}
		return
	}
	total.acked++
	found := false
	for _, m := range stored {
		found = found || m.UniqueID() == res.MessageID.String() && m.MsgID == res.OffsetMessageID &&
			m.Broker == res.Queue.Broker && m.QueueID == res.Queue.ID && m.QueueOffset == res.QueueOffset
	}
	if !found {
		s.t.Errorf("%v: acknowledged as %+v, and stored %d times, but not there", e, *res, len(stored))
	}
	if len(stored) > 1 {
		total.twice++
	}
	if len(stored) > 1 && !res.MaybeDuplicate || len(stored) > res.Attempts {
		s.t.Errorf("%v: stored %d times, the result says: %+v", e, len(stored), *res)
	}
}

func (e *entry) String() string {
	return fmt.Sprintf("%s %s (limit %v, took %v): %v", e.mode, e.keys, e.limit, e.took, e.err)
}

// note writes what happened into the story of the run.
func (s *simulation) note(format string, args ...any) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.events = append(s.events, fmt.Sprintf("%8.3fs  ", time.Since(s.began).Seconds())+fmt.Sprintf(format, args...))
}

func (s *simulation) story() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return "the story of it:\n" + strings.Join(s.events, "\n")
}
