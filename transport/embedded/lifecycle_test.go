package embedded_test

import (
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/liftoff-mq/liftoff/transport/embedded"
	"github.com/liftoff-mq/liftoff/transport/wire"
)

func TestPauseIsLikeAStoppedProcess(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := inMemory(t, embedded.Config{})
		b := c.Brokers()[0]
		p := connect(t, c, b.Addr(), wire.RocketMQ)
		_ = p.conn.SetDeadline(time.Time{})
		c.ControlOnce(wire.SendMessageV2, func(*embedded.Request) embedded.Action {
			return embedded.StoreThen(embedded.Delay(time.Second, embedded.Pass()))
		})
		cmd := sendCommand(wire.SendMessageV2, "t", 0, "answered before the pause, but for the delay")
		first := p.write(&cmd)
		synctest.Wait()
		b.Pause()
		cmd = sendCommand(wire.SendMessageV2, "t", 0, "sent during the pause")
		second := p.write(&cmd)
		fresh := connect(t, c, b.Addr(), wire.RocketMQ) // the system accepts connections for it
		_ = fresh.conn.SetDeadline(time.Time{})
		cmd = sendCommand(wire.SendMessageV2, "t", 0, "on a new connection")
		third := fresh.write(&cmd)
		silent(t, p)
		silent(t, fresh)
		if n := c.StoredCount("t"); n != 1 {
			t.Errorf("%d stored during the pause", n)
		}
		b.Resume()
		mustCode(t, p.answer(first), 0)
		mustCode(t, p.answer(second), 0)
		mustCode(t, fresh.answer(third), 0)
		ns := c.NameServer(0)
		ns.Pause()
		q := connect(t, c, ns.Addr(), wire.RocketMQ)
		_ = q.conn.SetDeadline(time.Time{})
		cmd = wire.Command{Code: wire.GetBrokerClusterInfo}
		late := q.write(&cmd)
		silent(t, q)
		ns.Resume()
		mustCode(t, q.answer(late), 0)
		b.Pause()
		b.Stop() // a paused broker can be stopped, and starts unpaused
		if err := b.Start(t.Context()); err != nil {
			t.Fatal(err)
		}
		mustCode(t, connect(t, c, b.Addr(), wire.RocketMQ).send("t", 0, "x"), 0)
	})
}

// A peer that stops reading fills the connection: writes block at the buffers' size.
func TestReadPausedFillsTheSocket(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := embedded.New(t, embedded.Config{Network: &embedded.Network{Buffer: 4 << 10}})
		b := c.Brokers()[0]
		p := connect(t, c, b.Addr(), wire.RocketMQ)
		mustCode(t, p.send("t", 0, "x"), 0)
		b.SetReadPaused(true)
		if err := p.conn.SetWriteDeadline(time.Now().Add(time.Minute)); err != nil {
			t.Fatal(err)
		}
		var burst []byte
		cmd := sendCommand(wire.SendMessageV2, "t", 0, strings.Repeat("x", 1000))
		cmd.Opaque, cmd.Version, cmd.Serialization = 1, wire.CurrentVersion, wire.RocketMQ
		for range 1000 {
			var err error
			if burst, err = wire.AppendCommand(burst, &cmd); err != nil {
				t.Fatal(err)
			}
		}
		n, err := p.conn.Write(burst)
		// What one read of the server takes comes on top of the buffer.
		if n > 8<<10 || !errors.Is(err, os.ErrDeadlineExceeded) {
			t.Errorf("wrote %d bytes, %v", n, err)
		}
		if n := c.StoredCount("t"); n != 1 {
			t.Errorf("%d stored by a broker that reads nothing", n)
		}
		b.SetReadPaused(false)
		mustCode(t, p.answer(1), 0)
	})
}

// A client that reads no answers makes its connection stand still, and nothing else.
func TestClientThatDoesNotRead(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := embedded.New(t, embedded.Config{Network: &embedded.Network{Buffer: 4 << 10}})
		b := c.Brokers()[0]
		p := connect(t, c, b.Addr(), wire.RocketMQ)
		if err := p.conn.SetWriteDeadline(time.Now().Add(30 * time.Second)); err != nil {
			t.Fatal(err)
		}
		var burst []byte
		cmd := sendCommand(wire.SendMessageV2, "t", 0, "x")
		cmd.Version, cmd.Serialization = wire.CurrentVersion, wire.RocketMQ
		for range 20_000 {
			cmd.Opaque++
			var err error
			if burst, err = wire.AppendCommand(burst, &cmd); err != nil {
				t.Fatal(err)
			}
		}
		if _, err := p.conn.Write(burst); !errors.Is(err, os.ErrDeadlineExceeded) {
			t.Errorf("the server took everything: %v", err)
		}
		mustCode(t, connect(t, c, b.Addr(), wire.RocketMQ).send("t", 0, "x"), 0)
	})
}

