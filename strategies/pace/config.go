package pace

import (
	"errors"
	"fmt"
	"time"

	"github.com/liftoff-mq/liftoff/internal/confjson"
	"github.com/liftoff-mq/liftoff/internal/plausible"
)

// The defaults of a [Config].
const (
	DefaultTarget    = 20 * time.Millisecond
	DefaultMinWindow = 16
	DefaultMaxWindow = 4096
)

// Config configures a [Pacer]. Zero values mean the defaults.
//
// What is data in it can be decoded from YAML, JSON and environment variables; the tags
// have the names. Durations are text there, such as "1.5s".
type Config struct {
	// Target is how long a message may wait at the broker before the window
	// shrinks, 20 ms by default, at most 10 s. It should be well below the 200 ms
	// after which brokers drop a request. The round trip of the network is not
	// part of it.
	Target time.Duration `json:"target" yaml:"target" env:"TARGET"`
	// MinWindow is the smallest window, in messages, 16 by default, at least 1. It
	// is also the first.
	MinWindow int `json:"minWindow" yaml:"minWindow" env:"MIN_WINDOW"`
	// MaxWindow is the largest window, in messages, 4096 by default, at most
	// 1,000,000. Brokers queue 10,000 requests of all their clients.
	MaxWindow int `json:"maxWindow" yaml:"maxWindow" env:"MAX_WINDOW"`
}

// UnmarshalJSON takes durations as text, such as "1.5s", and refuses unknown members.
func (c *Config) UnmarshalJSON(data []byte) error { return confjson.Unmarshal(data, c) }

// MarshalJSON gives what is data and not zero, with durations as text.
func (c Config) MarshalJSON() ([]byte, error) { return confjson.Marshal(c) }

const (
	minTarget = 100 * time.Microsecond
	maxTarget = 10 * time.Second
	mostMax   = 1_000_000
)

// withDefaults fills the zero values and reports everything that is wrong.
func (c Config) withDefaults() (Config, error) {
	if c.Target == 0 {
		c.Target = DefaultTarget
	}
	if c.MaxWindow == 0 {
		c.MaxWindow = max(DefaultMaxWindow, c.MinWindow)
	}
	if c.MinWindow == 0 {
		c.MinWindow = min(DefaultMinWindow, max(c.MaxWindow, 1))
	}
	var errs []error
	errs = append(errs, plausible.Named("Target", plausible.Time(c.Target, minTarget, maxTarget)))
	if c.MinWindow < 1 {
		errs = append(errs, fmt.Errorf("a smallest window of %d messages lets none pass", c.MinWindow))
	}
	if c.MaxWindow < 1 || c.MaxWindow > mostMax {
		errs = append(errs, fmt.Errorf("a largest window of %d messages is not between 1 and %d", c.MaxWindow, mostMax))
	} else if c.MinWindow > c.MaxWindow {
		errs = append(errs, fmt.Errorf("the smallest window, %d messages, is larger than the largest, %d", c.MinWindow, c.MaxWindow))
	}
	return c, errors.Join(errs...)
}
