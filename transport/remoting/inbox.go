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
	r, err := serverRequest(p.addr, &cmd)
	if err == nil {
		err = c.deliver(r)
	} else {
		c.log.Debug("a server's request is malformed", "addr", p.addr, "err", err)
	}
	if err != nil {
		c.count.refusedRequests.Add(1)
	}
	if head.IsOneway() {
		return nil // the broker waits for no answer; the inbox has counted and logged it
	}
	return c.reply(cn, head, err)
}

// serverRequest makes core's form of a broker's request. It is a copy, string by string: an
// inbox counts the bytes that it holds. A reply with more properties than a message may have is an
// error: a short text can be many, and each is some ten times as large in memory. It does not end
// the connection, because a broker brings a reply before it looks at its length (Java:
// ReplyMessageProcessor.processReplyMessageRequest).
func serverRequest(addr string, cmd *wire.Command) (*core.ServerRequest, error) {
	r := &core.ServerRequest{
		Kind: core.RequestOther, Name: wire.RequestName(cmd.Code), Addr: addr,
		Fields: copied(cmd.Ext), Body: slices.Clone(cmd.Body),
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
		properties := cmd.Ext.Get(replyProperties)
		if len(properties) > rocketmq.ProtocolMaxPropertiesLength {
			return nil, &wire.DecodeError{Part: "reply", Reason: "properties longer than 32767 bytes", Offset: -1, Limit: true}
		}
		r.Properties = copied(wire.ParseProperties(properties))
		delete(r.Fields, replyProperties)
		r.Codec = codecOf(cmd.Ext.Get(replySysFlag))
	}
	return r, nil
}

// The fields of a reply that are read here (Java: ReplyMessageRequestHeader).
const (
	replyProperties = "properties"
	replySysFlag    = "sysFlag"
)

func copied(fields wire.Fields) map[string]string {
	out := make(map[string]string, len(fields))
	for i := range fields {
		out[strings.Clone(fields[i].Key)] = strings.Clone(fields[i].Value)
	}
	return out
}

// deliver gives a request to the inbox of its group. One that names no group, such as a reply,
// goes to the first inbox whose handler knows it, or else to the first that has a handler for
// it; a transaction check without a group is nobody's.
func (c *Client) deliver(r *core.ServerRequest) error {
	if r.Group != "" {
		if in := c.inboxOf(r.Group); in != nil {
			return in.Deliver(r)
		}
	}
	inboxes := c.inboxes()
	if len(inboxes) > 1 && r.Group == "" {
		for _, in := range inboxes {
			if in.Claims(r) {
				return in.Deliver(r)
			}
		}
	}
	for _, in := range inboxes {
		if r.Group == "" && r.Kind != core.RequestTransactionCheck && slices.Contains(in.Kinds(), r.Kind) {
			return in.Deliver(r)
		}
	}
	if len(inboxes) > 0 {
		// No producer here has a handler, or none is of that group. One counts it and says so: the
		// first that handles anything, because producers of steps, which nobody looks at, do not.
		first := max(0, slices.IndexFunc(inboxes, func(in *core.Inbox) bool { return len(in.Kinds()) > 0 }))
		return inboxes[first].Refuse(r)
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
	case errors.Is(refused, wire.ErrDecode): // as Java answers what its processor fails at
		cmd.Code, cmd.Remark = int(rocketmq.CodeSystemError), refused.Error()
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
