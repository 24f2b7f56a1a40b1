package core

import (
	"encoding/binary"
	"encoding/hex"
	"net"
	"strings"
	"sync"
	"testing"
	"time"
)

func TestMessageIDsAreUnique(t *testing.T) {
	now := time.Date(2026, 3, 31, 23, 59, 59, 999e6, time.Local)
	steps := []time.Duration{0, time.Hour, -time.Hour, -time.Hour, 0, time.Millisecond, 32 * 24 * time.Hour, -24 * time.Hour, 365 * 24 * time.Hour}
	m := new(idMaker)
	seen := map[MessageID]bool{}
	for i, d := range steps {
		now = now.Add(d)
		n := 2_000
		if i == 0 {
			n = 70_000 // more than the counter holds in one millisecond
		}
		for k := range n {
			many := 1 + k%3 // alone and in batches
			first := m.take(now, many)
			for j := range many {
				id := first.plus(j)
				if seen[id] {
					t.Fatalf("id %v came twice, at %v", id, now)
				}
				seen[id] = true
			}
		}
	}
}

func TestMessageIDsOfManyGoroutines(t *testing.T) {
	m := new(idMaker)
	var mu sync.Mutex
	seen := map[MessageID]bool{}
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			ids := make([]MessageID, 10_000)
			for i := range ids {
				ids[i] = m.take(time.Now(), 1)
			}
			mu.Lock()
			defer mu.Unlock()
			for _, id := range ids {
				seen[id] = true
			}
		})
	}
	wg.Wait()
	if len(seen) != 80_000 {
		t.Errorf("%d different ids of 80000", len(seen))
	}
}

// The layout is Java's: what its tools read out of an id must be there.
func TestMessageIDLayout(t *testing.T) {
	at := time.Date(2026, 3, 10, 12, 0, 0, 5e6, time.Local)
	id := new(idMaker).take(at, 1)
	s := id.String()
	if len(s) != 32 || s != strings.ToUpper(s) {
		t.Errorf("id %q: want 32 upper-case hex digits", s)
	}
	raw, err := hex.DecodeString(s)
	if err != nil {
		t.Fatal(err)
	}
	ms := int64(raw[10])<<24 | int64(raw[11])<<16 | int64(raw[12])<<8 | int64(raw[13])
	if got := time.Date(2026, 3, 1, 0, 0, 0, 0, time.Local).Add(time.Duration(ms) * time.Millisecond); !got.Equal(at) {
		t.Errorf("the id's time reads %v, want %v", got, at)
	}
	if (MessageID{}).String() != "" {
		t.Error("the zero id has a text")
	}
}

// Ids of one moment follow each other without a gap, those of a batch too.
func TestMessageIDsFollowEachOther(t *testing.T) {
	m, now := new(idMaker), time.Date(2026, 3, 10, 12, 0, 0, 0, time.Local)
	first := m.take(now, 1)
	batch, next := m.take(now, 3), m.take(now, 1)
	if batch != first.plus(1) || next != batch.plus(3) {
		t.Errorf("%v, %v, %v", first, batch, next)
	}
}

// The first moment of a month is counted from that month, and the last from its own.
func TestMessageIDsAtTheTurnOfAMonth(t *testing.T) {
	m, begin := new(idMaker), time.Date(2026, 3, 1, 0, 0, 0, 0, time.Local)
	for at, want := range map[time.Time]uint32{
		begin.Add(-time.Millisecond): uint32(begin.Sub(time.Date(2026, 2, 1, 0, 0, 0, 0, time.Local)).Milliseconds() - 1),
		begin:                        0,
	} {
		m.at(uint64(begin.Add(-time.Hour).UnixMilli()) << 16) // the month before is known
		id := m.at(uint64(at.UnixMilli()) << 16)
		if got := binary.BigEndian.Uint32(id[10:14]); got != want {
			t.Errorf("%v is %d ms of its month, want %d", at, got, want)
		}
	}
}

// Ids begin with the machine's first address that is not loopback, if it has one.
func TestMessageIDsNameTheMachine(t *testing.T) {
	addrs, err := net.InterfaceAddrs()
	if err != nil {
		t.Skip(err)
	}
	for _, a := range addrs {
		if n, ok := a.(*net.IPNet); ok && !n.IP.IsLoopback() && n.IP.To4() != nil {
			if got := localIPv4(); !n.IP.Equal(net.IP(got)) {
				t.Errorf("got %v, want %v", net.IP(got), n.IP)
			}
			return
		}
	}
	if len(localIPv4()) != net.IPv4len {
		t.Error("no four bytes instead of an address")
	}
}
