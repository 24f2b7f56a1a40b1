package limit

import "github.com/liftoff-mq/liftoff/internal/enum"

// Excess is what becomes of a call beyond a [Rate].
type Excess uint8

// What becomes of it.
const (
	Wait   Excess = iota // it waits for its turn, within its time
	Refuse               // it fails at once
)

var excessNames = []string{"wait", "refuse"}

// String gives "wait" or "refuse".
func (e Excess) String() string { return enum.Name(excessNames, int(e)) }

// MarshalText gives the name.
func (e Excess) MarshalText() ([]byte, error) { return enum.Marshal("excess", excessNames, int(e)) }

// UnmarshalText takes a name.
func (e *Excess) UnmarshalText(text []byte) error {
	return enum.Unmarshal("excess", excessNames, text, e)
}
