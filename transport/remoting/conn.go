package remoting

import (
	"context"
	"errors"
	"net"
	"sync"
	"sync/atomic"
	"time"

	"github.com/liftoff-mq/liftoff/core"
)

// conn is one connection. Its lock guards the table of calls and the queue of
// frames; nothing blocks under it.
type conn struct {
	c      *Client
	p      *peer
	nc     net.Conn
	socket *socket       // nil where nc is no plain one
	in     atomic.Uint64 // bytes received
	proven atomic.Bool   // a whole frame came
	pace   pace          // of the answers
	stream *stream       // the read side
	lent   atomic.Bool   // which a lone caller may have; changed under the lock
	turn   chan struct{} // it is the reader's again
	wake   chan struct{} // to the writer
	over   chan struct{} // closed when it has ended and its peer knows

	mu      sync.Mutex
	err     error // why it ended
	retired bool
	pending map[int32]*call
	late    [2]map[int32]struct{} // numbers of requests that were given up: new, older
	queue   []item                // what is written next
	head    int                   // first entry of queue not taken
	waiting int                   // calls whose frame is in queue
	bytes   int                   // of frames queued and being written
	writing bool                  // somebody has the socket's write side
	handed  bool                  // it is the writer's, who has not come yet
	timer   *time.Timer           // the writer's, for frames that wait for company
	armed   bool                  // timer runs
	used    bool                  // somebody has borrowed the read side
	line    line                  // calls that wait for room in the queue
	replies int                   // answers to the peer's requests in queue
	sends   uint64
	oneways uint64 // one-way requests written and not answered

	// The write side's own.
	batch []item
	data  []byte // what is left to write of the batch
	out   []byte // the bytes of a batch of several frames

	// The sweep's own.
	seenSends, seenBytes uint64
	idleSince            time.Time

	// The reader's own.
	unknown int
}

// item is a frame in the queue. An item without a frame was withdrawn.
type item struct {
	f      *frame
	opaque int32
	oneway bool
	reply  bool // answers a request of the peer's
}

// lateMost bounds the memory for requests that were given up: two generations of
// so many numbers.
const lateMost = 4096

func newConn(p *peer, nc net.Conn) *conn {
	timer := time.NewTimer(time.Hour)
	timer.Stop()
	cn := &conn{
		c: p.c, p: p, nc: nc, socket: newSocket(nc),
		wake: make(chan struct{}, 1), over: make(chan struct{}), turn: make(chan struct{}, 1),
		pending: map[int32]*call{}, timer: timer, idleSince: time.Now(),
	}
	cn.stream = newStream(cn)
	cn.pace.slow()
	return cn
}

// do sends a call's frame and waits for its outcome. It takes f over. It returns
// errStale when the connection ended before the call was on it.
func (cn *conn) do(cl *call, f *frame) error {
	var err error
	if cl.reads = cn.borrow(cl); cl.reads {
		err = cn.doOwn(cl, f)
	} else {
		err = cn.submit(cl, f)
	}
	if err != nil {
		return err
	}
	if err := cl.until(cl.done); err != nil {
		return cn.giveUp(cl, err)
	}
	return cl.err
}

// giveUp withdraws a call whose time has ended. If its outcome came at the same
// moment, that is what counts.
func (cn *conn) giveUp(cl *call, why error) error {
	cn.mu.Lock()
	if cn.pending[cl.opaque] != cl {
		cn.mu.Unlock()
		<-cl.done
		return cl.err
	}
	delete(cn.pending, cl.opaque)
	if cl.slot > 0 {
		it := &cn.queue[cl.slot-1]
		cn.release(len(it.f.b))
		cn.c.recycle(it.f)
		*it = item{}
		cl.slot = 0
		cn.waiting--
	} else {
		cn.remember(cl.opaque)
	}
	empty := cn.retired && len(cn.pending) == 0
	silent := cn.in.Load() == cl.heard
	cn.mu.Unlock()
	switch {
	case empty:
		cn.fail(errDone)
	case silent && errors.Is(why, context.DeadlineExceeded) && time.Since(cl.since) >= quietLimit:
		cn.p.retire(cn, errSilent, true)
	}
	return why
}

