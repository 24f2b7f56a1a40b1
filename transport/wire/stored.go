package wire

import (
	"encoding/binary"
	"hash/crc32"
	"math"
	"net/netip"

	"github.com/liftoff-mq/liftoff/core/rocketmq"
)

// Magic numbers of stored messages (Java MessageDecoder): the second form has two bytes for the
// topic's length, for topics longer than 127 bytes.
const (
	storedMagicV1 uint32 = 0xDAA320A7
	storedMagicV2 uint32 = 0xDAA320AB
)

const partStored = "stored message"

// StoredMessage is a message as a broker keeps it and hands it to consumers and, in a
// transaction check, to producers.
type StoredMessage struct {
	// BodyCRC is what was stored; [BodyCRC] computes it. It covers the body as it was when stored,
	// so a broker that inflates a body before handing it out leaves it different.
	BodyCRC         int32
	QueueID         int
	Flag            int32
	QueueOffset     int64
	CommitLogOffset int64
	SysFlag         int32
	// Timestamps are in milliseconds since 1970.
	BornTimestamp             int64
	BornHost                  netip.AddrPort
	StoreTimestamp            int64
	StoreHost                 netip.AddrPort
	ReconsumeTimes            int
	PreparedTransactionOffset int64
	Body                      []byte
	Topic                     string
	Properties                []byte // text form
}

// BodyCRC is the checksum of a body as Java computes it: CRC-32 (IEEE) without its top bit.
func BodyCRC(body []byte) int32 {
	return int32(crc32.ChecksumIEEE(body) & math.MaxInt32)
}

// MsgID returns the message's offset message id.
func (m *StoredMessage) MsgID() OffsetID {
	return OffsetID{Addr: m.StoreHost, Offset: m.CommitLogOffset}
}

// AppendStored appends m in the stored form. The checksum is computed, the two address bits of
// the system flag are set from the hosts (an invalid host becomes 0.0.0.0:0), and the magic
// number follows from the topic's length. Errors match [ErrEncode]: a topic or properties of
// more than 32767 bytes, a body of more than [MaxFrame].
func AppendStored(dst []byte, m *StoredMessage) ([]byte, error) {
	switch {
	case len(m.Topic) > math.MaxInt16:
		return dst, &EncodeError{What: partStored, Reason: "topic longer than 32767 bytes"}
	case len(m.Properties) > rocketmq.ProtocolMaxPropertiesLength:
		return dst, &EncodeError{What: partStored, Reason: "properties longer than 32767 bytes"}
	case len(m.Body) > MaxFrame:
		return dst, &EncodeError{What: partStored, Reason: "body longer than a frame"}
	case int(int32(m.QueueID)) != m.QueueID || int(int32(m.ReconsumeTimes)) != m.ReconsumeTimes:
		return dst, &EncodeError{What: partStored, Reason: "number beyond 32 bits"}
	}
	born, store := hostAddr(m.BornHost), hostAddr(m.StoreHost)
	sysFlag := m.SysFlag &^ (rocketmq.SysBornHostV6 | rocketmq.SysStoreHostV6)
	if born.Is6() {
		sysFlag |= rocketmq.SysBornHostV6
	}
	if store.Is6() {
		sysFlag |= rocketmq.SysStoreHostV6
	}
	magic := storedMagicV1
	if len(m.Topic) > math.MaxInt8 {
		magic = storedMagicV2
	}
	start := len(dst)
	be := binary.BigEndian
	dst = append(dst, 0, 0, 0, 0) // size
	dst = be.AppendUint32(dst, magic)
	dst = be.AppendUint32(dst, uint32(BodyCRC(m.Body)))
	dst = be.AppendUint32(dst, uint32(m.QueueID))
	dst = be.AppendUint32(dst, uint32(m.Flag))
	dst = be.AppendUint64(dst, uint64(m.QueueOffset))
	dst = be.AppendUint64(dst, uint64(m.CommitLogOffset))
	dst = be.AppendUint32(dst, uint32(sysFlag))
	dst = be.AppendUint64(dst, uint64(m.BornTimestamp))
	dst = appendHost(dst, born, m.BornHost.Port())
	dst = be.AppendUint64(dst, uint64(m.StoreTimestamp))
	dst = appendHost(dst, store, m.StoreHost.Port())
	dst = be.AppendUint32(dst, uint32(m.ReconsumeTimes))
	dst = be.AppendUint64(dst, uint64(m.PreparedTransactionOffset))
	dst = be.AppendUint32(dst, uint32(len(m.Body)))
	dst = append(dst, m.Body...)
	if magic == storedMagicV1 {
		dst = append(dst, byte(len(m.Topic)))
	} else {
		dst = be.AppendUint16(dst, uint16(len(m.Topic)))
	}
	dst = append(dst, m.Topic...)
	dst = be.AppendUint16(dst, uint16(len(m.Properties)))
	dst = append(dst, m.Properties...)
	be.PutUint32(dst[start:], uint32(len(dst)-start))
	return dst, nil
}

