package faulttest_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"testing"
	"testing/synctest"
	"time"

	"github.com/liftoff-mq/liftoff"
	"github.com/liftoff-mq/liftoff/core"
	"github.com/liftoff-mq/liftoff/core/rocketmq"
	"github.com/liftoff-mq/liftoff/transport/embedded"
	"github.com/liftoff-mq/liftoff/transport/wire"
)

// place is a wait of a send, and how to get one there.
type place struct {
	name      string
	arrange   func(t *testing.T, w *world, p *sender)
	cold      bool // without a send before
	inFlight  int  // limit of asynchronous sends
	body      int  // size; 0 for a small one
	certainty core.Certainty
	oneway    bool // a one-way send waits here too
	asyncOnly bool
}

// places are all waits of a send, from the call to the answer.
func places() []place {
	return []place{
		{
			name: "in-flight limit", inFlight: 1, asyncOnly: true, certainty: core.NotSent,
			arrange: func(t *testing.T, w *world, p *sender) {
				w.on("", embedded.Hang())
				p.SendAsync(bg, msg("takes the place"), nil)
			},
		},
		{
			name: "route look-up", cold: true, oneway: true, certainty: core.NotSent,
			arrange: func(_ *testing.T, w *world, _ *sender) {
				for i := range w.NameServers() {
					w.NameServer(i).Pause()
				}
			},
		},
		{
			name: "dial to the name server", cold: true, oneway: true, certainty: core.NotSent,
			arrange: func(t *testing.T, w *world, _ *sender) {
				for _, addr := range w.NameServers() {
					if err := w.net.SetUnreachable(addr, true); err != nil {
						t.Fatal(err)
					}
				}
			},
		},
		{
			name: "dial to the broker", cold: true, oneway: true, certainty: core.NotSent,
			arrange: func(t *testing.T, w *world, _ *sender) {
				if err := w.net.SetUnreachable(w.Broker("broker-a").Addr(), true); err != nil {
					t.Fatal(err)
				}
			},
		},
		{
			name: "full queue of the connection", body: 1 << 20, oneway: true, certainty: core.NotSent,
			arrange: func(_ *testing.T, w *world, p *sender) {
				w.Broker("broker-a").SetReadPaused(true)
				for range 9 {
					p.SendAsync(bg, large(1<<20), nil)
				}
			},
		},
		{
			name: "queue of the connection", oneway: true, certainty: core.NotSent,
			arrange: func(_ *testing.T, w *world, p *sender) {
				w.Broker("broker-a").SetReadPaused(true)
				p.SendAsync(bg, large(1<<20), nil)
			},
		},
		{
			name: "write", body: 1 << 20, oneway: true, certainty: core.MaybeStored,
			arrange: func(_ *testing.T, w *world, _ *sender) { w.Broker("broker-a").SetReadPaused(true) },
		},
		{
			name: "answer", certainty: core.MaybeStored,
			arrange: func(_ *testing.T, w *world, _ *sender) { w.on("", embedded.Hang()) },
		},
		{
			name: "back-off", certainty: core.NotStored,
			arrange: func(_ *testing.T, w *world, _ *sender) {
				w.on("", embedded.Reply(rocketmq.CodeSystemBusy, "busy"))
			},
		},
		{
			name: "route look-up before a retry", certainty: core.NotStored,
			arrange: func(_ *testing.T, w *world, _ *sender) {
				w.on("", embedded.Reply(rocketmq.CodeTopicNotExist, "topic[T] not exist"))
				w.Control(wire.GetRouteInfoByTopic, func(*embedded.Request) embedded.Action { return embedded.Hang() })
			},
		},
	}
}

// large is a message that does not get smaller by packing.
func large(n int) *core.Message {
	m := msg("")
	m.Body = make([]byte, n)
	rand.NewChaCha8([32]byte{3}).Read(m.Body)
	return m
}

// patient waits long before a retry at a busy broker and asks for no other pause.
func patient() core.RetryPolicy {
	return core.RetryPolicyFunc(func(f *core.Failure) core.Decision {
		if f.Class == core.ClassBusy {
			return core.Decision{Retry: true, After: 10 * time.Second}
		}
		return core.Decision{Retry: f.Class == core.ClassNoTopic}
	})
}

var errReason = errors.New("the user changed her mind")

