package breaker

import (
	"errors"
	"fmt"
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
	DefaultConsecutiveFailures = 5
	DefaultFailureRatio        = 0.5
	DefaultMinRequests         = 20
	DefaultWindow              = 10 * time.Second
	DefaultOpenFor             = 5 * time.Second
	DefaultProbes              = 1
	DefaultMinWait             = verdict.MinWait
	DefaultHangAfter           = 500 * time.Millisecond
)

const (
	minWindow   = 10 * time.Millisecond
	maxProbes   = 10_000
	maxRequests = 1_000_000
)

// Config configures a [Breakers]. Zero values mean the defaults.
//
// What is data in it can be decoded from YAML, JSON and environment variables; the tags
// have the names. Durations are text there, such as "1.5s".
type Config struct {
	// ConsecutiveFailures is after how many failures in a row a breaker opens, 5 by default. A
	// negative number switches that off.
	ConsecutiveFailures int `json:"consecutiveFailures" yaml:"consecutiveFailures" env:"CONSECUTIVE_FAILURES"`
	// FailureRatio is the part of the attempts within Window, above 0 and at most 1, from which
	// failures open a breaker, if there were MinRequests attempts at least; 0.5 by default. A
	// negative number switches that off.
	FailureRatio float64 `json:"failureRatio" yaml:"failureRatio" env:"FAILURE_RATIO"`
	// MinRequests is from how many attempts within Window FailureRatio counts, 20 by default:
	// a part of few attempts says little.
	MinRequests int `json:"minRequests" yaml:"minRequests" env:"MIN_REQUESTS"`
	// Trip decides, after a failure, whether a closed breaker opens, in place of the three
	// numbers above. Nil means that those decide, and that a hung broker opens its breaker at
	// once. It runs under the breaker's lock: it must decide by its argument alone and not use
	// the Breakers. If it panics [DefaultTrip] decides.
	Trip func(Counts) bool `json:"-" yaml:"-"`
	// Window is the time that Counts covers, in ten steps, 10 s by default and
	// at least 10 ms and at most a day.
	Window time.Duration `json:"window" yaml:"window" env:"WINDOW"`
	// OpenFor is how long an open breaker refuses before it tries, 5 s by default.
	OpenFor time.Duration `json:"openFor" yaml:"openFor" env:"OPEN_FOR"`
	// Probes is how many attempts a half-open breaker lets through, 1 by default. All of them
	// must succeed to close it, and the first failure opens it again. One that proves nothing,
	// such as a cancelled one, gives its place back.
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

// DefaultTrip is the rule of a zero [Config]. It opens a breaker after five failures in a row,
// when at least half of twenty or more attempts in the window failed, and at once when the broker
// looks hung. A hung broker costs each send that meets it a whole attempt's
// time, so one such send has to be enough; but under load one slow answer among
// quick ones opens nothing.
func DefaultTrip(c Counts) bool {
	return rule{DefaultConsecutiveFailures, DefaultFailureRatio, DefaultMinRequests}.trip(c)
}

// rule is when a breaker opens. A negative number switches its part off.
type rule struct {
	consecutive int
	ratio       float64
	least       int
}

func (r rule) trip(c Counts) bool {
	total := uint64(c.Successes) + uint64(c.Failures)
	switch {
	case c.Hung, r.consecutive > 0 && int64(c.ConsecutiveFailures) >= int64(r.consecutive):
		return true
	default:
		return r.ratio > 0 && total >= uint64(r.least) && float64(c.Failures)/float64(total) >= r.ratio
	}
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
	errs = append(errs, c.ruleDefaults())
	if c.Probes == 0 {
		c.Probes = DefaultProbes
	}
	errs = append(errs, plausible.Named("Probes", plausible.Number(c.Probes, 1, maxProbes, "each of them meets a broker that is probably still down")))
	if c.Ignore == nil {
		c.Ignore = func(error) bool { return false }
	}
	if c.OnStateChange == nil {
		c.OnStateChange = func(core.Broker, State, State) {}
	}
	c.Logger = logqueue.New(c.Logger).With("component", "rocketmq.breaker")
	return c, errors.Join(errs...)
}

// ruleDefaults fills and checks what says when a breaker opens.
func (c *Config) ruleDefaults() error {
	if c.Trip != nil {
		if c.ConsecutiveFailures != 0 || c.FailureRatio != 0 || c.MinRequests != 0 {
			return errors.New("a Trip decides in place of ConsecutiveFailures, FailureRatio and MinRequests: give the one or the others")
		}
		return nil
	}
	if c.ConsecutiveFailures == 0 {
		c.ConsecutiveFailures = DefaultConsecutiveFailures
	}
	if c.FailureRatio == 0 {
		c.FailureRatio = DefaultFailureRatio
	}
	var errs []error
	switch {
	case c.MinRequests == 0:
		c.MinRequests = DefaultMinRequests
	case c.FailureRatio < 0:
		errs = append(errs, fmt.Errorf("MinRequests is %d, but FailureRatio is switched off", c.MinRequests))
	}
	errs = append(errs, plausible.Named("MinRequests", plausible.Number(c.MinRequests, 1, maxRequests, "it is the attempts of one Window")))
	if n := c.ConsecutiveFailures; n > 0 {
		errs = append(errs, plausible.Named("ConsecutiveFailures", plausible.Number(n, 1, maxRequests, "a negative number switches it off")))
	}
	if !(c.FailureRatio <= 1) { // NaN too
		errs = append(errs, fmt.Errorf("FailureRatio is %v, at most 1 is allowed: it is a part, and 50%% is 0.5", c.FailureRatio))
	}
	if c.ConsecutiveFailures < 0 && c.FailureRatio < 0 && c.HangAfter < 0 {
		errs = append(errs, errors.New("ConsecutiveFailures, FailureRatio and HangAfter are all switched off: nothing would open a breaker"))
	}
	c.Trip = rule{c.ConsecutiveFailures, c.FailureRatio, c.MinRequests}.trip
	return errors.Join(errs...)
}
