package pace_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/liftoff-mq/liftoff/core"
	"github.com/liftoff-mq/liftoff/core/coretest"
	"github.com/liftoff-mq/liftoff/core/refusal"
	"github.com/liftoff-mq/liftoff/core/rocketmq"
	"github.com/liftoff-mq/liftoff/internal/race"
	"github.com/liftoff-mq/liftoff/strategies/pace"
)

// fixed is a window that does not move.
func fixed(n int) pace.Config { return pace.Config{MinWindow: n, MaxWindow: n} }

func TestWindowHoldsBack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g, pc := newGate(), pacer(t, fixed(16))
		p := coretest.Start(t, config(g, pc))
		var all sends
		all.start(bg, p, 40, "broker-a")
		synctest.Wait()
		// Four of sixteen are samples, which wait for their answers.
		if got, want := state(pc, "broker-a"), (pace.Status{Broker: "broker-a", Addr: "broker-a:10911", Window: 16, Unconfirmed: 16, Samples: 4, Waiting: 24}); got != want {
			t.Fatalf("got %+v, want %+v", got, want)
		}
		if oks, _ := all.count(); oks != 12 {
			t.Errorf("%d sends have ended, want the 12 that are no samples", oks)
		}
		// Each answer is one for the three before it too.
		(<-g.samples).end <- nil
		synctest.Wait()
		if n := len(g.Attempts()); n != 20 {
			t.Errorf("%d messages are out after an answer, want 20", n)
		}
		for range 9 {
			(<-g.samples).end <- nil
			synctest.Wait()
		}
		all.wg.Wait()
		if oks, errs := all.count(); oks != 40 || len(errs) != 0 {
			t.Errorf("%d sends succeeded, %v", oks, errs)
		}
		if got := state(pc, "broker-a"); got.Unconfirmed != 0 || got.Samples != 0 || got.Waiting != 0 {
			t.Errorf("in the end %+v", got)
		}
	})
}

// The last answer is one for all before it.
func TestAnswersOutOfOrder(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g, pc := newGate(), pacer(t, fixed(16))
		p := coretest.Start(t, config(g, pc))
		var all sends
		all.start(bg, p, 16, "broker-a")
		synctest.Wait()
		list := []*sample{<-g.samples, <-g.samples, <-g.samples, <-g.samples}
		for i, s := range slices.Backward(list) {
			s.end <- nil
			synctest.Wait()
			if got := state(pc, "broker-a"); got.Samples != i || i == 0 && got.Unconfirmed != 0 {
				t.Errorf("before answer %d: %+v", i, got)
			}
		}
		all.wg.Wait()
	})
}

func TestWindowMoves(t *testing.T) {
	answer := func(code rocketmq.ResponseCode) error { return refusal.Of(code, "", "broker-a:10911") }
	for name, tt := range map[string]struct {
		took time.Duration
		err  error
		want int // of 272
	}{
		"answered soon":             {0, nil, 340},
		"answered in time":          {20 * ms, nil, 340},
		"answered late":             {21 * ms, nil, 204},
		"busy":                      {0, answer(rocketmq.CodeSystemBusy), 136},
		"under flow control":        {0, answer(rocketmq.CodeFlowControl), 136},
		"shutting down":             {0, answer(rocketmq.CodeServiceNotAvailable), 136},
		"silent":                    {0, core.ErrTimeout, 136},
		"connection lost":           {0, core.ErrConnectionLost, 136},
		"the message's fault":       {0, answer(rocketmq.CodeMessageIllegal), 340},
		"the message's fault, late": {21 * ms, answer(rocketmq.CodeMessageIllegal), 204},
		"anything else":             {0, errors.New("what"), 204},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				g, pc := newGate(), pacer(t, pace.Config{})
				p := coretest.Start(t, config(g, pc))
				var all sends
				for state(pc, "broker-a").Window < 256 { // it becomes 272
					all.start(bg, p, 1, "broker-a")
					synctest.Wait()
					select {
					case s := <-g.samples:
						s.end <- nil
						synctest.Wait()
					default:
					}
				}
				time.Sleep(pace.DefaultTarget + ms)
				all.start(bg, p, 204, "broker-a")
				synctest.Wait()
				first, second, third := <-g.samples, <-g.samples, <-g.samples
				first.end <- nil // with less than half of the window in use it says nothing
				synctest.Wait()
				if got := state(pc, "broker-a").Window; got != 272 {
					t.Fatalf("a window of %d, want 272", got)
				}
				time.Sleep(tt.took)
				third.end <- tt.err
				synctest.Wait()
				if got := state(pc, "broker-a"); got.Window != tt.want || got.Unconfirmed != 0 {
					t.Errorf("got %+v, want a window of %d and none unconfirmed", got, tt.want)
				}
				// What else was under way then tells of the same moment.
				second.end <- core.ErrTimeout
				synctest.Wait()
				if got := state(pc, "broker-a").Window; tt.want < 272 && got != tt.want {
					t.Errorf("a second sample made the window %d, want %d", got, tt.want)
				}
				all.wg.Wait()
			})
		})
	}
}

