package texttransport_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"testing"
	"testing/synctest"

	"github.com/liftoff-mq/liftoff/core"
	"github.com/liftoff-mq/liftoff/core/coretest"
	"github.com/liftoff-mq/liftoff/examples/texttransport"
	"github.com/liftoff-mq/liftoff/transport/embedded"
	"github.com/liftoff-mq/liftoff/transport/transporttest"
)

// producer starts a producer over the transport in virtual time, which it owns.
func producer(t *testing.T, s *server, change func(cfg *core.Config), steps ...core.Step) *core.Producer {
	t.Helper()
	tr := s.transport()
	cfg := coretest.Config(tr, steps...)
	cfg.Routes, cfg.Own = tr, []core.Service{tr}
	if change != nil {
		change(&cfg)
	}
	return coretest.Start(t, cfg)
}

// bubble runs a test with a server in virtual time.
func bubble(t *testing.T, test func(t *testing.T, s *server)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) { test(t, serve(t, embedded.NewNetwork())) })
}

func order(body string) *core.Message {
	return &core.Message{Topic: "orders", Body: []byte(body)}
}

// says makes the broker of that name give one answer to everything.
func says(broker string, w texttransport.Word) func(r transporttest.Request) transporttest.Reply {
	return func(r transporttest.Request) transporttest.Reply {
		if broker != "" && r.Queue.Broker != broker {
			return transporttest.Reply{}
		}
		return transporttest.Reply{Kind: transporttest.Refuse, Refusal: transporttest.Refusal{Code: w, Remark: "really"}}
	}
}

func retries(n int) func(cfg *core.Config) {
	return func(cfg *core.Config) { cfg.Retry = coretest.Retry(n) }
}

// listener notes the ends of attempts.
type listener struct{ ends []string }

func (l *listener) AttemptDone(_ context.Context, r *core.AttemptReport) {
	l.ends = append(l.ends, fmt.Sprintf("%d %s %v written=%v", r.Attempt.Number(), r.Attempt.Queue().Broker, r.Class, r.Written))
}

// The retry loop goes to the next broker, and a listener sees both attempts.
func TestRetry(t *testing.T) {
	bubble(t, func(t *testing.T, s *server) {
		s.decide = says("text-a", texttransport.Busy)
		heard := &listener{}
		p := producer(t, s, retries(2), core.ListenerStep("heard", heard))
		res, err := p.Send(t.Context(), order("books"))
		if err != nil || res.Status != core.SendOK || res.Attempts != 2 || res.Queue.Broker != "text-b" || res.MaybeDuplicate {
			t.Errorf("%+v, %v", res, err)
		}
		want := []string{"1 text-a busy written=true", "2 text-b none written=true"}
		if !slices.Equal(heard.ends, want) {
			t.Errorf("%q, want %q", heard.ends, want)
		}
	})
}

// A word keeps its meaning up to the error of the send.
func TestRefused(t *testing.T) {
	for word, want := range map[texttransport.Word]core.Certainty{
		texttransport.Busy: core.NotStored, texttransport.Failed: core.MaybeStored, "QUX": core.MaybeStored,
	} {
		bubble(t, func(t *testing.T, s *server) {
			s.decide = says("", word)
			_, err := producer(t, s, retries(2)).Send(t.Context(), order("books"))
			var se *core.SendError
			if !errors.As(err, &se) || len(se.Attempts) != 2 || se.Certainty != want {
				t.Fatalf("%s: %v", word, err)
			}
			if word == "QUX" {
				word = texttransport.Garbled
			}
			if got := se.ErrorType(); got != word.String() {
				t.Errorf("the error's type is %q, want %q", got, word)
			}
		})
	}
}

// A broker that hangs costs the time of one attempt. Nobody knows whether it has the
// message, and the result says so.
func TestHungBroker(t *testing.T) {
	bubble(t, func(t *testing.T, s *server) {
		s.decide = func(r transporttest.Request) transporttest.Reply {
			if r.Queue.Broker == "text-a" {
				return transporttest.Reply{Kind: transporttest.Hang}
			}
			return transporttest.Reply{}
		}
		res, err := producer(t, s, retries(2)).Send(t.Context(), order("books"))
		if err != nil || res.Attempts != 2 || !res.MaybeDuplicate {
			t.Errorf("%+v, %v", res, err)
		}
	})
}

// In a batch each message has its own outcome.
func TestBatch(t *testing.T) {
	bubble(t, func(t *testing.T, s *server) {
		s.decide = func(transporttest.Request) transporttest.Reply {
			return transporttest.Reply{
				Kind: transporttest.RefuseSome, Refused: []int{1},
				Refusal: transporttest.Refusal{Code: texttransport.Denied},
			}
		}
		b, err := producer(t, s, retries(2)).SendBatch(t.Context(), []*core.Message{order("books"), order("yachts"), order("maps")})
		var be *core.BatchError
		if !errors.As(err, &be) || !slices.Equal(be.Refused, []int{1}) || core.ClassOf(err) != core.ClassAuth {
			t.Fatalf("%v", err)
		}
		if b.Len() != 3 || b.At(0).QueueOffset != 0 || b.At(2).QueueOffset != 1 || b.Err(0) != nil || b.Err(2) != nil {
			t.Errorf("%+v, %v, %v", b.At(0), b.At(2), b.Err(2))
		}
		if r := b.At(1); r.Acked() || core.ClassOf(b.Err(1)) != core.ClassAuth {
			t.Errorf("%+v, %v", r, b.Err(1))
		}
	})
}

// Asynchronous and one-way sends need nothing of the transport that others do not.
func TestModes(t *testing.T) {
	bubble(t, func(t *testing.T, s *server) {
		p := producer(t, s, nil)
		done := make(chan error, 1)
		p.SendAsync(t.Context(), order("books"), func(_ core.Result, err error) { done <- err })
		if err := <-done; err != nil {
			t.Error(err)
		}
		if err := p.SendOneway(t.Context(), order("maps")); err != nil {
			t.Error(err)
		}
	})
}
