package transporttest

import (
	"context"
	"fmt"
	"runtime/pprof"
	"sync"
	"sync/atomic"
	"time"

	"github.com/liftoff-mq/liftoff/core"
	"github.com/liftoff-mq/liftoff/core/coretest"
)

// sending is a send through a real producer. It runs on a goroutine of its own.
type sending struct {
	k      *kit
	p      *core.Producer
	oneway bool
	ctx    context.Context
	end    context.CancelCauseFunc
	before func(at *core.Attempt) // right before the transport
	asked  chan struct{}          // closed when the transport is asked first
	done   chan struct{}          // closed when the send has returned

	mu   sync.Mutex
	made *trip // what the transport did

	// After done.
	res   core.Result
	batch core.BatchResult
	err   error
}

// how says how a message is sent. The zero value is a plain send.
type how struct {
	oneway  bool
	timeout time.Duration // the check's limit if it is 0
	before  func(at *core.Attempt)
}

// producer starts a producer over the transport. Change alters its configuration.
func (k *kit) producer(change ...func(cfg *core.Config)) *core.Producer {
	cfg := coretest.Config(&k.watch)
	cfg.Group = fmt.Sprintf("transporttest-%d", len(k.producers)) // a transport has each group once
	cfg.Timeout, cfg.RouteRefresh = k.Limit, 24*time.Hour         // nothing happens by itself
	cfg.Routes = nil
	for _, f := range change {
		f(&cfg)
	}
	if cfg.Routes == nil {
		r, err := k.ask(context.Background(), k.world.Topic)
		if wrong := unusable(r, err); wrong != "" {
			k.Skipf("there is no route of the known topic %q, but %s", k.world.Topic, wrong)
		}
		cfg.Routes = &routes{k.world.Routes, r}
	}
	var p *core.Producer
	var err error
	ctx := k.Expired()
	k.call("Producer.Start", func() {
		if p, err = core.NewProducer(cfg); err == nil {
			err = p.Start(ctx)
		}
	})
	if err != nil {
		k.Fatalf("a producer with the transport does not start: %v", err)
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	k.producers = append(k.producers, p)
	return p
}

// at makes a producer's route lead to the one broker at addr.
func at(addr string) func(cfg *core.Config) {
	return func(cfg *core.Config) {
		r, _ := core.NewRoute([]core.Queue{{Broker: "transporttest"}}, []core.Broker{{Name: "transporttest", Addr: addr}})
		cfg.Routes = &routes{route: r}
	}
}

// message makes a message of the world's topic.
func (k *kit) message(body string) *core.Message {
	return &core.Message{Topic: k.world.Topic, Body: []byte(body)}
}

// messages makes several.
func (k *kit) messages(bodies ...string) []*core.Message {
	out := make([]*core.Message, len(bodies))
	for i, b := range bodies {
		out[i] = k.message(b)
	}
	return out
}

// sending begins to send one message, or several as a batch.
func (k *kit) sending(p *core.Producer, h how, msgs ...*core.Message) *sending {
	s := &sending{k: k, p: p, oneway: h.oneway, before: h.before, asked: make(chan struct{}), done: make(chan struct{}), err: errEnded}
	s.ctx, s.end = context.WithCancelCause(context.WithValue(context.Background(), sendingKey{}, s))
	k.mu.Lock()
	k.sendings = append(k.sendings, s)
	k.mu.Unlock()
	var opts []core.SendOption
	if h.timeout > 0 {
		opts = append(opts, core.SendTimeout(h.timeout))
	}
	go pprof.Do(s.ctx, k.Labels("transport"), func(ctx context.Context) {
		defer close(s.done)
		switch {
		case h.oneway:
			s.err = p.SendOneway(ctx, msgs[0], opts...)
		case len(msgs) > 1:
			s.batch, s.err = p.SendBatch(ctx, msgs, opts...)
		default:
			s.res, s.err = p.Send(ctx, msgs[0], opts...)
		}
	})
	return s
}

// send sends and waits until the send has returned.
func (k *kit) send(p *core.Producer, h how, msgs ...*core.Message) *sending {
	s := k.sending(p, h, msgs...)
	k.Await(s.done)
	return s
}

// trip is what the transport did. A send that ended without asking it ends the check.
func (s *sending) trip() *trip {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.made == nil {
		s.k.Fatalf("the transport was not asked: %v", s.err)
	}
	return s.made
}

// entered waits until the transport is asked.
func (s *sending) entered() {
	select {
	case <-s.asked:
	case <-s.done:
		s.trip()
	case <-s.k.Expired().Done():
		s.k.Await(nil)
	}
}

// moment is how long a method has to come to where it waits. Nothing depends on how far it
// comes.
const moment = 20 * time.Millisecond

// back waits until the transport has returned after what has just happened. One that does
// not has broken the rule. It is freed then, as far as it can be.
func (s *sending) back(after string) *trip {
	s.returned(after)
	return s.trip()
}

// reached reports whether the transport was asked.
func (s *sending) reached() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.made != nil
}

func (s *sending) returned(after string) {
	if s.k.Until(s.done, s.k.Late) {
		return
	}
	how := "it does not return at all"
	if s.k.release() {
		how = "it returns only when everything ends"
	}
	s.k.Fatalf("%s has not returned %v after %s; %s", roundTrip, s.k.Late, after, how)
}

// giveUp ends a send that nobody answers, by whatever ends it. Which of them did is the
// business of other rules.
func (s *sending) giveUp() *trip {
	s.end(errEnded)
	if !s.k.Until(s.done, s.k.Late) {
		s.k.abort(s.p)
		s.k.Await(s.done)
	}
	return s.trip()
}

// release ends every send that is under way: by its context, and if that does not help by
// the producer's abort. It reports whether all have returned.
func (k *kit) release() bool {
	k.mu.Lock()
	sendings, producers := k.sendings, k.producers
	k.mu.Unlock()
	for _, s := range sendings {
		s.end(errEnded)
	}
	all := make(chan struct{})
	go func() {
		defer close(all)
		for _, s := range sendings {
			<-s.done
		}
	}()
	if k.Until(all, k.Late) {
		return true
	}
	for _, p := range producers {
		k.abort(p)
	}
	return k.Until(all, k.Late)
}

// abort makes the producer give up what is under way.
func (k *kit) abort(p *core.Producer) {
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	k.Begin("transport", "Producer.Shutdown", func() { _ = p.Shutdown(ctx) })
}

// confirm makes one-way attempts ask for an answer.
func confirm(cfg *core.Config) {
	cfg.Steps = append(cfg.Steps, core.AttemptStep("confirm", core.AttemptProtect, core.AttemptInterceptorFunc(
		func(ctx context.Context, at *core.Attempt, next core.AttemptHandler) (*core.Result, error) {
			at.Confirm()
			return next(ctx, at)
		})))
}

// onQueue makes a producer choose the queue with this number in the route.
func onQueue(n *atomic.Int32) func(cfg *core.Config) {
	return func(cfg *core.Config) {
		cfg.Selector = core.SelectorFactoryFunc(func(string) core.QueueSelector {
			return core.QueueSelectorFunc(func(context.Context, *core.Selection) (int, error) { return int(n.Load()), nil })
		})
	}
}

// describe names a result for a message.
func (t *trip) describe() string {
	switch {
	case t.hasResult && t.err != nil:
		return fmt.Sprintf("a result with the status %v and the error %v", t.result.Status, t.err)
	case t.hasResult:
		return fmt.Sprintf("a result with the status %v", t.result.Status)
	case t.err != nil:
		return fmt.Sprintf("the error %v", t.err)
	default:
		return "neither a result nor an error"
	}
}