func TestLimits(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g, pc := newGate(), pacer(t, pace.Config{MinWindow: 100, MaxWindow: 300})
		p := coretest.Start(t, config(g, pc))
		for _, tt := range []struct {
			err  error
			want int
		}{{core.ErrTimeout, 100}, {nil, 300}, {core.ErrTimeout, 100}} {
			for range 2000 {
				var one sends
				one.start(bg, p, 1, "broker-a")
				synctest.Wait()
				select {
				case s := <-g.samples:
					s.end <- tt.err
				default:
				}
				one.wg.Wait()
			}
			if got := state(pc, "broker-a").Window; got != tt.want {
				t.Errorf("with outcome %v the window becomes %d, want %d", tt.err, got, tt.want)
			}
		}
	})
}

// An answer in time widens the window only if its message went out when the window was half
// full, or within the target time of the answer before.
func TestWhatWidensTheWindow(t *testing.T) {
	for name, tt := range map[string]struct {
		pause time.Duration // since the answer before
		sends int
		want  int // of 4
	}{
		"half full":                {time.Second, 3, 5},
		"less than half full":      {time.Second, 2, 4},
		"at the end of the target": {pace.DefaultTarget, 1, 5},
		"after the target":         {pace.DefaultTarget + 1, 1, 4},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				g, pc := newGate(), pacer(t, pace.Config{MinWindow: 4}) // each message is a sample
				p := coretest.Start(t, config(g, pc))
				var all sends
				all.start(bg, p, 1, "broker-a")
				(<-g.samples).end <- nil
				time.Sleep(tt.pause)
				all.start(bg, p, tt.sends, "broker-a")
				for range tt.sends - 1 {
					s := <-g.samples
					defer func() { s.end <- nil }()
				}
				(<-g.samples).end <- nil
				synctest.Wait()
				if got := state(pc, "broker-a").Window; got != tt.want {
					t.Errorf("a window of %d, want %d", got, tt.want)
				}
			})
		})
	}
}

// A broker that is farther away than it was is no slow one: while the window is as small as
// can be, the answers show how far it is.
func TestBrokerMovesAway(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g, pc := newGate(), pacer(t, pace.Config{MinWindow: 4}) // each message is a sample
		p := coretest.Start(t, config(g, pc))
		var all sends
		all.start(bg, p, 1, "broker-a")
		(<-g.samples).end <- nil
		time.Sleep(time.Second)
		all.start(bg, p, 3, "broker-a") // half of the window is full
		one, two, three := <-g.samples, <-g.samples, <-g.samples
		time.Sleep(10 * pace.DefaultTarget)
		three.end <- nil
		synctest.Wait()
		if got := state(pc, "broker-a").Window; got != 5 {
			t.Errorf("a window of %d, want 5", got)
		}
		one.end <- nil
		two.end <- nil
		all.wg.Wait()
	})
}

// The samples that were under way when the window shrank, the last message too, tell of the
// same queue: they shrink it no further.
func TestWindowShrinksOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g, pc := newGate(), pacer(t, pace.Config{MinWindow: 4})
		p := coretest.Start(t, config(g, pc))
		var all sends
		for state(pc, "broker-a").Window < 16 { // it becomes 18
			all.start(bg, p, 1, "broker-a")
			select {
			case s := <-g.samples:
				s.end <- nil
				synctest.Wait()
			default:
			}
		}
		all.start(bg, p, 8, "broker-a") // the fourth and the last are samples
		first, last := <-g.samples, <-g.samples
		first.end <- core.ErrTimeout
		synctest.Wait()
		last.end <- core.ErrTimeout
		synctest.Wait()
		if got := state(pc, "broker-a"); got.Window != 9 || got.Samples != 0 {
			t.Errorf("%+v, want a window of 9", got)
		}
		all.wg.Wait()
	})
}

