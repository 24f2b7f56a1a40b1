package texttransport_test

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/liftoff-mq/liftoff/core"
	"github.com/liftoff-mq/liftoff/examples/texttransport"
	"github.com/liftoff-mq/liftoff/transport/embedded"
	"github.com/liftoff-mq/liftoff/transport/transporttest"
)

// server is what the transport talks to: two brokers and a directory, over TCP or, in
// virtual time, over an in-memory network.
type server struct {
	network *embedded.Network // nil for TCP
	decide  func(r transporttest.Request) transporttest.Reply
	offset  atomic.Int64
	over    chan struct{}
	hung    chan struct{} // closed when the directory answers no more
	wg      sync.WaitGroup
	brokers []core.Broker
	// directory is its address.
	directory string
}

// queues is how many queues the topic has at each broker.
const queues = 2

// serve starts the brokers text-a and text-b and a directory, which knows the topics
// "orders" and, for reading only, "archive".
func serve(tb transporttest.TB, network *embedded.Network) *server {
	s := &server{network: network, over: make(chan struct{}), hung: make(chan struct{})}
	tb.Cleanup(func() {
		close(s.over)
		s.wg.Wait()
	})
	for _, name := range []string{"text-a", "text-b"} {
		addr := s.listen(tb, func(c net.Conn) { s.broker(name, c) })
		s.brokers = append(s.brokers, core.Broker{Name: name, Addr: addr})
	}
	s.directory = s.listen(tb, s.find)
	return s
}

// transport is a transport that dials the server.
func (s *server) transport() *texttransport.Transport {
	return texttransport.New(s.dial, s.directory)
}

func (s *server) dial(ctx context.Context, addr string) (net.Conn, error) {
	if s.network != nil {
		return s.network.DialContext(ctx, "tcp", addr)
	}
	return new(net.Dialer).DialContext(ctx, "tcp", addr)
}

// listen hands each connection to meet, which closes it.
func (s *server) listen(tb transporttest.TB, meet func(c net.Conn)) string {
	var ln net.Listener
	var err error
	if s.network != nil {
		ln, err = s.network.Listen("127.0.0.1:0")
	} else {
		ln, err = net.Listen("tcp", "127.0.0.1:0")
	}
	if err != nil {
		tb.Fatalf("%v", err)
	}
	tb.Cleanup(func() { ln.Close() })
	s.wg.Go(func() {
		for {
			c, err := ln.Accept()
			if err != nil {
				return
			}
			s.wg.Go(func() { meet(c) })
		}
	})
	return ln.Addr().String()
}

// broker answers one request to send.
func (s *server) broker(name string, c net.Conn) {
	defer c.Close()
	in := bufio.NewReader(c)
	r, err := parse(in)
	if err != nil {
		return
	}
	r.Addr, r.Queue.Broker = c.LocalAddr().String(), name
	var reply transporttest.Reply
	if s.decide != nil {
		reply = s.decide(r)
	}
	refused := map[int]bool{}
	switch reply.Kind {
	case transporttest.Cut:
		return
	case transporttest.Hang:
		s.wait(c, in)
		return
	case transporttest.StoreLate:
		select {
		case <-time.After(reply.After):
		case <-s.over:
		}
	case transporttest.Refuse:
		for i := range r.Messages {
			refused[i] = true
		}
	case transporttest.RefuseSome:
		for _, i := range reply.Refused {
			refused[i] = true
		}
	}
	for i := range r.Messages {
		if refused[i] {
			fmt.Fprintf(c, "%v %s\n", reply.Refusal.Code, reply.Refusal.Remark)
		} else {
			fmt.Fprintf(c, "STORED %d\n", s.offset.Add(1)-1)
		}
	}
}

// find is the directory.
func (s *server) find(c net.Conn) {
	defer c.Close()
	in := bufio.NewReader(c)
	line, _ := in.ReadString('\n')
	select {
	case <-s.hung:
		s.wait(c, in)
		return
	default:
	}
	switch strings.TrimSpace(line) {
	case `ROUTE "orders"`:
		fmt.Fprint(c, "QUEUES")
		for _, b := range s.brokers {
			fmt.Fprintf(c, " %s %s %d", b.Name, b.Addr, queues)
		}
		fmt.Fprintln(c)
	case `ROUTE "archive"`:
		fmt.Fprintln(c, "READONLY")
	default:
		fmt.Fprintln(c, "UNKNOWN")
	}
}

// wait waits until the client hangs up, or the end.
func (s *server) wait(c net.Conn, in io.Reader) {
	gone := make(chan struct{})
	s.wg.Go(func() {
		defer close(gone)
		_, _ = io.Copy(io.Discard, in)
	})
	select {
	case <-gone:
	case <-s.over:
		c.Close()
		<-gone
	}
}

// parse reads a request to send.
func parse(in *bufio.Reader) (r transporttest.Request, err error) {
	line, err := in.ReadString('\n')
	if err != nil {
		return r, err
	}
	var n int
	if _, err := fmt.Sscanf(line, "SEND %q %d %d\n", &r.Topic, &r.Queue.ID, &n); err != nil {
		return r, err
	}
	for range n {
		if line, err = in.ReadString('\n'); err != nil {
			return r, err
		}
		m, err := parseMessage(line)
		if err != nil {
			return r, err
		}
		r.Messages = append(r.Messages, m)
	}
	return r, nil
}

func parseMessage(line string) (m transporttest.Message, err error) {
	var words []string
	for line = strings.TrimSpace(line); line != ""; line = strings.TrimLeft(line, " ") {
		word, rest, _ := strings.Cut(line, " ")
		if line[0] == '"' {
			if word, err = strconv.QuotedPrefix(line); err != nil {
				return m, err
			}
			rest = line[len(word):]
			if word, err = strconv.Unquote(word); err != nil {
				return m, err
			}
		}
		words, line = append(words, word), rest
	}
	if len(words) < 3 || len(words)%2 == 0 {
		return m, fmt.Errorf("%d words", len(words))
	}
	flag, err := strconv.ParseInt(words[1], 10, 32)
	m = transporttest.Message{Body: []byte(words[0]), Flag: int32(flag), Codec: words[2], Properties: map[string]string{}}
	for i := 3; i < len(words); i += 2 {
		m.Properties[words[i]] = words[i+1]
	}
	return m, err
}
