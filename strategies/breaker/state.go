package breaker

import (
	"github.com/sony/gobreaker/v2"

	"github.com/liftoff-mq/liftoff/internal/enum"
)

// State is a breaker's state.
type State uint8

// The states.
const (
	Closed   State = iota // attempts pass
	HalfOpen              // single attempts pass, to see whether the broker is back
	Open                  // attempts are refused
)

var stateNames = []string{"closed", "half-open", "open"}

// String gives "closed", "half-open" or "open".
func (s State) String() string {
	return enum.Name(stateNames, int(s))
}

// MarshalText gives the name.
func (s State) MarshalText() ([]byte, error) {
	return enum.Marshal("breaker state", stateNames, int(s))
}

// UnmarshalText takes a name.
func (s *State) UnmarshalText(text []byte) error {
	return enum.Unmarshal("breaker state", stateNames, text, s)
}

func stateOf(s gobreaker.State) State {
	switch s {
	case gobreaker.StateOpen:
		return Open
	case gobreaker.StateHalfOpen:
		return HalfOpen
	default:
		return Closed
	}
}
