package compress_test

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"strings"
	"sync"
	"testing"

	stdzlib "compress/zlib"

	"github.com/liftoff-mq/liftoff/core"
	"github.com/liftoff-mq/liftoff/hooks/compress"
)

// codecs are the codecs under test, made once a test.
func codecs(tb testing.TB) []core.Compressor {
	tb.Helper()
	z, err := compress.Zlib(compress.DefaultLevel)
	if err != nil {
		tb.Fatal(err)
	}
	s, err := compress.Zstd(compress.DefaultLevel)
	if err != nil {
		tb.Fatal(err)
	}
	return []core.Compressor{z, compress.LZ4(), s}
}

// flag is the system flag by which consumers learn of a codec: compressed 1, types LZ4
// 0x100, ZSTD 0x200, ZLIB 0x300 (Java: MessageSysFlag, CompressionType).
func flag(codec string) int32 {
	return map[string]int32{"zlib": 0x301, "lz4": 0x101, "zstd": 0x201}[codec]
}

var sizes = []int{1, 4095, 4096, 100000, 4 << 20}

// text gives n bytes that look like log lines; the same every time.
func text(n int) []byte {
	const block = 100000 // farther back than most codecs look
	if n > block {
		return bytes.Repeat(text(block), n/block+1)[:n]
	}
	rng := rand.New(rand.NewPCG(1, uint64(n)))
	words := []string{"order", "paid", "shipped", "customer", "2026-01-02", "error", "timeout", "broker-a", "\n", "queue"}
	var b bytes.Buffer
	for b.Len() < n {
		fmt.Fprintf(&b, "%s %d ", words[rng.IntN(len(words))], rng.IntN(1000))
	}
	return b.Bytes()[:n]
}

// random gives n random bytes; the same every time.
func random(n int) []byte {
	b := make([]byte, n)
	_, _ = rand.NewChaCha8([32]byte{7}).Read(b)
	return b
}

var bodies = map[string]func(n int) []byte{
	"text": text, "random": random, "zeros": func(n int) []byte { return make([]byte, n) },
}

func TestRoundTrip(t *testing.T) {
	for _, c := range codecs(t) {
		for kind, body := range bodies {
			for _, size := range sizes {
				t.Run(fmt.Sprintf("%s/%s/%d", c.Name(), kind, size), func(t *testing.T) {
					src := body(size)
					orig := bytes.Clone(src)
					packed, err := c.Append([]byte("before"), src)
					if err != nil {
						t.Fatal(err)
					}
					if !bytes.HasPrefix(packed, []byte("before")) {
						t.Fatal("Append wrote over dst")
					}
					if !bytes.Equal(src, orig) {
						t.Fatal("Append changed src")
					}
					got, err := compress.Decompress([]byte("head"), packed[6:], flag(c.Name()), size)
					if err != nil {
						t.Fatal(err)
					}
					if !bytes.HasPrefix(got, []byte("head")) || !bytes.Equal(got[4:], src) {
						t.Fatal("the body came back changed")
					}
					if size > 1 {
						if _, err := compress.Decompress(nil, packed[6:], flag(c.Name()), size-1); !errors.Is(err, compress.ErrTooLarge) {
							t.Errorf("one byte less than needed: %v", err)
						}
					}
				})
			}
		}
	}
}

func TestEmptyBodyRoundTrip(t *testing.T) {
	for _, c := range codecs(t) {
		packed, err := c.Append(nil, nil)
		if err != nil || len(packed) == 0 {
			t.Errorf("%s: %x, %v", c.Name(), packed, err)
			continue
		}
		got, err := compress.Decompress(nil, packed, flag(c.Name()), 1)
		if err != nil || len(got) != 0 {
			t.Errorf("%s: %x, %v", c.Name(), got, err)
		}
	}
}

