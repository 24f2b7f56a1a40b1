package enum_test

import (
	"testing"

	"go.uber.org/goleak"

	"github.com/liftoff-mq/liftoff/internal/enum"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

type state uint8

var names = []string{"off", "", "on"}

func TestNames(t *testing.T) {
	for i, want := range []string{"off", "unknown(1)", "on", "unknown(3)"} {
		if got := enum.Name(names, i); got != want {
			t.Errorf("%d is %q, want %q", i, got, want)
		}
		b, err := enum.Marshal("state", names, i)
		if i%2 == 1 {
			if err == nil {
				t.Errorf("%d is marshalled as %q", i, b)
			}
			continue
		}
		var v state
		if err := enum.Unmarshal("state", names, b, &v); err != nil || v != state(i) {
			t.Errorf("%q is %d, %v", b, v, err)
		}
	}
	v := state(7)
	for _, text := range []string{"", "On", "unknown(1)"} {
		err := enum.Unmarshal("state", names, []byte(text), &v)
		if err == nil || v != 7 {
			t.Errorf("%q is %d", text, v)
		}
	}
	if err := enum.Unmarshal("state", names, []byte("a\x1b"), &v); err.Error() != `rocketmq: state "a\x1b" is not known; there are off, on` {
		t.Error(err)
	}
}
