package wire_test

import (
	"bytes"
	"encoding/binary"
	"errors"
	"io"
	"runtime"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/liftoff-mq/liftoff/transport/wire"
)

// rawFrame makes a frame of the given total length: a JSON header "{}" and a body of fill.
func rawFrame(total int, fill byte) []byte {
	b := make([]byte, 0, total)
	b = binary.BigEndian.AppendUint32(b, uint32(total-4))
	b = binary.BigEndian.AppendUint32(b, 2)
	b = append(b, '{', '}')
	return append(b, bytes.Repeat([]byte{fill}, total-10)...)
}

func TestReaderCutsFrames(t *testing.T) {
	sizes := []int{10, 100, 65536, 65535, 65537, 11, 270000, 12, 13, 14, 15, 65530, 65540, 16}
	for range 50 {
		sizes = append(sizes, 33, 2000)
	}
	var stream []byte
	for i, n := range sizes {
		stream = append(stream, rawFrame(n, byte(i))...)
	}
	for name, wrap := range map[string]func(io.Reader) io.Reader{
		"whole":          func(r io.Reader) io.Reader { return r },
		"halves":         iotest.HalfReader,
		"single bytes":   iotest.OneByteReader,
		"error with end": iotest.DataErrReader,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := wire.NewReader(wrap(bytes.NewReader(stream)), 0)
			for i, n := range sizes {
				frame, err := r.Next()
				if err != nil {
					t.Fatalf("frame %d: %v", i, err)
				}
				if want := rawFrame(n, byte(i))[4:]; !bytes.Equal(frame, want) {
					t.Fatalf("frame %d: got %d bytes, want %d, or other content", i, len(frame), len(want))
				}
			}
			for range 2 {
				if _, err := r.Next(); err != io.EOF {
					t.Errorf("got %v, want EOF", err)
				}
			}
		})
	}
}

func TestReaderBuffered(t *testing.T) {
	stream := append(rawFrame(100, 1), rawFrame(200, 2)...)
	stream = append(stream, rawFrame(300, 3)[:299]...)
	r := wire.NewReader(bytes.NewReader(stream), 0)
	for i, want := range []bool{true, false} {
		if _, err := r.Next(); err != nil {
			t.Fatal(err)
		}
		if got := r.Buffered(); got != want {
			t.Errorf("after frame %d: Buffered is %v, want %v", i, got, want)
		}
	}
	if _, err := r.Next(); err != io.ErrUnexpectedEOF {
		t.Errorf("got %v, want unexpected EOF", err)
	}
	if !r.Buffered() {
		t.Error("after an error Next does not read, want Buffered")
	}
	r = wire.NewReader(bytes.NewReader(append(rawFrame(100, 1), 0xFF, 0xFF, 0xFF, 0xFF)), 0)
	if _, err := r.Next(); err != nil {
		t.Fatal(err)
	}
	if !r.Buffered() {
		t.Error("bytes that are no frame are there, want Buffered")
	}
}

