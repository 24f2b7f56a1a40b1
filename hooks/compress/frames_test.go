package compress_test

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/klauspost/compress/zstd"
	"github.com/liftoff-mq/liftoff/core/rocketmq"
	"github.com/liftoff-mq/liftoff/hooks/compress"
	"github.com/liftoff-mq/liftoff/internal/race"
	"github.com/pierrec/lz4/v4"
)

const (
	flagLZ4  = rocketmq.SysCompressed | rocketmq.SysCompressionLZ4
	flagZstd = rocketmq.SysCompressed | rocketmq.SysCompressionZstd
)

// frameBodies are texts of every length that matters to a checksum or a block, and some that pack
// to hardly anything or to nothing.
func frameBodies() [][]byte {
	rng := rand.New(rand.NewPCG(1, 2))
	noise := make([]byte, 300<<10)
	for i := range noise {
		noise[i] = byte(rng.Uint32())
	}
	list := [][]byte{noise, bytes.Repeat([]byte("x"), 5<<20), []byte(strings.Repeat("all work and no play ", 20_000))}
	for _, n := range []int{0, 1, 3, 4, 5, 15, 16, 17, 31, 32, 37} {
		list = append(list, noise[:n], bytes.Repeat([]byte("ab"), n))
	}
	return list
}

// Frames of every kind that the library writes are read, and one that was changed on its way
// is not taken for a body.
func TestLZ4Frames(t *testing.T) {
	all := frameBodies()
	for _, size := range []lz4.BlockSize{lz4.Block64Kb, lz4.Block256Kb, lz4.Block1Mb, lz4.Block4Mb} {
		for kind := range 8 {
			for _, body := range all {
				if len(body) > 1<<20 && (race.Enabled || kind != 0 && kind != 7) {
					continue // it is slow, ten times so with the race detector
				}
				var b bytes.Buffer
				w := lz4.NewWriter(&b)
				opts := []lz4.Option{lz4.BlockSizeOption(size), lz4.BlockChecksumOption(kind&1 != 0), lz4.ChecksumOption(kind&2 != 0)}
				if kind&4 != 0 {
					opts = append(opts, lz4.SizeOption(uint64(len(body))))
				}
				if err := errors.Join(w.Apply(opts...), write(w, body), w.Close()); err != nil {
					t.Fatal(err)
				}
				got, err := compress.Decompress([]byte("before"), b.Bytes(), flagLZ4, 8<<20)
				if err != nil || string(got) != "before"+string(body) {
					t.Fatalf("%v, kind %d, %d bytes: got %d bytes, %v", size, kind, len(body), len(got), err)
				}
				if kind != 7 {
					continue
				}
				for range 20 {
					changed := bytes.Clone(b.Bytes())
					changed[rand.IntN(len(changed))] ^= 1 << rand.IntN(8)
					if got, err := compress.Decompress(nil, changed, flagLZ4, 8<<20); err == nil && !bytes.Equal(got, body) {
						t.Fatalf("%d bytes: a changed frame is read as %d bytes", len(body), len(got))
					}
				}
			}
		}
	}
}

func write(w io.Writer, b []byte) error {
	_, err := w.Write(b)
	return err
}

// Frames by hand: what the library does not write.
func TestLZ4FramesByHand(t *testing.T) {
	head := func(flags, blocks, sum byte) string { return "\x04\x22\x4d\x18" + string([]byte{flags, blocks, sum}) }
	const end = "\x00\x00\x00\x00"
	stored := func(s string) string { return string([]byte{byte(len(s)), 0, 0, 0x80}) + s }
	packed := func(s string) string { return string([]byte{byte(len(s)), 0, 0, 0}) + s }
	const back = "\x04\x08\x00\x50WXYZ!" // eight bytes from eight bytes back, and five as they are
	const linked, alone, bits = 0x40, 0x60, 0x40
	for name, tt := range map[string]struct{ src, want string }{
		"linked":              {head(linked, bits, 0xc0) + stored("abcdefgh") + packed(back) + end, "abcdefghabcdefghWXYZ!"},
		"looks too far back":  {head(alone, bits, 0x82) + stored("abcdefgh") + packed(back) + end, ""},
		"empty":               {head(alone, bits, 0x82) + end, "."},
		"another version":     {head(0x80|alone&0x3f, bits, 0) + end, ""},
		"dictionary":          {head(alone|1, bits, 0) + end, ""},
		"reserved":            {head(alone|2, bits, 0) + end, ""},
		"block size 3":        {head(alone, 0x30, 0) + end, ""},
		"header's checksum":   {head(alone, bits, 0x83) + end, ""},
		"no end":              {head(alone, bits, 0x82) + stored("abc"), ""},
		"cut block":           {head(alone, bits, 0x82) + "\xff\x00\x00\x00abc", ""},
		"too long a block":    {head(alone, bits, 0x82) + "\x01\x00\x01\x80" + strings.Repeat("x", 65537) + end, ""},
		"another magic":       {"\x02\x21\x4c\x18" + end, ""},
		"nothing but a magic": {"\x04\x22\x4d\x18", ""},
	} {
		got, err := compress.Decompress(nil, []byte(tt.src), flagLZ4, 1<<20)
		if want := strings.Trim(tt.want, "."); (err == nil) != (tt.want != "") || string(got) != want {
			t.Errorf("%s: %q, %v", name, got, err)
		}
	}
}

