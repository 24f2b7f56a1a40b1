package validate_test

import (
	"context"
	"errors"
	"fmt"

	"github.com/liftoff-mq/liftoff/core"
	"github.com/liftoff-mq/liftoff/core/coretest"
	"github.com/liftoff-mq/liftoff/hooks/validate"
)

func ExampleNew() {
	v, err := validate.New(validate.MaxBodySize(1 << 20))
	if err != nil {
		fmt.Println(err)
		return
	}
	p, err := core.NewProducer(coretest.Config(&coretest.Transport{}, v.Step()))
	if err != nil {
		fmt.Println(err)
		return
	}
	ctx := context.Background()
	if err := p.Start(ctx); err != nil {
		fmt.Println(err)
		return
	}
	defer p.Shutdown(ctx)

	_, err = p.Send(ctx, &core.Message{
		Topic:      "orders",
		Keys:       []string{"order 17"},
		Properties: map[string]string{"TAGS": "paid"},
	})
	fmt.Println(errors.Is(err, core.ErrInvalidMessage))
	var broken validate.Errors
	if errors.As(err, &broken) {
		for _, e := range broken {
			fmt.Println(e.Rule, "-", e.Field, e.Reason)
		}
	}
	// Output:
	// true
	// required - Body is empty, at least 1 byte is required
	// bad-char - Keys[0] holds a blank, which separates keys on the wire
	// reserved - Properties["TAGS"] is RocketMQ's own, use the field Tag
}
