package texttransport

import (
	"bufio"
	"context"
	"fmt"
	"net"
	"strconv"

	"github.com/liftoff-mq/liftoff/core"
)

// Dial opens a connection. It has to obey ctx.
type Dial func(ctx context.Context, addr string) (net.Conn, error)

// Transport is the transport and its route source. It is safe for concurrent use.
type Transport struct {
	dial      Dial
	directory string
	life      context.Context // ends with Shutdown
	end       context.CancelCauseFunc
}

// New makes a transport that learns from the directory at that address where topics live.
func New(dial Dial, directory string) *Transport {
	t := &Transport{dial: dial, directory: directory}
	t.life, t.end = context.WithCancelCause(context.Background())
	return t
}

// Start implements [core.Service].
func (t *Transport) Start(context.Context) error { return nil }

// Shutdown ends what is under way and refuses what comes later.
func (t *Transport) Shutdown(context.Context) error {
	t.end(fmt.Errorf("text transport: %w", core.ErrClosed))
	return nil
}

// RoundTrip implements [core.Transport].
func (t *Transport) RoundTrip(ctx context.Context, at *core.Attempt) (*core.Result, error) {
	ctx, cancel := at.Bound(ctx) // ends at the deadline and with an abort too
	defer cancel()
	ctx, cancel = t.living(ctx)
	defer cancel()
	conn, err := t.connect(ctx, at)
	if err != nil {
		return nil, err
	}
	at.MarkWritten()
	lines := 0
	if at.WantsAnswer() {
		lines = at.Call().Len()
	}
	answer, err := exchange(ctx, conn, request(at), lines)
	switch {
	case err != nil:
		return nil, err
	case !at.WantsAnswer():
		return at.Result(), nil // it has the status Written already
	default:
		return result(at, answer)
	}
}

// living is a context that ends with the transport too.
func (t *Transport) living(ctx context.Context) (context.Context, context.CancelFunc) {
	ctx, end := context.WithCancelCause(ctx)
	if t.life.Err() != nil {
		end(context.Cause(t.life))
	}
	stop := context.AfterFunc(t.life, func() { end(context.Cause(t.life)) })
	return ctx, func() {
		stop()
		end(nil)
	}
}

// connect dials, until the time at which another broker should have the message instead.
func (t *Transport) connect(ctx context.Context, at *core.Attempt) (net.Conn, error) {
	ctx, cancel := context.WithDeadlineCause(ctx, at.SendBy(), core.ErrTimeout)
	defer cancel()
	return t.open(ctx, at.Addr())
}

// open dials. Its error tells a server that is not there from a wait that ended.
func (t *Transport) open(ctx context.Context, addr string) (net.Conn, error) {
	if ctx.Err() != nil {
		return nil, core.ContextError(ctx)
	}
	conn, err := t.dial(ctx, addr)
	switch {
	case err == nil:
		return conn, nil
	case ctx.Err() != nil:
		return nil, core.ContextError(ctx)
	default:
		return nil, fmt.Errorf("%w to %s: %w", core.ErrConnect, addr, err)
	}
}

// exchange writes a request, reads so many lines and closes the connection. The end of ctx
// closes it too, wherever the exchange waits.
func exchange(ctx context.Context, conn net.Conn, request []byte, lines int) (answer []string, err error) {
	defer conn.Close()
	defer context.AfterFunc(ctx, func() { conn.Close() })()
	_, err = conn.Write(request)
	for in := bufio.NewReader(conn); err == nil && len(answer) < lines; {
		var line string
		line, err = in.ReadString('\n')
		answer = append(answer, line)
	}
	switch {
	case err == nil:
		return answer, nil
	case ctx.Err() != nil:
		return nil, core.ContextError(ctx)
	default:
		return nil, fmt.Errorf("%w: %s: %w", core.ErrConnectionLost, conn.RemoteAddr(), err)
	}
}

// request is the attempt in the protocol's form.
func request(at *core.Attempt) []byte {
	call := at.Call()
	b := fmt.Appendf(nil, "SEND %q %d %d\n", call.Outgoing().Topic(), at.Queue().ID, call.Len())
	for o := range call.All() {
		b = strconv.AppendQuote(b, string(o.Body()))
		b = fmt.Appendf(b, " %d %q", o.Flag(), o.Codec())
		for name, value := range o.Properties() {
			b = fmt.Appendf(b, " %q %q", name, value.String())
		}
		b = append(b, '\n')
	}
	return b
}
