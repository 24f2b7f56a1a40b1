package core_test

import (
	"context"
	"errors"
	"fmt"
	"log"

	"github.com/liftoff-mq/liftoff/core"
	"github.com/liftoff-mq/liftoff/core/coretest"
)

// audit sends a record of each message that was not stored, with a producer of its own.
type audit struct{ records *core.Producer }

func (a *audit) Attach(p *core.Producer) (_ map[core.ServerRequestKind]core.ServerRequestHandler, err error) {
	a.records, err = p.Companion(core.Config{Group: "audit", Selector: coretest.InOrder(), Retry: coretest.NoRetry()})
	return nil, err
}

func (a *audit) Start(ctx context.Context) error    { return a.records.Start(ctx) }
func (a *audit) Shutdown(ctx context.Context) error { return a.records.Shutdown(ctx) }

func (a *audit) Intercept(ctx context.Context, call *core.Call, next core.Handler) (*core.Result, error) {
	res, err := next(ctx, call)
	if err != nil {
		record := &core.Message{Topic: "Audit", Body: []byte(call.Message().Topic)}
		a.records.SendAsync(context.WithoutCancel(ctx), record, nil)
	}
	return res, err
}

func ExampleProducer_Companion() {
	broker := &coretest.Transport{}
	broker.Do = func(_ context.Context, at *core.Attempt) (*core.Result, error) {
		if at.Call().Message().Topic == "Orders" {
			return nil, core.ErrConnect
		}
		return broker.Ack(at), nil
	}
	cfg := coretest.Config(broker, core.CallStep("audit", core.StageGuard, &audit{}))
	p, err := core.NewProducer(cfg)
	if err != nil {
		log.Fatal(err)
	}
	ctx := context.Background()
	if err := p.Start(ctx); err != nil {
		log.Fatal(err)
	}
	_, err = p.Send(ctx, &core.Message{Topic: "Orders", Body: []byte("1")})
	fmt.Println("refused:", errors.Is(err, core.ErrConnect))
	if err := p.Shutdown(ctx); err != nil {
		log.Fatal(err)
	}
	for _, sent := range broker.Attempts() {
		fmt.Println(sent.Topic, sent.Body)
	}
	// Output:
	// refused: true
	// Orders 1
	// Audit Orders
}
