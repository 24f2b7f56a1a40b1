package plausible_test

import (
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/liftoff-mq/liftoff/internal/plausible"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestTime(t *testing.T) {
	twice := 3 * time.Second
	twice *= time.Second
	for d, want := range map[time.Duration]string{
		time.Millisecond: "",
		24 * time.Hour:   "",
		24*time.Hour + 1: "is 24h0m0.000000001s, at most 24h is allowed",
		3000:             "is 3µs, at least 1ms is needed; a plain number counts nanoseconds, so 3000 ms is 3000*time.Millisecond",
		9999:             "is 9.999µs, at least 1ms is needed; a plain number counts nanoseconds, so 9999 ms is 9999*time.Millisecond",
		10_000:           "is 10µs, at least 1ms is needed",
		0:                "is 0s, at least 1ms is needed",
		-time.Second:     "is negative: -1s",
		twice:            "is 833333h20m, at most 24h is allowed; was it multiplied by its unit twice?",
	} {
		got := ""
		if err := plausible.Time(d, plausible.Moment, plausible.Day); err != nil {
			got = err.Error()
		}
		if got != want {
			t.Errorf("%v: got %q, want %q", d, got, want)
		}
	}
}

func TestNamed(t *testing.T) {
	if err := plausible.Named("Linger", plausible.Time(5, plausible.Moment, plausible.Day)); err == nil || !strings.HasPrefix(err.Error(), "Linger is 5ns, ") {
		t.Error(err)
	}
	if err := plausible.Named("Linger", nil); err != nil {
		t.Error(err)
	}
}

func TestNumber(t *testing.T) {
	for n, want := range map[int]string{
		2: "", 10: "", 1: "is 1, at least 2 is needed; hint", 11: "is 11, at most 10 is allowed; hint", -1: "is negative: -1",
	} {
		got := ""
		if err := plausible.Number(n, 2, 10, "hint"); err != nil {
			got = err.Error()
		}
		if got != want {
			t.Errorf("%d: got %q, want %q", n, got, want)
		}
	}
}
