package delay_test

import (
	"bytes"
	"encoding/binary"
	"io"
	"net"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/liftoff-mq/liftoff/bench/delay"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// echo sends back what it gets.
func echo(t *testing.T) string {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		for {
			nc, err := ln.Accept()
			if err != nil {
				return
			}
			_, _ = io.Copy(nc, nc)
			_ = nc.Close()
		}
	}()
	t.Cleanup(func() {
		_ = ln.Close()
		<-done
	})
	return ln.Addr().String()
}

func connect(t *testing.T, addr string) net.Conn {
	t.Helper()
	nc, err := net.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = nc.Close() })
	if err := nc.SetDeadline(time.Now().Add(time.Minute)); err != nil {
		t.Fatal(err)
	}
	return nc
}

func shut(t *testing.T, p *delay.Proxy) {
	t.Helper()
	t.Cleanup(func() {
		if err := p.Close(); err != nil {
			t.Error(err)
		}
	})
}

// Every byte takes the time, and many under way take it together.
func TestLine(t *testing.T) {
	const oneWay, messages = 20 * time.Millisecond, 50
	p, err := delay.Line(echo(t), oneWay)
	if err != nil {
		t.Fatal(err)
	}
	shut(t, p)
	nc := connect(t, p.Addr())
	want := bytes.Repeat([]byte("0123456789abcdef"), messages)
	start := time.Now()
	go func() {
		for i := range messages {
			_, _ = nc.Write(want[16*i : 16*i+16])
			time.Sleep(time.Millisecond)
		}
	}()
	got := make([]byte, len(want))
	if _, err := io.ReadFull(nc, got[:1]); err != nil {
		t.Fatal(err)
	}
	if d := time.Since(start); d < 2*oneWay {
		t.Errorf("the first byte was back after %v, want %v at least", d, 2*oneWay)
	}
	if _, err := io.ReadFull(nc, got[1:]); err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(got, want) {
		t.Error("the bytes are not those that were sent")
	}
	if d := time.Since(start); d > messages*oneWay {
		t.Errorf("%d messages took %v: they waited for each other", messages, d)
	}
}

func frame(text string) []byte {
	return append(binary.BigEndian.AppendUint32(nil, uint32(len(text))), text...)
}

func TestRename(t *testing.T) {
	p, err := delay.Rename(echo(t), "10.0.0.1:10911", "10.0.0.2:32768")
	if err != nil {
		t.Fatal(err)
	}
	shut(t, p)
	nc := connect(t, p.Addr())
	in := append(frame(`{"a":"10.0.0.1:10911","b":"10.0.0.1:10911"}`), frame("nothing")...)
	want := append(frame(`{"a":"10.0.0.2:32768","b":"10.0.0.2:32768"}`), frame("nothing")...)
	// In pieces, so that the name is torn apart on its way.
	for _, b := range in {
		if _, err := nc.Write([]byte{b}); err != nil {
			t.Fatal(err)
		}
	}
	got := make([]byte, len(want))
	if _, err := io.ReadFull(nc, got); err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
}

func TestRenameKeepsLengths(t *testing.T) {
	if p, err := delay.Rename("127.0.0.1:1", "short", "longer"); err == nil {
		_ = p.Close()
		t.Error("names of different lengths were taken")
	}
}

// The end of one side is the end of the other.
func TestEnd(t *testing.T) {
	p, err := delay.Line(echo(t), time.Millisecond)
	if err != nil {
		t.Fatal(err)
	}
	nc := connect(t, p.Addr())
	if _, err := nc.Write([]byte("x")); err != nil {
		t.Fatal(err)
	}
	if _, err := io.ReadFull(nc, make([]byte, 1)); err != nil {
		t.Fatal(err)
	}
	if err := p.Close(); err != nil {
		t.Fatal(err)
	}
	if n, err := nc.Read(make([]byte, 1)); err == nil {
		t.Errorf("read %d bytes from a closed proxy", n)
	}
}
