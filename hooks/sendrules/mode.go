package sendrules

import (
	"github.com/liftoff-mq/liftoff/core"
	"github.com/liftoff-mq/liftoff/internal/enum"
)

// Mode is a way in which a program sends. It is core's, but that a batch is one of its own.
type Mode uint8

// The modes.
const (
	Sync   Mode = iota // Send
	Async              // SendAsync, TrySendAsync and SendAll
	Oneway             // SendOneway
	Batch              // SendBatch
)

var modeNames = []string{"sync", "async", "oneway", "batch"}

// String gives "sync", "async", "oneway" or "batch".
func (m Mode) String() string { return enum.Name(modeNames, int(m)) }

// MarshalText gives the name.
func (m Mode) MarshalText() ([]byte, error) { return enum.Marshal("mode", modeNames, int(m)) }

// UnmarshalText takes a name.
func (m *Mode) UnmarshalText(text []byte) error { return enum.Unmarshal("mode", modeNames, text, m) }

// modeOf is how a call is sent.
func modeOf(c *core.Call) Mode {
	switch {
	case c.Batch():
		return Batch
	case c.Mode() == core.Async:
		return Async
	case c.Mode() == core.Oneway:
		return Oneway
	}
	return Sync
}
