package core

import (
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/liftoff-mq/liftoff/core/rocketmq"
)

// The defaults of a [Config].
const (
	DefaultTimeout          = 3 * time.Second
	DefaultAttemptTimeout   = time.Second
	DefaultMaxInFlight      = 4096
	DefaultMaxInFlightBytes = 64 << 20
	DefaultMaxWorkers       = 4096
	DefaultRouteRefresh     = 30 * time.Second
	DefaultRouteTimeout     = 3 * time.Second
)

// Config says what a producer is made of. Group, Transport, Routes, Selector
// and Retry are required; zero values of the rest mean the defaults.
type Config struct {
	// Group is the producer group: 1 to 120 bytes of [%|a-zA-Z0-9_-] and not
	// the reserved DEFAULT_PRODUCER (Java: Validators.checkGroup).
	Group string
	// Timeout is the time of one call, all attempts included, 3 s by default.
	// The caller's context may make it shorter.
	Timeout time.Duration
	// AttemptTimeout caps one attempt as long as another broker could still
	// take the message, 1 s by default, so that a hung broker leaves time for a
	// second one. The last broker gets all the time that is left.
	AttemptTimeout time.Duration
	// MaxInFlight and MaxInFlightBytes bound the asynchronous sends under way,
	// by number (default 4096) and by their bodies' bytes (default 64 MiB).
	MaxInFlight      int
	MaxInFlightBytes int64
	// MaxWorkers is how many of them are worked on at a time, 4096 by default: each
	// takes a goroutine, with some 8 KiB of stack, and most of its time it waits
	// for a broker. Beyond, sends stand in line, in their order and within their
	// time, which takes about 2 KiB each.
	MaxWorkers int
	// RouteRefresh is how often the routes in use are looked up again, 30 s by
	// default. Errors that mean an outdated route refresh it at once.
	RouteRefresh time.Duration
	// RouteTimeout bounds one look-up, 3 s by default.
	RouteTimeout time.Duration

	// Transport carries attempts, Routes says where they can go.
	Transport Transport
	Routes    RouteSource
	// Steps are the pipeline, in any order. Order may fix theirs outright.
	Steps []Step
	Order Order
	// Selector, Retry, Budget and Health are the strategies. Budget and Health
	// may be nil. A strategy that is a listener is subscribed.
	Selector SelectorFactory
	Retry    RetryPolicy
	Budget   RetryBudget
	Health   HealthView
	// Own are services that live as long as the producer: started by its Start,
	// in order, before everything else, and shut down last, in reverse order.
	Own []Service
	// Logger gets what no error can report, such as a listener's panic. Nil
	// means silence.
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
	positive(&errs, "Timeout", &c.Timeout, DefaultTimeout)
	positive(&errs, "AttemptTimeout", &c.AttemptTimeout, DefaultAttemptTimeout)
	positive(&errs, "MaxInFlight", &c.MaxInFlight, DefaultMaxInFlight)
	positive(&errs, "MaxInFlightBytes", &c.MaxInFlightBytes, DefaultMaxInFlightBytes)
	positive(&errs, "MaxWorkers", &c.MaxWorkers, DefaultMaxWorkers)
	positive(&errs, "RouteRefresh", &c.RouteRefresh, DefaultRouteRefresh)
	positive(&errs, "RouteTimeout", &c.RouteTimeout, DefaultRouteTimeout)
	for _, part := range []struct {
		name     string
		value    any
		required bool
	}{
		{"Transport", c.Transport, true},
		{"Routes", c.Routes, true},
		{"Selector", c.Selector, true},
		{"Retry", c.Retry, true},
		{"Budget", c.Budget, false},
		{"Health", c.Health, false},
	} {
		if (part.required || part.value != nil) && isNil(part.value) {
			errs = append(errs, fmt.Errorf("%s is nil", part.name))
		}
	}
	for i, s := range c.Own {
		if isNil(s) {
			//lint:ignore ST1005 it begins with the field's name
			errs = append(errs, fmt.Errorf("Own[%d] is nil", i))
		}
	}
	if c.Logger == nil {
		c.Logger = slog.New(slog.DiscardHandler)
	}
	c.Logger = c.Logger.With("component", "rocketmq.producer")
	return c, errors.Join(errs...)
}

func positive[T int | int64 | time.Duration](errs *[]error, name string, v *T, def T) {
	if *v == 0 {
		*v = def
	}
	if *v < 0 {
		*errs = append(*errs, fmt.Errorf("%s is negative: %v", name, *v))
	}
}