// Every level packs, and what zlib packs another implementation unpacks.
func TestLevels(t *testing.T) {
	src := text(20000)
	for level := 1; level <= 9; level++ {
		c, err := compress.Zlib(level)
		if err != nil {
			t.Fatal(err)
		}
		packed, err := c.Append(nil, src)
		if err != nil {
			t.Fatal(err)
		}
		r, err := stdzlib.NewReader(bytes.NewReader(packed))
		if err != nil {
			t.Fatal(err)
		}
		if got, err := io.ReadAll(r); err != nil || !bytes.Equal(got, src) {
			t.Errorf("zlib level %d: %v", level, err)
		}
	}
	for _, level := range []int{1, 3, 5, 6, 10, 22} {
		c, err := compress.Zstd(level)
		if err != nil {
			t.Fatal(err)
		}
		packed, err := c.Append(nil, src)
		if err != nil {
			t.Fatal(err)
		}
		if got, err := compress.Decompress(nil, packed, flag(c.Name()), len(src)); err != nil || !bytes.Equal(got, src) {
			t.Errorf("zstd level %d: %v", level, err)
		}
	}
	for _, level := range []int{-2, -1, 0, 10} {
		if c, err := compress.Zlib(level); err == nil || c != nil {
			t.Errorf("zlib level %d was accepted", level)
		}
	}
	for _, level := range []int{-1, 0, 23} {
		if c, err := compress.Zstd(level); err == nil || c != nil {
			t.Errorf("zstd level %d was accepted", level)
		}
	}
}

// The frame of LZ4 must be one that Java's reader takes: magic number, version
// 1, independent blocks, no dictionary.
func TestLZ4FrameHeader(t *testing.T) {
	packed, err := compress.LZ4().Append(nil, text(5000))
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.HasPrefix(packed, []byte{0x04, 0x22, 0x4d, 0x18}) {
		t.Errorf("magic number % x", packed[:4])
	}
	if flg := packed[4]; flg>>6 != 1 || flg&0x20 == 0 || flg&0x01 != 0 {
		t.Errorf("frame flags %08b", flg)
	}
}

func TestCodecsAreSafeForConcurrentUse(t *testing.T) {
	src := text(10000)
	for _, c := range codecs(t) {
		want, err := c.Append(nil, src)
		if err != nil {
			t.Fatal(err)
		}
		var wg sync.WaitGroup
		for range 8 {
			wg.Go(func() {
				var buf []byte
				for range 20 {
					packed, err := c.Append(buf[:0], src)
					if err != nil || !bytes.Equal(packed, want) {
						t.Errorf("%s: %v, equal %v", c.Name(), err, bytes.Equal(packed, want))
						return
					}
					buf = packed
				}
			})
		}
		wg.Wait()
	}
}

func TestDecompressDefaultsAreBounded(t *testing.T) {
	for _, c := range codecs(t) {
		bomb, err := c.Append(nil, make([]byte, 1<<20))
		if err != nil {
			t.Fatal(err)
		}
		if len(bomb)*100 < 1<<20 { // all but the weakest codec
			if _, err := compress.Decompress(nil, bomb, flag(c.Name()), 0); !errors.Is(err, compress.ErrTooLarge) {
				t.Errorf("%s: more than 100 to 1: %v", c.Name(), err)
			}
		}
		large, err := c.Append(nil, random(8<<20+1))
		if err != nil {
			t.Fatal(err)
		}
		if _, err := compress.Decompress(nil, large, flag(c.Name()), 0); !errors.Is(err, compress.ErrTooLarge) {
			t.Errorf("%s: more than 8 MiB: %v", c.Name(), err)
		}
	}
	if got, err := compress.Decompress(nil, []byte("plain"), 0, 0); err != nil || string(got) != "plain" {
		t.Errorf("not packed: %q, %v", got, err)
	}
	if _, err := compress.Decompress(nil, []byte("plain"), 0, 4); !errors.Is(err, compress.ErrTooLarge) {
		t.Errorf("not packed and too long: %v", err)
	}
}

func TestDecompressTypes(t *testing.T) {
	cs := codecs(t)
	packed, err := cs[0].Append(nil, []byte("hello"))
	if err != nil {
		t.Fatal(err)
	}
	// Old producers leave the type out, and other bits do not matter.
	for _, flag := range []int32{0x1, 0x301, 0x301 | 0x4 | 0x10} {
		if got, err := compress.Decompress(nil, packed, flag, 0); err != nil || string(got) != "hello" {
			t.Errorf("flag %#x: %q, %v", flag, got, err)
		}
	}
	for _, flag := range []int32{0x401, 0x501, 0x601, 0x701} {
		if _, err := compress.Decompress(nil, packed, flag, 0); !errors.Is(err, compress.ErrUnknownCodec) {
			t.Errorf("flag %#x: %v", flag, err)
		}
	}
}

