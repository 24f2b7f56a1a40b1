package health

import (
	"context"
	"errors"
	"fmt"
	"net"
	"sync"
	"sync/atomic"
	"time"

	"github.com/liftoff-mq/liftoff/core"
	"github.com/liftoff-mq/liftoff/internal/confjson"
	"github.com/liftoff-mq/liftoff/internal/plausible"
	"github.com/liftoff-mq/liftoff/strategies/internal/perbroker"
	"github.com/liftoff-mq/liftoff/strategies/internal/verdict"
)

// The defaults of a [ReachabilityConfig].
const (
	DefaultInterval  = time.Second
	DefaultTimeout   = 500 * time.Millisecond
	DefaultMaxProbes = 8
	DefaultMaxDown   = time.Minute
)

// mostProbes bounds [ReachabilityConfig].MaxProbes.
const mostProbes = 1000

// ReachabilityConfig configures a [Reachability]. Zero values mean the defaults.
//
// What is data in it can be decoded from YAML, JSON and environment variables; the tags
// have the names. Durations are text there, such as "1.5s".
type ReachabilityConfig struct {
	// Probe asks a broker whether it can be reached; nil as the error means that it can. It must
	// end with ctx. One probe of a broker runs at a time, and probes of several brokers at once.
	// A panic in it is a failed probe. Nil means a TCP connection that is opened and closed, to
	// the broker's address as the route has it. Where the client dials in a way of its own, such
	// as through a tunnel, a [Dial] with the same function is needed here.
	Probe func(ctx context.Context, b core.Broker) error `json:"-" yaml:"-"`
	// Interval is the time between two probes of one broker, from start to start, 1 s by default.
	Interval time.Duration `json:"interval" yaml:"interval" env:"INTERVAL"`
	// Timeout is how long a probe may take, 500 ms by default.
	Timeout time.Duration `json:"timeout" yaml:"timeout" env:"TIMEOUT"`
	// MaxProbes is how many probes run at once, 8 by default. Those that wait are asked in the
	// order in which they became due.
	MaxProbes int `json:"maxProbes" yaml:"maxProbes" env:"MAX_PROBES"`
	// MaxDown is how long a broker is down at most after its last failed attempt, whatever the
	// probes say, 1 min by default: a probe may meet a firewall that messages do not meet.
	MaxDown time.Duration `json:"maxDown" yaml:"maxDown" env:"MAX_DOWN"`
}

// UnmarshalJSON takes durations as text, such as "1.5s", and refuses unknown members.
func (c *ReachabilityConfig) UnmarshalJSON(data []byte) error { return confjson.Unmarshal(data, c) }

// MarshalJSON gives what is data and not zero, with durations as text.
func (c ReachabilityConfig) MarshalJSON() ([]byte, error) { return confjson.Marshal(c) }

// Dial makes a probe of a function that opens connections, such as that of a remoting client's
// configuration: a connection is opened and closed. Nil means a [net.Dialer].
func Dial(dial func(ctx context.Context, network, addr string) (net.Conn, error)) func(context.Context, core.Broker) error {
	if dial == nil {
		dial = new(net.Dialer).DialContext
	}
	return func(ctx context.Context, b core.Broker) error {
		c, err := dial(ctx, "tcp", b.Addr)
		if err != nil {
			return err
		}
		return c.Close()
	}
}

// Reachability finds out by probes when a broker that could not be reached is back. Java's
// detector (startDetectorEnable) does this for its latency table.
//
// An attempt that found no connection, or lost it, makes its broker [core.HealthDown]. From then
// on the broker is probed: at once, and then once an interval. The first probe that succeeds, and
// every attempt that is answered, makes it good again. Only brokers in trouble are probed, so a
// healthy cluster costs nothing.
//
// That a connection can be had does not show that a broker answers: a process that hangs still
// has its connections accepted. So time-outs count only with a Probe of the program's own, which
// should ask for more than a connection. Busy brokers, and those that refuse, are reachable. One
// whose [core.Broker].Network is not empty is not judged without a Probe of the program's own,
// because only its client knows the way there.
//
// It is a [core.Service]: a producer that has it as its health view, or within a [Worst] or
// [First], starts and shuts it down. Without a start there are no probes, and a broker is down
// for MaxDown. It forgets brokers to which no route leads. It is safe for concurrent use, also by
// several producers at once: its probes end when all that started it have shut it down.
type Reachability struct {
	cfg     ReachabilityConfig
	own     bool      // the probe is the program's
	base    time.Time // times are kept as nanoseconds since then, on the monotonic clock
	brokers *perbroker.Table[target]
	wake    chan struct{} // for the goroutine that starts probes; it holds one call
	turns   int           // the probes that this goroutine has started

	mu     sync.Mutex // protects what follows; nothing is waited for under it
	starts int        // those without their Shutdown
	run    *probing   // of the starts, or the last one before them
}

var (
	_ core.HealthView      = (*Reachability)(nil)
	_ core.Service         = (*Reachability)(nil)
	_ core.AttemptListener = (*Reachability)(nil)
	_ core.RouteListener   = (*Reachability)(nil)
	_ core.BrokerReporter  = (*Reachability)(nil)
	_ core.Describer       = (*Reachability)(nil)
)

