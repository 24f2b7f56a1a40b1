package transporttest

import (
	"bytes"
	"context"
	"errors"
	"time"

	"github.com/liftoff-mq/liftoff/core"
)

// scene is a way to make an attempt wait for ever.
type scene struct {
	name  string
	large bool // the message
	needs func(k *kit) string
	// change makes the producer's configuration one in which the message waits.
	change func(k *kit) func(cfg *core.Config)
	// waits returns when the attempt waits, as far as that can be known.
	waits func(k *kit, s *sending)
}

// scenes are the places where a transport waits: for the answer, for the connection and
// for room to write.
func scenes() []scene {
	entered := func(k *kit, s *sending) {
		s.entered()
		k.Until(s.done, moment)
	}
	return []scene{
		{
			"unanswered", false, func(k *kit) string { return k.served(Hang) },
			func(*kit) func(cfg *core.Config) { return func(*core.Config) {} },
			func(k *kit, s *sending) { k.arrival(s, "unanswered") },
		},
		{
			"connecting", false, func(k *kit) string { return given("Silent", k.world.Silent) },
			func(k *kit) func(cfg *core.Config) { return at(k.world.Silent) }, entered,
		},
		{
			"writing", true, func(k *kit) string { return given("Deaf", k.world.Deaf) },
			func(k *kit) func(cfg *core.Config) { return at(k.world.Deaf) }, entered,
		},
	}
}

// begin sends a message that waits for ever.
func (sc *scene) begin(k *kit, h how) (*core.Producer, *sending) {
	k.needs(sc.needs(k))
	m := k.message(sc.name)
	if sc.large { // so that no buffer between two processes takes it as a whole
		m.Body = bytes.Repeat([]byte("transporttest..\n"), 4<<20/16)
	}
	k.far.answer(sc.name, Reply{Kind: Hang})
	p := k.producer(sc.change(k))
	return p, k.sending(p, h, m)
}

// inScenes makes a check of each scene.
func inScenes(run func(k *kit, sc *scene)) []check {
	var out []check
	for _, sc := range scenes() {
		out = append(out, check{sc.name, func(k *kit) { run(k, &sc) }})
	}
	return out
}

const (
	// soon is the time of messages whose time has to end.
	soon = 100 * time.Millisecond
	// slack is what clocks may differ by.
	slack = time.Millisecond
)

// deadlineRule is about the end of the attempt's time.
func deadlineRule() Rule {
	return Rule{
		"T6", "deadline", "it returns ErrTimeout at the deadline, and at SendBy while nothing was written",
		append(inScenes(func(k *kit, sc *scene) {
			for d := soon; ; d *= 2 {
				_, s := sc.begin(k, how{timeout: d})
				k.Until(s.done, d)
				s.returned("its deadline")
				if s.reached() || d > k.Limit/4 { // on a slow machine its time may be over before
					t := s.trip()
					k.timedOut(t, t.deadline, "its deadline", sc.name == "connecting")
					return
				}
			}
		}), check{"send-by", func(k *kit) {
			k.needs(given("Silent", k.world.Silent))
			s := k.sending(k.producer(twice(k.world.Silent)), how{}, k.message("send-by"))
			k.Until(s.done, soon)
			t := s.back("its SendBy")
			k.timedOut(t, t.sendBy, "its SendBy", true)
		}}),
	}
}

// twice makes a producer's route lead to two brokers at addr, and its policy go to the
// second one with a message that was not sent. So the first attempt has less time to send
// than to wait for the answer.
func twice(addr string) func(cfg *core.Config) {
	return func(cfg *core.Config) {
		cfg.AttemptTimeout = soon
		r, _ := core.NewRoute(
			[]core.Queue{{Broker: "transporttest"}, {Broker: "transporttest-other"}},
			[]core.Broker{{Name: "transporttest", Addr: addr}, {Name: "transporttest-other", Addr: addr}})
		cfg.Routes = &routes{route: r}
		cfg.Retry = core.RetryPolicyFunc(func(f *core.Failure) core.Decision {
			return core.Decision{Retry: f.Err != nil && f.Attempt == 1 && f.Certainty == core.NotSent}
		})
	}
}

