package words_test

import (
	"testing"

	"go.uber.org/goleak"

	"github.com/liftoff-mq/liftoff/hooks/internal/words"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestSize(t *testing.T) {
	for bytes, want := range map[int]string{
		0: "0 bytes", 1: "1 byte", 1023: "1023 bytes", 1024: "1 KiB", 1025: "1025 bytes", 4096: "4 KiB",
		32255: "32255 bytes", 1 << 20: "1 MiB", 4<<20 + 1024: "4097 KiB", 4 << 20: "4 MiB", -1: "-1 bytes",
	} {
		if got := words.Size(bytes); got != want {
			t.Errorf("%d: got %q, want %q", bytes, got, want)
		}
	}
}
