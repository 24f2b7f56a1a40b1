package remoting

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"sync"

	"github.com/liftoff-mq/liftoff/core"
	"github.com/liftoff-mq/liftoff/core/rocketmq"
	"github.com/liftoff-mq/liftoff/transport/wire"
)

// nameServers is the list of name servers and the one that answered last.
type nameServers struct {
	mu   sync.Mutex
	list []string // replaced, never changed
	at   int
}

// set replaces the list. The start is random, so that many clients share the
// servers; a server that stays keeps being asked.
func (n *nameServers) set(list []string) {
	n.mu.Lock()
	defer n.mu.Unlock()
	at := rand.IntN(len(list))
	if len(n.list) > 0 {
		if i := slices.Index(list, n.list[n.at]); i >= 0 {
			at = i
		}
	}
	n.list, n.at = list, at
}

// order returns the servers, the one to ask first in front.
func (n *nameServers) order() []string {
	n.mu.Lock()
	defer n.mu.Unlock()
	return slices.Concat(n.list[n.at:], n.list[:n.at])
}

// stick makes addr the first to ask. It reports whether that is a change.
func (n *nameServers) stick(addr string) bool {
	n.mu.Lock()
	defer n.mu.Unlock()
	i := slices.Index(n.list, addr)
	if i < 0 || i == n.at {
		return false
	}
	n.at = i
	return true
}

func (n *nameServers) has(addr string) bool {
	n.mu.Lock()
	defer n.mu.Unlock()
	return slices.Contains(n.list, addr)
}

// UpdateNameServers replaces the name servers, in the forms that
// [Config].NameServers allows. Questions under way end with the old ones;
// connections to servers that are gone are closed soon.
func (c *Client) UpdateNameServers(addrs ...string) error {
	list, err := parseServers(addrs)
	if err != nil {
		return err
	}
	c.names.set(list)
	c.log.Info("name servers", "addrs", list)
	return nil
}

// lookUp asks the name servers for a topic, one after the other until one
// answers. That a topic is unknown is an answer; it gives nil.
func (c *Client) lookUp(ctx context.Context, topic string) (*wire.RouteData, error) {
	var errs []error
	unusable := false
	for _, addr := range c.names.order() {
		data, err := c.lookUpAt(ctx, addr, topic)
		if err == nil {
			if c.names.stick(addr) {
				c.log.Info("name server changed", "addr", addr)
			}
			return data, nil
		}
		if ctx.Err() != nil {
			return nil, core.ContextError(ctx)
		}
		var ae *AnswerError
		unusable = unusable || errors.As(err, &ae)
		errs = append(errs, err)
	}
	if unusable {
		// Somebody answered, so the network is not to blame.
		return nil, &RouteError{Topic: topic, Reason: "the route is unusable", Err: &NameServerError{Errs: errs}}
	}
	return nil, &NameServerError{Errs: errs}
}

func (c *Client) lookUpAt(ctx context.Context, addr, topic string) (*wire.RouteData, error) {
	p, err := c.servers.get(addr)
	if err != nil {
		return nil, err
	}
	cmd := wire.Command{Code: wire.GetRouteInfoByTopic, Ext: wire.RouteFields(topic)}
	answer, err := c.ask(ctx, p, cmd, c.cfg.NameServerTimeout)
	if err != nil {
		return nil, err
	}
	if answer.Code == int(rocketmq.CodeTopicNotExist) {
		return nil, nil
	}
	if err := answered(p, answer); err != nil {
		return nil, err
	}
	data, err := wire.ParseRoute(answer.Body)
	if err != nil {
		return nil, &AnswerError{Addr: addr, Err: fmt.Errorf("route: %w", err)}
	}
	return data, nil
}
