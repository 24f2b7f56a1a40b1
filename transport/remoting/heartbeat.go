package remoting

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/liftoff-mq/liftoff/core"
	"github.com/liftoff-mq/liftoff/transport/remoting/internal/conn"
	"github.com/liftoff-mq/liftoff/transport/wire"
)

// parallelBeats is how many brokers get a heartbeat at a time.
const parallelBeats = 16

// RegisterGroup announces a producer group: the brokers that this client sends to get
// heartbeats with it, when they are connected and then regularly. It fails with [core.ErrGroupTaken] if the group is in
// use in this client. It does not wait for brokers.
func (c *Client) RegisterGroup(_ context.Context, r core.Registration) error {
	if err := c.usable(); err != nil {
		return err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if _, taken := c.groups[r.Group]; taken {
		return fmt.Errorf("%w: %q", core.ErrGroupTaken, r.Group)
	}
	c.groups[r.Group] = r.Inbox
	c.kickHeartbeat()
	return nil
}

// UnregisterGroup takes a group back and tells the brokers to which there is a
// connection, for at most [Config].RequestTimeout and until ctx ends. A broker that did not hear
// it is told again after the next heartbeat, so that is logged and no error.
func (c *Client) UnregisterGroup(ctx context.Context, group string) error {
	c.mu.Lock()
	_, known := c.groups[group]
	delete(c.groups, group)
	delete(c.kept, group)
	c.mu.Unlock()
	if !known || c.usable() != nil {
		return nil
	}
	c.each(c.connected(), func(p *peer) {
		if err := c.takeBack(ctx, p, group); err != nil {
			c.log.Warn("group not unregistered", "group", group, "addr", p.addr, "err", err)
		}
	})
	return nil
}

// takeBack unregisters a group that is no longer here at one broker.
func (c *Client) takeBack(ctx context.Context, p *peer, group string) error {
	within := time.Duration(0)
	err := c.unregister(ctx, p, group)
	if err != nil {
		within = settleTime
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.standing.shake(within)
	if err == nil {
		p.named = slices.DeleteFunc(p.named, func(g string) bool { return g == group })
	}
	return err
}

// takeBackOthers unregisters what heartbeats have named to a broker and is no longer here. That
// happens where the broker refused the first request for it, and where a heartbeat was under way
// meanwhile: broker threads may take the two in either order, and the heartbeat brings the group
// back. Nobody would refresh it, and a broker closes the connection of a group that is silent for
// two minutes, which other groups use too (Java: ProducerManager.scanNotActiveChannel).
func (c *Client) takeBackOthers(p *peer, groups []string) {
	p.mu.Lock()
	gone := slices.DeleteFunc(slices.Clone(p.named), func(g string) bool { return slices.Contains(groups, g) })
	p.mu.Unlock()
	for _, group := range gone {
		if err := c.takeBack(c.life, p, group); err != nil {
			c.log.Debug("group not unregistered", "group", group, "addr", p.addr, "err", err)
		}
		if slices.Contains(c.groupList(), group) {
			c.kickHeartbeat() // it is here again, and the broker has just lost it
		}
	}
}

// unregister takes a group back at one broker.
func (c *Client) unregister(ctx context.Context, p *peer, group string) error {
	answer, err := c.ask(ctx, p, wire.Command{
		Code: wire.UnregisterClient,
		Ext:  wire.Unregister{ClientID: c.id, ProducerGroup: group}.Fields(),
	}, c.cfg.RequestTimeout)
	if err != nil {
		return err
	}
	return answered(p, answer)
}

// connected lists the brokers to which there is a connection.
func (c *Client) connected() []*peer {
	var out []*peer
	for _, p := range c.brokers.list() {
		if p.cur.Load() != nil {
			out = append(out, p)
		}
	}
	return out
}

// each runs f for all peers, some at a time, and waits.
func (c *Client) each(peers []*peer, f func(*peer)) {
	var wg sync.WaitGroup
	slots := make(chan struct{}, parallelBeats)
	for _, p := range peers {
		slots <- struct{}{}
		wg.Go(func() {
			defer func() { <-slots }()
			f(p)
		})
	}
	wg.Wait()
}

// kickHeartbeat asks for a round now.
func (c *Client) kickHeartbeat() {
	select {
	case c.kick <- struct{}{}:
	default:
	}
}

// heartbeats sends heartbeats and cleans up until the client ends. Rounds do not
// overlap, and nothing waits for them.
func (c *Client) heartbeats(life context.Context) {
	ticker := time.NewTicker(c.cfg.HeartbeatInterval)
	defer ticker.Stop()
	for {
		select {
		case <-life.Done():
			return
		case <-c.kick:
		case <-ticker.C:
			c.sweep(time.Now())
		}
		c.each(c.audience(), c.beatOrDial)
	}
}

// audience lists the brokers that get a heartbeat: those that something was sent to, while
// they are connected or a known route leads to them, and those that a group keeps. A route may
// name any address; who is neither sent to nor kept is not dialed, nor told who we are.
func (c *Client) audience() []*peer {
	if len(c.groupList()) == 0 {
		return nil
	}
	var out []*peer
	known := c.wanted()
	for addr, p := range c.brokers.list() {
		if p.cur.Load() != nil || known[addr] {
			out = append(out, p)
		}
	}
	return out
}

// wanted are the addresses of the brokers of all topics in use, and of those that groups keep,
// to which there is a peer then.
func (c *Client) wanted() map[string]bool {
	out := c.known.addrs()
	c.mu.Lock()
	var kept []string
	for _, addrs := range c.kept {
		kept = append(kept, addrs...)
	}
	c.mu.Unlock()
	for _, addr := range kept {
		if _, err := c.brokers.get(addr); err == nil { // else there are too many peers
			out[addr] = true
		}
	}
	return out
}

// KeepBrokers implements [core.BrokerKeeper]: the brokers get heartbeats as those do that
// something is sent to, the first one at once.
func (c *Client) KeepBrokers(group string, brokers []core.Broker) {
	addrs := make([]string, len(brokers))
	for i := range brokers {
		addrs[i] = brokers[i].Addr
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if _, known := c.groups[group]; known && !slices.Equal(c.kept[group], addrs) {
		c.kept[group] = addrs
		c.kickHeartbeat()
	}
}

func (c *Client) groupList() []string {
	c.mu.Lock()
	defer c.mu.Unlock()
	return slices.Sorted(maps.Keys(c.groups))
}

// beatOrDial sends a heartbeat on the broker's connection. A new connection
// begins with one anyway.
func (c *Client) beatOrDial(p *peer) {
	if p.cur.Load() != nil {
		c.beatOn(p, false)
		return
	}
	w := conn.NewWait(c.life, time.Now().Add(c.cfg.ConnectTimeout), nil)
	defer w.Stop()
	_, _ = p.connect(&w) // the dial counts and logs its failure
}

// beatOn tells a broker which groups live here. With joins one of them is new on the connection,
// as all are on a connection without a heartbeat.
func (c *Client) beatOn(p *peer, joins bool) {
	groups := c.groupList()
	if len(groups) == 0 {
		return
	}
	cn := p.cur.Load()
	if cn != nil && p.rejoined.Load() == cn && !slices.Contains(groups, innerGroup) {
		groups = append(groups, innerGroup)
	}
	joins = joins || p.beaten.Load() != cn
	p.name(groups) // its answer may be lost
	sent := time.Now()
	body := wire.AppendHeartbeat(nil, &wire.Heartbeat{ClientID: c.id, ProducerGroups: groups})
	answer, err := c.ask(c.life, p, wire.Command{Code: wire.HeartBeat, Body: body}, c.cfg.RequestTimeout)
	if err == nil {
		err = answered(p, answer)
	}
	p.noteCredentials(err)
	if err != nil {
		c.count.heartbeatFailures.Add(1)
		c.log.Debug("heartbeat failed", "addr", p.addr, "err", err)
		return
	}
	p.version.Store(int32(answer.Version))
	c.count.heartbeats.Add(1)
	if p.cur.Load() == cn { // else it may have gone out on another one
		if joins { // before beaten says that all is done
			p.mu.Lock()
			p.standing.join(sent)
			p.mu.Unlock()
		}
		p.beaten.Store(cn)
	}
	p.name(groups) // one may have been taken back before the broker read the heartbeat
	c.takeBackOthers(p, c.groupList())
}

// name notes what a heartbeat names.
func (p *peer) name(groups []string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, g := range groups {
		if g != innerGroup && !slices.Contains(p.named, g) {
			p.named = append(p.named, g)
		}
	}
}

// noteCredentials notes whether the broker takes this client's credentials, and says so when
// that changes. A one-way send has no answer, so this is all that it can know.
func (p *peer) noteCredentials(err error) {
	var denied *core.BrokerError
	if errors.As(err, &denied) && denied.Class == core.ClassAuth {
		denied = &core.BrokerError{Code: denied.Code, Class: denied.Class, Certainty: core.NotSent, Remark: denied.Remark, Addr: denied.Addr}
	} else if err != nil {
		return // no answer, or one about something else
	}
	switch old := p.denied.Swap(denied); {
	case denied != nil && old == nil:
		p.c.log.Warn("broker refuses the credentials", "addr", p.addr, "err", denied)
	case denied == nil && old != nil:
		p.c.log.Info("broker takes the credentials again", "addr", p.addr)
	}
}