// errSilent is why a connection is retired on which nothing came back.
var errSilent = errors.New("the peer did not answer in time")

// remember keeps the number of a request that was given up, so that its answer
// is known to be late and not somebody else's.
func (cn *conn) remember(opaque int32) {
	if len(cn.late[0]) >= lateMost {
		cn.late[0], cn.late[1] = nil, cn.late[0]
	}
	if cn.late[0] == nil {
		cn.late[0] = map[int32]struct{}{}
	}
	cn.late[0][opaque] = struct{}{}
}

// claim takes the call that an answer belongs to out of the table, nil if there
// is none. An answer to what was not yet written is none. Expected says whether a
// call without a waiter was at least made: one that was given up, or a one-way
// send, which a broker answers in spite of its flag when it sheds load (Java:
// BrokerFastFailure). Of those only the number is known, not the opaques.
func (cn *conn) claim(opaque int32) (cl *call, expected, empty bool) {
	cn.mu.Lock()
	defer cn.mu.Unlock()
	if cl = cn.pending[opaque]; cl != nil && cl.written {
		delete(cn.pending, opaque)
		cn.stream.left = len(cn.pending)
		if cl.oneway {
			cn.c.count.onewayRefusals.Add(1)
		}
		return cl, true, cn.retired && len(cn.pending) == 0
	}
	for _, late := range cn.late {
		if _, ok := late[opaque]; ok {
			delete(late, opaque)
			cn.c.count.late.Add(1)
			return nil, true, false
		}
	}
	if cn.oneways > 0 {
		cn.oneways--
		cn.c.count.onewayRefusals.Add(1)
		return nil, true, false
	}
	return nil, false, false
}

// retire closes the connection to new calls. It reports whether none is left.
func (cn *conn) retire() (empty bool) {
	cn.mu.Lock()
	defer cn.mu.Unlock()
	cn.retired = true
	cn.dismiss()
	return len(cn.pending) == 0
}

// fail ends the connection and all its calls; only the first reason counts. It may be
// on a caller's goroutine whose time is over, so the calls are told before whatever
// can take time.
func (cn *conn) fail(why error) {
	cn.mu.Lock()
	if cn.err != nil {
		cn.mu.Unlock()
		return
	}
	cn.err = why
	calls, queue := cn.pending, cn.queue[cn.head:]
	cn.pending, cn.queue, cn.head, cn.bytes = nil, nil, 0, 0
	cn.dismiss()
	cn.mu.Unlock()

	// New requests must not meet this connection again, so forget it first.
	cn.p.lost(cn, why)
	close(cn.over)
	cn.notify()
	cn.c.forget(cn)
	for _, it := range queue {
		if it.f != nil {
			cn.c.recycle(it.f)
		}
	}
	// Before the calls learn of it, so that whoever they tell finds it counted.
	lost := !errors.Is(why, errDone) && !errors.Is(why, core.ErrClosed)
	if lost {
		cn.c.count.lost.Add(1)
	}
	for _, cl := range calls {
		cl.err = &ConnectionError{Addr: cn.p.addr, Written: cl.written, Err: why}
		cl.done <- struct{}{}
	}
	// Only that of a plain socket is known to take no time.
	if cn.socket != nil || !cn.c.spawn(cn.close) {
		cn.close()
	}
	if lost {
		cn.c.log.Warn("connection lost", "addr", cn.p.addr, "err", why, "calls", len(calls))
	}
}

// close closes the socket. A reader that lingers in the kernel does not notice that
// by itself. Below TLS the socket goes first: TLS would try for 5 s to tell a peer
// that does not read, and nobody cares to hear it of a stream of frames with lengths.
func (cn *conn) close() {
	if s, ok := cn.nc.(interface{ CloseRead() error }); ok && cn.socket != nil {
		_ = s.CloseRead()
	}
	if layer, ok := cn.nc.(interface{ NetConn() net.Conn }); ok {
		layer.NetConn().Close()
	}
	cn.nc.Close()
}

// ended reports whether the connection has ended.
func (cn *conn) ended() bool { return cn.reason() != nil }

func (cn *conn) reason() error {
	cn.mu.Lock()
	defer cn.mu.Unlock()
	return cn.err
}