// Row 29 and the rest of row 28: a send that waits, wherever that is, ends at once
// when its context is cancelled or its producer gives up, says so, and says
// rightly whether the message was sent.
func TestFault29CancelledAtEveryStep(t *testing.T) {
	const wait = 200 * time.Millisecond
	for _, pl := range places() {
		for _, mode := range []core.Mode{core.Sync, core.Async, core.Oneway} {
			if mode == core.Oneway && !pl.oneway || mode != core.Async && pl.asyncOnly {
				continue
			}
			for _, how := range []string{"cancelled", "deadline", "call's time", "shutdown"} {
				if pl.name == "back-off" && (how == "deadline" || how == "call's time") {
					continue // a pause that is longer than the time left is not begun
				}
				sub(t, fmt.Sprintf("%s/%v/%s", pl.name, mode, how), func(t *testing.T) {
					w := newWorld(t, 1)
					p := w.make(t, liftoff.Config{MaxInFlight: pl.inFlight, Timeout: time.Minute}, liftoff.WithRetry(patient()))
					if err := p.Start(bg); err != nil {
						t.Fatal(err)
					}
					defer shut(t, p, how != "shutdown")
					if !pl.cold {
						p.warm(t, w)
					}
					pl.arrange(t, w, p)
					synctest.Wait()

					m := msg("x")
					if pl.body > 0 {
						m = large(pl.body)
					}
					ctx, cancel := context.WithCancelCause(bg)
					defer cancel(nil)
					var opts []core.SendOption
					switch how {
					case "cancelled":
						time.AfterFunc(wait, func() { cancel(errReason) })
					case "deadline":
						dead, stop := context.WithTimeoutCause(ctx, wait, errReason)
						defer stop()
						ctx = dead
					case "call's time":
						opts = append(opts, core.SendTimeout(wait))
					case "shutdown":
						over := make(chan struct{})
						defer func() { <-over }()
						// After the send has begun, so that it is not refused.
						const later = time.Millisecond
						time.AfterFunc(later, func() {
							defer close(over)
							ctx, stop := context.WithTimeout(bg, wait-later)
							defer stop()
							if err := p.Shutdown(ctx); err == nil {
								t.Error("shutdown did not report the send that it gave up")
							}
						})
					}
					after, err := sendIn(mode, p, ctx, m, opts...)
					wantTook(t, "the send", after, wait)
					checkEnd(t, pl, how, err)
				})
			}
		}
	}
	sub(t, "before the call", func(t *testing.T) {
		w := newWorld(t, 1)
		p := w.start(t)
		ctx, cancel := context.WithCancelCause(bg)
		cancel(errReason)
		for _, mode := range []core.Mode{core.Sync, core.Async, core.Oneway} {
			after, err := sendIn(mode, p, ctx, msg("x"))
			wantFailure(t, err, core.ClassCanceled, core.NotSent)
			wantTook(t, "the send", after, 0)
		}
		want(t, "requests", w.count(), 0)
	})
}

// sendIn sends in a mode and returns the error and the time.
func sendIn(mode core.Mode, p *sender, ctx context.Context, m *core.Message, opts ...core.SendOption) (after time.Duration, err error) {
	began := time.Now()
	switch mode {
	case core.Oneway:
		err = p.SendOneway(ctx, m, opts...)
	case core.Async:
		done := make(chan struct{})
		p.SendAsync(ctx, m, func(_ core.Result, e error) {
			err = e
			close(done)
		}, opts...)
		<-done
	default:
		_, err = p.Send(ctx, m, opts...)
	}
	return time.Since(began), err
}

func checkEnd(t *testing.T, pl place, how string, err error) {
	t.Helper()
	switch how {
	case "cancelled":
		if !errors.Is(err, context.Canceled) || !errors.Is(err, errReason) {
			t.Errorf("context.Canceled or its cause is not in %v", err)
		}
	case "deadline":
		// The call ends with the context's deadline; which of the two is noticed
		// first is left open.
		if !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("context.DeadlineExceeded is not in %v", err)
		}
	case "call's time":
		if !errors.Is(err, core.ErrTimeout) {
			t.Errorf("core.ErrTimeout is not in %v", err)
		}
	case "shutdown":
		if !errors.Is(err, core.ErrAborted) {
			t.Errorf("core.ErrAborted is not in %v", err)
		}
	}
	// A shutdown gives the place up as well, and it may come to this send first.
	if pl.asyncOnly && how != "shutdown" && !errors.Is(err, core.ErrTooManyInFlight) {
		t.Errorf("core.ErrTooManyInFlight is not in %v", err)
	}
	if got := core.CertaintyOf(err); got != pl.certainty {
		t.Errorf("certainty %v, want %v: %v", got, pl.certainty, err)
	}
	var se *core.SendError
	if !errors.As(err, &se) {
		t.Errorf("not a *core.SendError: %v", err)
	}
}

// shut takes the producer down within what the blocked cluster allows.
func shut(t *testing.T, p *sender, clean bool) {
	ctx, cancel := context.WithTimeout(bg, time.Minute)
	defer cancel()
	if err := p.Shutdown(ctx); err != nil && clean {
		t.Errorf("shutdown: %v", err)
	}
}