// A body that was cut must never pass for a whole one.
func TestTruncatedBodiesFail(t *testing.T) {
	src := text(3000)
	for _, c := range codecs(t) {
		packed, err := c.Append(nil, src)
		if err != nil {
			t.Fatal(err)
		}
		for n := range packed {
			if n > 64 && n < len(packed)-64 && n%13 != 0 {
				continue // head and tail byte by byte
			}
			if got, err := compress.Decompress(nil, packed[:n], flag(c.Name()), len(src)); err == nil {
				t.Errorf("%s: %d of %d bytes unpack into %d bytes", c.Name(), n, len(packed), len(got))
			} else if !strings.HasPrefix(err.Error(), "compress: ") {
				t.Errorf("%s: %v", c.Name(), err)
			}
		}
	}
}

func FuzzDecompress(f *testing.F) {
	for _, c := range codecs(f) {
		for _, body := range [][]byte{[]byte("x"), text(300), make([]byte, 5000)} {
			packed, err := c.Append(nil, body)
			if err != nil {
				f.Fatal(err)
			}
			f.Add(packed, flag(c.Name()), 10000)
		}
	}
	f.Add([]byte{0x02, 0x21, 0x4c, 0x18, 4, 0, 0, 0, 1, 2, 3, 4}, int32(0x101), 100) // LZ4's legacy frames
	f.Add([]byte("\x04\"M\x18dP\b\x00\x00\x00\x00"), int32(0x101), 10000)            // LZ4, with a wrong sum of the content
	f.Add([]byte{}, int32(0x201), 0)
	f.Fuzz(func(t *testing.T, src []byte, flag int32, limit int) {
		limit = min(limit, 1<<20)
		orig := bytes.Clone(src)
		got, err := compress.Decompress([]byte("head"), src, flag, limit)
		if !bytes.Equal(src, orig) {
			t.Fatal("src was changed")
		}
		if err != nil {
			if got != nil {
				t.Fatal("a body and an error")
			}
			return
		}
		if !bytes.HasPrefix(got, []byte("head")) {
			t.Fatal("dst was changed")
		}
		n := len(got) - 4
		switch {
		case limit > 0 && n > limit:
			t.Fatalf("%d bytes, limit %d", n, limit)
		case limit <= 0 && (n > 8<<20 || flag&1 != 0 && n > 100*len(src)):
			t.Fatalf("%d bytes of %d", n, len(src))
		}
	})
}

// Whatever is packed comes back.
func FuzzRoundTrip(f *testing.F) {
	f.Add([]byte("hello"), uint16(3))
	f.Add([]byte{}, uint16(0))
	f.Add([]byte{0, 255}, uint16(5000))
	cs := codecs(f)
	f.Fuzz(func(t *testing.T, unit []byte, times uint16) {
		src := bytes.Repeat(unit, min(int(times), 1<<18/(len(unit)+1)))
		for _, c := range cs {
			packed, err := c.Append(nil, src)
			if err != nil {
				t.Fatal(err)
			}
			got, err := compress.Decompress(nil, packed, flag(c.Name()), len(src)+1)
			if err != nil || !bytes.Equal(got, src) {
				t.Fatalf("%s: %d bytes come back as %d, %v", c.Name(), len(src), len(got), err)
			}
		}
	})
}

func BenchmarkAppend(b *testing.B) {
	for _, c := range codecs(b) {
		for _, size := range sizes[1:] {
			for _, kind := range []string{"text", "random"} {
				b.Run(fmt.Sprintf("%s/%s/%d", c.Name(), kind, size), func(b *testing.B) {
					src := bodies[kind](size)
					buf := make([]byte, 0, size+size/8+1024)
					b.SetBytes(int64(size))
					b.ReportAllocs()
					n := 0
					for b.Loop() {
						packed, err := c.Append(buf[:0], src)
						if err != nil {
							b.Fatal(err)
						}
						n = len(packed)
					}
					b.ReportMetric(float64(n)/float64(size), "ratio")
				})
			}
		}
	}
}

func BenchmarkDecompress(b *testing.B) {
	for _, c := range codecs(b) {
		b.Run(c.Name(), func(b *testing.B) {
			src := text(100000)
			packed, err := c.Append(nil, src)
			if err != nil {
				b.Fatal(err)
			}
			buf := make([]byte, 0, len(src))
			b.SetBytes(int64(len(src)))
			b.ReportAllocs()
			for b.Loop() {
				if _, err := compress.Decompress(buf[:0], packed, flag(c.Name()), len(src)); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
