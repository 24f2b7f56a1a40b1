package main

import (
	"strings"
	"testing"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// The program shows what it says it does. The selector begins at the same queue
// each time, so the output is always the same.
func TestPolicy(t *testing.T) {
	var out strings.Builder
	if err := run(t.Context(), &out); err != nil {
		t.Fatal(err)
	}
	want := `VIP orders go to broker-vip. When the connection breaks before the answer:
  Payments:          network, maybe-stored after 1 attempt
  every other topic: network, maybe-stored after up to 3 attempts: the other broker at once, 1 more at either after a pause

an order:                         stored on queue broker-a/1
another order:                    stored on queue broker-a/2
a VIP order:                      stored on queue broker-vip/0
another VIP order:                stored on queue broker-vip/0
a VIP order, its broker is busy:  stored on queue broker-b/2 by attempt 2
an order, the answer is lost:     stored on queue broker-a/0 by attempt 2, and maybe on another broker too
a quote, the broker is busy:      not-stored, given up after attempt 1: it can be sent again
a payment, the broker is busy:    stored on queue broker-b/0 by attempt 2
a payment, the answer is lost:    maybe-stored, given up after attempt 1: check the books
payment 1 of 4:                   stored
payment 2 of 4:                   not-sent: rocketmq: invalid message: Body is empty, at least 1 byte is required
payment 3 of 4:                   stored
payment 4 of 4:                   stored

Of 6 orders and a quote the brokers hold 7 messages: the order whose answer was lost is there
twice, under one message id, and the quote is not there. Of 5 payments they hold 5: each is there once.
`
	if got := out.String(); got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
}
