package core

import (
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/liftoff-mq/liftoff/core/rocketmq"
	"github.com/liftoff-mq/liftoff/internal/absent"
	"github.com/liftoff-mq/liftoff/internal/safelog"
)

// The defaults of a [Config].
const (
	DefaultTimeout          = 3 * time.Second
	DefaultAttemptTimeout   = time.Second
	DefaultMaxInFlight      = 4096
	DefaultMaxInFlightBytes = 64 << 20
	DefaultMaxWorkers       = 4096
	DefaultRouteRefresh     = 30 * time.Second
	DefaultRouteTimeout     = 10 * time.Second // or the time of the call that waits, if it is longer
)

// Config says what a producer is made of. Group, Transport, Routes, Selector
// and Retry are required; zero values of the rest mean the defaults.
type Config struct {
	// Group is the producer group: 1 to 120 bytes of [%|a-zA-Z0-9_-] and not
	// the reserved DEFAULT_PRODUCER (Java: Validators.checkGroup).
	Group string
	// Timeout is the time of one call, all attempts included, 3 s by default.
	// The caller's context may make it shorter.
	//
	// A broker that has to wait before it answers needs more. With RocketMQ's defaults a master
	// whose slave does not confirm answers FLUSH_SLAVE_TIMEOUT after 3 s (slaveTimeout), one
	// whose disk is slow FLUSH_DISK_TIMEOUT after 5 s (syncFlushTimeout). With less time the
	// call ends before that, with ErrTimeout and the certainty MaybeStored, although the message
	// is stored. So a producer for brokers with SYNC_MASTER takes 4 s for both time-outs, one for
	// SYNC_FLUSH 6 s, and more for the call if a second attempt is to have time too.
	Timeout time.Duration
	// AttemptTimeout caps one attempt as long as another broker could still
	// take the message, 1 s by default, so that a hung broker leaves time for a
	// second one. The last broker gets all the time that is left. Where it is shorter than a
	// broker waits for its slave or disk, the message is sent to another broker meanwhile, and
	// stored twice.
	AttemptTimeout time.Duration
	// MaxInFlight and MaxInFlightBytes bound the asynchronous sends under way,
	// by number (default 4096) and by their bodies' bytes (default 64 MiB).
	MaxInFlight      int
	MaxInFlightBytes int64
	// MaxWorkers is how many of them can be worked on at a time, 4096 by default: each
	// takes a goroutine, with some 8 KiB of stack, and most of its time it waits
	// for a broker. Beyond, sends stand in line, in their order and within their
	// time, which takes about 2 KiB each.
	//
	// At first 256 are worked on. Each send that is acknowledged while others stand in line
	// lets one more be, up to MaxWorkers, so that at a distant broker their number doubles
	// with each round trip. Each that times out takes one away again: more of them would not
	// make a silent broker answer. Functions that are told of an outcome do not count.
	MaxWorkers int
	// RouteRefresh is how often the routes in use are looked up again, 30 s by
	// default. Errors that mean an outdated route refresh it at once.
	RouteRefresh time.Duration
	// RouteTimeout bounds one look-up. By default it may take as long as the call that
	// began it, and 10 s at least: a call that does not wait so long fails, and the answer
	// serves the next one.
	RouteTimeout time.Duration

	// Transport carries attempts, Routes says where they can go.
	Transport Transport
	Routes    RouteSource
	// Steps are the pipeline, in any order. Order may fix theirs outright.
	Steps []Step
	Order Order
	// Selector, Retry, Budget and Health are the strategies of every policy that does not
	// name its own. Budget and Health may be nil: every retry is granted then, and every
	// broker counts as good. A strategy that is a listener is subscribed.
	Selector SelectorFactory
	Retry    RetryPolicy
	Budget   RetryBudget
	Health   HealthView
	// Policies say which topics are sent how; see [PolicySource]. Nil means one policy,
	// "default", made of the fields above, for every topic.
	Policies PolicySource
	// Handlers handle what servers ask of the producer group. A request of a kind that has
	// none is refused, where the server waits for an answer, counted and logged.
	Handlers map[ServerRequestKind]ServerRequestHandler
	// Own are services that live as long as the producer: started by its Start,
	// in order, before everything else, and shut down last, in reverse order. Steps and
	// strategies that are services need not be listed: they are started after these.
	Own []Service
	// Logger gets what no error can report, such as a listener's panic. Nil
	// means silence. A panic of its handler loses the line and nothing else.
	Logger *slog.Logger
}

