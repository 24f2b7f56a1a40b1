package compress

import (
	"bytes"
	"errors"
	"fmt"
	"io"

	"github.com/klauspost/compress/zlib"

	"github.com/liftoff-mq/liftoff/core/rocketmq"
	"github.com/liftoff-mq/liftoff/internal/words"
)

// The bounds of [Decompress] when none is given.
const (
	DefaultMaxUnpacked = 8 << 20
	DefaultMaxRatio    = 100
)

// The errors of [Decompress].
var (
	ErrTooLarge     = errors.New("compress: unpacked body is too large")
	ErrUnknownCodec = errors.New("compress: unknown codec")
)

// Decompress appends the unpacked form of src to dst, by the codec that sysFlag
// names, and src itself if sysFlag says that it is not packed.
//
// It stops with [ErrTooLarge] before more than limit bytes are appended. A limit
// of 0 or less means the defaults for bodies from strangers: 8 MiB, and at most
// 100 times the size of src. A limit that is given stands alone, so that a body
// of zeros, which packs a thousandfold, can be read by programs that expect it.
// Memory follows what is unpacked and what the packed blocks can hold, not what a header
// announces. A body of zstd or LZ4 is one frame.
//
// It keeps no state between calls and is safe for concurrent use.
func Decompress(dst, src []byte, sysFlag int32, limit int) ([]byte, error) {
	if limit <= 0 {
		limit = DefaultMaxUnpacked
		if sysFlag&rocketmq.SysCompressed != 0 && len(src) < limit/DefaultMaxRatio {
			limit = len(src) * DefaultMaxRatio
		}
	}
	if sysFlag&rocketmq.SysCompressed == 0 {
		if len(src) > limit {
			return nil, tooLarge(limit)
		}
		return append(dst, src...), nil
	}
	if len(src) == 0 { // not even an empty body packs into nothing
		return nil, fmt.Errorf("compress: empty packed body: %w", io.ErrUnexpectedEOF)
	}
	switch t := sysFlag & rocketmq.SysCompressionMask; t {
	case 0, rocketmq.SysCompressionZlib:
		r, err := zlib.NewReader(bytes.NewReader(src))
		if err != nil {
			return nil, fmt.Errorf("compress: zlib: %w", err)
		}
		return readAll(dst, r, limit)
	case rocketmq.SysCompressionLZ4:
		return unpackLZ4(dst, src, limit)
	case rocketmq.SysCompressionZstd:
		return unpackZstd(dst, src, limit)
	default:
		return nil, fmt.Errorf("%w: type %d in system flag %#x", ErrUnknownCodec, t>>8, sysFlag)
	}
}

// Unpack is [Decompress] of a body that the named codec packed: "zlib", "lz4" or "zstd". It is
// what requestreply.Config.Unpack wants, and a [core.Unpacker].
func Unpack(codec string, packed []byte, limit int) ([]byte, error) {
	var flag int32
	switch codec {
	case "zlib":
		flag = rocketmq.SysCompressionZlib
	case "lz4":
		flag = rocketmq.SysCompressionLZ4
	case "zstd":
		flag = rocketmq.SysCompressionZstd
	default:
		return nil, fmt.Errorf("%w: %s", ErrUnknownCodec, words.Quote(codec))
	}
	return Decompress(nil, packed, rocketmq.SysCompressed|flag, limit)
}

// readAll appends what r has, up to limit bytes.
func readAll(dst []byte, r io.Reader, limit int) ([]byte, error) {
	start := len(dst)
	for {
		if len(dst) == cap(dst) {
			dst = append(dst, 0)[:len(dst)]
		}
		n, err := r.Read(dst[len(dst):cap(dst)])
		dst = dst[:len(dst)+n]
		switch {
		case len(dst)-start > limit:
			return nil, tooLarge(limit)
		case err == io.EOF:
			return dst, nil
		case err != nil:
			return nil, fmt.Errorf("compress: zlib: %w", err)
		}
	}
}

func tooLarge(limit int) error {
	return fmt.Errorf("%w: more than %d bytes", ErrTooLarge, limit)
}
