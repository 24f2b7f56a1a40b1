package breaker

import (
	"fmt"
	"slices"
	"strings"

	"github.com/sony/gobreaker/v2"
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
	if int(s) < len(stateNames) {
		return stateNames[s]
	}
	return "unknown"
}

// MarshalText gives the name.
func (s State) MarshalText() ([]byte, error) {
	if int(s) >= len(stateNames) {
		return nil, fmt.Errorf("breaker: state %d has no name", s)
	}
	return []byte(s.String()), nil
}

// UnmarshalText takes a name.
func (s *State) UnmarshalText(text []byte) error {
	i := slices.Index(stateNames, string(text))
	if i < 0 {
		return fmt.Errorf("breaker: state %q is not known; there are %s", text, strings.Join(stateNames, ", "))
	}
	*s = State(i)
	return nil
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