func TestReaderRefuses(t *testing.T) {
	for _, test := range []struct {
		name, stream, want, looks string
	}{
		{"negative", "\xFF\xFF\xFF\xFF", "negative length", ""},
		{"zero", "\x00\x00\x00\x00", "below", ""},
		{"three", "\x00\x00\x00\x03\x00\x00\x00", "below", ""},
		{"one more than the limit", "\x00\xFF\xFF\xFD\x00\x00\x00\x00", "beyond the limit", ""},
		{"two gibibytes", "\x7F\xFF\xFF\xFF", "beyond the limit", ""},
		{"serialization", "\x00\x00\x00\x08\x02\x00\x00\x02{}..", "serialization", ""},
		{"header longer than frame", "\x00\x00\x00\x08\x00\x00\x00\x05{}..", "longer than its frame", ""},
		{"binary header beyond limit", "\x00\x50\x00\x00\x01\x40\x00\x01", "header beyond", ""},
		{"json header beyond limit", "\x00\x50\x00\x00\x00\x40\x00\x01", "header beyond", ""},
		{"http answer", "HTTP/1.1 400 Bad Request\r\n", "HTTP server", "an HTTP server"},
		{"http request", "GET / HTTP/1.1\r\n", "HTTP client", "an HTTP client"},
		{"http/2", "PRI * HTTP/2.0\r\n", "HTTP/2", "an HTTP/2 client"},
		{"tls alert", "\x15\x03\x03\x00\x02\x02\x28", "TLS", "a TLS peer sending an alert"},
		{"tls hello", "\x16\x03\x01\x02\x00\x01", "TLS", "a TLS peer"},
		{"ssh", "SSH-2.0-x\r\n", "SSH", "an SSH server"},
	} {
		t.Run(test.name, func(t *testing.T) {
			// What comes after must not be waited for: the reader would block.
			r := wire.NewReader(io.MultiReader(strings.NewReader(test.stream), iotest.ErrReader(errors.New("read on"))), 0)
			frame, err := r.Next()
			var fe *wire.FrameError
			if !errors.Is(err, wire.ErrFrame) || !errors.As(err, &fe) || frame != nil {
				t.Fatalf("got %q, %v, want a frame error", frame, err)
			}
			if !strings.Contains(err.Error(), test.want) || fe.Looks != test.looks {
				t.Errorf("got %q looking like %q, want %q in it and %q", err, fe.Looks, test.want, test.looks)
			}
			if _, again := r.Next(); again != err {
				t.Errorf("then got %v, want the same error", again)
			}
		})
	}
}

func TestReaderAcceptsTheLimit(t *testing.T) {
	whole := rawFrame(wire.MaxFrame, 7)
	if frame, err := wire.NewReader(bytes.NewReader(whole), 0).Next(); err != nil || len(frame) != wire.MaxFrame-4 {
		t.Errorf("got %d bytes, %v, want the whole frame", len(frame), err)
	}
	if _, err := wire.NewReader(bytes.NewReader(rawFrame(1001, 7)), 1000).Next(); !errors.Is(err, wire.ErrFrame) {
		t.Errorf("got %v, want a frame error beyond an own limit", err)
	}
	if _, err := wire.NewReader(bytes.NewReader(rawFrame(1000, 7)), 1000).Next(); err != nil {
		t.Errorf("got %v, want no error at an own limit", err)
	}
}

// TestReaderMemoryFollowsBytes: a peer that announces 16 MiB and sends little costs little.
func TestReaderMemoryFollowsBytes(t *testing.T) {
	for _, test := range []struct {
		sent  int
		limit uint64
	}{
		{8, 128 << 10},
		{60 << 10, 128 << 10},
		{70 << 10, 64<<10 + 128<<10 + 64<<10},
		{1 << 20, 6 << 20},
	} {
		b := rawFrame(wire.MaxFrame, 7)[:test.sent]
		var before, after runtime.MemStats
		r := wire.NewReader(bytes.NewReader(b), 0)
		runtime.ReadMemStats(&before)
		_, err := r.Next()
		runtime.ReadMemStats(&after)
		if err != io.ErrUnexpectedEOF {
			t.Fatalf("got %v, want unexpected EOF", err)
		}
		if got := after.TotalAlloc - before.TotalAlloc; got > test.limit {
			t.Errorf("%d bytes sent: %d bytes allocated, want at most %d", test.sent, got, test.limit)
		}
	}
}

type stuckReader struct{}

func (stuckReader) Read([]byte) (int, error) { return 0, nil }

type lyingReader struct{}

func (lyingReader) Read(p []byte) (int, error) { return len(p) + 1, nil }

func TestReaderOfBadReaders(t *testing.T) {
	if _, err := wire.NewReader(stuckReader{}, 0).Next(); err != io.ErrNoProgress {
		t.Errorf("got %v, want no progress", err)
	}
	if _, err := wire.NewReader(lyingReader{}, 0).Next(); err == nil {
		t.Error("got no error from a reader that counts wrongly")
	}
	broken := errors.New("connection reset")
	r := wire.NewReader(io.MultiReader(bytes.NewReader(rawFrame(50, 1)[:20]), iotest.ErrReader(broken)), 0)
	if _, err := r.Next(); err != broken {
		t.Errorf("got %v, want the reader's error", err)
	}
}