func hostAddr(host netip.AddrPort) netip.Addr {
	addr := host.Addr().Unmap().WithZone("")
	if !addr.IsValid() {
		return netip.IPv4Unspecified()
	}
	return addr
}

func appendHost(dst []byte, addr netip.Addr, port uint16) []byte {
	if addr.Is4() {
		a := addr.As4()
		dst = append(dst, a[:]...)
	} else {
		a := addr.As16()
		dst = append(dst, a[:]...)
	}
	return binary.BigEndian.AppendUint32(dst, uint32(port))
}

// ParseStored decodes the first stored message of b and returns what follows it. Body and
// Properties alias b. Bytes that the record's size covers beyond the properties are skipped, as
// in Java. The checksum is not verified, see [StoredMessage.BodyCRC]. Errors match [ErrDecode].
func ParseStored(b []byte) (m StoredMessage, rest []byte, err error) {
	size := recordSize(b)
	if size < 8 || size > len(b) {
		return StoredMessage{}, nil, malformed(partStored, "size does not fit", 0)
	}
	r := cursor{b: b[:size], at: 4}
	magic := uint32(r.int32())
	if magic != storedMagicV1 && magic != storedMagicV2 {
		return StoredMessage{}, nil, malformed(partStored, "unknown magic number", 4)
	}
	m.BodyCRC = r.int32()
	m.QueueID = int(r.int32())
	m.Flag = r.int32()
	m.QueueOffset = r.int64()
	m.CommitLogOffset = r.int64()
	m.SysFlag = r.int32()
	m.BornTimestamp = r.int64()
	m.BornHost = r.host(m.SysFlag&rocketmq.SysBornHostV6 != 0)
	m.StoreTimestamp = r.int64()
	m.StoreHost = r.host(m.SysFlag&rocketmq.SysStoreHostV6 != 0)
	m.ReconsumeTimes = int(r.int32())
	m.PreparedTransactionOffset = r.int64()
	m.Body = r.bytes(int(r.int32()))
	if magic == storedMagicV1 {
		m.Topic = string(r.bytes(int(r.int8())))
	} else {
		m.Topic = string(r.bytes(int(r.int16())))
	}
	m.Properties = r.bytes(int(r.int16()))
	if r.bad {
		return StoredMessage{}, nil, malformed(partStored, "lengths do not fit its size", r.at)
	}
	return m, b[size:], nil
}

// cursor reads big-endian values; after the first that does not fit it returns zeros.
type cursor struct {
	b   []byte
	at  int
	bad bool
}

func (c *cursor) bytes(n int) []byte {
	if c.bad || n < 0 || n > len(c.b)-c.at {
		c.bad = true
		return nil
	}
	c.at += n
	return c.b[c.at-n : c.at : c.at]
}

func (c *cursor) int8() int8 {
	if b := c.bytes(1); b != nil {
		return int8(b[0])
	}
	return 0
}

func (c *cursor) int16() int16 {
	if b := c.bytes(2); b != nil {
		return int16(binary.BigEndian.Uint16(b))
	}
	return 0
}

func (c *cursor) int32() int32 {
	if b := c.bytes(4); b != nil {
		return int32(binary.BigEndian.Uint32(b))
	}
	return 0
}

func (c *cursor) int64() int64 {
	if b := c.bytes(8); b != nil {
		return int64(binary.BigEndian.Uint64(b))
	}
	return 0
}

func (c *cursor) host(v6 bool) netip.AddrPort {
	n := 4
	if v6 {
		n = 16
	}
	addr, _ := netip.AddrFromSlice(c.bytes(n))
	port := c.int32()
	if port < 0 || port > math.MaxUint16 {
		c.bad = true
	}
	return netip.AddrPortFrom(addr, uint16(port))
}