func TestStopAndStartKeepThePortAndTheMessages(t *testing.T) {
	for _, network := range []*embedded.Network{nil, embedded.NewNetwork()} {
		c := embedded.New(t, embedded.Config{Network: network})
		b, ns := c.Brokers()[0], c.NameServer(0)
		addrs := []string{b.Addr(), ns.Addr()}
		mustCode(t, connect(t, c, b.Addr(), wire.JSON).send("t", 0, "before"), 0)
		p, q := connect(t, c, b.Addr(), wire.JSON), connect(t, c, ns.Addr(), wire.JSON)
		for range 2 { // twice is as good as once
			b.Stop()
			ns.Stop()
		}
		for _, p := range []*peer{p, q} {
			if _, err := p.next(); err == nil {
				t.Error("a connection survived")
			}
		}
		for _, addr := range addrs {
			if conn, err := c.Dial(t.Context(), "tcp", addr); err == nil {
				_ = conn.Close()
				t.Errorf("%s still accepts", addr)
			}
		}
		for range 2 {
			if err := b.Start(t.Context()); err != nil {
				t.Fatal(err)
			}
			if err := ns.Start(t.Context()); err != nil {
				t.Fatal(err)
			}
		}
		if b.Addr() != addrs[0] || ns.Addr() != addrs[1] {
			t.Errorf("moved to %s and %s", b.Addr(), ns.Addr())
		}
		mustCode(t, connect(t, c, b.Addr(), wire.JSON).send("t", 0, "after"), 0)
		if got := c.Stored("t"); len(got) != 2 || got[1].QueueOffset != 1 {
			t.Errorf("stored %+v", got)
		}
	}
}

func TestSecondNameServerKnowsTheSame(t *testing.T) {
	c := inMemory(t, embedded.Config{NameServers: 2})
	c.NameServer(0).Stop()
	addrs := c.NameServers()
	if len(addrs) != 2 || addrs[1] != c.NameServer(1).Addr() || c.NameServer(1).Name() != "namesrv-2" || c.NameServer(2) != nil || c.NameServer(-1) != nil {
		t.Errorf("name servers %v", addrs)
	}
	routeOf(t, connect(t, c, addrs[1], wire.JSON), "TBW102")
	if got := c.Requests(wire.GetRouteInfoByTopic); len(got) != 1 || got[0].Node != "namesrv-2" || got[0].Topic() != "TBW102" {
		t.Errorf("requests %+v", got)
	}
}

func TestPush(t *testing.T) {
	c := embedded.New(t, embedded.Config{})
	b := c.Brokers()[0]
	if n, err := b.Push(wire.Command{Code: wire.CheckTransactionState}); n != 0 || err != nil {
		t.Errorf("pushed to %d clients, %v", n, err)
	}
	p := connect(t, c, b.Addr(), wire.JSON)
	waitFor(t, "the connection", func() bool { return b.Connections() == 1 })
	if n, err := b.Push(wire.Command{Code: wire.CheckTransactionState, Flag: wire.FlagResponse, Body: []byte("x")}); n != 1 || err != nil {
		t.Errorf("pushed to %d clients, %v", n, err)
	}
	got, err := p.next()
	if err != nil || got.Code != wire.CheckTransactionState || got.IsResponse() || string(got.Body) != "x" {
		t.Errorf("%+v, %v", got, err)
	}
	answer := wire.Command{Code: 3, Opaque: got.Opaque, Flag: wire.FlagResponse}
	p.write(&answer)
	mustCode(t, p.send("t", 0, "the answer above was taken"), 0)
	if _, err := b.Push(wire.Command{Remark: strings.Repeat("x", wire.MaxHeader)}); !errors.Is(err, wire.ErrEncode) {
		t.Errorf("push without a form on the wire: %v", err)
	}
}

