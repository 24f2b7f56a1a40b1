package accumulate

import (
	"errors"
	"time"

	"github.com/liftoff-mq/liftoff/internal/confjson"
	"github.com/liftoff-mq/liftoff/internal/plausible"
)

// The defaults of a [Config].
const (
	DefaultLinger   = 5 * time.Millisecond
	DefaultMaxCount = 256
	DefaultMaxBytes = 256 << 10
)

// Config configures an [Accumulator]. Zero values mean the defaults.
//
// What is data in it can be decoded from YAML, JSON and environment variables; the tags
// have the names. Durations are text there, such as "1.5s".
type Config struct {
	// Linger is the longest that a message waits for others, 5 ms by default,
	// at most 30 s. A message with little time left waits at most half of it.
	Linger time.Duration `json:"linger" yaml:"linger" env:"LINGER"`
	// MaxCount is the most messages in a batch, 256 by default, at least 2.
	MaxCount int `json:"maxCount" yaml:"maxCount" env:"MAX_COUNT"`
	// MaxBytes is the most bytes in a batch, counted exactly as they go out:
	// bodies, properties and 22 bytes for each message. 256 KiB by default, 1 KiB
	// to the 4 MiB that brokers take.
	MaxBytes int `json:"maxBytes" yaml:"maxBytes" env:"MAX_BYTES"`
}

// UnmarshalJSON takes durations as text, such as "1.5s", and refuses unknown members.
func (c *Config) UnmarshalJSON(data []byte) error { return confjson.Unmarshal(data, c) }

// MarshalJSON gives what is data and not zero, with durations as text.
func (c Config) MarshalJSON() ([]byte, error) { return confjson.Marshal(c) }

const (
	minLinger = 10 * time.Microsecond
	maxLinger = 30 * time.Second
	maxCount  = 100_000
	minBytes  = 1 << 10
	maxBytes  = 4 << 20
)

func (c Config) withDefaults() (Config, error) {
	if c.Linger == 0 {
		c.Linger = DefaultLinger
	}
	if c.MaxCount == 0 {
		c.MaxCount = DefaultMaxCount
	}
	if c.MaxBytes == 0 {
		c.MaxBytes = DefaultMaxBytes
	}
	var errs []error
	errs = append(errs, plausible.Named("Linger", plausible.Time(c.Linger, minLinger, maxLinger)))
	errs = append(errs, plausible.Named("MaxCount", plausible.Number(c.MaxCount, 2, maxCount, "it counts the messages of a batch, which ends at MaxBytes too")))
	errs = append(errs, plausible.Named("MaxBytes", plausible.Number(c.MaxBytes, minBytes, maxBytes, "it counts bytes")))
	return c, errors.Join(errs...)
}
