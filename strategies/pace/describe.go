package pace

import (
	"fmt"
	"strconv"

	"github.com/liftoff-mq/liftoff/core"
)

// Status describes the one-way messages to a broker.
type Status struct {
	Broker      string // its name
	Addr        string // its address, which tells it apart from others of that name
	Window      int    // messages that may be unconfirmed
	Unconfirmed int    // messages that may still be in the broker's queue
	Samples     int    // messages among them that will be answered
	Waiting     int    // attempts that are held back
}

// States describes the brokers now, by name and address.
func (p *Pacer) States() []Status {
	out := []Status{}
	for _, b := range p.brokers.All() {
		out = append(out, b.status())
	}
	return out
}

// BrokerReport implements [core.BrokerReporter].
func (p *Pacer) BrokerReport(at core.Broker) []core.Setting {
	b := p.brokers.Find(at)
	if b == nil {
		return nil
	}
	s := b.status()
	return []core.Setting{
		{Name: "one-way window", Value: strconv.Itoa(s.Window)},
		{Name: "one-way messages unconfirmed", Value: strconv.Itoa(s.Unconfirmed)},
		{Name: "one-way messages waiting", Value: strconv.Itoa(s.Waiting)},
	}
}

// Describe implements [core.Describer].
func (p *Pacer) Describe() core.Description {
	return core.Description{Summary: "paces one-way sends to each broker", Settings: []core.Setting{
		{Name: "window", Value: fmt.Sprintf("%d to %d messages", p.cfg.MinWindow, p.cfg.MaxWindow)},
		{Name: "target", Value: fmt.Sprintf("at most %v in the broker's queue", p.cfg.Target)},
	}}
}

// Requires implements [core.Requirer]: without answers to samples there is nothing to learn.
func (p *Pacer) Requires() core.Requirements {
	return core.Requirements{Features: []core.Feature{core.FeatureOneway, core.FeatureConfirm}}
}