func TestRequestsAreRemembered(t *testing.T) {
	c := inMemory(t, embedded.Config{RecordedRequests: 3})
	p := connect(t, c, c.Brokers()[0].Addr(), wire.JSON)
	for i := range 5 {
		mustCode(t, p.send("t", 0, fmt.Sprint("m", i)), 0)
	}
	got := c.Requests(wire.SendMessageV2)
	if len(got) != 3 || string(got[0].Command.Body) != "m2" || string(got[2].Command.Body) != "m4" || got[0].Topic() != "t" ||
		got[0].Node != "broker-a" || got[0].Time.IsZero() || c.RequestCount(wire.SendMessageV2) != 5 {
		t.Errorf("%d requests: %+v", len(got), got)
	}
	mustCode(t, p.send("t", 0, strings.Repeat("x", 2<<20)), 0)
	if got := c.Requests(wire.SendMessageV2); len(got) != 3 || got[2].Command.Body != nil {
		t.Errorf("a large body was kept")
	}
	if c.Requests(wire.HeartBeat) == nil || c.RequestCount(wire.HeartBeat) != 0 {
		t.Error("requests that never came")
	}

	c = inMemory(t, embedded.Config{RecordedRequests: 1 << 30})
	p = connect(t, c, c.Brokers()[0].Addr(), wire.JSON)
	for range 80 {
		mustCode(t, p.send("t", 0, strings.Repeat("x", 100<<10)), 0)
	}
	if n := len(c.Requests(wire.SendMessageV2)); n < 20 || n > 41 || c.RequestCount(wire.SendMessageV2) != 80 {
		t.Errorf("%d of 80 requests of 100 KiB are remembered", n)
	}

	c = inMemory(t, embedded.Config{RecordedRequests: -1})
	mustCode(t, connect(t, c, c.Brokers()[0].Addr(), wire.JSON).send("t", 0, "x"), 0)
	if c.RequestCount(wire.SendMessageV2) != 0 || len(c.Requests(wire.SendMessageV2)) != 0 {
		t.Error("requests are remembered")
	}
}

func TestCloseEndsEverything(t *testing.T) {
	c, err := embedded.Start(t.Context(), embedded.Config{})
	if err != nil {
		t.Fatal(err)
	}
	b := c.Brokers()[0]
	c.Control(wire.SendMessageV2, func(r *embedded.Request) embedded.Action {
		if r.Topic() == "trickle" {
			return embedded.Trickle(time.Hour)
		}
		return embedded.Delay(time.Hour, embedded.Pass())
	})
	p := connect(t, c, b.Addr(), wire.RocketMQ)
	for _, topic := range []string{"t", "trickle"} {
		cmd := sendCommand(wire.SendMessageV2, topic, 0, "x")
		p.write(&cmd)
	}
	waitFor(t, "the requests", func() bool { return c.RequestCount(wire.SendMessageV2) == 2 })
	b.Pause()
	for range 2 {
		if err := c.Close(); err != nil {
			t.Error(err)
		}
	}
	if _, err := p.conn.Read(make([]byte, 1<<10)); err == nil {
		_, err = p.conn.Read(make([]byte, 1<<10)) // the first byte of the trickled answer came before
		if err == nil {
			t.Error("the connection survived Close")
		}
	}
	if err := b.Start(t.Context()); !errors.Is(err, embedded.ErrClosed) {
		t.Errorf("start after close: %v", err)
	}
	if _, err := c.Dial(t.Context(), "tcp", b.Addr()); err == nil {
		t.Error("a closed cluster accepts")
	}
}

// Streams that are no frames close their own connection only.
func TestHostileStreams(t *testing.T) {
	c := inMemory(t, embedded.Config{})
	for _, addr := range []string{c.NameServers()[0], c.Brokers()[0].Addr()} {
		good := connect(t, c, addr, wire.JSON)
		for name, b := range map[string]string{
			"negative length":   "\xff\xff\xff\xff\x00\x00\x00\x00",
			"too long":          "\x7f\xff\xff\xff\x00\x00\x00\x00",
			"too short":         "\x00\x00\x00\x02\x00\x00",
			"header too long":   "\x00\x00\x00\x08\x00\x00\x00\xff\x00\x00\x00\x00",
			"no serialization":  "\x00\x00\x00\x04\x09\x00\x00\x00",
			"empty JSON header": "\x00\x00\x00\x04\x00\x00\x00\x00",
			"empty binary":      "\x00\x00\x00\x04\x01\x00\x00\x00",
			"HTTP":              "GET / HTTP/1.1\r\nHost: x\r\n\r\n",
			"TLS":               "\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
		} {
			p := connect(t, c, addr, wire.JSON)
			if _, err := p.conn.Write([]byte(b)); err != nil {
				t.Fatal(err)
			}
			if got, err := io.ReadAll(p.conn); len(got) != 0 || err != nil {
				t.Errorf("%s: %q, %v", name, got, err)
			}
		}
		mustCode(t, good.call(wire.Command{Code: 9999}), 3)
	}
}

