package main

import (
	"strings"
	"testing"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// The program shows what it says it does.
func TestPlugin(t *testing.T) {
	var out strings.Builder
	if err := run(t.Context(), &out); err != nil {
		t.Fatal(err)
	}
	want := `selector  in turn over the tenant's brokers (acme broker-a, globex broker-b broker-c)
step      a tenant's attempts go to its brokers only (acme any number at a time, globex 64 at a time)

an order of acme:                          on broker-a by attempt 1
another one:                               on broker-a by attempt 1
an order of globex:                        on broker-b by attempt 1
another one:                               on broker-c by attempt 1
acme, whose only broker is read-only:      not-stored (forbidden), given up after attempt 1
globex, one of whose brokers is read-only: on broker-c by attempt 2
acme, at a queue of globex:                not-sent (forbidden), given up after attempt 1
a tenant that nobody knows:                not-sent (forbidden), without an attempt
an order that is nobody's:                 on broker-a by attempt 1
`
	if got := out.String(); got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
}
