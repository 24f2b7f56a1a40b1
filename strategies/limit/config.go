package limit

import (
	"errors"
	"fmt"
	"math"
	"strconv"
	"time"

	"github.com/liftoff-mq/liftoff/internal/confjson"
	"github.com/liftoff-mq/liftoff/internal/plausible"
)

// The defaults of a [BulkheadConfig] and an [AdaptiveConfig].
const (
	DefaultMax         = 128
	DefaultAdaptiveMin = 4
	DefaultAdaptiveMax = 1024
	DefaultTarget      = 5 * time.Millisecond
)

const (
	minPerSecond = 0.001
	maxPerSecond = 10_000_000
	maxBurst     = 10_000_000
	maxUnderWay  = 1_000_000
	minTarget    = 100 * time.Microsecond
	maxTarget    = 10 * time.Second
)

// RateConfig configures a [Rate].
//
// It can be decoded from YAML, JSON and environment variables; the tags have the names.
type RateConfig struct {
	// PerSecond is how many messages of one topic may be sent a second in the long run,
	// from 0.001 to 10,000,000. It is required.
	PerSecond float64 `json:"perSecond" yaml:"perSecond" env:"PER_SECOND"`
	// Burst is how many messages may be sent at once after a pause, at most 10,000,000. By
	// default it is what a second allows, at least 1.
	Burst int `json:"burst" yaml:"burst" env:"BURST"`
	// Excess says what becomes of a call beyond the limit: "wait", the default, or "refuse".
	Excess Excess `json:"excess" yaml:"excess" env:"EXCESS"`
}

// UnmarshalJSON refuses unknown members.
func (c *RateConfig) UnmarshalJSON(data []byte) error { return confjson.Unmarshal(data, c) }

// MarshalJSON gives what is not zero.
func (c RateConfig) MarshalJSON() ([]byte, error) { return confjson.Marshal(c) }

// withDefaults fills the zero values and reports everything that is wrong.
func (c RateConfig) withDefaults() (RateConfig, error) {
	var errs []error
	switch {
	case c.PerSecond == 0:
		errs = append(errs, errors.New("PerSecond is not set: it is how many messages of a topic may be sent a second"))
	case !(c.PerSecond >= minPerSecond && c.PerSecond <= maxPerSecond): // NaN is neither
		errs = append(errs, fmt.Errorf("PerSecond is %v, allowed is %v to %d messages a second", c.PerSecond, minPerSecond, maxPerSecond))
	case c.Burst == 0:
		c.Burst = int(math.Ceil(c.PerSecond))
	}
	if c.Burst != 0 { // else its default is unknown
		errs = append(errs, plausible.Named("Burst", plausible.Number(c.Burst, 1, maxBurst, "it counts messages")))
	}
	if int(c.Excess) >= len(excessNames) {
		errs = append(errs, fmt.Errorf("Excess is %v, allowed is %v or %v", c.Excess, Wait, Refuse))
	}
	return c, errors.Join(errs...)
}

// perSecond is the limit in words: "100 messages a second".
func (c *RateConfig) perSecond() string {
	return strconv.FormatFloat(c.PerSecond, 'f', -1, 64) + " messages a second"
}

// BulkheadConfig configures a [Bulkhead]. The zero value means the default.
//
// It can be decoded from YAML, JSON and environment variables; the tags have the names.
type BulkheadConfig struct {
	// Max is how many attempts may be under way at one broker, 128 by default, at most
	// 1,000,000.
	Max int `json:"max" yaml:"max" env:"MAX"`
}

// UnmarshalJSON refuses unknown members.
func (c *BulkheadConfig) UnmarshalJSON(data []byte) error { return confjson.Unmarshal(data, c) }

// MarshalJSON gives what is not zero.
func (c BulkheadConfig) MarshalJSON() ([]byte, error) { return confjson.Marshal(c) }

func (c BulkheadConfig) withDefaults() (BulkheadConfig, error) {
	if c.Max == 0 {
		c.Max = DefaultMax
	}
	return c, plausible.Named("Max", plausible.Number(c.Max, 1, maxUnderWay, "it counts attempts under way"))
}

// AdaptiveConfig configures an [Adaptive]. Zero values mean the defaults.
//
// It can be decoded from YAML, JSON and environment variables; the tags have the names.
// Durations are text there, such as "1.5s".
type AdaptiveConfig struct {
	// Min is the smallest limit, in attempts, 4 by default, at least 1. So many attempts may
	// be under way at a broker, however slow it is.
	Min int `json:"min" yaml:"min" env:"MIN"`
	// Max is the largest limit, 1,024 by default, at most 1,000,000.
	Max int `json:"max" yaml:"max" env:"MAX"`
	// Target is how much longer than the quickest answer the answers may take before the limit
	// shrinks, 5 ms by default, from 100 µs to 10 s. Half of the quickest answer's time is
	// tolerated in any case: answers of a far broker vary more.
	Target time.Duration `json:"target" yaml:"target" env:"TARGET"`
}

// UnmarshalJSON takes durations as text, such as "1.5s", and refuses unknown members.
func (c *AdaptiveConfig) UnmarshalJSON(data []byte) error { return confjson.Unmarshal(data, c) }

// MarshalJSON gives what is not zero, with durations as text.
func (c AdaptiveConfig) MarshalJSON() ([]byte, error) { return confjson.Marshal(c) }

// withDefaults fills the zero values and reports everything that is wrong.
func (c AdaptiveConfig) withDefaults() (AdaptiveConfig, error) {
	if c.Target == 0 {
		c.Target = DefaultTarget
	}
	if c.Max == 0 {
		c.Max = max(DefaultAdaptiveMax, c.Min)
	}
	if c.Min == 0 {
		c.Min = min(DefaultAdaptiveMin, max(c.Max, 1))
	}
	errs := []error{
		plausible.Named("Min", plausible.Number(c.Min, 1, maxUnderWay, "it counts attempts under way")),
		plausible.Named("Max", plausible.Number(c.Max, 1, maxUnderWay, "it counts attempts under way")),
		plausible.Named("Target", plausible.Time(c.Target, minTarget, maxTarget)),
	}
	if c.Min > c.Max && c.Max > 0 {
		errs = append(errs, fmt.Errorf("the smallest limit, %d attempts, is larger than the largest, %d", c.Min, c.Max))
	}
	return c, errors.Join(errs...)
}
