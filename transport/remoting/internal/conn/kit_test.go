package conn

import (
	"bytes"
	"context"
	"errors"
	"io"
	"log/slog"
	"net"
	"sync"
	"testing"
	"time"

	"github.com/liftoff-mq/liftoff/transport/wire"
)

var bg = context.Background()

// recorder is an owner that remembers what it was told.
type recorder struct {
	mu          sync.Mutex
	onRequest   func(c *Conn, head wire.ResponseHead, frame []byte) error // nil: accept
	firstFrames int
	ending      []error
	ended       []error
	failed      int
	log         bytes.Buffer
}

func (o *recorder) FirstFrame() {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.firstFrames++
}

func (o *recorder) PeerRequest(c *Conn, head wire.ResponseHead, frame []byte) error {
	o.mu.Lock()
	f := o.onRequest
	o.mu.Unlock()
	if f != nil {
		return f(c, head, frame)
	}
	return nil
}

// answer makes f what happens to the peer's requests.
func (o *recorder) answer(f func(c *Conn, head wire.ResponseHead, frame []byte) error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.onRequest = f
}

func (o *recorder) Ending(_ *Conn, reason error, _ int) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.ending = append(o.ending, reason)
}

func (o *recorder) Ended(_ *Conn, reason error, failed int) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.ended, o.failed = append(o.ended, reason), failed
}

// errTestOver ends the connections of a test.
var errTestOver = errors.New("the test is over")

// still makes a connection whose loops do not run, so that a test can make every step by
// itself.
func still(t *testing.T, nc net.Conn, change ...func(*Config)) (*Conn, *recorder) {
	t.Helper()
	return stillWithin(t, nc, nil, change...)
}

// stillWithin is still with a budget for frames.
func stillWithin(t *testing.T, nc net.Conn, budget *wire.Budget, change ...func(*Config)) (*Conn, *recorder) {
	t.Helper()
	o := &recorder{}
	cfg := Config{
		WriteTimeout: 3 * time.Second, FrameTimeout: 10 * time.Second, MaxQueuedBytes: 1 << 20,
		Stored: func(code int) bool { return code == 0 },
		Go:     func(func()) bool { return false },
		Log:    slog.New(slog.NewTextHandler(&o.log, nil)),
	}
	for _, f := range change {
		f(&cfg)
	}
	c := NewShared(cfg).New(nc, "peer:1", o, budget)
	t.Cleanup(func() { c.Close(errTestOver) })
	return c, o
}

// running is still with the loops running until the test ends.
func running(t *testing.T, nc net.Conn, change ...func(*Config)) (*Conn, *recorder) {
	t.Helper()
	return runningWithin(t, nc, nil, change...)
}

func runningWithin(t *testing.T, nc net.Conn, budget *wire.Budget, change ...func(*Config)) (*Conn, *recorder) {
	t.Helper()
	var loops sync.WaitGroup
	t.Cleanup(loops.Wait)
	c, o := stillWithin(t, nc, budget, change...)
	loops.Go(c.ReadLoop)
	loops.Go(c.WriteLoop)
	return c, o
}

// sockets is a pair of plain sockets. A system that has none skips the test.
func sockets(t *testing.T) (near, far net.Conn) {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	if near, err = net.Dial("tcp", ln.Addr().String()); err != nil {
		t.Fatal(err)
	}
	if far, err = ln.Accept(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { near.Close(); far.Close() })
	if newSocket(near) == nil {
		t.Skip("connections are written by the writer goroutine alone")
	}
	return near, far
}

// pipe is a pair of connections in memory, for virtual time. They are no plain sockets.
func pipe(t *testing.T) (near, far net.Conn) {
	near, far = net.Pipe()
	t.Cleanup(func() { near.Close(); far.Close() })
	return near, far
}

// request makes a request and its frame, of size bytes at least.
func request(t testing.TB, c *Conn, kind Kind, opaque int32, size int) (*Request, *Frame) {
	t.Helper()
	r := c.shared.NewRequest(bg, time.Now().Add(time.Minute), nil)
	r.Kind, r.Opaque = kind, opaque
	f := c.shared.NewFrame()
	cmd := wire.Command{Code: wire.HeartBeat, Opaque: opaque, Serialization: wire.RocketMQ, Body: make([]byte, size)}
	if kind == Oneway {
		cmd.Flag = wire.FlagOneway
	}
	var err error
	if f.B, err = wire.AppendCommand(f.B, &cmd); err != nil {
		t.Fatal(err)
	}
	return r, f
}

