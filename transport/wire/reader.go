package wire

import (
	"bytes"
	"encoding/binary"
	"errors"
	"io"
)

const (
	// readBuffer is the size of a Reader's standing buffer: one read system call of this size
	// brings some hundred answers. It is firstBuffer until a read fills that, which it does not on
	// most connections.
	readBuffer  = 64 << 10
	firstBuffer = 4 << 10

	// keepBuffer is the size up to which a grown buffer is kept for some more frames, so that a
	// stream of middle-sized frames does not grow it anew each time.
	keepBuffer = 256 << 10
	keepFrames = 32

	maxEmptyReads = 100
)

// Reader cuts a stream into frames. Its memory follows the bytes received, not the length a peer
// announces: a buffer of 4 KiB becomes one of 64 KiB when it was full, doubles from there only when
// it is full, and shrinks to 64 KiB again after a large frame. Not safe for concurrent use, but
// for [Reader.End].
type Reader struct {
	r     io.Reader
	max   int
	of    *Budget // nil without one
	share share   // of it
	base  []byte  // the standing buffer
	buf   []byte  // base or a larger one
	lo    int     // start of the unread bytes in buf
	hi    int     // their end
	small int     // frames since the last one that needed more than base
	full  bool    // the last read filled buf: there may be more
	moved bool    // a frame has been returned: the stream is one of frames
	late  error   // came along with bytes, due when those are used up
	err   error   // sticks
}

// NewReader returns a Reader that refuses frames of more than max bytes, the four length bytes
// included; a max below 1 or above [MaxFrame] means MaxFrame. It allocates its buffer at the
// first read.
func NewReader(r io.Reader, max int) *Reader {
	return NewReaderWithin(r, max, nil)
}

// NewReaderWithin is NewReader for one of many streams, whose frames share budget. When that has
// no room for a frame of more than 64 KiB, Next and Fill return [ErrNoRoom], which is not final: the
// frame goes on when [Reader.Room] is closed. A frame that is larger than the whole budget is a
// *[FrameError]. Call End when the Reader is of no more use. A nil budget is no limit.
func NewReaderWithin(r io.Reader, max int, budget *Budget) *Reader {
	if max < 1 || max > MaxFrame {
		max = MaxFrame
	}
	return &Reader{r: r, max: max, of: budget}
}

// Next returns the next frame without its length bytes. The frame is valid until the next call.
//
// Between two frames the end of the stream is io.EOF, inside one io.ErrUnexpectedEOF. A length
// that is negative, too small or beyond the limit, an unknown header serialization and a header
// longer than its frame are a *[FrameError] as soon as the first eight bytes are there. Other
// errors are those of the underlying reader. Every error is final, but for [ErrNoRoom].
func (r *Reader) Next() ([]byte, error) {
	if r.err != nil {
		return nil, r.err
	}
	r.shrink()
	for {
		n, ok, err := r.announced()
		if err != nil {
			return nil, r.fail(err)
		}
		if ok && r.hi-r.lo >= n {
			frame := r.buf[r.lo+4 : r.lo+n : r.lo+n]
			r.lo += n
			r.moved = true
			if n > readBuffer {
				r.small = 0
			} else {
				r.small++
			}
			return frame, nil
		}
		if err := r.fill(n); err != nil {
			return nil, r.fail(err)
		}
	}
}

// Fill reads once, if Next would have to read, and reports what Buffered says then. It is for
// those who wait for the bytes themselves: an underlying Read that returns 0 and nil has none yet,
// and that is no error here. Its errors are those of Next.
func (r *Reader) Fill() (ready bool, err error) {
	if r.err != nil {
		return false, r.err
	}
	r.shrink()
	if r.Buffered() {
		return true, nil
	}
	n, _, _ := r.announced()
	if err := r.room(n); err != nil {
		return false, r.fail(err)
	}
	if _, err := r.read(); err != nil {
		return false, r.fail(err)
	}
	return r.Buffered(), nil
}

// Buffered reports whether Next will return without reading: another whole frame is there, or
// bytes that are no frame.
func (r *Reader) Buffered() bool {
	if r.err != nil {
		return true
	}
	n, ok, err := r.announced()
	return err != nil || ok && r.hi-r.lo >= n
}

// Pending is how many bytes are there that no Next has returned: those of a frame that is not
// complete, unless Buffered says that one is.
func (r *Reader) Pending() int { return r.hi - r.lo }

// Size is how many bytes the Reader's buffers take.
func (r *Reader) Size() int {
	if len(r.buf) > len(r.base) {
		return len(r.base) + len(r.buf)
	}
	return len(r.base)
}

