package faulttest_test

import (
	"net"
	"slices"
	"sync"
	"testing"

	"github.com/liftoff-mq/liftoff/transport/embedded"
	"github.com/liftoff-mq/liftoff/transport/wire"
)

// peer is a server that does to each connection whatever its script does. It is
// more hostile than an embedded broker can be.
type peer struct {
	ln     net.Listener
	script func(l *link)

	mu     sync.Mutex
	links  []*link
	closed bool
	wg     sync.WaitGroup
}

// link is one connection of a peer. It closes when the script returns.
type link struct {
	net.Conn
	p  *peer
	n  int // which connection of its peer, from 1
	r  *wire.Reader
	mu sync.Mutex
}

// newPeer runs a peer in memory, or on loopback if network is nil, until the test
// ends.
func newPeer(t testing.TB, network *embedded.Network, script func(l *link)) *peer {
	t.Helper()
	var ln net.Listener
	var err error
	if network != nil {
		ln, err = network.Listen("127.0.0.1:0")
	} else {
		ln, err = net.Listen("tcp", "127.0.0.1:0")
	}
	if err != nil {
		t.Fatal(err)
	}
	p := &peer{ln: ln, script: script}
	p.wg.Go(p.accept)
	t.Cleanup(p.stop)
	return p
}

func (p *peer) addr() string { return p.ln.Addr().String() }

func (p *peer) accept() {
	for {
		nc, err := p.ln.Accept()
		if err != nil {
			return
		}
		p.mu.Lock()
		l := &link{Conn: nc, p: p, n: len(p.links) + 1, r: wire.NewReader(nc, 0)}
		p.links = append(p.links, l)
		closed := p.closed
		p.mu.Unlock()
		if closed {
			nc.Close()
			return
		}
		p.wg.Go(func() {
			defer nc.Close()
			p.script(l)
		})
	}
}

func (p *peer) stop() {
	p.ln.Close()
	p.mu.Lock()
	p.closed = true
	links := slices.Clone(p.links)
	p.mu.Unlock()
	for _, l := range links {
		l.Close()
	}
	p.wg.Wait()
}

// accepted is how many connections there have been.
func (p *peer) accepted() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return len(p.links)
}

// next reads a request; ok is false at the connection's end.
func (l *link) next() (c wire.Command, ok bool) {
	frame, err := l.r.Next()
	if err != nil {
		return c, false
	}
	if c, err = wire.ParseFrame(frame); err != nil {
		return c, false
	}
	c.Body = slices.Clone(c.Body)
	return c, true
}

// nextSend reads requests up to the next send; it answers the others.
func (l *link) nextSend() (c wire.Command, ok bool) {
	for {
		if c, ok = l.next(); !ok || isSend(c.Code) {
			return c, ok
		}
		l.answer(c, 0, "")
	}
}

// drain reads, and throws away, until the client closes the connection.
func (l *link) drain() {
	buf := make([]byte, 4096)
	for {
		if _, err := l.Read(buf); err != nil {
			return
		}
	}
}

// answerAllButSends is a broker that lives and never answers a send. It allocates
// nothing for them.
func (l *link) answerAllButSends() {
	for {
		frame, err := l.r.Next()
		if err != nil {
			return
		}
		if h, err := wire.ParseHead(frame); err != nil || isSend(h.Code) {
			continue
		}
		if c, err := wire.ParseFrame(frame); err == nil {
			l.answer(c, 0, "")
		}
	}
}

func isSend(code int) bool {
	return code == wire.SendMessage || code == wire.SendMessageV2 || code == wire.SendBatchMessage
}

func (l *link) write(b []byte) {
	l.mu.Lock()
	defer l.mu.Unlock()
	_, _ = l.Write(b) // the client may be gone
}

// ack answers a send as stored, under the given number.
func (l *link) ack(c wire.Command, opaque int32) { l.write(ackFrame(c, opaque)) }

func ackFrame(c wire.Command, opaque int32) []byte {
	req, err := wire.ParseSend(&c)
	if err != nil {
		panic(err)
	}
	b, err := wire.AppendSendResponse(nil, wire.ResponseHead{Opaque: opaque, Version: wire.CurrentVersion, Serialization: c.Serialization}, "",
		&wire.SendResponse{MsgID: "7F00000100002A9F0000000000000000", QueueID: req.QueueID, QueueOffset: int64(opaque), RegionID: "DefaultRegion", TraceOn: true})
	if err != nil {
		panic(err)
	}
	return b
}

// answer answers any request with a code.
func (l *link) answer(c wire.Command, code int, remark string) {
	if c.IsOneway() {
		return
	}
	b, err := wire.AppendCommand(nil, &wire.Command{
		Code: code, Opaque: c.Opaque, Flag: wire.FlagResponse, Version: wire.CurrentVersion, Remark: remark, Serialization: c.Serialization,
	})
	if err != nil {
		panic(err)
	}
	l.write(b)
}

// serve acknowledges sends and answers everything else, until the connection ends.
func (l *link) serve() {
	for {
		c, ok := l.nextSend()
		if !ok {
			return
		}
		if !c.IsOneway() {
			l.ack(c, c.Opaque)
		}
	}
}
