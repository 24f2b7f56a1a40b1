package compress_test

import (
	"bytes"
	"runtime"
	"testing"

	"github.com/liftoff-mq/liftoff/core/rocketmq"
	"github.com/liftoff-mq/liftoff/hooks/compress"
	"github.com/liftoff-mq/liftoff/internal/race"
	"github.com/pierrec/lz4/v4"
)

// allocated is how many bytes f allocates.
func allocated(f func()) uint64 {
	var before, after runtime.MemStats
	runtime.GC()
	runtime.GC() // twice: pools keep what they hold for one collection
	runtime.ReadMemStats(&before)
	f()
	runtime.ReadMemStats(&after)
	return after.TotalAlloc - before.TotalAlloc
}

// A body of a few bytes whose header announces large blocks or windows made the reader of each
// allocate megabytes.
func TestMemoryFollowsWhatWasUnpacked(t *testing.T) {
	if race.Enabled {
		t.Skip("the race detector allocates")
	}
	frame := func(opts ...lz4.Option) []byte {
		var b bytes.Buffer
		w := lz4.NewWriter(&b)
		if err := w.Apply(opts...); err != nil {
			t.Fatal(err)
		}
		if _, err := w.Write([]byte("hello hello hello hello hello hello")); err != nil {
			t.Fatal(err)
		}
		if err := w.Close(); err != nil {
			t.Fatal(err)
		}
		return b.Bytes()
	}
	lz4Flag, zstdFlag := int32(rocketmq.SysCompressed|rocketmq.SysCompressionLZ4), int32(rocketmq.SysCompressed|rocketmq.SysCompressionZstd)
	for name, tt := range map[string]struct {
		src  []byte
		flag int32
		most uint64
	}{
		"lz4, blocks of 4 MiB":   {frame(lz4.BlockSizeOption(lz4.Block4Mb)), lz4Flag, 64 << 10},
		"lz4, legacy":            {[]byte{0x02, 0x21, 0x4c, 0x18, 1, 0, 0, 0, 0}, lz4Flag, 64 << 10},
		"lz4, a bad block":       {append(frame(lz4.BlockSizeOption(lz4.Block4Mb), lz4.ChecksumOption(false))[:7], 5, 0, 0, 0, 0x04, 0xff, 0xff, 0x10, 'x', 0, 0, 0, 0), lz4Flag, 64 << 10},
		"lz4, cut header":        {frame()[:7], lz4Flag, 64 << 10},
		"lz4, a block's size":    {append(frame()[:7], 0, 0, 0x3f, 0x80), lz4Flag, 64 << 10},
		"zstd, window of 8 MiB":  {[]byte{0x28, 0xb5, 0x2f, 0xfd, 0x00, 13 << 3, 0x09, 0, 0, 'x'}, zstdFlag, 256 << 10},
		"zstd, content of 8 MiB": {[]byte{0x28, 0xb5, 0x2f, 0xfd, 0xa0, 0, 0, 0x80, 0, 0x09, 0, 0, 'x'}, zstdFlag, 256 << 10},
		"zlib":                   {[]byte{0x78, 0x9c, 1, 1, 0, 0xfe, 0xff, 'x', 0, 0x79, 0, 0x79}, rocketmq.SysCompressed | rocketmq.SysCompressionZlib, 64 << 10},
	} {
		var out []byte
		var err error
		if n := allocated(func() { out, err = compress.Decompress(nil, tt.src, tt.flag, 16<<20) }); n > tt.most {
			t.Errorf("%s: %d bytes for %d unpacked (%v), at most %d are wanted", name, n, len(out), err, tt.most)
		} else {
			t.Logf("%s: %d bytes for %d unpacked (%v)", name, n, len(out), err)
		}
	}
}
