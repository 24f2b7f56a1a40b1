package validate_test

import (
	"context"
	"errors"
	"fmt"
	"log"

	"github.com/liftoff-mq/liftoff/core"
	"github.com/liftoff-mq/liftoff/core/coretest"
	"github.com/liftoff-mq/liftoff/hooks/validate"
)

func ExampleMaxBodySize() {
	ctx := context.Background()
	v, err := validate.New(validate.MaxBodySize(4))
	if err != nil {
		log.Fatal(err)
	}
	p, err := core.NewProducer(coretest.Config(&coretest.Transport{}, v.Step()))
	if err != nil {
		log.Fatal(err)
	}
	if err := p.Start(ctx); err != nil {
		log.Fatal(err)
	}
	defer p.Shutdown(ctx)
	_, err = p.Send(ctx, coretest.Message("hello"))
	if broken := (*validate.Error)(nil); errors.As(err, &broken) {
		fmt.Println(broken.Field, broken.Rule, broken.Actual, "of", broken.Limit)
	}
	// Output: Body too-long 5 of 4
}

func ExampleProperties() {
	fmt.Println(validate.Properties("orders", map[string]string{"city": "Bern"}))
	fmt.Println(validate.Properties("orders", map[string]string{"TAGS": "paid", "note": " "}))
	// Output:
	// <nil>
	// rocketmq: invalid message: Properties["TAGS"] is RocketMQ's own, use the field Tag; Properties["note"] has a blank value
}

func ExampleTopic() {
	fmt.Println(validate.Topic("orders"))
	fmt.Println(validate.Topic("my orders"))
	// Output:
	// <nil>
	// rocketmq: invalid message: Topic "my orders" has characters other than % | a-z A-Z 0-9 _ -
}
