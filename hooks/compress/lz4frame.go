package compress

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math/bits"

	"github.com/pierrec/lz4/v4"
)

// The frame format of LZ4 is read here and not by the library's Reader, which allocates two of
// the blocks that the frame's header announces, 8 MiB in all for a message of Java's, before it
// has seen one. The whole frame is in memory, so nothing has to be buffered. The blocks are
// unpacked by the library.
//
// See https://github.com/lz4/lz4/blob/dev/doc/lz4_Frame_format.md.
const (
	lz4Magic     = 0x184d2204
	lz4Dict      = 64 << 10 // how far a block may look back into those before it
	lz4MaxRatio  = 255      // no byte of a block stands for more
	lz4Stored    = 1 << 31  // the block is not packed
	lz4Version   = 1
	lz4SmallRoom = 1 << 10
)

var (
	errLZ4Magic    = errors.New("not an LZ4 frame")
	errLZ4Header   = errors.New("bad frame header")
	errLZ4Checksum = errors.New("bad checksum")
	errLZ4Block    = errors.New("block is longer than the frame allows")
	errLZ4Size     = errors.New("content has another size than the frame says")
)

// lz4Frame reads a frame.
type lz4Frame struct {
	src                           []byte
	linked, blockSums, sum, sized bool
	blockMax                      int
	contentSize                   uint64
}

// unpackLZ4 appends what a frame holds, up to limit bytes.
func unpackLZ4(dst, src []byte, limit int) ([]byte, error) {
	f := lz4Frame{src: src}
	out, err := f.unpack(dst, limit)
	switch {
	case err == nil:
		return out, nil
	case errors.Is(err, ErrTooLarge):
		return nil, err
	default:
		return nil, fmt.Errorf("compress: lz4: %w", err)
	}
}

func (f *lz4Frame) unpack(dst []byte, limit int) ([]byte, error) {
	if err := f.header(); err != nil {
		return nil, err
	}
	start := len(dst)
	for {
		head, err := f.number()
		switch {
		case err != nil:
			return nil, err
		case head == 0:
			return dst, f.end(dst[start:])
		}
		block, err := f.take(int(head &^ lz4Stored))
		if err != nil {
			return nil, err
		}
		if len(block) > f.blockMax {
			return nil, errLZ4Block
		}
		if f.blockSums {
			if want, err := f.number(); err != nil {
				return nil, err
			} else if want != xxh32(block) {
				return nil, errLZ4Checksum
			}
		}
		if head&lz4Stored != 0 {
			dst = append(dst, block...)
		} else if dst, err = f.block(dst, block, start, limit); err != nil {
			return nil, err
		}
		if len(dst)-start > limit {
			return nil, tooLarge(limit)
		}
	}
}

// header reads what stands before the blocks.
func (f *lz4Frame) header() error {
	magic, err := f.number()
	if err != nil {
		return err
	}
	if magic != lz4Magic {
		return errLZ4Magic
	}
	const shortest = 3
	if len(f.src) < shortest {
		return io.ErrUnexpectedEOF
	}
	flags, blocks := f.src[0], f.src[1]
	f.linked, f.blockSums, f.sized, f.sum = flags&(1<<5) == 0, flags&(1<<4) != 0, flags&(1<<3) != 0, flags&(1<<2) != 0
	size := blocks >> 4 & 7
	// The bits that are tested are reserved, or stand for a dictionary, which nobody gave.
	if flags>>6 != lz4Version || flags&3 != 0 || blocks&0x8f != 0 || size < 4 {
		return errLZ4Header
	}
	f.blockMax = 1 << (8 + 2*size)
	n := 2
	if f.sized {
		n += 8
	}
	descriptor, err := f.take(n)
	if err != nil {
		return err
	}
	if f.sized {
		f.contentSize = binary.LittleEndian.Uint64(descriptor[2:])
	}
	sum, err := f.take(1)
	if err != nil {
		return err
	}
	if sum[0] != byte(xxh32(descriptor)>>8) {
		return errLZ4Checksum
	}
	return nil
}

// block unpacks a block. How long it becomes is not known beforehand, so it is tried with more
// and more room. That costs no more than twice the work.
func (f *lz4Frame) block(dst, block []byte, start, limit int) ([]byte, error) {
	most := min(f.blockMax, lz4MaxRatio*len(block), limit-(len(dst)-start)+1)
	dict := dst[start:]
	if !f.linked {
		dict = nil
	}
	dict = dict[max(0, len(dict)-lz4Dict):]
	for room := min(most, max(4*len(block), lz4SmallRoom)); ; room = min(most, 2*room) {
		if cap(dst)-len(dst) < room {
			dst = append(make([]byte, 0, len(dst)+room), dst...)
		}
		n, err := lz4.UncompressBlockWithDict(block, dst[len(dst):len(dst)+room], dict)
		if err == nil {
			return dst[:len(dst)+n], nil
		}
		if room == most {
			if most <= limit-(len(dst)-start) {
				return nil, err
			}
			return nil, tooLarge(limit)
		}
	}
}

// end checks the content against what the frame says of it.
func (f *lz4Frame) end(content []byte) error {
	if f.sized && uint64(len(content)) != f.contentSize {
		return errLZ4Size
	}
	if !f.sum {
		return nil
	}
	want, err := f.number()
	if err == nil && want != xxh32(content) {
		err = errLZ4Checksum
	}
	return err
}

// take takes the next n bytes.
func (f *lz4Frame) take(n int) ([]byte, error) {
	if n > len(f.src) {
		return nil, io.ErrUnexpectedEOF
	}
	b := f.src[:n]
	f.src = f.src[n:]
	return b, nil
}

// number takes the next number.
func (f *lz4Frame) number() (uint32, error) {
	b, err := f.take(4)
	if err != nil {
		return 0, err
	}
	return binary.LittleEndian.Uint32(b), nil
}

// xxh32 is the 32-bit hash of xxHash with the seed 0, the checksum of LZ4 frames.
func xxh32(b []byte) uint32 {
	const p1, p2, p3, p4, p5 uint32 = 2654435761, 2246822519, 3266489917, 668265263, 374761393
	length := uint32(len(b))
	h := p5
	if len(b) >= 16 {
		v := [4]uint32{p2, 0, 0, 0}
		v[0] += p1
		v[1] = p2
		v[3] -= p1
		for ; len(b) >= 16; b = b[16:] {
			for i := range v {
				v[i] = bits.RotateLeft32(v[i]+binary.LittleEndian.Uint32(b[4*i:])*p2, 13) * p1
			}
		}
		h = bits.RotateLeft32(v[0], 1) + bits.RotateLeft32(v[1], 7) + bits.RotateLeft32(v[2], 12) + bits.RotateLeft32(v[3], 18)
	}
	h += length
	for ; len(b) >= 4; b = b[4:] {
		h = bits.RotateLeft32(h+binary.LittleEndian.Uint32(b)*p3, 17) * p4
	}
	for _, c := range b {
		h = bits.RotateLeft32(h+uint32(c)*p5, 11) * p1
	}
	h = (h ^ h>>15) * p2
	h = (h ^ h>>13) * p3
	return h ^ h>>16
}