// announced returns the length of the frame at lo with its length bytes, if those are there.
func (r *Reader) announced() (n int, ok bool, err error) {
	b := r.buf[r.lo:r.hi]
	if len(b) < 4 {
		return 0, false, nil
	}
	length := int64(int32(binary.BigEndian.Uint32(b)))
	switch {
	case length < 0:
		return 0, false, r.refuse(length, "negative length", b)
	case length < 4:
		return 0, false, r.refuse(length, "length below that of the smallest frame", b)
	case length+4 > int64(r.max):
		return 0, false, r.refuse(length, "length beyond the limit", b)
	}
	if len(b) >= 8 {
		word := binary.BigEndian.Uint32(b[4:])
		ser, head := Serialization(word>>24), int64(word&0xFFFFFF)
		switch {
		case ser > RocketMQ:
			return 0, false, r.refuse(length, "unknown header serialization in a frame of this length", b)
		case head > length-4:
			return 0, false, r.refuse(head, "header longer than its frame", b)
		case head > int64(MaxHeader):
			return 0, false, r.refuse(head, "header beyond the limit", b)
		}
	}
	return int(length) + 4, true, nil
}

// refuse names the peer only at the start of a stream: later, the bytes are more likely the
// middle of something.
func (r *Reader) refuse(length int64, reason string, b []byte) error {
	e := &FrameError{Length: length, Reason: reason}
	if !r.moved {
		e.Looks = looksLike(b)
	}
	return e
}

// looksLike guesses what speaks from the first bytes of a stream.
func looksLike(b []byte) string {
	switch {
	case bytes.HasPrefix(b, []byte("HTTP")):
		return "an HTTP server"
	case bytes.HasPrefix(b, []byte("GET ")), bytes.HasPrefix(b, []byte("POST")), bytes.HasPrefix(b, []byte("PUT ")),
		bytes.HasPrefix(b, []byte("HEAD")), bytes.HasPrefix(b, []byte("OPTI")), bytes.HasPrefix(b, []byte("CONN")):
		return "an HTTP client"
	case bytes.HasPrefix(b, []byte("PRI ")):
		return "an HTTP/2 client"
	case bytes.HasPrefix(b, []byte("SSH-")):
		return "an SSH server"
	case len(b) >= 3 && b[1] == 3 && b[2] <= 4:
		switch b[0] {
		case 0x15:
			return LooksTLSAlert
		case 0x14, 0x16, 0x17:
			return "a TLS peer"
		}
	}
	return ""
}

// shrink runs between frames.
func (r *Reader) shrink() {
	if r.lo == r.hi {
		r.lo, r.hi = 0, 0
	}
	if len(r.buf) <= readBuffer || r.hi-r.lo >= readBuffer {
		return
	}
	if r.of == nil && len(r.buf) <= keepBuffer && r.small < keepFrames {
		return // what many share nobody keeps
	}
	n := copy(r.base, r.buf[r.lo:r.hi])
	r.buf, r.lo, r.hi = r.base, 0, n
	r.release()
}

// fill reads until something has come. need is the length of the frame at lo, 0 if
// not yet known.
func (r *Reader) fill(need int) error {
	if err := r.room(need); err != nil {
		return err
	}
	for range maxEmptyReads {
		if n, err := r.read(); n > 0 || err != nil {
			return err
		}
	}
	return io.ErrNoProgress
}

// room makes room in the buffer for one read.
func (r *Reader) room(need int) error {
	switch {
	case r.base == nil:
		r.base = make([]byte, firstBuffer)
		r.buf = r.base
	case r.full && len(r.base) < readBuffer:
		r.base = make([]byte, readBuffer)
		r.hi = copy(r.base, r.buf[r.lo:r.hi])
		r.buf, r.lo = r.base, 0
	}
	if r.lo > 0 && (r.hi == len(r.buf) || r.lo+need > len(r.buf)) {
		copy(r.buf, r.buf[r.lo:r.hi])
		r.hi -= r.lo
		r.lo = 0
	}
	if r.hi == len(r.buf) {
		// Full with a part of one frame, hence need > len(buf). The peer has sent this much, so
		// it is worth as much again.
		if err := r.claim(need); err != nil {
			return err
		}
		grown := make([]byte, min(2*len(r.buf), need))
		copy(grown, r.buf[:r.hi])
		r.buf = grown
	}
	return nil
}

// read reads once.
func (r *Reader) read() (int, error) {
	n, err := 0, r.late
	if err == nil {
		n, err = r.r.Read(r.buf[r.hi:])
	}
	if n < 0 || n > len(r.buf)-r.hi {
		return 0, errors.New("wire: reader returned an impossible count")
	}
	r.hi += n
	r.full = r.hi == len(r.buf)
	switch {
	case n > 0:
		r.late = err
		return n, nil
	case errors.Is(err, io.EOF) && r.hi > r.lo:
		return 0, io.ErrUnexpectedEOF
	}
	return 0, err
}

func (r *Reader) fail(err error) error {
	if err == ErrNoRoom {
		return err
	}
	// The buffers are of no more use; a caller may keep the Reader for its error.
	r.err = err
	r.buf, r.base, r.lo, r.hi = nil, nil, 0, 0
	r.release()
	return err
}