// timedOut checks that an attempt ended by itself, when its time did. One that looks for a
// connection may also find out earlier that there is none.
func (k *kit) timedOut(t *trip, end time.Time, name string, connecting bool) {
	switch early := end.Sub(t.ended); {
	case connecting && early > 0 && errors.Is(t.err, core.ErrConnect):
	case !errors.Is(t.err, core.ErrTimeout):
		k.Errorf("the time ends at %s, and %s gives %s", name, roundTrip, t.describe())
	case early > slack:
		k.Errorf("%s returned ErrTimeout %v before %s", roundTrip, early, name)
	}
}

// errCaller is why the caller's context ends.
var errCaller = errors.New("transporttest: the caller's reason")

// contextRule is about the caller's context.
func contextRule() Rule {
	return Rule{
		"T7", "context", "it returns as soon as ctx is done, with ContextError",
		append([]check{{"done", func(k *kit) {
			p := k.producer()
			for range 5 { // one that waits for everything at once finds out by chance
				var s *sending
				begun := make(chan struct{})
				s = k.sending(p, how{before: func(*core.Attempt) {
					<-begun
					s.end(errCaller)
				}}, k.message("done"))
				close(begun)
				s.entered()
				k.canceled(s.back("it was called with a context that was done"))
			}
		}}}, inScenes(func(k *kit, sc *scene) {
			_, s := sc.begin(k, how{})
			sc.waits(k, s)
			s.end(errCaller)
			k.canceled(s.back("its context was done"))
		})...),
	}
}

// canceled checks that an attempt ended by its context.
func (k *kit) canceled(t *trip) {
	if !errors.Is(t.err, context.Canceled) || !errors.Is(t.err, errCaller) {
		k.Errorf("the context ends with a cause, and %s gives %s; ContextError gives both", roundTrip, t.describe())
	}
}

// abortRule is about the end of the producer.
func abortRule() Rule {
	return Rule{
		"T8", "abort", "it returns ErrAborted as soon as Aborted is closed",
		inScenes(func(k *kit, sc *scene) {
			p, s := sc.begin(k, how{})
			sc.waits(k, s)
			k.abort(p)
			if t := s.back("the abort"); !errors.Is(t.err, core.ErrAborted) {
				k.Errorf("the producer aborts the call, and %s gives %s", roundTrip, t.describe())
			}
		}),
	}
}

// endRule is about the end of the transport.
func endRule() Rule {
	return Rule{"T14", "end", "after Shutdown it returns ErrClosed, at once, and leaves no goroutine behind", []check{
		{"closed", func(k *kit) {
			k.needs(k.ends())
			p := k.producer()
			if s := k.send(p, how{}, k.message("before")); s.err != nil {
				k.Fatalf("a message was not stored: %v", s.err)
			}
			k.shutDown()
			k.closed(k.sending(p, how{}, k.message("after")).back("it was called after Shutdown"))
		}},
		{"under-way", func(k *kit) {
			k.needs(k.ends(), k.served(Hang))
			k.far.answer("under way", Reply{Kind: Hang})
			s := k.sending(k.producer(), how{}, k.message("under way"))
			k.arrival(s, "under way")
			k.shutDown()
			k.closed(s.back("Shutdown"))
		}},
		{"goroutines", func(k *kit) {
			k.needs(k.ends())
			p := k.producer()
			k.send(p, how{}, k.message("answered"))
			if k.able("an attempt that was given up", k.served(Hang)) {
				k.far.answer("hanging", Reply{Kind: Hang})
				s := k.sending(p, how{}, k.message("hanging"))
				k.arrival(s, "hanging")
				s.giveUp()
			}
			ctx := k.Expired()
			k.call("Producer.Shutdown", func() { _ = p.Shutdown(ctx) })
			k.shutDown()
			k.NoneLeft("transport", "Shutdown")
			k.sweep = true
		}},
	}}
}

// ends is why the transport cannot be shut down.
func (k *kit) ends() string {
	if _, ok := find[core.Service](k.world.Transport); !ok {
		return "the transport is no core.Service, so it has no Shutdown"
	}
	return ""
}

// shutDown shuts the world's services down.
func (k *kit) shutDown() {
	services := k.started
	k.started = nil
	ctx := k.Expired()
	for i := len(services) - 1; i >= 0; i-- {
		var err error
		k.call(method(services[i], "Shutdown"), func() { err = services[i].Shutdown(ctx) })
		if err != nil {
			k.Errorf("%s: %v", method(services[i], "Shutdown"), err)
		}
	}
}

func (k *kit) closed(t *trip) {
	if !errors.Is(t.err, core.ErrClosed) {
		k.Errorf("the transport was shut down, and %s gives %s", roundTrip, t.describe())
	}
}
