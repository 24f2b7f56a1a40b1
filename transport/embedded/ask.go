package embedded

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net"
	"slices"
	"sync"

	"github.com/liftoff-mq/liftoff/transport/wire"
)

// maxAsks bounds the requests that wait for the answers of one client.
const maxAsks = 1024

// ErrNoClient is what [Broker.Ask] gives when no connected client has the producer group.
var ErrNoClient = errors.New("embedded: no connected client of the producer group")

// Ask sends a request to a client of a producer group and returns its answer, as brokers do for
// transaction checks and replies. The client is one whose last heartbeat came over a connection
// that stands and that has named the group; several take turns, by their ids (Java
// ProducerManager.getAvailableChannel). The opaque is chosen by the broker, and a version of 0
// becomes the broker's.
//
// With wire.FlagOneway it does not wait for an answer and returns the zero Command: the request
// is then queued for the connection, behind what was queued before. Otherwise it waits until the
// answer is there, ctx ends, the connection ends or the cluster is closed. An answer that comes
// later is dropped. What an answer says is the caller's to judge: a refusal is no error.
//
// Errors: [ErrNoClient]; [ErrClosed] and net.ErrClosed for a cluster and a connection that ended;
// those of ctx, with its cause; those of wire.AppendCommand; more than 1,024 requests or 1 MiB
// that wait for one client. A fault rule must not ask over its own connection, which reads
// nothing until the rule has returned.
func (b *Broker) Ask(ctx context.Context, group string, cmd wire.Command) (wire.Command, error) {
	c, client, err := b.producer(group)
	if err != nil {
		return wire.Command{}, err
	}
	cmd.Flag &^= wire.FlagResponse
	cmd.Opaque = b.pushes.Add(1)
	if cmd.Version == 0 {
		cmd.Version = serverVersion
	}
	answer, err := c.ask(ctx, &cmd)
	if err != nil {
		return wire.Command{}, fmt.Errorf("embedded: ask client %q of group %q: %w", client, group, err)
	}
	return answer, nil
}

// producer chooses a client of the group and returns its connection and id.
func (b *Broker) producer(group string) (*conn, string, error) {
	if b.node.cluster.ctx.Err() != nil {
		return nil, "", ErrClosed
	}
	t := &b.clients
	t.mu.Lock()
	defer t.mu.Unlock()
	var found []*Client
	for _, client := range t.byID {
		if slices.Contains(client.ProducerGroups, group) && !client.conn.ended() {
			found = append(found, client)
		}
	}
	if len(found) == 0 {
		return nil, "", fmt.Errorf("%w %q at %s", ErrNoClient, group, b.Name())
	}
	slices.SortFunc(found, func(a, b *Client) int { return cmp.Compare(a.ID, b.ID) })
	client := found[t.turn%uint64(len(found))]
	t.turn++
	return client.conn, client.ID, nil
}

// asks is the requests to the client of a connection that wait for their answers.
type asks struct {
	mu      sync.Mutex
	waiting map[int32]chan wire.Command // by opaque; each has room for the answer
}

func (a *asks) begin(opaque int32) (<-chan wire.Command, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if len(a.waiting) >= maxAsks {
		return nil, fmt.Errorf("%d requests wait for answers already", maxAsks)
	}
	if a.waiting == nil {
		a.waiting = make(map[int32]chan wire.Command)
	}
	answer := make(chan wire.Command, 1)
	a.waiting[opaque] = answer
	return answer, nil
}

func (a *asks) end(opaque int32) {
	a.mu.Lock()
	defer a.mu.Unlock()
	delete(a.waiting, opaque)
}

// answered hands an answer to the request that waits for it, if one does. The command's body is
// copied: it is that of the reader.
func (a *asks) answered(cmd *wire.Command) {
	a.mu.Lock()
	defer a.mu.Unlock()
	answer := a.waiting[cmd.Opaque]
	if answer == nil {
		return
	}
	delete(a.waiting, cmd.Opaque)
	own := *cmd
	own.Body = slices.Clone(cmd.Body)
	answer <- own
}

// ask sends a request to the client. It writes in a goroutine of its own, because ctx does not
// end a write to a peer that does not read.
func (c *conn) ask(ctx context.Context, cmd *wire.Command) (wire.Command, error) {
	frame, err := wire.AppendCommand(nil, cmd)
	if err != nil {
		return wire.Command{}, err
	}
	var answer <-chan wire.Command
	if !cmd.IsOneway() {
		if answer, err = c.asks.begin(cmd.Opaque); err != nil {
			return wire.Command{}, err
		}
		defer c.asks.end(cmd.Opaque)
	}
	if err := c.queue(frame); err != nil {
		return wire.Command{}, err
	}
	c.node.cluster.spawn(c.flush)
	if cmd.IsOneway() {
		return wire.Command{}, nil
	}
	select {
	case a := <-answer:
		return a, nil
	case <-ctx.Done():
		err = contextError(ctx)
	case <-c.done:
		err = c.lost()
	}
	select {
	case a := <-answer: // it came at the same time
		return a, nil
	default:
		return wire.Command{}, err
	}
}

// contextError is why ctx ended, with its cause if that says more.
func contextError(ctx context.Context) error {
	err, cause := ctx.Err(), context.Cause(ctx)
	if errors.Is(cause, err) {
		return cause
	}
	return fmt.Errorf("%w: %w", err, cause)
}

// queue puts bytes behind those that wait to be written, if they are not too many.
func (c *conn) queue(b []byte) error {
	c.mu.Lock()
	closed, waiting := c.closed, len(c.out)
	if !closed && waiting <= holdAt {
		c.put(b)
	}
	n := c.outBytes()
	c.mu.Unlock()
	switch {
	case closed:
		return c.lost()
	case waiting > holdAt:
		return fmt.Errorf("%d bytes wait to be read already", waiting)
	}
	c.holds(&c.held.out, n)
	return nil
}

// lost is why a connection that has ended did.
func (c *conn) lost() error {
	if c.node.cluster.ctx.Err() != nil {
		return ErrClosed
	}
	return fmt.Errorf("connection ended: %w", net.ErrClosed)
}

// ended reports whether the connection has ended.
func (c *conn) ended() bool {
	select {
	case <-c.done:
		return true
	default:
		return false
	}
}
