package pace_test

import (
	"strings"
	"testing"
	"time"

	"github.com/liftoff-mq/liftoff/core"
	"github.com/liftoff-mq/liftoff/strategies/pace"
)

func TestConfig(t *testing.T) {
	for name, tt := range map[string]struct {
		cfg  pace.Config
		want []string // in the error
	}{
		"zero":            {},
		"a small largest": {cfg: pace.Config{MaxWindow: 1}},
		"a large least":   {cfg: pace.Config{MinWindow: 10_000}},
		"all wrong":       {pace.Config{Target: -1, MinWindow: -1, MaxWindow: -1}, []string{"Target is negative: -1ns", "smallest window of -1", "largest window of -1"}},
		"too much":        {pace.Config{Target: time.Minute, MaxWindow: 2_000_000}, []string{"Target is 1m, at most 10s", "2000000"}},
		"no unit":         {pace.Config{Target: 20}, []string{"Target is 20ns, at least 100µs is needed; a plain number counts nanoseconds"}},
		"crossed":         {pace.Config{MinWindow: 10, MaxWindow: 5}, []string{"10 messages, is larger than the largest, 5"}},
	} {
		p, err := pace.New(tt.cfg)
		if (err == nil) != (tt.want == nil) || (p == nil) != (err != nil) {
			t.Errorf("%s: got %v, %v", name, p, err)
		}
		for _, w := range append(tt.want, "pace: ") {
			if err != nil && !strings.Contains(err.Error(), w) {
				t.Errorf("%s: %q is not in %v", name, w, err)
			}
		}
	}
}

func TestStep(t *testing.T) {
	s := pacer(t, pace.Config{}).Step()
	p, err := core.Resolve(core.Order{}, s)
	if err != nil {
		t.Fatal(err)
	}
	if got := p.Steps()[0]; got.Name != "pace" || got.Scope != "attempt" || got.Stage != core.AttemptProtect.String() {
		t.Errorf("got %+v", got)
	}
}
