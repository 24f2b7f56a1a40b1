package remoting

import (
	"context"
	"fmt"
	"time"

	"github.com/liftoff-mq/liftoff/core"
	"github.com/liftoff-mq/liftoff/core/rocketmq"
	"github.com/liftoff-mq/liftoff/internal/words"
	"github.com/liftoff-mq/liftoff/transport/wire"
)

// Do makes one request at a broker and returns its answer, whatever its code. It is for what
// no producer needs, such as administration; package
// [github.com/liftoff-mq/liftoff/transport/remoting/admin] is made of it. Of cmd the code, the
// fields and the body count. The request takes the way of all others: it is signed, shares the
// connection of that broker, and the answer has at most [wire.MaxFrame] bytes. It is made once.
//
// Addr is a broker's address as routes and offset message ids have it. [Config].Addresses and
// MapAddr translate it, and one that is not allowed is refused. Broker is the name of the broker
// whose master is there: entries of Addresses by name count for it. It is empty for a slave, whose
// address such an entry does not mean, and where the name is not known.
//
// The request ends with ctx, without a deadline there after [Config].RequestTimeout.
func (c *Client) Do(ctx context.Context, broker, addr string, cmd wire.Command) (wire.Command, error) {
	if err := c.usable(); err != nil {
		return wire.Command{}, err
	}
	if _, ok := ctx.Deadline(); !ok {
		var over context.CancelFunc
		ctx, over = context.WithTimeoutCause(ctx, c.cfg.RequestTimeout, core.ErrTimeout)
		defer over()
	}
	if ctx.Err() != nil {
		return wire.Command{}, core.ContextError(ctx)
	}
	addr, err := c.dialable(ctx, broker, addr)
	if err != nil {
		return wire.Command{}, err
	}
	p, err := c.brokers.get(addr)
	if err != nil {
		return wire.Command{}, err
	}
	until, _ := ctx.Deadline()
	req := c.shared.NewRequest(ctx, until, nil)
	req.Body = true
	answer, err := c.askWith(req, p, cmd)
	c.shared.FreeRequest(req)
	return answer, err
}

// dialable is an address of a route as it is to be dialed.
func (c *Client) dialable(ctx context.Context, broker, raw string) (string, error) {
	to, err := c.masters(ctx, raw, &wire.RouteData{Brokers: []wire.BrokerData{{BrokerName: broker, Addrs: map[int64]string{rocketmq.MasterID: raw}}}})
	switch {
	case err != nil:
		return "", err
	case to[0].refused != nil:
		return "", &ConnectError{Addr: words.Quote(raw), Err: to[0].refused}
	case to[0].addr == "":
		return "", &ConnectError{Addr: words.Quote(raw), Err: fmt.Errorf("it is not host:port")}
	}
	return to[0].addr, nil
}

// DoNameServer is [Client.Do] at the name servers. They all know the same, so they are asked
// one after another until one answers, the one that answered last first. Each has its part of
// the time that is left, and [Config].NameServerTimeout at least. Where none answers, the
// error is a *[NameServerError].
func (c *Client) DoNameServer(ctx context.Context, cmd wire.Command) (wire.Command, error) {
	if err := c.usable(); err != nil {
		return wire.Command{}, err
	}
	servers, err := c.knownServers(ctx)
	if err != nil {
		return wire.Command{}, err
	}
	failed := &NameServerError{}
	for i, s := range servers {
		limit := c.cfg.NameServerTimeout
		if until, ok := ctx.Deadline(); ok {
			limit = max(limit, time.Until(until)/time.Duration(len(servers)-i))
		}
		p, err := c.servers.get(s.addr)
		var answer wire.Command
		if err == nil {
			answer, err = c.ask(ctx, p, cmd, limit)
		}
		if err == nil {
			c.names.stick(s.addr)
			return answer, nil
		}
		failed.Errs = append(failed.Errs, err)
		if core.ClassOf(err) == core.ClassTimeout {
			c.names.wasSilent(s.addr)
		}
		if ctx.Err() != nil {
			break
		}
	}
	return wire.Command{}, failed
}

// TopicRoute is what the name servers know of a topic, as they say it: with addresses that are
// not translated, and with queues and brokers to which nobody can send. [Client.Route] makes of
// it what a producer needs. It is looked up each time, and does not count as in use. Errors are
// those of Route; a topic that no name server knows is a *[RouteError].
func (c *Client) TopicRoute(ctx context.Context, topic string) (*wire.RouteData, error) {
	if err := c.usable(); err != nil {
		return nil, err
	}
	data, err := c.lookUp(ctx, topic)
	if err != nil {
		return nil, err
	}
	if data == nil {
		return nil, &RouteError{Topic: topic, Reason: "no name server knows the topic"}
	}
	return data, nil
}
