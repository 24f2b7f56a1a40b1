package remoting

import (
	"context"
	"fmt"
	"net"
	"runtime/debug"

	"github.com/liftoff-mq/liftoff/core"
	"github.com/liftoff-mq/liftoff/internal/absent"
	"github.com/liftoff-mq/liftoff/internal/words"
	"github.com/liftoff-mq/liftoff/transport/wire"
)

// The program's functions in a Config may do anything: block, panic, end their goroutine, use
// the client. So they run on goroutines of the client's, without a lock, and who needs their
// answer waits for it no longer than it wants to. What goes wrong in one is an error with its
// name. The log handler is behind a queue (internal/logqueue); the methods of a connection
// that Dial gave are called by internal/conn.

// containUser is deferred around a function of the program's. Unless it returned, what it did
// instead becomes *err.
func containUser(function string, returned *bool, err *error) {
	if *returned {
		return
	}
	if v := recover(); v != nil {
		*err = &core.PanicError{Step: function, Value: v, Stack: debug.Stack()}
	} else {
		*err = fmt.Errorf("%w: %s ended its goroutine", core.ErrContract, function)
	}
}

// dialUser calls Config.Dial, for the address or for the SOCKS proxy that leads to it. The
// connection is not nil unless there is an error. Both are given by pointers: a function that
// ends its goroutine returns nothing.
func (c *Client) dialUser(ctx context.Context, addr string, nc *net.Conn, err *error) {
	const function = "remoting.Config.Dial"
	returned := false
	defer containUser(function, &returned, err)
	dial := func(ctx context.Context, network, addr string) (net.Conn, error) {
		nc, err := c.cfg.Dial(ctx, network, addr)
		if err == nil && absent.Is(nc) {
			return nil, fmt.Errorf("%w: %s returned neither a connection nor an error", core.ErrContract, function)
		}
		return nc, err
	}
	if proxy := c.socks.find(addr); proxy != nil {
		*nc, *err = proxy.dial(ctx, dial, addr)
	} else {
		*nc, *err = dial(ctx, "tcp", addr)
	}
	returned = true
}

// allowed asks the list of allowed addresses and Config.AllowBroker. *err is why the address
// must not be dialed.
func (c *Client) allowed(addr string, err *error) {
	if !c.allow.has(addr) {
		*err = errNotAllowed
		return
	}
	if c.cfg.AllowBroker == nil {
		return
	}
	returned := false
	defer containUser("remoting.Config.AllowBroker", &returned, err)
	if !c.cfg.AllowBroker(addr) {
		*err = errNotAllowed
	}
	returned = true
}

// mapped asks Config.MapAddr for another address.
func (c *Client) mapped(addr string, err *error) (to string) {
	returned := false
	defer containUser("remoting.Config.MapAddr", &returned, err)
	to = c.cfg.MapAddr(addr)
	returned = true
	return to
}

// master is the address of a broker's master as it is to be dialed.
type master struct {
	addr    string
	refused error // it cannot or must not be dialed
}

// masters are those of a route's brokers, in their order.
type masters struct {
	list []master
	err  error // of a function of the program's
}

// errNotReturned is what a look-up tells that waits for the program's functions.
var errNotReturned = fmt.Errorf("%w: remoting.Config.MapAddr or AllowBroker has not returned", core.ErrTimeout)

// masters asks the program's functions about the masters of a route. One that blocks holds
// up the look-ups of this topic, each until its ctx ends.
func (c *Client) masters(ctx context.Context, topic string, data *wire.RouteData) ([]master, error) {
	m := &masters{list: make([]master, len(data.Brokers))}
	if c.cfg.MapAddr == nil && c.cfg.AllowBroker == nil {
		c.askMasters(data, m)
		return m.list, nil
	}
	core.LookUpProgress(ctx, errNotReturned)
	done, err := c.askAbout(ctx, topic)
	if err != nil {
		return nil, err
	}
	// A goroutine of its own: it may still be in a function when the look-up has given up.
	asks := c.spawn(func() {
		defer c.asked(topic, done)
		c.askMasters(data, m)
	})
	if !asks {
		c.asked(topic, done)
		return nil, c.usable()
	}
	select {
	case <-done:
		return m.list, m.err
	case <-ctx.Done():
		return nil, core.ContextError(ctx)
	}
}

// askAbout waits until no other look-up of the topic is in the program's functions: one that
// blocks must not get more and more goroutines. The channel is for asked to close.
func (c *Client) askAbout(ctx context.Context, topic string) (chan struct{}, error) {
	done := make(chan struct{})
	for {
		c.mu.Lock()
		other := c.asking[topic]
		if other == nil {
			c.asking[topic] = done
		}
		c.mu.Unlock()
		if other == nil {
			return done, nil
		}
		select {
		case <-other:
		case <-ctx.Done():
			return nil, core.ContextError(ctx)
		}
	}
}

// asked says that a look-up of the topic is out of the program's functions.
func (c *Client) asked(topic string, done chan struct{}) {
	c.mu.Lock()
	delete(c.asking, topic)
	c.mu.Unlock()
	close(done)
}

func (c *Client) askMasters(data *wire.RouteData, m *masters) {
	for i := range data.Brokers {
		raw, ok := data.Brokers[i].Master()
		if !ok {
			continue
		}
		b := &m.list[i]
		b.addr, b.refused = c.askAddr(data.Brokers[i].BrokerName, raw, &m.err)
		if m.err != nil {
			return
		}
	}
}

// askAddr makes host:port of a broker's address in a route, by way of the table of addresses
// and of the program's functions. *err is what went wrong in one of them.
func (c *Client) askAddr(broker, raw string, err *error) (addr string, refused error) {
	addr, refused = parseBroker(raw)
	if refused == nil && c.cfg.VIPChannel {
		addr, refused = vipAddr(addr)
	}
	if refused != nil {
		addr = ""
	}
	if to, found := c.addresses.find(broker, addr); found {
		addr, refused = to, nil
	} else if c.cfg.MapAddr != nil {
		if refused != nil {
			addr = raw // it may know better
		}
		if addr = c.mapped(addr, err); *err != nil {
			return addr, nil
		}
		addr, refused = parseBroker(addr)
	}
	if refused != nil {
		return addr, refused
	}
	if c.allowed(addr, err); *err == errNotAllowed {
		refused, *err = fmt.Errorf("the address %s is not allowed", words.Quote(addr)), nil
	}
	return addr, refused
}
