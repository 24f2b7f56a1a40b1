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
	want := `VIP orders go to broker-vip. A payment is not sent again if it may be stored.

an order:                         stored on queue broker-a/1
another order:                    stored on queue broker-a/2
a VIP order:                      stored on queue broker-vip/0
another VIP order:                stored on queue broker-vip/0
a VIP order, its broker is busy:  stored on queue broker-b/2 by attempt 2
an order, the answer is lost:     stored on queue broker-a/0 by attempt 2, and maybe on another broker too
a payment, the broker is busy:    stored on queue broker-b/0 by attempt 2
a payment, the answer is lost:    maybe-stored, given up after attempt 1: check the books

Of 8 messages the brokers hold 9: the order whose answer was lost is there twice,
under one message id. The payment whose answer was lost is there once.
`
	if got := out.String(); got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
}
