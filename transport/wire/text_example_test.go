package wire_test

import (
	"fmt"

	"github.com/liftoff-mq/liftoff/transport/wire"
)

func ExampleParseProperties() {
	text := wire.AppendProperties(nil, wire.Fields{{Key: "TAGS", Value: "paid"}, {Key: "city", Value: "Bern"}})
	fmt.Printf("%q\n", text)
	city := wire.ParseProperties(text).Get("city")
	fmt.Println(city)
	// Output:
	// "TAGS\x01paid\x02city\x01Bern\x02"
	// Bern
}

func ExampleParseBatch() {
	var body []byte
	for _, text := range []string{"one", "two"} {
		var err error
		if body, err = wire.AppendBatchMessage(body, 0, []byte(text), nil); err != nil {
			fmt.Println(err)
			return
		}
	}
	fmt.Println(len(body) == 2*wire.BatchSize(3, 0))
	messages, err := wire.ParseBatch(body)
	for _, m := range messages {
		fmt.Printf("%s\n", m.Body)
	}
	fmt.Println(err)
	// Output:
	// true
	// one
	// two
	// <nil>
}

func ExampleNewSubscription() {
	s, ok := wire.NewSubscription("orders", "paid || sent")
	fmt.Println(ok, s.Tags(), s.Matches(wire.TagCode("paid")), s.Matches(wire.TagCode("open")))
	// Output: true [paid sent] true false
}
