package remoting

import (
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/liftoff-mq/liftoff/core"
	"github.com/liftoff-mq/liftoff/internal/words"
	"github.com/liftoff-mq/liftoff/transport/wire"
)

var (
	_ core.Describer      = (*Client)(nil)
	_ core.BrokerReporter = (*Client)(nil)
)

// Describe implements [core.Describer].
func (c *Client) Describe() core.Description {
	d := core.Description{Summary: "RocketMQ's remoting protocol, one connection for each broker", Settings: []core.Setting{
		{Name: "name servers", Value: c.finder.summary()},
		{Name: "headers", Value: c.cfg.Serialization.String()},
		{Name: "dial", Value: "at most " + c.cfg.ConnectTimeout.String()},
		{Name: "after a failed dial", Value: fmt.Sprintf("the next one up to %v later, in time up to %v; meanwhile attempts at the broker fail at once", backoffFirst, backoffMost)},
		{Name: "look-up", Value: "the next name server is asked as well after " + c.cfg.NameServerTimeout.String() + ", or at once if one does not know the topic"},
		{Name: "heartbeat", Value: "every " + c.cfg.HeartbeatInterval.String()},
		{Name: "queued", Value: "at most " + words.Size(c.cfg.MaxQueuedBytes) + " a connection; beyond them sends wait"},
	}}
	d.Settings = append(d.Settings, c.describeNetwork()...)
	if len(c.cfg.AllowedBrokers) > 0 {
		d.Settings = append(d.Settings, core.Setting{Name: "allowed brokers", Value: strings.Join(c.cfg.AllowedBrokers, " ")})
	}
	d.Settings = append(d.Settings, c.cfg.tenancy()...)
	if c.tls != nil {
		d.Settings = append(d.Settings, core.Setting{Name: "TLS", Value: c.cfg.TLS.summary()})
	}
	if s := c.cfg.Signer; s != nil {
		requests := "signed"
		if _, ok := s.(core.Describer); ok {
			requests = core.Describe(s).String()
		}
		d.Settings = append(d.Settings, core.Setting{Name: "requests", Value: requests})
	}
	return d
}

// describeNetwork tells what is between here and the brokers.
func (c *Client) describeNetwork() (out []core.Setting) {
	if len(c.cfg.Addresses) > 0 {
		out = append(out, core.Setting{Name: "addresses", Value: strings.Join(c.cfg.Addresses, " ")})
	}
	if c.cfg.VIPChannel {
		out = append(out, core.Setting{Name: "VIP channel", Value: fmt.Sprintf("brokers are dialed at their port less %d", vipPorts)})
	}
	if len(c.socks) > 0 {
		out = append(out, core.Setting{Name: "SOCKS", Value: c.socks.summary()})
	}
	return out
}

// BrokerReport implements [core.BrokerReporter]: the broker's version, the connections to it,
// what waits on them, and after failed dials why the last one failed.
func (c *Client) BrokerReport(b core.Broker) []core.Setting {
	p := c.brokers.list()[b.Addr]
	if p == nil {
		return []core.Setting{{Name: "connections", Value: "0"}}
	}
	connections, inFlight, queued := 0, 0, 0
	for _, cn := range c.open() {
		if cn.peer == p {
			u := cn.Usage()
			connections++
			inFlight += u.InFlight
			queued += u.QueuedBytes
		}
	}
	report := []core.Setting{
		{Name: "connections", Value: strconv.Itoa(connections)},
		{Name: "requests in flight", Value: strconv.Itoa(inFlight)},
		{Name: "bytes queued", Value: strconv.Itoa(queued)},
	}
	if v := p.version.Load(); v != 0 {
		report = append(report, core.Setting{Name: "version", Value: wire.VersionText(int(v))})
	}
	if denied := p.denied.Load(); denied != nil {
		report = append(report, core.Setting{Name: "credentials", Value: "refused: " + denied.Error()})
	}
	if next, why := p.trouble(); why != nil {
		report = append(report,
			core.Setting{Name: "last dial", Value: why.Error()},
			core.Setting{Name: "next dial in", Value: max(0, next).Round(time.Millisecond).String()})
	}
	return report
}

// trouble is why the last dial failed and how long the next one has to wait; nil if the last
// one did not fail.
func (p *peer) trouble() (next time.Duration, why error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.failures == 0 || p.works {
		return 0, nil
	}
	return time.Until(p.until), p.why
}
