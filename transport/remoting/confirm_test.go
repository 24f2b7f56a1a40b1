package remoting_test

import (
	"context"
	"errors"
	"testing"

	"github.com/liftoff-mq/liftoff/core"
	"github.com/liftoff-mq/liftoff/core/coretest"
	"github.com/liftoff-mq/liftoff/core/rocketmq"
	"github.com/liftoff-mq/liftoff/transport/remoting"
	"github.com/liftoff-mq/liftoff/transport/wire"
)

// confirming makes a producer all of whose one-way attempts want an answer.
func confirming(t *testing.T, c *remoting.Client, addr string) (*core.Producer, *core.Result) {
	t.Helper()
	last := new(core.Result)
	cfg := coretest.Config(unregistered{c}, core.AttemptStep("confirm", core.AttemptWire, core.AttemptInterceptorFunc(
		func(ctx context.Context, at *core.Attempt, next core.AttemptHandler) (*core.Result, error) {
			at.Confirm()
			res, err := next(ctx, at)
			if err == nil {
				*last = *res
			}
			return res, err
		})))
	cfg.Routes, cfg.Timeout = fixed(t, 1, addr), minute
	return coretest.Start(t, cfg), last
}

// A one-way send that wants an answer goes out without the flag, and its end is
// what the broker says.
func TestConfirmedOneway(t *testing.T) {
	b := broker(t, func(s *session, c wire.Command) {
		if string(c.Body) == "refuse" {
			s.answer(c, int(rocketmq.CodeSystemBusy), "[TIMEOUT_CLEAN_QUEUE]")
			return
		}
		s.ok(c)
	})
	c := client(t, remoting.Config{})
	p, last := confirming(t, c, b.addr())
	if err := p.SendOneway(bg, coretest.Message("x")); err != nil {
		t.Fatal(err)
	}
	if last.Status != core.SendOK || last.OffsetMessageID == "" {
		t.Errorf("result %+v", last)
	}
	err := p.SendOneway(bg, coretest.Message("refuse"))
	wantFailure(t, err, core.ClassBusy, core.NotStored)
	if be := (*core.BrokerError)(nil); !errors.As(err, &be) || be.Code != rocketmq.CodeSystemBusy {
		t.Errorf("got %v", err)
	}
	seen := b.requests(wire.SendMessageV2)
	for _, c := range seen {
		if c.IsOneway() {
			t.Errorf("the request has the one-way flag: %+v", c)
		}
	}
	if s := c.Stats(); len(seen) != 2 || s.OnewayRefusals != 0 || s.InFlight != 0 {
		t.Errorf("%d requests, stats %+v", len(seen), s)
	}
}
