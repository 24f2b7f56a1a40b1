package embedded_test

import (
	"context"
	"net"
	"strconv"
	"sync/atomic"
	"testing"
	"time"

	"github.com/liftoff-mq/liftoff/transport/embedded"
	"github.com/liftoff-mq/liftoff/transport/wire"
)

// peer is a connection to a server that speaks in frames, one thing at a time.
type peer struct {
	t    testing.TB
	conn net.Conn
	r    *wire.Reader
	ser  wire.Serialization
}

var opaques atomic.Int32

// connect opens a connection. Its reads fail the test after ten minutes, which is never part of what is tested.
func connect(t testing.TB, c *embedded.Cluster, addr string, ser wire.Serialization) *peer {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	conn, err := c.Dial(ctx, "tcp", addr)
	if err != nil {
		t.Fatalf("dial %s: %v", addr, err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	if err := conn.SetDeadline(time.Now().Add(10 * time.Minute)); err != nil {
		t.Fatal(err)
	}
	return &peer{t: t, conn: conn, r: wire.NewReader(conn, 0), ser: ser}
}

func (p *peer) write(cmd *wire.Command) int32 {
	p.t.Helper()
	if cmd.Opaque == 0 {
		cmd.Opaque = opaques.Add(1)
	}
	if cmd.Version == 0 {
		cmd.Version = wire.CurrentVersion
	}
	cmd.Serialization = p.ser
	b, err := wire.AppendCommand(nil, cmd)
	if err != nil {
		p.t.Fatal(err)
	}
	if _, err := p.conn.Write(b); err != nil {
		p.t.Fatalf("write: %v", err)
	}
	return cmd.Opaque
}

// next reads one frame. A closed stream is an error for the caller to judge.
func (p *peer) next() (wire.Command, error) {
	frame, err := p.r.Next()
	if err != nil {
		return wire.Command{}, err
	}
	cmd, err := wire.ParseFrame(frame)
	cmd.Body = append([]byte(nil), cmd.Body...)
	return cmd, err
}

// answer reads the answer to a request and fails the test on anything else, notices to consumers excepted.
func (p *peer) answer(opaque int32) wire.Command {
	p.t.Helper()
	cmd, err := p.next()
	for err == nil && !cmd.IsResponse() && cmd.Code == wire.NotifyConsumerIDsChanged {
		cmd, err = p.next()
	}
	if err != nil {
		p.t.Fatalf("read: %v", err)
	}
	if !cmd.IsResponse() || cmd.Opaque != opaque || cmd.Serialization != p.ser {
		p.t.Fatalf("got %+v, want the answer to %d in %v", cmd, opaque, p.ser)
	}
	return cmd
}

func (p *peer) call(cmd wire.Command) wire.Command {
	p.t.Helper()
	return p.answer(p.write(&cmd))
}

// sendCommand makes a send request. Props go into the text form.
func sendCommand(code int, topic string, queue int, body string, props ...wire.Field) wire.Command {
	req := wire.SendRequest{
		Group: "g", Topic: topic, DefaultTopic: "TBW102", DefaultTopicQueueNums: 4, QueueID: queue,
		BornTimestamp: 1700000000000, Properties: wire.AppendProperties(nil, props), MaxReconsumeTimes: -1,
		Batch: code == wire.SendBatchMessage,
	}
	fields, ok := wire.SendFields(code, &req)
	if !ok {
		panic("no send code " + strconv.Itoa(code))
	}
	return wire.Command{Code: code, Ext: fields, Body: []byte(body)}
}

func (p *peer) send(topic string, queue int, body string, props ...wire.Field) wire.Command {
	p.t.Helper()
	return p.call(sendCommand(wire.SendMessageV2, topic, queue, body, props...))
}

func mustCode(t testing.TB, cmd wire.Command, code int) wire.Command {
	t.Helper()
	if cmd.Code != code {
		t.Fatalf("code %d (%s), want %d", cmd.Code, cmd.Remark, code)
	}
	return cmd
}

// pause gives other goroutines time; how long does not matter.
func pause() { time.Sleep(time.Millisecond) }