// target is what is known of one broker.
type target struct {
	until   atomic.Int64            // since base; it is down until then; 0 for good
	need    verdict.Need            // of the messages that it stored
	probed  atomic.Pointer[outcome] // of the last probe; nil without
	probing atomic.Bool             // a probe is under way

	// The goroutine that starts probes alone uses these.
	next time.Duration // since base; when the next probe is due
	turn int           // the number of the last probe
}

// outcome is how a probe ended.
type outcome struct{ err error }

// NewReachability makes a view that knows no broker yet. It reports all mistakes in cfg at once.
func NewReachability(cfg ReachabilityConfig) (*Reachability, error) {
	r := &Reachability{
		own: cfg.Probe != nil, base: time.Now(), wake: make(chan struct{}, 1),
		brokers: perbroker.New(func(core.Broker) *target { return new(target) }),
	}
	var errs []error
	for _, d := range []struct {
		name string
		d    *time.Duration
		def  time.Duration
	}{
		{"Interval", &cfg.Interval, DefaultInterval}, {"Timeout", &cfg.Timeout, DefaultTimeout}, {"MaxDown", &cfg.MaxDown, DefaultMaxDown},
	} {
		if *d.d == 0 {
			*d.d = d.def
		}
		errs = append(errs, plausible.Named(d.name, plausible.Time(*d.d, plausible.Moment, plausible.Day)))
	}
	if cfg.MaxProbes == 0 {
		cfg.MaxProbes = DefaultMaxProbes
	}
	errs = append(errs, plausible.Named("MaxProbes", plausible.Number(cfg.MaxProbes, 1, mostProbes, "each is a goroutine with a connection")))
	if err := errors.Join(errs...); err != nil {
		return nil, fmt.Errorf("reachability health: %w", err)
	}
	if !r.own {
		cfg.Probe = Dial(nil)
	}
	r.cfg = cfg
	return r, nil
}

// Health implements [core.HealthView].
func (r *Reachability) Health(b core.Broker) core.Health {
	if t := r.brokers.Find(b); t != nil && t.down(r.now()) {
		return core.HealthDown
	}
	return core.HealthGood
}

func (r *Reachability) now() time.Duration { return time.Since(r.base) }

func (t *target) down(now time.Duration) bool { return now < time.Duration(t.until.Load()) }

// AttemptDone implements [core.AttemptListener].
func (r *Reachability) AttemptDone(ctx context.Context, rep *core.AttemptReport) {
	if rep.Abandoned {
		return
	}
	at := rep.Attempt.Broker()
	switch verdict.Of(ctx, rep.Result, rep.Err, rep.Written) {
	case verdict.Served:
		r.answered(at, rep.Latency)
	case verdict.Answered:
		r.answered(at, 0)
	case verdict.Failed:
		if reached(rep) {
			r.answered(at, 0)
		} else {
			r.failed(at)
		}
	case verdict.TimedOut:
		if r.own && rep.Latency >= verdict.Enough(verdict.MinWait, r.brokers.Get(at).need.Time()) {
			r.failed(at)
		}
	}
}

// reached reports whether a failure is the broker's word, and not the network's.
func reached(rep *core.AttemptReport) bool {
	switch rep.Class {
	case core.ClassBusy, core.ClassUnavailable, core.ClassBroker:
		return true
	}
	return verdict.Said(rep.Err)
}

// answered notes that the broker was reached. The time is how long a message took, 0 for an
// answer that is no measure of that.
func (r *Reachability) answered(at core.Broker, took time.Duration) {
	t := r.brokers.Get(at)
	if took > 0 {
		t.need.Answered(took)
	}
	if t.until.Load() != 0 {
		t.until.Store(0)
	}
}

// failed notes that the broker was not reached.
func (r *Reachability) failed(at core.Broker) {
	if at.Network != "" && !r.own {
		return
	}
	r.brokers.Get(at).until.Store(int64(r.now() + r.cfg.MaxDown))
	r.poke()
}

// RouteChanged implements [core.RouteListener].
func (r *Reachability) RouteChanged(rep *core.RouteReport) { r.brokers.RouteChanged(rep) }

// BrokerReport implements [core.BrokerReporter].
func (r *Reachability) BrokerReport(b core.Broker) []core.Setting {
	t := r.brokers.Find(b)
	if t == nil {
		return nil
	}
	out := []core.Setting{{Name: "reachability", Value: r.Health(b).String()}}
	if p := t.probed.Load(); p != nil {
		value := "succeeded"
		if p.err != nil {
			value = "failed: " + p.err.Error()
		}
		out = append(out, core.Setting{Name: "last probe", Value: value})
	}
	return out
}

// Describe implements [core.Describer].
func (r *Reachability) Describe() core.Description {
	probe, failures := "a TCP connection", "no or lost connection"
	if r.own {
		probe = "a function of the program's own"
		failures += fmt.Sprintf("; time-outs of %v or more, if the broker lately needed less", verdict.MinWait)
	}
	return core.Description{Summary: "reachability", Settings: []core.Setting{
		{Name: "down after", Value: failures},
		{Name: "probe", Value: probe},
		{Name: "probed", Value: fmt.Sprintf("at once and then every %v for up to %v while it is down; %d brokers at a time", r.cfg.Interval, r.cfg.Timeout, r.cfg.MaxProbes)},
		{Name: "good after", Value: fmt.Sprintf("a probe or an attempt that succeeds; or %v after the last failure", r.cfg.MaxDown)},
	}}
}
