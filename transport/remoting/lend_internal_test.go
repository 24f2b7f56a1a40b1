package remoting

import (
	"context"
	"net"
	"runtime"
	"testing"
	"time"

	"github.com/liftoff-mq/liftoff/transport/wire"
)

// echo answers every request at once.
func echo(t *testing.T) string {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan struct{})
	t.Cleanup(func() { ln.Close(); <-done })
	go func() {
		defer close(done)
		nc, err := ln.Accept()
		if err != nil {
			return
		}
		defer nc.Close()
		for r := wire.NewReader(nc, 0); ; {
			f, err := r.Next()
			if err != nil {
				return
			}
			c, err := wire.ParseFrame(f)
			if err != nil {
				return
			}
			b, err := wire.AppendCommand(nil, &wire.Command{Opaque: c.Opaque, Flag: wire.FlagResponse, Serialization: c.Serialization})
			if err != nil {
				return
			}
			if _, err := nc.Write(b); err != nil {
				return
			}
		}
	}()
	return ln.Addr().String()
}

// A call that found the read side with another caller, who gives it back before the
// call is on the connection, makes it the reader's: else nobody would read its answer
// until the reader looks after an idle connection.
func TestCallAfterTheReadSideWasGivenBack(t *testing.T) {
	if runtime.GOMAXPROCS(0) == 1 {
		t.Skip("with one processor the read side is never lent")
	}
	bg := context.Background()
	addr := echo(t)
	c, err := NewClient(Config{NameServers: []string{"127.0.0.1:1"}})
	if err != nil {
		t.Fatal(err)
	}
	if err := c.Start(bg); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Shutdown(bg) })
	p, err := c.brokers.get(addr)
	if err != nil {
		t.Fatal(err)
	}
	command := wire.Command{Code: wire.HeartBeat, Serialization: wire.RocketMQ}
	request := func() (*call, *frame) {
		cl := c.newCall(bg, time.Now().Add(time.Minute), nil)
		cmd, f := command, c.newFrame()
		cl.opaque = c.opaque.Add(1)
		cmd.Opaque = cl.opaque
		if f.b, err = wire.AppendCommand(f.b[:0], &cmd); err != nil {
			t.Fatal(err)
		}
		return cl, f
	}
	for played := 0; played < 20; {
		for c.Lent() == 0 {
			if _, err := c.ask(bg, p, command, time.Minute); err != nil {
				t.Fatal(err)
			}
		}
		cn := p.cur.Load()
		first, f1 := request()
		if first.reads = cn.borrow(first); !first.reads {
			c.recycle(f1)
			c.release(first)
			continue // the reader has just taken it back
		}
		second, f2 := request()
		if second.reads = cn.borrow(second); second.reads {
			t.Fatal("two callers have the read side")
		}
		if err := cn.doOwn(first, f1); err != nil {
			t.Fatal(err)
		}
		if err := cn.submit(second, f2); err != nil {
			t.Fatal(err)
		}
		if cn.lent.Load() {
			t.Fatal("the read side is nobody's, with a call under way")
		}
		<-first.done
		<-second.done
		c.release(first)
		c.release(second)
		played++
	}
}
