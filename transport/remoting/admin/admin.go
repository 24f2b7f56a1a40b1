package admin

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"sync"
	"time"

	"github.com/liftoff-mq/liftoff/core"
	"github.com/liftoff-mq/liftoff/core/refusal"
	"github.com/liftoff-mq/liftoff/core/rocketmq"
	"github.com/liftoff-mq/liftoff/internal/confjson"
	"github.com/liftoff-mq/liftoff/internal/plausible"
	"github.com/liftoff-mq/liftoff/internal/words"
	"github.com/liftoff-mq/liftoff/transport/remoting"
	"github.com/liftoff-mq/liftoff/transport/wire"
)

// DefaultTimeout is that of a [Config] (Java: MQAdminImpl.timeoutMillis).
const DefaultTimeout = 6 * time.Second

// Config configures an [Admin]. Zero values mean the defaults.
//
// It can be decoded from YAML, JSON and environment variables; the tags have the names.
// Durations are text there, such as "1.5s".
type Config struct {
	// Timeout bounds each request to one server, and each look-up of a route, 6 s by default.
	Timeout time.Duration `json:"timeout" yaml:"timeout" env:"TIMEOUT"`
}

// UnmarshalJSON takes durations as text, such as "1.5s", and refuses unknown members.
func (c *Config) UnmarshalJSON(data []byte) error { return confjson.Unmarshal(data, c) }

// MarshalJSON gives what is not zero, with durations as text.
func (c Config) MarshalJSON() ([]byte, error) { return confjson.Marshal(c) }

// Admin asks the servers of one cluster. It keeps nothing but its client and is safe for
// concurrent use. A mistake in an argument is an *[ArgumentError], and nothing is
// asked then.
type Admin struct {
	client  *remoting.Client
	timeout time.Duration
}

// New makes an Admin of a client, which the program starts and shuts down.
func New(client *remoting.Client, cfg Config) (*Admin, error) {
	if cfg.Timeout == 0 {
		cfg.Timeout = DefaultTimeout
	}
	err := plausible.Named("Timeout", plausible.Time(cfg.Timeout, plausible.Moment, plausible.Day))
	if client == nil {
		err = errors.Join(errors.New("the client is nil"), err)
	}
	if err != nil {
		return nil, fmt.Errorf("admin: %w", err)
	}
	return &Admin{client: client, timeout: cfg.Timeout}, nil
}

// Route is what the name servers know of a topic, as they say it: which brokers have it, where
// those are, with how many queues and what permission. A topic that none of them knows is an
// error that matches [core.ErrNoRoute].
func (a *Admin) Route(ctx context.Context, topic string) (*wire.RouteData, error) {
	if err := checkTopic(topic); err != nil {
		return nil, err
	}
	ctx, cancel := a.bound(ctx)
	defer cancel()
	return a.client.TopicRoute(ctx, topic)
}

func checkTopic(topic string) error {
	if rocketmq.IsBlank(topic) || !words.IsName(topic) {
		return invalid("topic %s: a name is wanted", words.Quote(topic))
	}
	return nil
}

func invalid(format string, args ...any) error {
	return &ArgumentError{Reason: fmt.Sprintf(format, args...)}
}

// bound gives a request its time.
func (a *Admin) bound(ctx context.Context) (context.Context, context.CancelFunc) {
	return context.WithTimeoutCause(ctx, a.timeout, core.ErrTimeout)
}

// ask makes a request at a broker. An answer that is no success is a *[core.BrokerError].
func (a *Admin) ask(ctx context.Context, b broker, code int, fields wire.Fields) (wire.Command, error) {
	ctx, cancel := a.bound(ctx)
	defer cancel()
	name := b.name
	if b.slave {
		name = ""
	}
	answer, err := a.client.Do(ctx, name, b.addr, wire.Command{Code: code, Ext: fields})
	if err == nil && answer.Code != int(rocketmq.CodeSuccess) {
		err = refusal.Of(rocketmq.ResponseCode(answer.Code), wire.TrimRemark(answer.Remark), b.addr)
	}
	return answer, err
}

// number asks a broker for a number, which is a field of the answer and not below least.
func (a *Admin) number(ctx context.Context, b broker, code int, field string, fields wire.Fields, least int64) (int64, error) {
	answer, err := a.ask(ctx, b, code, fields)
	if err != nil {
		return 0, err
	}
	n, err := strconv.ParseInt(answer.Ext.Get(field), 10, 64)
	if err != nil {
		return 0, &remoting.AnswerError{Addr: b.addr, Err: fmt.Errorf("the field %s is no number", field)}
	}
	if n < least {
		return 0, &remoting.AnswerError{Addr: b.addr, Err: fmt.Errorf("the field %s is %d, below %d", field, n, least)}
	}
	return n, nil
}

// broker is one to ask.
type broker struct {
	name, addr string // as the route has them; the name is empty if it is not known
	slave      bool   // the address is not the master's
}

// mastersOf are the masters of brokers, by name. One without a master has no address. A name server
// that names a broker twice does not have it asked twice: the first entry counts, as it does for
// [wire.RouteData.Broker].
func mastersOf(brokers []wire.BrokerData) []broker {
	out := make([]broker, 0, len(brokers))
	for i := range brokers {
		addr, _ := brokers[i].Master()
		out = append(out, broker{name: brokers[i].BrokerName, addr: addr})
	}
	slices.SortStableFunc(out, func(a, b broker) int { return cmp.Compare(a.name, b.name) })
	return slices.CompactFunc(out, func(a, b broker) bool { return a.name == b.name })
}

// atOnce is how many brokers are asked side by side.
const atOnce = 8

// each asks brokers side by side, and gives a *[BrokersError] of those that failed.
func (a *Admin) each(ctx context.Context, what string, brokers []broker, do func(context.Context, broker) error) error {
	errs := make([]error, len(brokers))
	places := make(chan struct{}, atOnce)
	var all sync.WaitGroup
	for i, b := range brokers {
		if b.addr == "" {
			errs[i] = errNoMaster
			continue
		}
		places <- struct{}{}
		all.Go(func() {
			defer func() { <-places }()
			errs[i] = do(ctx, b)
		})
	}
	all.Wait()
	failed := &BrokersError{What: what, Asked: len(brokers)}
	for i, err := range errs {
		if err != nil {
			failed.Failed = append(failed.Failed, BrokerFailure{Broker: brokers[i].name, Addr: brokers[i].addr, Err: err})
		}
	}
	if len(failed.Failed) == 0 {
		return nil
	}
	return failed
}
