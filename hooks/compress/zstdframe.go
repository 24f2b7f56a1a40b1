package compress

import (
	"errors"
	"fmt"
	"io"
	"math"

	"github.com/klauspost/compress/zstd"
)

// zstdBlock is the most that a packed block unpacks to (RFC 8878).
const zstdBlock = 128 << 10

var (
	errZstdSize  = errors.New("the frame announces more than its blocks can hold")
	errZstdBlock = errors.New("a block is too long")
)

// unpackZstd appends what a frame holds, up to limit bytes. The library makes room for the
// window or the content that a header announces. So its streaming side is not used, and a
// header that announces more than the blocks can hold is refused.
func unpackZstd(dst, src []byte, limit int) ([]byte, error) {
	most, announced, err := zstdSize(src)
	if err != nil {
		return nil, fmt.Errorf("compress: zstd: %w", err)
	}
	// One decoder at a time runs without goroutines. 8 MiB is the window that every decoder
	// must support (RFC 8878).
	d, err := zstd.NewReader(nil, zstd.WithDecoderConcurrency(1), zstd.WithDecoderLowmem(true),
		zstd.WithDecoderMaxWindow(8<<20), zstd.WithDecodeAllCapLimit(true))
	if err != nil {
		return nil, fmt.Errorf("compress: zstd: %w", err)
	}
	defer d.Close()
	if announced > int64(limit) {
		return nil, tooLarge(limit)
	}
	// With room for one block beyond the limit the library says that the room is too small, and
	// not that a block is bad.
	end := int(min(most, int64(limit)+zstdBlock, math.MaxInt32))
	room := int(announced)
	if room == 0 {
		room = min(end, max(4*len(src), 1<<10))
	}
	for ; ; room = min(end, 2*room) {
		if cap(dst)-len(dst) < room {
			dst = append(make([]byte, 0, len(dst)+room), dst...)
		}
		out, err := d.DecodeAll(src, dst[:len(dst):len(dst)+room])
		switch {
		case err == nil && len(out)-len(dst) > limit, room == end && errors.Is(err, zstd.ErrDecoderSizeExceeded):
			return nil, tooLarge(limit)
		case err == nil:
			return out, nil
		case room == end:
			return nil, fmt.Errorf("compress: zstd: %w", err)
		}
	}
}

// zstdSize is the most that a frame can unpack to, and what it says that it unpacks to, 0 if it
// does not say. Behind the frame there may be nothing.
func zstdSize(src []byte) (most, announced int64, err error) {
	var h zstd.Header
	if err := h.Decode(src); err != nil {
		return 0, 0, err
	}
	at := h.HeaderSize
	for last := false; !last; {
		if len(src)-at < 3 {
			return 0, 0, io.ErrUnexpectedEOF
		}
		head := int(src[at]) | int(src[at+1])<<8 | int(src[at+2])<<16
		at += 3
		last = head&1 != 0
		size := head >> 3
		if size > zstdBlock {
			return 0, 0, errZstdBlock
		}
		switch head >> 1 & 3 {
		case 0: // stored
			most += int64(size)
			at += size
		case 1: // one byte, repeated
			most += int64(size)
			at++
		default:
			most += zstdBlock
			at += size
		}
	}
	if h.HasCheckSum {
		at += 4
	}
	switch {
	case at > len(src):
		return 0, 0, io.ErrUnexpectedEOF
	case at < len(src):
		return 0, 0, errors.New("there is something behind the frame")
	case h.HasFCS && h.FrameContentSize > uint64(most):
		return 0, 0, errZstdSize
	case h.HasFCS:
		announced = int64(h.FrameContentSize)
	}
	return most, announced, nil
}
