package remoting

import (
	"errors"
	"maps"
	"slices"
	"strings"

	"github.com/liftoff-mq/liftoff/core"
	"github.com/liftoff-mq/liftoff/core/rocketmq"
	"github.com/liftoff-mq/liftoff/transport/remoting/internal/conn"
	"github.com/liftoff-mq/liftoff/transport/wire"
)

// What brokers ask of producers goes to the inbox of the producer group that is asked.

// PeerRequest handles what a broker asks of a client. Name servers have nothing to ask. It
// runs on the goroutine that reads the connection, which may be a caller's, and must not wait.
func (p *peer) PeerRequest(cn *conn.Conn, head wire.ResponseHead, frame []byte) error {
	if !p.broker {
		return conn.ErrUnexpected
	}
	c := p.c
	c.count.requests.Add(1)
	if head.Code == wire.NotifyConsumerIDsChanged {
		return nil // it is for consumers; every client of a group gets it
	}
	cmd, err := wire.ParseFrame(frame)
	if err != nil {
		return err
	}
	r := serverRequest(p.addr, &cmd)
	err = c.deliver(r)
	if err != nil {
		c.count.refusedRequests.Add(1)
	}
	if head.IsOneway() {
		return nil // the broker waits for no answer; the inbox has counted and logged it
	}
	return c.reply(cn, head, err)
}

// serverRequest makes core's form of a broker's request. It is a copy, string by string: an
// inbox counts the bytes that it holds.
func serverRequest(addr string, cmd *wire.Command) *core.ServerRequest {
	r := &core.ServerRequest{
		Kind: core.RequestOther, Name: wire.RequestName(cmd.Code), Addr: addr,
		Fields: make(map[string]string, len(cmd.Ext)), Body: slices.Clone(cmd.Body),
	}
	for i := range cmd.Ext {
		r.Fields[strings.Clone(cmd.Ext[i].Key)] = strings.Clone(cmd.Ext[i].Value)
	}
	switch cmd.Code {
	case wire.CheckTransactionState:
		r.Kind = core.RequestTransactionCheck
		// The request names no group: the half message in its body does (Java:
		// ClientRemotingProcessor.checkTransactionState). One without a group is nobody's.
		if m, _, err := wire.ParseStored(r.Body); err == nil {
			group, _ := wire.LookupProperty(string(m.Properties), rocketmq.PropertyProducerGroup)
			r.Group = strings.Clone(group)
		}
	case wire.PushReplyMessageToClient:
		r.Kind = core.RequestReply // for the client as a whole: a correlation id says whose it is
	}
	return r
}

// deliver gives a request to the inbox of its group. A reply names no group, and goes to the
// first inbox that has a handler for it.
func (c *Client) deliver(r *core.ServerRequest) error {
	if r.Group != "" {
		if in := c.inboxOf(r.Group); in != nil {
			return in.Deliver(r)
		}
	}
	inboxes := c.inboxes()
	for _, in := range inboxes {
		if r.Group == "" && r.Kind != core.RequestTransactionCheck && slices.Contains(in.Kinds(), r.Kind) {
			return in.Deliver(r)
		}
	}
	if len(inboxes) > 0 {
		// No producer here has a handler, or none is of that group. The first one counts it
		// and says so.
		return inboxes[0].Refuse(r)
	}
	c.log.Debug("a server's request found no producer", "addr", r.Addr, "name", r.Name)
	return core.ErrNoHandler
}

func (c *Client) inboxOf(group string) *core.Inbox {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.groups[group]
}

// inboxes are the inboxes of all groups, by group.
func (c *Client) inboxes() []*core.Inbox {
	c.mu.Lock()
	defer c.mu.Unlock()
	var out []*core.Inbox
	for _, group := range slices.Sorted(maps.Keys(c.groups)) {
		if in := c.groups[group]; in != nil {
			out = append(out, in)
		}
	}
	return out
}

// reply answers a request that was taken over, or refused for a reason. A broker that asks
// faster than it reads is not answered.
func (c *Client) reply(cn *conn.Conn, head wire.ResponseHead, refused error) error {
	cmd := wire.Command{
		Code: int(rocketmq.CodeSuccess), Language: wire.LanguageGo, Version: wire.CurrentVersion, Opaque: head.Opaque,
		Flag: wire.FlagResponse, Serialization: head.Serialization,
	}
	switch {
	case refused == nil:
	case errors.Is(refused, core.ErrNoHandler):
		cmd.Code, cmd.Remark = codeNotSupported, "request code not supported" // as Java answers
	default:
		cmd.Code, cmd.Remark = int(rocketmq.CodeSystemBusy), refused.Error()
	}
	f := c.shared.NewFrame()
	b, err := wire.AppendCommand(f.B, &cmd)
	if err != nil {
		c.shared.FreeFrame(f)
		return err
	}
	f.B = b
	cn.Reply(f)
	return nil
}
