package core

import (
	"encoding/hex"
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
