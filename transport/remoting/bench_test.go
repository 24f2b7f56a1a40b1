package remoting_test

import (
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"strings"
	"sync"
	"testing"

	"github.com/liftoff-mq/liftoff/core"
	"github.com/liftoff-mq/liftoff/core/coretest"
	"github.com/liftoff-mq/liftoff/transport/remoting"
	"github.com/liftoff-mq/liftoff/transport/wire"
)

// echo acknowledges sends as fast as it can: one write for all that one read brought.
// Its answers are in the given form.
func echo(t testing.TB, ser wire.Serialization) (addr string) {
	t.Helper()
	return echoBehind(t, listen(t, "127.0.0.1:0"), ser)
}

// echoBehind is echo at a listener.
func echoBehind(t testing.TB, ln net.Listener, ser wire.Serialization) (addr string) {
	t.Helper()
	var wg sync.WaitGroup
	var mu sync.Mutex
	var conns []net.Conn
	wg.Go(func() {
		for {
			nc, err := ln.Accept()
			if err != nil {
				return
			}
			mu.Lock()
			conns = append(conns, nc)
			mu.Unlock()
			wg.Go(func() { echoOn(nc, ser) })
		}
	})
	t.Cleanup(func() {
		ln.Close()
		mu.Lock()
		for _, nc := range conns {
			nc.Close()
		}
		mu.Unlock()
		wg.Wait()
	})
	return ln.Addr().String()
}

func ack(opaque int32) []byte { return appendAck(nil, wire.RocketMQ, opaque) }

func appendAck(dst []byte, ser wire.Serialization, opaque int32) []byte {
	b, err := wire.AppendSendResponse(dst, wire.ResponseHead{Opaque: opaque, Version: wire.CurrentVersion, Serialization: ser}, "",
		&wire.SendResponse{
			MsgID: "7F00000100002A9F0000000000000000", TransactionID: "0123456789ABCDEF0123456789ABCDEF",
			QueueOffset: 123456, RegionID: "DefaultRegion", TraceOn: true,
		})
	if err != nil {
		panic(err)
	}
	return b
}

func echoOn(nc net.Conn, ser wire.Serialization) {
	r := wire.NewReader(nc, 0)
	var out []byte
	for {
		frame, err := r.Next()
		if err != nil {
			return
		}
		h, err := wire.ParseHead(frame)
		if err != nil {
			return
		}
		if !h.IsOneway() {
			out = appendAck(out, ser, h.Opaque)
		}
		if !r.Buffered() && len(out) > 0 {
			if _, err := nc.Write(out); err != nil {
				return
			}
			out = out[:0]
		}
	}
}

// transportOnly is a producer with nothing in it but the transport.
func transportOnly(t testing.TB, c *remoting.Client, addr string) *core.Producer {
	t.Helper()
	cfg := coretest.Config(unregistered{c})
	cfg.Routes = fixed(t, 4, addr)
	cfg.Selector = coretest.InOrder()
	cfg.Timeout = minute
	return coretest.Start(t, cfg)
}

// BenchmarkSend is a whole synchronous send of 1 KiB over loopback. Beside it
// stands a program of two lines over a bare socket, the most that can be had, and the same
// send over TLS.
func BenchmarkSend(b *testing.B) {
	msg := coretest.Message(strings.Repeat("x", 1024))
	for _, callers := range []int{1, 4, 16, 64} {
		b.Run(fmt.Sprintf("callers=%d/binary", callers), func(b *testing.B) { benchmarkSend(b, remoting.Config{}, echo(b, wire.RocketMQ), callers) })
		b.Run(fmt.Sprintf("callers=%d/json", callers), func(b *testing.B) { benchmarkSend(b, remoting.Config{}, echo(b, wire.JSON), callers) })
		b.Run(fmt.Sprintf("callers=%d/signed", callers), func(b *testing.B) {
			benchmarkSend(b, remoting.Config{Signer: aclSigner(b)}, echo(b, wire.RocketMQ), callers)
		})
		b.Run(fmt.Sprintf("callers=%d/tls", callers), func(b *testing.B) {
			a := newAuthority(b)
			cfg := remoting.Config{TLS: trusting(b, a)}
			benchmarkSend(b, cfg, echoBehind(b, tls.NewListener(listen(b, "127.0.0.1:0"), a.issue(b).server(b)), wire.RocketMQ), callers)
		})
	}
	b.Run("socket", func(b *testing.B) {
		nc, err := net.Dial("tcp", echo(b, wire.RocketMQ))
		if err != nil {
			b.Fatal(err)
		}
		defer nc.Close()
		req, err := wire.AppendSend(nil, wire.RocketMQ, wire.SendMessageV2, 1, 0, &wire.SendRequest{
			Group: "test", Topic: "T", DefaultTopic: "TBW102", Properties: []byte("UNIQ_KEY\x010123456789ABCDEF0123456789ABCDEF\x02"),
			MaxReconsumeTimes: -1, BrokerName: "broker-a",
		}, nil, msg.Body)
		if err != nil {
			b.Fatal(err)
		}
		answer := make([]byte, len(ack(1)))
		for b.Loop() {
			if _, err := nc.Write(req); err != nil {
				b.Fatal(err)
			}
			if _, err := io.ReadFull(nc, answer); err != nil {
				b.Fatal(err)
			}
		}
	})
}

func benchmarkSend(b *testing.B, cfg remoting.Config, addr string, callers int) {
	msg := coretest.Message(strings.Repeat("x", 1024))
	c := client(b, cfg)
	p := transportOnly(b, c, addr)
	if _, err := p.Send(bg, msg); err != nil {
		b.Fatal(err)
	}
	before := c.Stats()
	b.ReportAllocs()
	b.ResetTimer()
	split(b.N, callers, func() {
		if _, err := p.Send(bg, msg); err != nil {
			b.Error(err)
		}
	})
	b.StopTimer()
	after := c.Stats()
	b.ReportMetric(float64(after.Writes-before.Writes)/float64(b.N), "writes/op")
	b.ReportMetric(float64(after.Reads-before.Reads)/float64(b.N), "reads/op")
}

// split makes n calls of f on so many goroutines.
func split(n, goroutines int, f func()) {
	var wg sync.WaitGroup
	for g := range goroutines {
		wg.Go(func() {
			for range (n + g) / goroutines {
				f()
			}
		})
	}
	wg.Wait()
}

// BenchmarkRoute is a whole look-up of ever larger routes: the time per queue and broker stays
// the same. A name server can make each of them.
func BenchmarkRoute(b *testing.B) {
	for _, brokers := range []int{10, 100, 1000} {
		b.Run(fmt.Sprintf("brokers=%d", brokers), func(b *testing.B) {
			r := &wire.RouteData{}
			for i := range brokers {
				name := fmt.Sprintf("broker-%d", i)
				r.Brokers = append(r.Brokers, wire.BrokerData{BrokerName: name, Addrs: map[int64]string{0: fmt.Sprintf("10.0.0.1:%d", i+1)}})
				r.Queues = append(r.Queues, wire.QueueData{BrokerName: name, ReadQueueNums: 64, WriteQueueNums: 64, Perm: 6})
			}
			ns := nameServer(b, func(string) *wire.RouteData { return r })
			c := client(b, remoting.Config{NameServers: []string{ns.addr()}})
			b.ReportAllocs()
			for b.Loop() {
				if _, err := c.Route(bg, "T"); err != nil {
					b.Fatal(err)
				}
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N*brokers*65), "ns/queue+broker")
		})
	}
}
