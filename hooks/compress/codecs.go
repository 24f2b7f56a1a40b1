package compress

import (
	"fmt"
	"io"
	"strconv"
	"sync"

	"github.com/klauspost/compress/zlib"
	"github.com/klauspost/compress/zstd"
	"github.com/pierrec/lz4/v4"

	"github.com/liftoff-mq/liftoff/core"
)

// sink collects what a writer writes.
type sink struct{ buf []byte }

func (s *sink) Write(p []byte) (int, error) {
	s.buf = append(s.buf, p...)
	return len(p), nil
}

// Zlib packs with zlib (RFC 1950), which every consumer can read. Levels go from
// 1, fastest, to 9, smallest; [DefaultLevel] is the usual one. Up to level 6
// a body in which nothing repeats stays as it is, even if it uses few byte
// values, as base64 does; from 7 on that is made use of too.
func Zlib(level int) (core.Compressor, error) {
	if level < 1 || level > 9 {
		return nil, fmt.Errorf("compress: zlib level %d, allowed is 1 to 9", level)
	}
	z := &streamCodec{name: "zlib", about: describe("zlib", level)}
	z.writers.New = func() any {
		w := new(streamWriter)
		// The level, the only thing that can be wrong, was checked.
		w.zw, _ = zlib.NewWriterLevel(&w.out, level)
		return w
	}
	return z, nil
}

// LZ4 packs with LZ4 in its frame format, as Java does: fastest, least small.
// Frames have independent blocks and a checksum, which Java's reader demands
// and checks.
func LZ4() core.Compressor {
	z := &streamCodec{name: "lz4", about: core.Description{Summary: "lz4"}}
	z.writers.New = func() any {
		w, zw := new(streamWriter), lz4.NewWriter(nil)
		// Small blocks cost little ratio, since LZ4 looks back 64 KiB at most,
		// and spare each call a buffer of 4 MiB.
		_ = zw.Apply(lz4.BlockSizeOption(lz4.Block256Kb), lz4.ConcurrencyOption(1)) // no option is out of range
		w.zw = zw
		return w
	}
	return z
}

// streamCodec packs with a writer that can be reset, from a pool.
type streamCodec struct {
	name    string
	about   core.Description
	writers sync.Pool // of *streamWriter
}

type streamWriter struct {
	out sink
	zw  interface {
		io.WriteCloser
		Reset(io.Writer)
	}
}

func (z *streamCodec) Name() string { return z.name }

func (z *streamCodec) Describe() core.Description { return z.about }

func (z *streamCodec) Append(dst, src []byte) ([]byte, error) {
	w := z.writers.Get().(*streamWriter)
	w.out.buf = dst
	w.zw.Reset(&w.out)
	_, err := w.zw.Write(src)
	if err == nil {
		err = w.zw.Close()
	}
	dst, w.out.buf = w.out.buf, nil
	z.writers.Put(w)
	if err != nil {
		return nil, err
	}
	return dst, nil
}

// Zstd packs with Zstandard. Levels are those of the reference implementation,
// 1, fastest, to 22, smallest, mapped to the four that exist here; [DefaultLevel]
// is the usual one.
//
// As many bodies are packed at once as there are processors (GOMAXPROCS when it
// was made); others wait.
func Zstd(level int) (core.Compressor, error) {
	if level < 1 || level > 22 {
		return nil, fmt.Errorf("compress: zstd level %d, allowed is 1 to 22", level)
	}
	enc, err := zstd.NewWriter(nil, zstd.WithEncoderLevel(zstd.EncoderLevelFromZstd(level)), zstd.WithZeroFrames(true))
	if err != nil {
		return nil, fmt.Errorf("compress: zstd: %w", err)
	}
	return &zstdCodec{enc, describe("zstd", level)}, nil
}

type zstdCodec struct {
	enc   *zstd.Encoder
	about core.Description
}

func (z *zstdCodec) Name() string { return "zstd" }

func (z *zstdCodec) Describe() core.Description { return z.about }

func (z *zstdCodec) Append(dst, src []byte) ([]byte, error) { return z.enc.EncodeAll(src, dst), nil }

// describe describes a codec that has levels.
func describe(name string, level int) core.Description {
	return core.Description{Summary: name, Settings: []core.Setting{{Name: "level", Value: strconv.Itoa(level)}}}
}
