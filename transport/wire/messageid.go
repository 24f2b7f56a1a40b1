package wire

import (
	"encoding/binary"
	"encoding/hex"
	"math"
	"net/netip"
	"strconv"
)

// OffsetID is an offset message id: where a message lies. Its text form is the upper-case hex of
// address (4 or 16 bytes), port (4) and commit-log offset (8): 32 or 56 characters.
type OffsetID struct {
	Addr   netip.AddrPort
	Offset int64
}

const offsetDigits = "0123456789ABCDEF"

// AppendText appends the text form. An invalid address becomes 0.0.0.0.
func (id OffsetID) AppendText(dst []byte) ([]byte, error) {
	var raw [28]byte
	b := appendHost(raw[:0], hostAddr(id.Addr), id.Addr.Port())
	b = binary.BigEndian.AppendUint64(b, uint64(id.Offset))
	for _, c := range b {
		dst = append(dst, offsetDigits[c>>4], offsetDigits[c&15])
	}
	return dst, nil
}

// String returns the text form.
func (id OffsetID) String() string {
	var text [56]byte
	b, _ := id.AppendText(text[:0])
	return string(b)
}

// ParseOffsetID decodes the text form; small letters are accepted. A batch's answer holds several
// ids joined by commas, which the caller splits. Errors match [ErrDecode].
func ParseOffsetID(s string) (OffsetID, error) {
	const part = "message id"
	var n int
	switch len(s) {
	case 32:
		n = 4
	case 56:
		n = 16
	default:
		return OffsetID{}, malformed(part, "neither 32 nor 56 characters but "+strconv.Itoa(len(s)), -1)
	}
	var raw [28]byte
	if _, err := hex.Decode(raw[:], []byte(s)); err != nil {
		return OffsetID{}, malformed(part, "not hexadecimal", -1)
	}
	addr, _ := netip.AddrFromSlice(raw[:n])
	port := binary.BigEndian.Uint32(raw[n:])
	if port > math.MaxUint16 {
		return OffsetID{}, malformed(part, "port above 65535", 2*n)
	}
	return OffsetID{
		Addr:   netip.AddrPortFrom(addr, uint16(port)),
		Offset: int64(binary.BigEndian.Uint64(raw[n+4:])),
	}, nil
}
