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
		`call     shape    stamp`,
		`attempt  protect  breaker`,
		`SEND_OK  id [0-9A-F]{32}  queue broker-[ab]/\d  offset \d`,
		`broker-[ab] answers SYSTEM_BUSY`,
		`attempts 2`,
		`invalid, not-sent`,
		`one-way +9 bytes  sent-by quickstart`,
		`async    \(zlib\) +\d+ bytes`,
	} {
		if !regexp.MustCompile(want).MatchString(out.String()) {
			t.Errorf("the output does not match %q:\n%s", want, out.String())
		}
	}
	if n := strings.Count(out.String(), "sent-by quickstart"); n != 6 {
		t.Errorf("%d messages were stored, want 6:\n%s", n, out.String())
	}
}
