package sendrules_test

import (
	"context"
	"errors"
	"fmt"
	"log"

	"github.com/liftoff-mq/liftoff/core"
	"github.com/liftoff-mq/liftoff/core/coretest"
	"github.com/liftoff-mq/liftoff/hooks/sendrules"
)

func ExampleNew() {
	rules, err := sendrules.New(sendrules.Config{
		Key:     true,
		MaxBody: 64 << 10,
		Modes:   []sendrules.Mode{sendrules.Sync, sendrules.Async},
	})
	if err != nil {
		log.Fatal(err)
	}
	p, err := core.NewProducer(coretest.Config(&coretest.Transport{}, rules.Step()))
	if err != nil {
		log.Fatal(err)
	}
	ctx := context.Background()
	if err := p.Start(ctx); err != nil {
		log.Fatal(err)
	}
	defer p.Shutdown(ctx)

	_, err = p.Send(ctx, &core.Message{Topic: "Payments", Keys: []string{"order-17"}, Body: []byte("paid")})
	fmt.Println(err)
	err = p.SendOneway(ctx, &core.Message{Topic: "Payments", Body: []byte("paid")})
	fmt.Println(core.ClassOf(err), core.CertaintyOf(err))
	var broken sendrules.Errors
	if errors.As(err, &broken) {
		for _, e := range broken {
			fmt.Println(e.Rule, "-", e.Field, e.Reason)
		}
	}
	fmt.Println(core.Describe(rules))
	// Output:
	// <nil>
	// invalid not-sent
	// mode - mode is oneway, allowed: sync, async
	// key - Keys are empty, a key is required
	// the team's rules for messages (key required, body at most 64 KiB, sent sync, async)
}
