package breaker

import (
	"errors"
	"log/slog"
	"time"

	"github.com/liftoff-mq/liftoff/core"
	"github.com/liftoff-mq/liftoff/internal/confjson"
	"github.com/liftoff-mq/liftoff/internal/logqueue"
	"github.com/liftoff-mq/liftoff/internal/plausible"
	"github.com/liftoff-mq/liftoff/strategies/internal/verdict"
)

// The defaults of a [Config].
const (
	DefaultWindow    = 10 * time.Second
	DefaultOpenFor   = 5 * time.Second
	DefaultProbes    = 1
	DefaultMinWait   = verdict.MinWait
	DefaultHangAfter = 500 * time.Millisecond
)

const (
	minWindow = 10 * time.Millisecond
	maxProbes = 10_000
)

// The numbers of [DefaultTrip].
const (
	tripConsecutive = 5
	tripVolume      = 20
	tripPercent     = 50
)

// Config configures a [Breakers]. Zero values mean the defaults.
//
// What is data in it can be decoded from YAML, JSON and environment variables; the tags
// have the names. Durations are text there, such as "1.5s".
type Config struct {
	// Trip decides, after a failure, whether a closed breaker opens; nil means
	// [DefaultTrip]. It runs under the breaker's lock: it must decide by its
	// argument alone and not use the Breakers. If it panics the default decides.
	Trip func(Counts) bool `json:"-" yaml:"-"`
	// Window is the time that Counts covers, in ten steps, 10 s by default and
	// at least 10 ms and at most a day.
	Window time.Duration `json:"window" yaml:"window" env:"WINDOW"`
	// OpenFor is how long an open breaker refuses before it tries, 5 s by default.
	OpenFor time.Duration `json:"openFor" yaml:"openFor" env:"OPEN_FOR"`
	// Probes is how many attempts at once a half-open breaker lets through, and
	// how many of them must succeed to close it, 1 by default.
	Probes int `json:"probes" yaml:"probes" env:"PROBES"`
	// MinWait is how long a broker must have had at least before a time-out counts, 50 ms by
	// default. It must have had longer than it needs for others, too: the end of a caller's own
	// short time proves nothing. What it needs is estimated from its last answers, as TCP
	// estimates round trips. Where no answer is known it is 500 ms, and never more than 1 s.
	MinWait time.Duration `json:"minWait" yaml:"minWait" env:"MIN_WAIT"`
	// HangAfter is how long a broker must have been silent altogether, in one
	// attempt that timed out, to be taken for hung (see Counts.Hung), 500 ms by
	// default. A negative time switches that off.
	HangAfter time.Duration `json:"hangAfter" yaml:"hangAfter" env:"HANG_AFTER"`
	// Ignore may exempt errors that would count as failures. Optional; called by
	// many goroutines at once. If it panics the error counts.
	Ignore func(err error) bool `json:"-" yaml:"-"`
	// OnStateChange is told each change, in order, one at a time. Optional. It
	// runs outside all locks, in a send that the Breakers takes part in, at the
	// latest in the next one; so it must not block. A panic in it is logged.
	OnStateChange func(b core.Broker, from, to State) `json:"-" yaml:"-"`
	// Logger gets the changes: a warning when a breaker opens, information when it closes
	// again, and everything between the two, such as a failed probe, for debugging. There is
	// at most one warning a minute for each broker. Nil means silence. Its handler gets the
	// lines on a goroutine of its own, so it may take its time and may send.
	Logger *slog.Logger `json:"-" yaml:"-"`
}

// UnmarshalJSON takes durations as text, such as "1.5s", and refuses unknown members.
func (c *Config) UnmarshalJSON(data []byte) error { return confjson.Unmarshal(data, c) }

// MarshalJSON gives what is data and not zero, with durations as text.
func (c Config) MarshalJSON() ([]byte, error) { return confjson.Marshal(c) }

// Counts is what a closed breaker has seen of its broker within the window.
type Counts struct {
	Successes uint32
	Failures  uint32
	// ConsecutiveFailures is the number of failures since the last success,
	// however long that took.
	ConsecutiveFailures uint32
	// Hung says that the failure at hand is a time-out after HangAfter or more,
	// and that no other attempt was answered meanwhile.
	Hung bool
}

// DefaultTrip opens a breaker after five failures in a row, when at least half
// of twenty or more attempts in the window failed, and at once when the broker
// looks hung. A hung broker costs each send that meets it a whole attempt's
// time, so one such send has to be enough; but under load one slow answer among
// quick ones opens nothing.
func DefaultTrip(c Counts) bool {
	total := uint64(c.Successes) + uint64(c.Failures)
	return c.Hung || c.ConsecutiveFailures >= tripConsecutive ||
		total >= tripVolume && uint64(c.Failures)*100 >= total*tripPercent
}

// withDefaults fills the zero values and reports everything that is wrong.
func (c Config) withDefaults() (Config, error) {
	var errs []error
	duration := func(name string, d *time.Duration, def, least time.Duration) {
		if *d == 0 {
			*d = def
		}
		errs = append(errs, plausible.Named(name, plausible.Time(*d, least, plausible.Day)))
	}
	duration("Window", &c.Window, DefaultWindow, minWindow)
	duration("OpenFor", &c.OpenFor, DefaultOpenFor, plausible.Moment)
	duration("MinWait", &c.MinWait, DefaultMinWait, plausible.Moment)
	if c.HangAfter >= 0 { // below, nothing counts as hung
		duration("HangAfter", &c.HangAfter, DefaultHangAfter, plausible.Moment)
	}
	if c.Probes == 0 {
		c.Probes = DefaultProbes
	}
	errs = append(errs, plausible.Named("Probes", plausible.Number(c.Probes, 1, maxProbes, "each of them meets a broker that is probably still down")))
	if c.Trip == nil {
		c.Trip = DefaultTrip
	}
	if c.Ignore == nil {
		c.Ignore = func(error) bool { return false }
	}
	if c.OnStateChange == nil {
		c.OnStateChange = func(core.Broker, State, State) {}
	}
	c.Logger = logqueue.New(c.Logger).With("component", "rocketmq.breaker")
	return c, errors.Join(errs...)
}
