package limit

import (
	"cmp"
	"fmt"
	"slices"
	"strconv"
	"time"

	"github.com/liftoff-mq/liftoff/core"
)

// Status describes the attempts at a broker.
type Status struct {
	Broker   string        // its name
	Addr     string        // its address, which tells it apart from others of that name
	Limit    int           // attempts that may be under way
	UnderWay int           // attempts that are
	Waiting  int           // attempts that wait for room
	Quickest time.Duration // of an [Adaptive]: the answer that others are compared with; 0 before the first
}

const (
	beyondSetting = "beyond"
	beyondBroker  = "another broker gets the message; where no other is left, or may take it, it waits within its time and then fails"
)

// States describes the brokers now, by name and address.
func (b *Bulkhead) States() []Status {
	out := []Status{}
	for _, g := range b.brokers.All() {
		out = append(out, g.status())
	}
	return out
}

// BrokerReport implements [core.BrokerReporter].
func (b *Bulkhead) BrokerReport(at core.Broker) []core.Setting {
	g := b.brokers.Find(at)
	if g == nil {
		return nil
	}
	return g.status().report("bulkhead")
}

// Describe implements [core.Describer].
func (b *Bulkhead) Describe() core.Description {
	return core.Description{Summary: "bounds the attempts under way at each broker", Settings: []core.Setting{
		{Name: "limit", Value: strconv.Itoa(b.cfg.Max) + " attempts"},
		{Name: beyondSetting, Value: fmt.Sprintf("%s (%v, %v)", beyondBroker, core.ClassInFlight, core.NotSent)},
	}}
}

// States describes the brokers now, by name and address.
func (a *Adaptive) States() []Status {
	out := []Status{}
	for _, f := range a.brokers.All() {
		out = append(out, f.status())
	}
	return out
}

// BrokerReport implements [core.BrokerReporter].
func (a *Adaptive) BrokerReport(at core.Broker) []core.Setting {
	f := a.brokers.Find(at)
	if f == nil {
		return nil
	}
	s := f.status()
	return append(s.report("adaptive limit"), core.Setting{Name: "adaptive limit's quickest answer", Value: s.Quickest.String()})
}

// Describe implements [core.Describer].
func (a *Adaptive) Describe() core.Description {
	return core.Description{Summary: "bounds the attempts under way at each broker by what it can do", Settings: []core.Setting{
		{Name: "limit", Value: fmt.Sprintf("%d to %d attempts", a.cfg.Min, a.cfg.Max)},
		{Name: "grows", Value: fmt.Sprintf("while answers take up to %v, or half as long again, more than the quickest", a.cfg.Target)},
		{Name: "halves", Value: "when the broker is busy, unavailable, not reached or silent"},
		{Name: beyondSetting, Value: fmt.Sprintf("%s (%v, %v)", beyondBroker, core.ClassInFlight, core.NotSent)},
	}}
}

func (f *follower) status() Status {
	s := f.gate.status()
	f.mu.Lock()
	defer f.mu.Unlock()
	s.Quickest = f.base
	return s
}

func (s Status) report(name string) []core.Setting {
	return []core.Setting{
		{Name: name, Value: strconv.Itoa(s.Limit)},
		{Name: name + "'s attempts under way", Value: strconv.Itoa(s.UnderWay)},
		{Name: name + "'s attempts waiting", Value: strconv.Itoa(s.Waiting)},
	}
}

// RateStatus describes a topic that was sent to lately.
type RateStatus struct {
	Topic   string  // the user's name
	Tokens  float64 // messages that may be sent now; negative after a batch larger than the burst
	Waiting int     // messages that wait
}

// States describes the topics now, by name. Those that are not there have a full bucket, or
// share one with others ("").
func (r *Rate) States() []RateStatus {
	r.mu.Lock()
	defer r.mu.Unlock()
	out := make([]RateStatus, 0, len(r.topics)+1)
	now := time.Now()
	add := func(topic string, b *bucket) {
		out = append(out, RateStatus{Topic: topic, Tokens: b.tokens.TokensAt(now), Waiting: b.waiting})
	}
	for topic, b := range r.topics {
		add(topic, b)
	}
	if r.rest != nil {
		add("", r.rest)
	}
	slices.SortFunc(out, func(a, b RateStatus) int { return cmp.Compare(a.Topic, b.Topic) })
	return out
}

// Describe implements [core.Describer].
func (r *Rate) Describe() core.Description {
	beyond := fmt.Sprintf("calls wait for their turn, and fail at once where that comes after their time (%v, %v)", core.ClassInFlight, core.NotSent)
	if r.cfg.Excess == Refuse {
		beyond = fmt.Sprintf("calls fail at once (%v, %v)", core.ClassInFlight, core.NotSent)
	}
	return core.Description{Summary: "bounds the messages of each topic", Settings: []core.Setting{
		{Name: "at most", Value: r.cfg.perSecond()},
		{Name: "burst", Value: strconv.Itoa(r.cfg.Burst) + " messages"},
		{Name: beyondSetting, Value: beyond},
	}}
}
