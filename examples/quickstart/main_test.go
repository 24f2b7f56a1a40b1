package main

import (
	"regexp"
	"strings"
	"testing"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestQuickstart(t *testing.T) {
	var out strings.Builder
	if err := run(t.Context(), &out); err != nil {
		t.Fatalf("%v\n%s", err, out.String())
	}
	for _, want := range []string{
		`call     shape    stamp          a property that says who sent it`,
		`attempt  protect  breaker        circuit breaker for each broker`,
		`2 messages, all acknowledged`,
		`SEND_OK  id [0-9A-F]{32}  queue broker-[ab]/\d  offset \d`,
		`broker-[ab] answers SYSTEM_BUSY`,
		`attempts 2`,
		`recalled [0-9A-F]{32}`,
		`what became of the message: not-sent`,
		`one-way +9 bytes  sent-by quickstart`,
		`async    \(zlib\) +\d+ bytes`,
	} {
		if !regexp.MustCompile(want).MatchString(out.String()) {
			t.Errorf("the output does not match %q:\n%s", want, out.String())
		}
	}
	if n := strings.Count(out.String(), "sent-by quickstart"); n != 8 {
		t.Errorf("%d messages were stored, want 8:\n%s", n, out.String())
	}
}