// answer is the frame of an answer.
func answer(t testing.TB, opaque int32, code int, remark string) []byte {
	t.Helper()
	b, err := wire.AppendCommand(nil, &wire.Command{
		Code: code, Opaque: opaque, Flag: wire.FlagResponse, Remark: remark, Serialization: wire.RocketMQ,
	})
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// sent is the frame of a send's success.
func sent(t testing.TB, opaque int32) []byte {
	t.Helper()
	b, err := wire.AppendSendResponse(nil, wire.ResponseHead{Opaque: opaque, Serialization: wire.RocketMQ}, "",
		&wire.SendResponse{MsgID: "7F00000100002A9F0000000000000000", QueueOffset: 42})
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// peer reads frames and gives each to f, until the connection ends.
func peer(t *testing.T, nc net.Conn, f func(c wire.Command)) {
	t.Helper()
	done := make(chan struct{})
	t.Cleanup(func() { nc.Close(); <-done })
	go func() {
		defer close(done)
		for r := wire.NewReader(nc, 0); ; {
			frame, err := r.Next()
			if err != nil {
				return
			}
			cmd, err := wire.ParseFrame(frame)
			if err != nil {
				t.Error(err)
				return
			}
			f(cmd)
		}
	}()
}

// echo is a peer that answers each request at once.
func echo(t *testing.T, nc net.Conn) {
	peer(t, nc, func(cmd wire.Command) {
		if !cmd.IsOneway() && !cmd.IsResponse() {
			_, _ = nc.Write(answer(t, cmd.Opaque, 0, ""))
		}
	})
}

// discard reads what comes.
func discard(t *testing.T, nc net.Conn) {
	done := make(chan struct{})
	t.Cleanup(func() { nc.Close(); <-done })
	go func() {
		defer close(done)
		_, _ = io.Copy(io.Discard, nc)
	}()
}

// locked runs f with the connection's lock held.
func (c *Conn) locked(f func()) {
	c.mu.Lock()
	defer c.mu.Unlock()
	f()
}

// enqueue puts a request onto the connection as submit does, and does not write.
func (c *Conn) enqueue(r *Request, f *Frame) {
	c.locked(func() {
		r.admitted = time.Now()
		r.size = len(f.B)
		c.admission.add(r.size)
		c.table.add(r)
		r.heard = c.heard
		r.stage, r.position = stageQueued, c.write.queue.push(entry{f: f, opaque: r.Opaque, kind: entryOf(r)})
	})
}

// due puts n written requests into the table that are never answered, with numbers from
// 1000, and makes the answers come quickly: frames are worth coalescing then.
func (c *Conn) due(n int) {
	c.rate.meanGap.Store(int64(time.Microsecond))
	c.locked(func() {
		for i := range n {
			r := newRequest()
			r.Opaque, r.stage = int32(1000+i), stageWritten
			c.table.add(r)
		}
	})
}

func (c *Conn) writeState() (s writeState) {
	c.locked(func() { s = c.write.state })
	return s
}

func (c *Conn) readState() readState { return readState(c.read.state.Load()) }

func wantWrite(t *testing.T, c *Conn, want writeState) {
	t.Helper()
	if got := c.writeState(); got != want {
		t.Fatalf("the write side is in state %d, want %d", got, want)
	}
}

func wantRead(t *testing.T, c *Conn, want readState) {
	t.Helper()
	if got := c.readState(); got != want {
		t.Fatalf("the read side is in state %d, want %d", got, want)
	}
}

// eventually waits for what other goroutines bring about.
func eventually(t *testing.T, what string, ok func() bool) {
	t.Helper()
	for range 3000 {
		if ok() {
			return
		}
		time.Sleep(10 * time.Millisecond)
	}
	t.Fatalf("never: %s", what)
}

// pipeEnd hides what a connection can do besides.
type pipeEnd struct{ net.Conn }

// written is r.Written for a request that is under way.
func (c *Conn) written(r *Request) (w bool) {
	c.locked(func() { w = r.Written() })
	return w
}
