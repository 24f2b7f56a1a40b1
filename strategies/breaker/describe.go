package breaker

import (
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/liftoff-mq/liftoff/core"
)

// Status describes one breaker.
type Status struct {
	Broker string // its broker's name
	Addr   string // its broker's address, which tells it apart from others of that name
	State  State
	Since  time.Time // of the last change, or of the breaker's making
	Counts Counts    // since then, within the window
}

// States describes the breakers now, by broker name and address.
func (b *Breakers) States() []Status {
	defer b.deliver()
	out := []Status{}
	for _, br := range b.brokers.All() {
		out = append(out, br.status())
	}
	return out
}

// BrokerReport implements [core.BrokerReporter].
func (b *Breakers) BrokerReport(at core.Broker) []core.Setting {
	br := b.brokers.Find(at)
	if br == nil {
		return nil
	}
	s := br.status()
	return []core.Setting{
		{Name: "breaker", Value: s.State.String()},
		{Name: "breaker's state since", Value: s.Since.Format(time.RFC3339)},
		{Name: "breaker's failures within " + b.cfg.Window.String(), Value: fmt.Sprintf(
			"%d of %d, %d in a row", s.Counts.Failures, s.Counts.Failures+s.Counts.Successes, s.Counts.ConsecutiveFailures)},
	}
}

// Describe implements [core.Describer].
func (b *Breakers) Describe() core.Description {
	d := core.Description{Summary: "circuit breaker for each broker", Settings: []core.Setting{
		{Name: "opens after", Value: b.describeTrip()},
		{Name: "open for", Value: b.cfg.OpenFor.String() + "; meanwhile other brokers get the messages; those that no other may take go through"},
		{Name: "closes after", Value: b.describeProbes()},
		{Name: "failures", Value: "no or lost connection, busy, unavailable, unexplained errors; time-outs of " + b.cfg.MinWait.String() + " or more, if the broker lately needed less"},
	}}
	if b.ownIgnore {
		d.Settings = append(d.Settings, core.Setting{Name: "ignores", Value: "errors of the program's choice"})
	}
	return d
}

func (b *Breakers) describeProbes() string {
	if b.cfg.Probes == 1 {
		return "1 attempt that succeeds; until then there is 1 at a time"
	}
	return fmt.Sprintf("%[1]d attempts that succeed; until then there are at most %[1]d at a time", b.cfg.Probes)
}

func (b *Breakers) describeTrip() string {
	if b.ownTrip {
		return fmt.Sprintf("a rule of the program's own over %v", b.cfg.Window)
	}
	var rules []string
	if n := b.cfg.ConsecutiveFailures; n > 0 {
		rules = append(rules, fmt.Sprintf("%d failures in a row", n))
	}
	if r := b.cfg.FailureRatio; r > 0 {
		percent := strconv.FormatFloat(r*100, 'g', 4, 64)
		rules = append(rules, fmt.Sprintf("%s%% failures among %d or more attempts within %v", percent, b.cfg.MinRequests, b.cfg.Window))
	}
	if b.cfg.HangAfter >= 0 {
		rules = append(rules, fmt.Sprintf("1 attempt of %v or more without any answer from the broker", b.cfg.HangAfter))
	}
	return strings.Join(rules, "; or ")
}