// Where the latest sample was not sent after all, the next message is one in its place. An
// earlier one has no such need: a later one is under way.
func TestSampleThatIsNotSent(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		tr, pc := &coretest.Transport{Unwritten: true}, pacer(t, fixed(16))
		var asked []bool
		unsent := map[int]chan struct{}{4: nil, 13: make(chan struct{})} // by number; the latter fails later
		tr.Do = func(_ context.Context, at *core.Attempt) (*core.Result, error) {
			asked = append(asked, at.WantsAnswer())
			if end, ok := unsent[len(asked)]; ok {
				if end != nil {
					<-end
				}
				return nil, core.ErrConnect
			}
			at.MarkWritten()
			return tr.Ack(at), nil
		}
		p := coretest.Start(t, config(tr, pc))
		var all sends
		all.start(bg, p, 17, "broker-a")
		close(unsent[13])
		synctest.Wait()
		all.start(bg, p, 4, "broker-a")
		all.wg.Wait()
		var got []int
		for i, asks := range asked {
			if asks {
				got = append(got, i+1)
			}
		}
		if want := []int{4, 5, 9, 13, 17, 21}; !slices.Equal(got, want) {
			t.Errorf("the samples were messages %v, want %v", got, want)
		}
	})
}

// Answers may come in the wrong order, and then samples are under way that take no room any
// more. There are never more than eight.
func TestSamplesAreBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g, pc := newGate(), pacer(t, fixed(16))
		p := coretest.Start(t, config(g, pc))
		var all sends
		var open []*sample
		most := 0
		for range 10 {
			all.start(bg, p, 16, "broker-a") // fills the window
			for range len(g.samples) {
				open = append(open, <-g.samples)
			}
			most = max(most, state(pc, "broker-a").Samples)
			last := len(open) - 1
			open[last].end <- nil // empties it
			open = open[:last]
			synctest.Wait()
		}
		if most != 8 {
			t.Errorf("%d samples were under way, want 8", most)
		}
		for len(open)+len(g.samples) > 0 { // those that waited have samples among them too
			for range len(g.samples) {
				open = append(open, <-g.samples)
			}
			open[0].end <- nil
			open = open[1:]
			synctest.Wait()
		}
		all.wg.Wait()
	})
}

// A sender that is slow for the window leaves it small, whatever the answers say:
// the broker was not seen to take more at a time.
func TestSlowSender(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		pc := pacer(t, pace.Config{})
		p := coretest.Start(t, config(&server{each: ms, far: ms, limit: 200 * ms}, pc))
		for range 2000 {
			if err := p.SendOneway(bg, coretest.Message("x")); err != nil {
				t.Fatal(err)
			}
			time.Sleep(5 * ms)
		}
		if got := state(pc, "broker-a").Window; got > 25 {
			t.Errorf("the window is %d", got)
		}
	})
}

// A far broker is no slow one; and though it says late that the window is too
// large, it is not sent more than it can take meanwhile.
func TestFarBroker(t *testing.T) {
	n := 20_000
	if race.Enabled {
		n = 4_000
	}
	for _, far := range []time.Duration{30 * ms, 100 * ms, 300 * ms} {
		for _, each := range []time.Duration{10 * time.Microsecond, 100 * time.Microsecond, ms} {
			t.Run(fmt.Sprintf("%v away, %v each", far, each), func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					s := &server{each: each, far: far, limit: 200 * ms}
					pc := pacer(t, pace.Config{})
					p := coretest.Start(t, config(s, pc))
					start := time.Now()
					var all sends
					all.start(bg, p, n, "broker-a")
					all.wg.Wait()
					t.Logf("%v, of which the broker needs %v: %+v", time.Since(start), time.Duration(n)*each, pc.States())
					if got := state(pc, "broker-a").Window; got < 32 {
						t.Errorf("the window is %d", got)
					}
					if stored, dropped := s.counts(); stored+dropped != n || dropped > n/1000 {
						t.Errorf("%d stored, %d dropped", stored, dropped)
					}
				})
			})
		}
	}
}

// A flood that would lose most of its messages loses none, as fast as the broker
// can take them.
func TestFlood(t *testing.T) {
	const n = 50_000
	for name, each := range map[string]time.Duration{"fast": 10 * time.Microsecond, "slow": ms} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := &server{each: each, far: ms, limit: 200 * ms}
				pc := pacer(t, pace.Config{})
				p := coretest.Start(t, config(s, pc))
				start := time.Now()
				var all sends
				for range 16 {
					all.wg.Go(func() {
						for range n / 16 {
							if err := p.SendOneway(bg, coretest.Message("x")); err != nil {
								t.Error(err)
							}
						}
					})
				}
				all.wg.Wait()
				stored, dropped := s.counts()
				took := time.Since(start)
				t.Logf("%d stored, %d dropped in %v, %+v", stored, dropped, took, pc.States())
				if dropped != 0 || stored != n {
					t.Errorf("%d stored, %d dropped", stored, dropped)
				}
				if best := n * each; took > best*5/4 {
					t.Errorf("it took %v, the broker needs %v", took, best)
				}
			})
		})
	}
}

