package accumulate

import (
	"errors"
	"fmt"
	"time"
)

// The defaults of a [Config].
const (
	DefaultLinger   = 5 * time.Millisecond
	DefaultMaxCount = 256
	DefaultMaxBytes = 256 << 10
)

// Config configures an [Accumulator]. Zero values mean the defaults.
type Config struct {
	// Linger is the longest that a message waits for others, 5 ms by default,
	// at most 30 s. A message with little time left waits at most half of it.
	Linger time.Duration
	// MaxCount is the most messages in a batch, 256 by default, at least 2.
	MaxCount int
	// MaxBytes is the most bytes in a batch, counted exactly as they go out:
	// bodies, properties and 22 bytes for each message. 256 KiB by default, 1 KiB
	// to the 4 MiB that brokers take.
	MaxBytes int
}

const (
	maxLinger = 30 * time.Second
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
	if c.Linger < 0 || c.Linger > maxLinger {
		errs = append(errs, fmt.Errorf("linger %v is not between 0 and %v", c.Linger, maxLinger))
	}
	if c.MaxCount < 2 {
		errs = append(errs, fmt.Errorf("%d messages are no batch, at least 2 are", c.MaxCount))
	}
	if c.MaxBytes < minBytes || c.MaxBytes > maxBytes {
		errs = append(errs, fmt.Errorf("%d bytes are not between %d and %d", c.MaxBytes, minBytes, maxBytes))
	}
	return c, errors.Join(errs...)
}