// checkGroup puts the rules of [rocketmq.CheckGroup] into words.
func checkGroup(group string) error {
	switch rocketmq.CheckGroup(group) {
	case rocketmq.NameOK:
		return nil
	case rocketmq.NameBlank:
		return errors.New("group is empty")
	case rocketmq.NameTooLong:
		return fmt.Errorf("group has %d bytes, at most %d are allowed", len(group), rocketmq.MaxGroupLength)
	case rocketmq.NameReserved:
		return fmt.Errorf("group %q is reserved", group)
	default:
		return fmt.Errorf("group %q has characters other than %% | a-z A-Z 0-9 _ -", group)
	}
}

// withDefaults fills the zero values and reports everything that is wrong.
func (c Config) withDefaults() (Config, error) {
	var errs []error
	if err := checkGroup(c.Group); err != nil {
		errs = append(errs, err)
	}
	timeout(&errs, "Config.Timeout", &c.Timeout, DefaultTimeout)
	timeout(&errs, "Config.AttemptTimeout", &c.AttemptTimeout, DefaultAttemptTimeout)
	positive(&errs, "Config.MaxInFlight", &c.MaxInFlight, DefaultMaxInFlight)
	positive(&errs, "Config.MaxInFlightBytes", &c.MaxInFlightBytes, DefaultMaxInFlightBytes)
	positive(&errs, "Config.MaxWorkers", &c.MaxWorkers, DefaultMaxWorkers)
	timeout(&errs, "Config.RouteRefresh", &c.RouteRefresh, DefaultRouteRefresh)
	if c.RouteTimeout != 0 {
		timeout(&errs, "Config.RouteTimeout", &c.RouteTimeout, 0)
	}
	for _, part := range []struct {
		name  string
		value any
	}{
		{"Config.Transport", c.Transport},
		{"Config.Routes", c.Routes},
	} {
		if absent.Is(part.value) {
			errs = append(errs, fmt.Errorf("%s is nil", part.name))
		}
	}
	if c.Policies != nil && absent.Is(c.Policies) {
		errs = append(errs, errors.New("Config.Policies is nil"))
		c.Policies = nil // so that it is not asked
	}
	if c.Policies == nil {
		c.Policies = &ownPolicy{PolicyTable{Default: &Policy{Name: "default"}}}
	}
	for kind, h := range c.Handlers {
		if absent.Is(h) {
			errs = append(errs, fmt.Errorf("Config.Handlers[%v] is nil", kind))
		}
	}
	for i, s := range c.Own {
		if absent.Is(s) {
			errs = append(errs, fmt.Errorf("Config.Own[%d] is nil", i))
		}
	}
	c.Logger = safelog.New(c.Logger).With("component", "rocketmq.producer")
	return c, errors.Join(errs...)
}

// ownPolicy is the source of a producer that was given none: one policy, which is all gaps.
// Its mistakes are the configuration's.
type ownPolicy struct{ PolicyTable }

// policy is what the configuration's own fields say, for the gaps of policies.
func (c *Config) policy() Policy {
	return Policy{
		Timeout: c.Timeout, AttemptTimeout: c.AttemptTimeout,
		Selector: c.Selector, Retry: c.Retry, Budget: c.Budget, Health: c.Health,
	}
}

func positive[T int | int64](errs *[]error, name string, v *T, def T) {
	if *v == 0 {
		*v = def
	}
	if *v < 0 {
		*errs = append(*errs, fmt.Errorf("%s is negative: %v", name, *v))
	}
}

func timeout(errs *[]error, name string, d *time.Duration, def time.Duration) {
	if *d == 0 {
		*d = def
	}
	if err := checkTimeout(*d); err != nil {
		*errs = append(*errs, fmt.Errorf("%s %w", name, err))
	}
}

// minTimeout is the shortest time that a send can have. Less is a number that was meant in
// another unit: 3000 is 3 µs.
const minTimeout = time.Millisecond

// checkTimeout says what is wrong with the time of a call or an attempt.
func checkTimeout(d time.Duration) error {
	switch {
	case d < 0:
		return fmt.Errorf("is negative: %v", d)
	case d < minTimeout:
		return fmt.Errorf("is %v, at least %v is needed; a plain number counts nanoseconds, so %d ms is %d*time.Millisecond",
			d, minTimeout, int64(d), int64(d))
	}
	return nil
}
