package breaker_test

import (
	"encoding/json"
	"testing"

	"github.com/liftoff-mq/liftoff/strategies/breaker"
)

func TestStateString(t *testing.T) {
	for s, want := range map[breaker.State]string{
		breaker.Closed: "closed", breaker.HalfOpen: "half-open", breaker.Open: "open", 9: "unknown(9)",
	} {
		if s.String() != want {
			t.Errorf("state %d is %q, want %q", s, s, want)
		}
	}
}

func TestStateText(t *testing.T) {
	text, err := json.Marshal(breaker.Status{State: breaker.HalfOpen})
	if err != nil {
		t.Fatal(err)
	}
	var back breaker.Status
	if err := json.Unmarshal(text, &back); err != nil || back.State != breaker.HalfOpen {
		t.Errorf("%s became %+v, %v", text, back, err)
	}
	if text, err := breaker.State(9).MarshalText(); err == nil {
		t.Errorf("a state without a name is %q", text)
	}
	if err := back.State.UnmarshalText([]byte("ajar")); err == nil || back.State != breaker.HalfOpen {
		t.Errorf("a name that is none: %v, %v", back.State, err)
	}
}
