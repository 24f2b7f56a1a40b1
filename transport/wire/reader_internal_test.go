package wire

import (
	"bytes"
	"encoding/binary"
	"io"
	"testing"
)

func internalFrame(total int) []byte {
	b := binary.BigEndian.AppendUint32(nil, uint32(total-4))
	b = append(b, 0, 0, 0, 2, '{', '}')
	return append(b, make([]byte, total-10)...)
}

// TestReaderShrinks: after one giant frame the next call is back at the standing buffer; after
// middle-sized ones it takes some small frames.
func TestReaderShrinks(t *testing.T) {
	next := func(r *Reader) {
		t.Helper()
		if _, err := r.Next(); err != nil {
			t.Fatal(err)
		}
	}
	small := bytes.Repeat(internalFrame(100), keepFrames+1)
	r := NewReader(bytes.NewReader(append(internalFrame(5<<20), small...)), 0)
	next(r)
	if len(r.buf) < 5<<20 {
		t.Fatalf("buffer of %d bytes holds a frame of 5 MiB", len(r.buf))
	}
	next(r)
	if len(r.buf) != readBuffer {
		t.Errorf("buffer of %d bytes after a giant frame, want %d", len(r.buf), readBuffer)
	}
	r = NewReader(bytes.NewReader(append(internalFrame(100<<10), small...)), 0)
	for range keepFrames {
		next(r)
	}
	if len(r.buf) <= readBuffer {
		t.Errorf("buffer of %d bytes soon after a middle-sized frame, want it kept", len(r.buf))
	}
	next(r)
	next(r)
	if len(r.buf) != readBuffer {
		t.Errorf("buffer of %d bytes, want %d after %d small frames", len(r.buf), readBuffer, keepFrames)
	}
}

// TestReaderStartsSmall: a connection that never has much to say keeps a small buffer.
func TestReaderStartsSmall(t *testing.T) {
	frame := internalFrame(400)
	slow := NewReader(&oneAtATime{frame: frame, n: 100}, 0)
	for range 100 {
		if _, err := slow.Next(); err != nil {
			t.Fatal(err)
		}
	}
	if len(slow.buf) != firstBuffer {
		t.Errorf("buffer of %d bytes for one frame at a time, want %d", len(slow.buf), firstBuffer)
	}
	busy := NewReader(bytes.NewReader(bytes.Repeat(frame, 100)), 0)
	for i := range 100 {
		got, err := busy.Next()
		if err != nil || !bytes.Equal(got, frame[4:]) {
			t.Fatalf("frame %d: %d bytes, %v", i, len(got), err)
		}
	}
	if len(busy.buf) != readBuffer {
		t.Errorf("buffer of %d bytes for a flood, want %d", len(busy.buf), readBuffer)
	}
}

// oneAtATime gives n frames, one for each read.
type oneAtATime struct {
	frame []byte
	n     int
}

func (o *oneAtATime) Read(b []byte) (int, error) {
	if o.n == 0 {
		return 0, io.EOF
	}
	o.n--
	return copy(b, o.frame), nil
}
