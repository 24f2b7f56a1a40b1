package remoting_test

import (
	"context"
	"errors"
	"net"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/liftoff-mq/liftoff/core"
	"github.com/liftoff-mq/liftoff/core/coretest"
	"github.com/liftoff-mq/liftoff/core/rocketmq"
	"github.com/liftoff-mq/liftoff/transport/remoting"
	"github.com/liftoff-mq/liftoff/transport/wire"
)

// fake is a peer that speaks the protocol, or breaks it, as its script says.
type fake struct {
	ln     net.Listener
	script func(s *session, c wire.Command)
	greet  func(s *session) // before anything is read; nil for nothing
	silent bool             // do not read
	json   bool             // answer in JSON whatever the form of the request, as real brokers do

	mu       sync.Mutex
	sessions []*session
	seen     []wire.Command
	closed   bool
	wg       sync.WaitGroup
	offset   atomic.Int64
	accepted atomic.Int64
	open     atomic.Int64 // connections
}

// session is one connection of a fake.
type session struct {
	f  *fake
	nc net.Conn
	mu sync.Mutex
	n  int // which connection of its fake, from 1

	sends atomic.Int64 // for scripts
}

// answerForms names the two ways for the field json of a fake.
var answerForms = map[string]bool{"in the form of the request": false, "in JSON": true}

// form is that of the answer to c.
func (s *session) form(c wire.Command) wire.Serialization {
	if s.f.json {
		return wire.JSON
	}
	return c.Serialization
}

// run serves ln until the test ends. A nil script acknowledges everything.
func run(t testing.TB, ln net.Listener, script func(s *session, c wire.Command)) *fake {
	t.Helper()
	f := &fake{ln: ln, script: script}
	f.start()
	t.Cleanup(f.stop)
	return f
}

// broker runs a fake on loopback.
func broker(t testing.TB, script func(s *session, c wire.Command)) *fake {
	t.Helper()
	return run(t, listen(t, "127.0.0.1:0"), script)
}

// brokerAnswering is broker with a choice of how it answers.
func brokerAnswering(t testing.TB, json bool, script func(s *session, c wire.Command)) *fake {
	t.Helper()
	f := &fake{ln: listen(t, "127.0.0.1:0"), script: script, json: json}
	f.start()
	t.Cleanup(f.stop)
	return f
}

func listen(t testing.TB, addr string) net.Listener {
	t.Helper()
	var ln net.Listener
	var err error
	for range 100 {
		if ln, err = net.Listen("tcp", addr); err == nil {
			return ln
		}
		time.Sleep(10 * time.Millisecond)
	}
	t.Fatal(err)
	return nil
}

func (f *fake) addr() string { return f.ln.Addr().String() }

func (f *fake) start() {
	f.wg.Go(func() {
		for {
			nc, err := f.ln.Accept()
			if err != nil {
				return
			}
			f.mu.Lock()
			if f.closed {
				f.mu.Unlock()
				nc.Close()
				return
			}
			s := &session{f: f, nc: nc, n: int(f.accepted.Add(1))}
			f.sessions = append(f.sessions, s)
			f.wg.Add(1)
			f.open.Add(1)
			f.mu.Unlock()
			go func() {
				defer f.wg.Done()
				defer f.open.Add(-1)
				s.serve()
			}()
		}
	})
}

func (f *fake) stop() {
	f.ln.Close()
	f.mu.Lock()
	f.closed = true
	sessions := slices.Clone(f.sessions)
	f.mu.Unlock()
	for _, s := range sessions {
		s.nc.Close()
	}
	f.wg.Wait()
}

// requests are the commands seen with a code.
func (f *fake) requests(code int) []wire.Command {
	f.mu.Lock()
	defer f.mu.Unlock()
	var out []wire.Command
	for _, c := range f.seen {
		if c.Code == code {
			out = append(out, c)
		}
	}
	return out
}

func (s *session) serve() {
	if s.f.greet != nil {
		s.f.greet(s)
	}
	if s.f.silent {
		return // the connection stays open until stop
	}
	defer s.nc.Close()
	r := wire.NewReader(s.nc, 0)
	for {
		frame, err := r.Next()
		if err != nil {
			return
		}
		c, err := wire.ParseFrame(frame)
		if err != nil {
			return
		}
		c.Body = slices.Clone(c.Body)
		s.f.mu.Lock()
		s.f.seen = append(s.f.seen, c)
		s.f.mu.Unlock()
		switch {
		case c.IsResponse():
		case s.f.script != nil:
			s.f.script(s, c)
		default:
			s.ok(c)
		}
	}
}

func (s *session) write(b []byte) {
	s.mu.Lock()
	defer s.mu.Unlock()
	_, _ = s.nc.Write(b)
}

// ok answers c with success, whatever it is.
func (s *session) ok(c wire.Command) {
	if c.IsOneway() {
		return
	}
	if c.Code != wire.SendMessage && c.Code != wire.SendMessageV2 && c.Code != wire.SendBatchMessage {
		s.answer(c, 0, "")
		return
	}
	s.write(s.stored(c, 0))
}