// Without the pacer the same flood is dropped: the server of these tests is none
// that takes everything.
func TestFloodWithoutPacing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &server{each: ms, far: ms, limit: 200 * ms}
		p := coretest.Start(t, coretest.Config(s))
		for range 1000 {
			if err := p.SendOneway(bg, coretest.Message("x")); err != nil {
				t.Fatal(err)
			}
		}
		if _, dropped := s.counts(); dropped < 700 {
			t.Errorf("%d dropped", dropped)
		}
	})
}

// A broker that becomes slow loses at most a window, and the window follows.
func TestBrokerBecomesSlow(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &server{each: 10 * time.Microsecond, limit: 200 * ms}
		pc := pacer(t, pace.Config{})
		p := coretest.Start(t, config(s, pc))
		flood := func(n int) {
			for range n {
				_ = p.SendOneway(bg, coretest.Message("x")) // a sample may be refused
			}
		}
		flood(100_000)
		fast := state(pc, "broker-a").Window
		s.slow(2 * ms)
		flood(10_000)
		slow := state(pc, "broker-a").Window
		if fast < 1000 || slow > 100 {
			t.Errorf("windows of %d and %d", fast, slow)
		}
		if _, dropped := s.counts(); dropped > pace.DefaultMaxWindow {
			t.Errorf("%d dropped", dropped)
		}
		s.slow(10 * time.Microsecond)
		flood(100_000)
		if got := state(pc, "broker-a").Window; got < 1000 {
			t.Errorf("the window stays at %d", got)
		}
	})
}

func TestBrokersAreIndependent(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g, pc := newGate(), pacer(t, fixed(16))
		p := coretest.Start(t, config(g, pc))
		ctx, cancel := context.WithCancel(bg)
		defer cancel()
		var a, b sends
		a.start(ctx, p, 20, "broker-a")
		synctest.Wait()
		b.start(ctx, p, 3, "broker-b")
		synctest.Wait()
		if oks, errs := b.count(); oks != 3 || len(errs) != 0 {
			t.Errorf("broker-b: %d, %v", oks, errs)
		}
		states := pc.States()
		if len(states) != 2 || states[0].Waiting != 4 || states[1] != (pace.Status{Broker: "broker-b", Addr: "broker-b:10911", Window: 16, Unconfirmed: 3}) {
			t.Errorf("%+v", states)
		}
		cancel()
		a.wg.Wait()
	})
}

// Other modes neither wait nor count.
func TestOtherModesPass(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		tr, pc := &coretest.Transport{}, pacer(t, fixed(1))
		p := coretest.Start(t, config(tr, pc))
		for range 10 {
			if res, err := p.Send(bg, coretest.Message("x")); err != nil || res.Status != core.SendOK {
				t.Errorf("%+v, %v", res, err)
			}
			if _, err := p.SendBatch(bg, []*core.Message{coretest.Message("x")}); err != nil {
				t.Error(err)
			}
		}
		if got := pc.States(); len(got) != 0 {
			t.Errorf("%+v", got)
		}
	})
}

// A broker that leaves the routes is forgotten.
func TestRoutes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		pc := pacer(t, pace.Config{})
		route := func(brokers ...string) *core.Route {
			r, err := coretest.Routes(1, brokers...).Route(bg, "T")
			if err != nil {
				t.Fatal(err)
			}
			return r
		}
		p := coretest.Start(t, config(&coretest.Transport{}, pc))
		for _, b := range []string{"broker-a", "broker-b"} {
			m := coretest.Message("x")
			m.Queue = &core.Queue{Broker: b}
			if err := p.SendOneway(bg, m); err != nil {
				t.Fatal(err)
			}
		}
		names := func() string {
			var out []string
			for _, s := range pc.States() {
				out = append(out, s.Broker)
			}
			return strings.Join(out, " ")
		}
		synctest.Wait() // until the producer's own report of T's route has come
		both, one := route("broker-a", "broker-b"), route("broker-b")
		pc.RouteChanged(&core.RouteReport{Topic: "U", New: one})
		pc.RouteChanged(&core.RouteReport{Topic: "T", Old: both, New: one})
		if got := names(); got != "broker-b" {
			t.Errorf("left are %q, want broker-b", got)
		}
		pc.RouteChanged(&core.RouteReport{Topic: "T", Old: one})
		if got := names(); got != "broker-b" {
			t.Errorf("left are %q, want broker-b, to which U still leads", got)
		}
		pc.RouteChanged(&core.RouteReport{Topic: "U", Old: one})
		if got := names(); got != "" {
			t.Errorf("left are %q, want none", got)
		}
	})
}
