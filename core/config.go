package core

import (
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/liftoff-mq/liftoff/core/rocketmq"
	"github.com/liftoff-mq/liftoff/internal/absent"
	"github.com/liftoff-mq/liftoff/internal/logqueue"
	"github.com/liftoff-mq/liftoff/internal/plausible"
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
	// Policies say which topics are sent how; see [PolicySource] and, for policies that change,
	// [PolicyFeed]. Nil means one policy, "default", made of the fields above, for every topic.
	Policies PolicySource
	// Handlers handle what servers ask of the producer group. A request of a kind that has
	// none is refused, where the server waits for an answer, counted and logged.
	Handlers map[ServerRequestKind]ServerRequestHandler
	// TransactionChecker answers brokers that ask what became of a half message. A producer
	// with transactions needs one; nil, the default, means that it sends none. It takes the place of a handler of
	// RequestTransactionCheck.
	TransactionChecker TransactionChecker
	// Unpack unpacks the bodies that a checker gets. Nil leaves them as they are.
	Unpack Unpacker
	// Topics, by their names on the wire, are looked up when the producer starts and kept for as long as it
	// lives. The transport keeps connections to their brokers ([BrokerKeeper]): brokers ask
	// only those producers about transactions that they know. So a producer with transactions
	// names the topics of these here, or brokers do not find it after a restart until it
	// sends. Other topics are looked up at the first send, and forgotten when they are not
	// used: after about ten minutes by default, an hour if there were transactions.
	Topics []string
	// Own are services that live as long as the producer: started by its Start,
	// in order, before everything else, and shut down last, in reverse order. Steps and
	// strategies that are services need not be listed: they are started after these.
	Own []Service
	// Logger gets what no error can report, such as a listener's panic. Nil
	// means silence. Its handler gets the lines on a goroutine of its own, in order, so it may
	// take its time and may send. While it is slower than the lines come, 1,024 of them wait;
	// the others are counted. Shutdown waits for it.
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
	duration(&errs, "Config.Timeout", &c.Timeout, DefaultTimeout, plausible.Day)
	duration(&errs, "Config.AttemptTimeout", &c.AttemptTimeout, DefaultAttemptTimeout, plausible.Day)
	number(&errs, "Config.MaxInFlight", &c.MaxInFlight, DefaultMaxInFlight, maxInFlight, "each send in flight takes some 2 KiB and its body")
	number(&errs, "Config.MaxInFlightBytes", &c.MaxInFlightBytes, DefaultMaxInFlightBytes, maxInFlightBytes, "it bounds memory, in bytes")
	number(&errs, "Config.MaxWorkers", &c.MaxWorkers, DefaultMaxWorkers, maxWorkers, "each worker takes a goroutine, with some 8 KiB of stack")
	duration(&errs, "Config.RouteRefresh", &c.RouteRefresh, DefaultRouteRefresh, plausible.Year)
	if c.RouteTimeout != 0 {
		duration(&errs, "Config.RouteTimeout", &c.RouteTimeout, 0, plausible.Day)
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
	if err := checkTopics(c.Topics); err != nil {
		errs = append(errs, err)
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
	c.Logger = logqueue.New(c.Logger).With("component", "rocketmq.producer")
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

// The most that the limits of a configuration can be. What goes beyond limits nothing.
const (
	maxInFlight      = 1 << 24
	maxInFlightBytes = 1 << 40
	maxWorkers       = 1 << 20
)

func number[T int | int64](errs *[]error, name string, v *T, def, most int64, hint string) {
	if *v == 0 {
		*v = T(def)
	}
	*errs = append(*errs, plausible.Named(name, plausible.Number(int64(*v), 1, most, hint)))
}

func duration(errs *[]error, name string, d *time.Duration, def, most time.Duration) {
	if *d == 0 {
		*d = def
	}
	*errs = append(*errs, plausible.Named(name, plausible.Time(*d, plausible.Moment, most)))
}

// checkTimeout says what is wrong with the time of a call or an attempt.
func checkTimeout(d time.Duration) error { return plausible.Time(d, plausible.Moment, plausible.Day) }
