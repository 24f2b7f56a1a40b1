package conn

import (
	"errors"
	"fmt"
	"io"
	"os"
	"time"

	"github.com/liftoff-mq/liftoff/transport/wire"
)

// maxUnexpected is by how many the unexpected frames may exceed the answers to requests. Then
// the connection ends. A stray now and then is nothing that the requests under way should pay
// for; a peer that answers others than were asked is of no use.
const maxUnexpected = 16

// readFrame reads one frame and handles it. An error ends the connection. The goroutine
// that has the read side calls it.
func (c *Conn) readFrame() error {
	s := c.stream
	frame, err := s.frames.Next()
	for err == wire.ErrNoRoom {
		if err = c.awaitRoom(); err == nil {
			frame, err = s.frames.Next()
		}
	}
	if err != nil {
		return err
	}
	if s.consumed == 0 {
		c.proven.Store(true)
		c.owner.FirstFrame()
	}
	s.handedOut(len(frame) + 4)
	c.shared.Count.FramesIn.Add(1)
	err = c.receive(frame)
	s.handled()
	return err
}

// awaitRoom waits until there is room for a large frame beside those of other connections.
// Meanwhile nothing is read here, so the peer waits too. Only the reader goroutine gets here: what
// a caller that leads calls readFrame for is there as a whole.
func (c *Conn) awaitRoom() error {
	limit := time.NewTimer(c.shared.cfg.FrameTimeout)
	defer limit.Stop()
	select {
	case <-c.stream.frames.Room():
		c.stream.goesOn()
		return nil
	case <-c.ended:
		return ErrStale
	case <-limit.C:
		return fmt.Errorf("a large frame found no room beside those of other connections for %v", c.shared.cfg.FrameTimeout)
	}
}

// explain puts the usual ends of a stream into words.
func (c *Conn) explain(err error) error {
	switch {
	case errors.Is(err, io.EOF):
		return ErrPeerClosed
	case errors.Is(err, io.ErrUnexpectedEOF):
		return errors.New("closed by the peer in the middle of a frame")
	case errors.Is(err, os.ErrDeadlineExceeded):
		return fmt.Errorf("a frame stayed incomplete for %v", c.shared.cfg.FrameTimeout)
	}
	return err
}

// receive handles one frame: an answer ends its request, a request goes to the owner.
func (c *Conn) receive(frame []byte) error {
	var a wire.Answer // not kept: it would keep the memory of a large frame
	if err := a.Parse(frame); err != nil {
		return err
	}
	head := a.Head()
	if !head.IsResponse() {
		c.mu.Lock()
		c.heard = c.stream.consumed
		c.mu.Unlock()
		err := c.owner.PeerRequest(c, head, frame)
		if errors.Is(err, ErrUnexpected) {
			return c.unexpected("request", head)
		}
		return err
	}
	c.mu.Lock()
	c.heard = c.stream.consumed
	r, m := c.table.claim(head.Opaque)
	last := false
	if r != nil {
		c.stream.underWay = len(c.table.underWay)
		last = c.lastOfRetired()
	}
	c.mu.Unlock()
	count := &c.shared.Count
	switch m {
	case matchRequest:
		c.stream.unexpected = max(0, c.stream.unexpected-1)
		if r.oneway() {
			count.OnewayRefusals.Add(1)
		}
		r.finish(r.decode(&a, head.Code, c.shared.cfg.Stored(head.Code)))
		if last {
			return ErrUnneeded
		}
	case matchLate:
		count.LateAnswers.Add(1)
	case matchOneway:
		count.OnewayRefusals.Add(1)
	default:
		return c.unexpected("answer", head)
	}
	return nil
}

// unexpected counts an answer to nothing, or a request that such a peer has no business to
// make. Too many more of them than of answers end the connection.
func (c *Conn) unexpected(what string, head wire.ResponseHead) error {
	c.shared.Count.Unexpected.Add(1)
	s := c.stream
	s.unexpected++
	if !s.strayTold {
		s.strayTold = true
		c.shared.cfg.Log.Warn("unexpected "+what, "addr", c.addr, "code", head.Code, "opaque", head.Opaque)
	}
	if s.unexpected >= maxUnexpected {
		return fmt.Errorf("the peer sent %d frames that nobody asked for, beside answers", s.unexpected)
	}
	return nil
}