// stored is the frame of a send's success.
func (s *session) stored(c wire.Command, code int) []byte {
	req, err := wire.ParseSend(&c)
	if err != nil {
		panic(err)
	}
	b, err := wire.AppendSendResponse(nil, wire.ResponseHead{
		Code: code, Opaque: c.Opaque, Language: wire.LanguageJava, Version: wire.CurrentVersion, Serialization: s.form(c),
	}, "", &wire.SendResponse{
		MsgID: "7F00000100002A9F0000000000000000", QueueID: req.QueueID, QueueOffset: s.f.offset.Add(1) - 1,
		TransactionID: "0123456789ABCDEF0123456789ABCDEF", RegionID: "DefaultRegion", TraceOn: true,
	})
	if err != nil {
		panic(err)
	}
	return b
}

// answer answers c with a code and a remark, and a body if there is one.
func (s *session) answer(c wire.Command, code int, remark string, body ...byte) {
	s.command(&wire.Command{
		Code: code, Opaque: c.Opaque, Flag: wire.FlagResponse, Remark: remark, Body: body, Serialization: s.form(c),
	})
}

func (s *session) command(c *wire.Command) {
	b, err := wire.AppendCommand(nil, c)
	if err != nil {
		panic(err)
	}
	s.write(b)
}

// reset closes the connection with an RST, as a killed process's host may.
func (s *session) reset() {
	if tc, ok := s.nc.(*net.TCPConn); ok {
		_ = tc.SetLinger(0)
	}
	s.nc.Close()
}

// nameServer answers every topic with the given route; nil means unknown.
func nameServer(t testing.TB, routes func(topic string) *wire.RouteData) *fake {
	t.Helper()
	return broker(t, func(s *session, c wire.Command) { answerRoute(s, c, routes) })
}

func answerRoute(s *session, c wire.Command, routes func(topic string) *wire.RouteData) {
	r := routes(c.Ext.Get("topic"))
	if r == nil {
		s.answer(c, int(rocketmq.CodeTopicNotExist), "No topic route info in name server for the topic")
		return
	}
	s.answer(c, 0, "", wire.AppendRoute(nil, r, wire.StandardKeys)...)
}

// routeTo is a route of so many queues on each of the brokers, named a, b, c...
func routeTo(queues int, addrs ...string) *wire.RouteData {
	r := &wire.RouteData{}
	for i, addr := range addrs {
		name := "broker-" + string(rune('a'+i))
		r.Brokers = append(r.Brokers, wire.BrokerData{
			Cluster: "DefaultCluster", BrokerName: name, Addrs: map[int64]string{rocketmq.MasterID: addr},
		})
		r.Queues = append(r.Queues, wire.QueueData{
			BrokerName: name, ReadQueueNums: queues, WriteQueueNums: queues, Perm: rocketmq.PermRead | rocketmq.PermWrite,
		})
	}
	return r
}

// client makes and starts a client, and shuts it down when the test ends. Without
// name servers in cfg it gets one that does not exist.
func client(t testing.TB, cfg remoting.Config) *remoting.Client {
	t.Helper()
	if cfg.NameServers == nil {
		cfg.NameServers = []string{"127.0.0.1:1"}
	}
	c, err := remoting.NewClient(cfg)
	if err != nil {
		t.Fatal(err)
	}
	if err := c.Start(context.Background()); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
		defer cancel()
		if err := c.Shutdown(ctx); err != nil {
			t.Errorf("shutdown: %v", err)
		}
	})
	return c
}

// unregistered hides that a client wants groups, for tests that count requests.
type unregistered struct{ core.Transport }

// producer makes a producer that sends through c to fixed brokers, without
// retries and without heartbeats.
func producer(t testing.TB, c *remoting.Client, addrs ...string) *core.Producer {
	t.Helper()
	cfg := coretest.Config(unregistered{c})
	cfg.Routes = fixed(t, 1, addrs...)
	cfg.Timeout = minute // where the time matters a test says so
	return coretest.Start(t, cfg)
}

// fixed is a source with a fixed route.
func fixed(t testing.TB, queues int, addrs ...string) core.RouteSource {
	t.Helper()
	var qs []core.Queue
	var bs []core.Broker
	for i, addr := range addrs {
		name := "broker-" + string(rune('a'+i))
		bs = append(bs, core.Broker{Name: name, Addr: addr, Cluster: "DefaultCluster"})
		for id := range queues {
			qs = append(qs, core.Queue{Broker: name, ID: id})
		}
	}
	route, err := core.NewRoute(qs, bs)
	if err != nil {
		t.Fatal(err)
	}
	return coretest.RouteFunc(func(context.Context, string) (*core.Route, error) { return route, nil })
}

// failure takes a send's error apart.
func failure(t testing.TB, err error) *core.SendError {
	t.Helper()
	var se *core.SendError
	if !errors.As(err, &se) {
		t.Fatalf("got %v, want a *core.SendError", err)
	}
	return se
}

// wantFailure checks class and certainty of a send's error.
func wantFailure(t testing.TB, err error, class core.Class, certainty core.Certainty) {
	t.Helper()
	if se := failure(t, err); se.Class != class || se.Certainty != certainty {
		t.Fatalf("got %v, %v; want %v, %v: %v", se.Class, se.Certainty, class, certainty, err)
	}
}

// eventually waits for a condition that other goroutines bring about.
func eventually(t testing.TB, what string, ok func() bool) {
	t.Helper()
	for range 3000 {
		if ok() {
			return
		}
		time.Sleep(10 * time.Millisecond)
	}
	t.Fatalf("never: %s", what)
}

var bg = context.Background()

const minute = time.Minute