// A frame that unpacks to exactly the limit is read, and one byte more is too much.
func TestLimitsOfFrames(t *testing.T) {
	for _, n := range []int{1, 1000, 65536, 65537, 300_000, 1 << 20} {
		body := bytes.Repeat([]byte("x"), n)
		var known, unknown, four bytes.Buffer
		enc, err := zstd.NewWriter(&unknown)
		if err != nil {
			t.Fatal(err)
		}
		known.Write(enc.EncodeAll(body, nil))
		for rest := body; len(rest) > 0; rest = rest[min(len(rest), 1000):] { // so that the size is not known at the start
			if err := write(enc, rest[:min(len(rest), 1000)]); err != nil {
				t.Fatal(err)
			}
		}
		w := lz4.NewWriter(&four)
		if err := errors.Join(enc.Close(), write(w, body), w.Close()); err != nil {
			t.Fatal(err)
		}
		for name, tt := range map[string]struct {
			src  []byte
			flag int32
		}{
			"zstd": {known.Bytes(), flagZstd}, "zstd of unknown size": {unknown.Bytes(), flagZstd}, "lz4": {four.Bytes(), flagLZ4},
		} {
			got, err := compress.Decompress(nil, tt.src, tt.flag, n)
			if err != nil || !bytes.Equal(got, body) {
				t.Errorf("%s, %d bytes: %d, %v", name, n, len(got), err)
			}
			if got, err := compress.Decompress(nil, tt.src, tt.flag, max(1, n-1)); n > 1 && (!errors.Is(err, compress.ErrTooLarge) || got != nil) {
				t.Errorf("%s, %d bytes, one too many: %d, %v", name, n, len(got), err)
			}
			if _, err := compress.Decompress(nil, append(bytes.Clone(tt.src), tt.src...), tt.flag, 4*n); tt.flag == flagZstd && err == nil {
				t.Errorf("%s, %d bytes: a second frame is not noticed", name, n)
			}
		}
	}
}

// Frames that are cut or changed anywhere fail, or are what they were; they do not panic.
func TestBrokenZstdFrames(t *testing.T) {
	enc, err := zstd.NewWriter(nil)
	if err != nil {
		t.Fatal(err)
	}
	defer enc.Close()
	body := []byte(strings.Repeat("all work and no play ", 500) + fmt.Sprint(rand.Uint64()))
	frame := enc.EncodeAll(body, nil)
	for n := range frame {
		if got, err := compress.Decompress(nil, frame[:n], flagZstd, 1<<20); err == nil {
			t.Errorf("cut after %d bytes: %d bytes", n, len(got))
		}
		changed := bytes.Clone(frame)
		changed[n] ^= 1 << rand.IntN(8)
		_, _ = compress.Decompress(nil, changed, flagZstd, 1<<20)
	}
	for _, head := range []string{"", "\x28\xb5\x2f\xfd", "\x28\xb5\x2f\xfd\x00\x00\x07\x00\xff", "\x28\xb5\x2f\xfd\x00\x00\xfe\xff\xff"} {
		if _, err := compress.Decompress(nil, []byte(head), flagZstd, 1<<20); err == nil {
			t.Errorf("%q is a frame", head)
		}
	}
}