func TestConfigErrors(t *testing.T) {
	busy, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer busy.Close()
	for name, tt := range map[string]struct {
		cfg  embedded.Config
		want error
	}{
		"not loopback":     {embedded.Config{Listen: "192.0.2.1:0"}, embedded.ErrConfig},
		"wildcard":         {embedded.Config{Listen: ":0"}, embedded.ErrConfig},
		"wildcard, remote": {embedded.Config{Listen: "0.0.0.0:0", AllowRemote: true}, embedded.ErrConfig},
		"no port":          {embedded.Config{Listen: "127.0.0.1"}, embedded.ErrConfig},
		"port too large":   {embedded.Config{Listen: "127.0.0.1:65536"}, embedded.ErrConfig},
		"no delay level":   {embedded.Config{DelayLevels: []time.Duration{}}, embedded.ErrConfig},
		"delay below 0":    {embedded.Config{DelayLevels: []time.Duration{1, -1}}, embedded.ErrConfig},
		"many levels":      {embedded.Config{DelayLevels: make([]time.Duration, 257)}, embedded.ErrConfig},
		"name twice":       {embedded.Config{Brokers: []string{"a", "a"}}, embedded.ErrConfig},
		"empty name":       {embedded.Config{Brokers: []string{""}}, embedded.ErrConfig},
		"illegal name":     {embedded.Config{Brokers: []string{"a b"}}, embedded.ErrConfig},
		"too many":         {embedded.Config{Brokers: embedded.BrokerNames(1025)}, embedded.ErrConfig},
		"many servers":     {embedded.Config{NameServers: 17}, embedded.ErrConfig},
		"queues":           {embedded.Config{Queues: -1}, embedded.ErrConfig},
		"bytes":            {embedded.Config{MaxStoredBytes: -1}, embedded.ErrConfig},
		"port in use":      {embedded.Config{Listen: busy.Addr().String()}, nil},
	} {
		c, err := embedded.Start(t.Context(), tt.cfg)
		if err == nil {
			_ = c.Close()
		}
		if err == nil || tt.want != nil && !errors.Is(err, tt.want) {
			t.Errorf("%s: %v", name, err)
		}
	}
	c := embedded.New(t, embedded.Config{Listen: "0.0.0.0:0", AllowRemote: true, AdvertiseHost: "localhost"})
	if addr := c.Brokers()[0].Addr(); !strings.HasPrefix(addr, "localhost:") {
		t.Errorf("advertised %s", addr)
	}
	mustCode(t, connect(t, c, c.Brokers()[0].Addr(), wire.JSON).send("t", 0, "x"), 0)
}

func TestBrokerNames(t *testing.T) {
	names := embedded.BrokerNames(704)
	for i, want := range map[int]string{0: "broker-a", 1: "broker-b", 25: "broker-z", 26: "broker-aa", 27: "broker-ab", 51: "broker-az", 52: "broker-ba", 701: "broker-zz", 702: "broker-aaa"} {
		if names[i] != want {
			t.Errorf("name %d is %s, want %s", i, names[i], want)
		}
	}
	if len(embedded.BrokerNames(-1)) != 0 {
		t.Error("names for less than nothing")
	}
}

// fakeTB records what New does with its test.
type fakeTB struct {
	testing.TB
	fatal   string
	cleanup []func()
}

func (f *fakeTB) Helper()                    {}
func (f *fakeTB) Cleanup(fn func())          { f.cleanup = append(f.cleanup, fn) }
func (f *fakeTB) Fatalf(s string, a ...any)  { f.fatal = fmt.Sprintf(s, a...) }
func (f *fakeTB) Logf(s string, args ...any) {}

func TestNewFailsTheTest(t *testing.T) {
	f := &fakeTB{}
	if c := embedded.New(f, embedded.Config{Queues: -1}); c != nil || !strings.Contains(f.fatal, "queues") || len(f.cleanup) != 0 {
		t.Errorf("%v, %q", c, f.fatal)
	}
	f = &fakeTB{}
	c := embedded.New(f, embedded.Config{})
	if c == nil || len(f.cleanup) != 1 {
		t.Fatal("no cleanup")
	}
	f.cleanup[0]()
	if c.Brokers()[0].Running() {
		t.Error("the cleanup left the cluster running")
	}
}
