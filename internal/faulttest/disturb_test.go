package faulttest_test

import (
	"context"
	"math/rand/v2"
	"sync"
	"time"

	"github.com/liftoff-mq/liftoff/core/rocketmq"
	"github.com/liftoff-mq/liftoff/transport/embedded"
	"github.com/liftoff-mq/liftoff/transport/wire"
)

// disturb makes faults until ctx ends, several at a time, and then heals
// everything.
func (s *simulation) disturb(ctx context.Context) {
	rnd := s.rng(1)
	var all sync.WaitGroup
	for n := 0; ; n++ {
		wait := time.Duration(rnd.Int64N(int64(s.time / 10)))
		last := time.Duration(rnd.Int64N(int64(s.time * 3 / 10)))
		begin, end := s.fault(rnd, n)
		select {
		case <-time.After(wait):
		case <-ctx.Done():
			all.Wait()
			s.heal()
			return
		}
		s.faults++
		all.Go(func() {
			begin()
			select {
			case <-time.After(last):
			case <-ctx.Done():
			}
			end()
		})
	}
}

// fault chooses one.
func (s *simulation) fault(rnd *rand.Rand, n int) (begin, end func()) {
	brokers := s.w.Brokers()
	b := brokers[rnd.IntN(len(brokers))]
	ns := s.w.NameServer(rnd.IntN(len(s.w.NameServers())))
	start := func() { s.start(b) }
	var name string
	switch rnd.IntN(10) {
	case 0:
		name, begin, end = "stop "+b.Name(), b.Stop, start
	case 1:
		name, begin, end = "kill "+b.Name(), b.Kill, start
	case 2:
		name, begin, end = "pause "+b.Name(), b.Pause, b.Resume
	case 3:
		name = b.Name() + " reads nothing"
		begin, end = func() { b.SetReadPaused(true) }, func() { b.SetReadPaused(false) }
	case 4:
		if !s.virtual {
			return s.script(rnd, n, b.Name())
		}
		name = b.Name() + " is unreachable"
		begin, end = s.unreachable(b.Addr())
	case 5:
		name = b.Name() + " is read-only"
		begin, end = func() { b.SetPerm(rocketmq.PermRead) }, func() { b.SetPerm(rocketmq.PermRead | rocketmq.PermWrite) }
	case 6:
		if rnd.IntN(2) == 0 {
			name, begin, end = "pause "+ns.Name(), ns.Pause, ns.Resume
			break
		}
		name, begin = "stop "+ns.Name(), ns.Stop
		end = func() { s.start(ns) }
	default:
		return s.script(rnd, n, b.Name())
	}
	do, undo := begin, end
	return func() { s.note("%s", name); do() }, func() { undo(); s.note("end of: %s", name) }
}

func (s *simulation) unreachable(addr string) (begin, end func()) {
	set := func(on bool) func() {
		return func() {
			if err := s.w.net.SetUnreachable(addr, on); err != nil {
				s.t.Error(err)
			}
		}
	}
	return set(true), set(false)
}

const trickle = "trickle"

// script makes a broker treat a share of the sends in its own way.
func (s *simulation) script(rnd *rand.Rand, n int, broker string) (begin, end func()) {
	d := time.Duration(rnd.Int64N(int64(s.time / 2)))
	ways := []struct {
		name string
		act  embedded.Action
	}{
		{"cut", embedded.Cut()},
		{"store and cut", embedded.StoreThenCut()},
		{"cut the answer", embedded.CutAfter(1 + rnd.IntN(60))},
		{"delay", embedded.Delay(d, embedded.Pass())},
		{"store and answer late", embedded.StoreThen(embedded.Delay(d, embedded.Pass()))},
		{"hang", embedded.Hang()},
		{"store and hang", embedded.StoreThen(embedded.Hang())},
		{"busy", embedded.Reply(rocketmq.CodeSystemBusy, "[TIMEOUT_CLEAN_QUEUE]")},
		{"unavailable", embedded.Reply(rocketmq.CodeServiceNotAvailable, "shutting down")},
		{"system error", embedded.Reply(rocketmq.CodeSystemError, "who knows")},
		{"store and system error", embedded.StoreThen(embedded.Reply(rocketmq.CodeSystemError, "who knows"))},
		{"go away", embedded.Reply(rocketmq.CodeGoAway, "go away")},
		{"topic not there", embedded.Reply(rocketmq.CodeTopicNotExist, "topic not exist")},
		{"rejected", embedded.Reply(rocketmq.CodeMessageIllegal, "illegal")},
		{"answer twice", embedded.Duplicate()},
		{"wrong number", embedded.WrongOpaque()},
		// An answer takes a second and a half like this, and holds up those behind it.
		{trickle, embedded.Trickle(10 * time.Millisecond)},
		{"garbage", embedded.Garbage([]byte("HTTP/1.1 200 OK\r\n\r\n"))},
		{"weaker", embedded.Edit(func(c *wire.Command) {
			if c.Code == 0 {
				c.Code = int(rocketmq.CodeFlushDiskTimeout)
			}
		})},
	}
	way := ways[rnd.IntN(len(ways))]
	share := 0.1 + 0.9*rnd.Float64()
	var mu sync.Mutex // rules run on several connections at once
	dice := s.rng(1000 + n)
	trickled := false
	var removes []func()
	begin = func() {
		s.note("%s: %s %.0f %% of the sends", broker, way.name, 100*share)
		for _, code := range []int{wire.SendMessageV2, wire.SendBatchMessage} {
			removes = append(removes, s.w.Control(code, func(r *embedded.Request) embedded.Action {
				mu.Lock()
				defer mu.Unlock()
				if r.Node != broker || trickled || dice.Float64() >= share {
					return embedded.Pass()
				}
				trickled = way.name == trickle // one is enough to last beyond the fault
				return way.act
			}))
		}
	}
	end = func() {
		for _, remove := range removes {
			remove()
		}
		s.note("end of: %s: %s", broker, way.name)
	}
	return begin, end
}

// heal ends whatever faults that overlapped may have left.
func (s *simulation) heal() {
	for _, b := range s.w.Brokers() {
		b.Resume()
		b.SetReadPaused(false)
		b.SetPerm(rocketmq.PermRead | rocketmq.PermWrite)
		if s.virtual {
			if err := s.w.net.SetUnreachable(b.Addr(), false); err != nil {
				s.t.Error(err)
			}
		}
		s.start(b)
	}
	for i := range s.w.NameServers() {
		ns := s.w.NameServer(i)
		ns.Resume()
		s.start(ns)
	}
}

// start starts a server again. On loopback its port may be somebody's for a
// moment, as the local port of a connection.
func (s *simulation) start(server interface{ Start(context.Context) error }) {
	for tries := 1; ; tries++ {
		err := server.Start(bg)
		if err == nil {
			return
		}
		if s.virtual || tries == 1000 {
			s.t.Error(err)
			return
		}
		time.Sleep(10 * time.Millisecond)
	}
}
