package remoting

import (
	"errors"
	"fmt"
	"io"
	"os"
	"time"

	"github.com/liftoff-mq/liftoff/transport/wire"
)

// maxUnknown is how many answers to requests that were never made a connection
// survives.
const maxUnknown = 16

// readLoop is the connection's reader. It ends with the connection.
func (cn *conn) readLoop() {
	s := cn.stream
	for {
		if s.lone() && !s.lend() {
			return
		}
		if err := s.next(); err != nil {
			cn.fail(explain(err, cn.c.cfg.FrameTimeout))
			return
		}
	}
}

// next reads one frame and handles it.
func (s *stream) next() error {
	frame, err := s.r.Next()
	if err != nil {
		return err
	}
	if s.used == 0 {
		s.cn.proven.Store(true)
		s.cn.p.proven()
	}
	n := len(frame) + 4
	s.used += uint64(n)
	s.bytes += n
	s.frames++
	s.cn.c.count.framesIn.Add(1)
	err = s.cn.receive(frame)
	if s.left == 0 {
		s.solo++
	} else {
		s.solo = 0
	}
	return err
}

// explain puts the usual ends of a stream into words.
func explain(err error, stall time.Duration) error {
	switch {
	case errors.Is(err, io.EOF):
		return errors.New("closed by the peer")
	case errors.Is(err, io.ErrUnexpectedEOF):
		return errors.New("closed by the peer in the middle of a frame")
	case errors.Is(err, os.ErrDeadlineExceeded):
		return fmt.Errorf("a frame stayed incomplete for %v", stall)
	}
	return err
}

// receive handles one frame. An error ends the connection.
func (cn *conn) receive(frame []byte) error {
	var a wire.Answer // not kept: it would keep the memory of a large frame
	if err := a.Parse(frame); err != nil {
		return err
	}
	h := a.Head()
	if !h.IsResponse() {
		return cn.request(h)
	}
	cl, expected, empty := cn.claim(h.Opaque)
	switch {
	case cl != nil:
		cl.answer(cn.p.addr, h.Code, &a)
		cl.done <- struct{}{}
		if empty {
			return errDone
		}
	case !expected:
		return cn.stray("answer", h)
	}
	return nil
}

// stray counts what nobody asked for; too much of it ends the connection.
func (cn *conn) stray(what string, h wire.ResponseHead) error {
	cn.c.count.unknown.Add(1)
	cn.unknown++
	if cn.unknown == 1 {
		cn.c.log.Warn("unexpected "+what, "addr", cn.p.addr, "code", h.Code, "opaque", h.Opaque)
	}
	if cn.unknown >= maxUnknown {
		return fmt.Errorf("the peer sent %d frames that nobody asked for", cn.unknown)
	}
	return nil
}

// request handles what a broker asks of a client. Name servers have nothing to ask.
func (cn *conn) request(h wire.ResponseHead) error {
	if !cn.p.broker {
		return cn.stray("request", h)
	}
	cn.c.count.requests.Add(1)
	switch h.Code {
	case wire.NotifyConsumerIDsChanged:
		// For consumers; every client of a group gets it.
	case wire.CheckTransactionState:
		cn.c.count.checks.Add(1)
	default:
		if !h.IsOneway() {
			return cn.refuse(h)
		}
	}
	return nil
}

// refuse answers a request that is not supported, as Java does. A peer that asks
// faster than it reads gets no more than maxReplies of these.
func (cn *conn) refuse(h wire.ResponseHead) error {
	f := cn.c.newFrame()
	b, err := wire.AppendCommand(f.b[:0], &wire.Command{
		Code: codeNotSupported, Language: wire.LanguageGo, Version: wire.CurrentVersion, Opaque: h.Opaque,
		Flag: wire.FlagResponse, Remark: "request code not supported", Serialization: h.Serialization,
	})
	if err != nil {
		return err
	}
	f.b = b
	cn.mu.Lock()
	queued := cn.err == nil && cn.replies < maxReplies
	if queued {
		cn.replies++
		cn.bytes += len(f.b)
		cn.enqueue(item{f: f, reply: true})
	}
	cn.mu.Unlock()
	if queued {
		cn.notify()
	} else {
		cn.c.recycle(f)
	}
	return nil
}
