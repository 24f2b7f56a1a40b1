package core

import (
	"crypto/rand"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"net"
	"os"
	"sync/atomic"
	"time"

	"github.com/liftoff-mq/liftoff/internal/words"
)

// MessageID is the unique id that a producer gives to each message: 16 bytes in
// the layout of Java's MessageClientIDSetter, so that RocketMQ's tools can read
// the sender's address and the time from it. It is shown and sent as 32 upper-case
// hex digits. The zero value means "none".
type MessageID [16]byte

// String gives the 32 hex digits, or "" for the zero id.
func (id MessageID) String() string {
	if id == (MessageID{}) {
		return ""
	}
	return string(id.appendHex(make([]byte, 0, 32)))
}

// MarshalText gives the same text as String.
func (id MessageID) MarshalText() ([]byte, error) { return []byte(id.String()), nil }

// UnmarshalText takes 32 hex digits, in upper or lower case, and "" for the zero id.
func (id *MessageID) UnmarshalText(text []byte) error {
	var v MessageID
	if len(text) > 0 {
		if n, err := hex.Decode(v[:], text[:min(len(text), hexDigits)]); err != nil || n != len(v) || len(text) != hexDigits {
			return fmt.Errorf("rocketmq: message id %s is not %d hex digits", words.Quote(string(text)), hexDigits)
		}
	}
	*id = v
	return nil
}

func (id MessageID) appendHex(dst []byte) []byte {
	n := len(dst)
	dst = append(dst, make([]byte, hexDigits)...) // no allocation of its own
	out := (*[hexDigits]byte)(dst[n:])
	for i := 0; i < len(id); i += 4 {
		binary.BigEndian.PutUint64(out[2*i:], hexOf(binary.BigEndian.Uint32(id[i:])))
	}
	return dst
}

// hexOf gives the eight upper-case hex digits of v as the bytes of a number. It works on all
// digits at once: each goes into a byte of its own, and to those above 9 the distance from
// '9'+1 to 'A' is added.
func hexOf(v uint32) uint64 {
	x := uint64(v)
	x = (x<<16 | x) & 0x0000FFFF0000FFFF
	x = (x<<8 | x) & 0x00FF00FF00FF00FF
	x = (x<<4 | x) & 0x0F0F0F0F0F0F0F0F
	letters := (x + 0x0606060606060606) >> 4 & 0x0101010101010101
	return x + '0'*0x0101010101010101 + letters*('A'-'9'-1)
}

// plus is the i-th id after this one: milliseconds and counter are one number.
func (id MessageID) plus(i int) MessageID {
	low := binary.BigEndian.Uint64(id[8:]) + uint64(i)
	binary.BigEndian.PutUint64(id[8:], low)
	return id
}

// hexDigits is the length of a MessageID's text.
const hexDigits = 2 * len(MessageID{})

// idMaker makes message ids: address (4), process id (2), random (4),
// milliseconds since the month began (4), counter (2).
//
// One 64-bit number, milliseconds and counter together, only ever grows: a clock
// that is set back, or more than 65,536 ids in a millisecond, borrow time from
// the future instead of repeating an id. The time field starts again each month,
// so each month has its own random part: what Java fills with a class loader's
// hash is where two processes behind one address differ (pids repeat in containers).
type idMaker struct {
	last  atomic.Uint64
	month atomic.Pointer[idMonth]
}

type idMonth struct {
	begin, end uint64 // milliseconds since 1970
	prefix     [10]byte
}

// take takes n ids in a row at the time now and returns the first. The others are
// its plus: also where the month turns within, their random part is the first's.
func (m *idMaker) take(now time.Time, n int) MessageID {
	ticks := uint64(now.UnixMilli()) << 16
	for {
		last := m.last.Load()
		first := max(ticks, last+1)
		if m.last.CompareAndSwap(last, first+uint64(n)-1) {
			return m.at(first)
		}
	}
}

// at makes a number the id.
func (m *idMaker) at(number uint64) MessageID {
	ms := number >> 16
	month := m.month.Load()
	if month == nil || ms < month.begin || ms >= month.end {
		month = m.newMonth(month, ms)
	}
	var id MessageID
	copy(id[:10], month.prefix[:])
	binary.BigEndian.PutUint32(id[10:14], uint32(ms-month.begin))
	binary.BigEndian.PutUint16(id[14:16], uint16(number))
	return id
}

// newMonth makes the prefix of the month that ms lies in. Of several goroutines
// that see the month turn, each may make one: all are random, all are good.
func (m *idMaker) newMonth(old *idMonth, ms uint64) *idMonth {
	t := time.UnixMilli(int64(ms)) // local time, as Java's tools read it
	begin := time.Date(t.Year(), t.Month(), 1, 0, 0, 0, 0, t.Location())
	month := &idMonth{begin: uint64(begin.UnixMilli()), end: uint64(begin.AddDate(0, 1, 0).UnixMilli())}
	copy(month.prefix[:4], localIPv4())
	binary.BigEndian.PutUint16(month.prefix[4:6], uint16(os.Getpid()))
	_, _ = rand.Read(month.prefix[6:]) // never fails (crypto/rand)
	m.month.CompareAndSwap(old, month)
	return month
}

// localIPv4 is the first address of this machine that is not loopback, four
// random bytes if there is none: they only need to tell machines apart.
func localIPv4() []byte {
	addrs, err := net.InterfaceAddrs()
	if err == nil {
		for _, a := range addrs {
			if n, ok := a.(*net.IPNet); ok && !n.IP.IsLoopback() {
				if v4 := n.IP.To4(); v4 != nil {
					return v4
				}
			}
		}
	}
	b := make([]byte, 4)
	_, _ = rand.Read(b)
	return b
}
