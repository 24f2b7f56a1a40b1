package words_test

import (
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/liftoff-mq/liftoff/internal/words"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestSize(t *testing.T) {
	for bytes, want := range map[int]string{
		0: "0 bytes", 1: "1 byte", 1023: "1023 bytes", 1024: "1 KiB", 1025: "1025 bytes", 4096: "4 KiB",
		32255: "32255 bytes", 1 << 20: "1 MiB", 4<<20 + 1024: "4097 KiB", 4 << 20: "4 MiB", 1 << 30: "1 GiB", -1: "-1 bytes",
	} {
		if got := words.Size(bytes); got != want {
			t.Errorf("%d: got %q, want %q", bytes, got, want)
		}
	}
	if got := words.Size(int64(3) << 40); got != "3072 GiB" {
		t.Error(got)
	}
}

func TestTime(t *testing.T) {
	for d, want := range map[time.Duration]string{
		0: "0s", 500 * time.Millisecond: "500ms", 10 * time.Second: "10s", 90 * time.Second: "1m30s", time.Minute: "1m",
		10 * time.Minute: "10m", time.Hour: "1h", 72 * time.Hour: "72h", 61 * time.Minute: "1h1m", time.Hour + time.Second: "1h0m1s",
		-time.Minute: "-1m", 20 * time.Second: "20s",
	} {
		if got := words.Time(d); got != want {
			t.Errorf("%v: got %q, want %q", d, got, want)
		}
	}
}
