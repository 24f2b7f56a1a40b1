package main

import (
	"regexp"
	"strings"
	"testing"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const (
	plain = `steps for each call [validate compress.zlib], for each attempt [forbid.curfew breaker]

an order:
  SEND_OK on BROKER by attempt 1
an order that meets a busy broker:
  SEND_OK on BROKER by attempt 2
an order without a body:
  failed, not-sent: invalid
an order at night:
  failed, not-sent: forbidden
`
	traced = `steps for each call [otel.trace validate compress.zlib], for each attempt [otel.trace forbid.curfew breaker]

an order:
  span "send Orders", producer, Unset, messaging.destination.partition.id=QUEUE
    attempt, messaging.destination.partition.id=QUEUE
  SEND_OK on BROKER by attempt 1
an order that meets a busy broker:
  span "send Orders", producer, Unset, messaging.destination.partition.id=QUEUE
    attempt, messaging.destination.partition.id=QUEUE, error.type=SYSTEM_BUSY
    attempt, messaging.destination.partition.id=QUEUE
  SEND_OK on BROKER by attempt 2
an order without a body:
  span "send Orders", producer, Error, error.type=invalid_message, liftoff.certainty=not-sent
  failed, not-sent: invalid
an order at night:
  span "send Orders", producer, Error, messaging.destination.partition.id=QUEUE, error.type=forbidden, liftoff.certainty=not-sent
    attempt, messaging.destination.partition.id=QUEUE, error.type=forbidden
  failed, not-sent: forbidden
`
)

// The selector begins anywhere, so which queue it is may differ.
var (
	queue  = regexp.MustCompile(`broker-[ab]-\d`)
	broker = regexp.MustCompile(`broker-[ab]`)
)

func TestFxapp(t *testing.T) {
	for _, tt := range []struct {
		name   string
		traced bool
		want   string
	}{{"plain", false, plain}, {"traced", true, traced}} {
		t.Run(tt.name, func(t *testing.T) {
			var out strings.Builder
			if err := run(t.Context(), &out, tt.traced); err != nil {
				t.Fatal(err)
			}
			got := broker.ReplaceAllString(queue.ReplaceAllString(out.String(), "QUEUE"), "BROKER")
			if got != tt.want {
				t.Errorf("got\n%s\nwant\n%s", got, tt.want)
			}
		})
	}
}
