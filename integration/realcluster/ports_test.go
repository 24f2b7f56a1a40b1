package realcluster

import (
	"net"
	"slices"
	"testing"
)

// Clusters that are reserved at the same time share no port, whether or not they have begun to listen. A port that
// somebody else listens on is avoided.
func TestReservationsKeepApart(t *testing.T) {
	first, err := reserve()
	if err != nil {
		t.Fatal(err)
	}
	if err := first.release(); err != nil {
		t.Fatal(err)
	}
	taken, err := net.Listen("tcp", local(first.base+10))
	if err != nil {
		t.Skipf("another program was quicker: %v", err)
	}
	defer taken.Close()
	var bases []int
	for range 20 {
		p, err := reserve()
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = p.release() }()
		if slices.Contains(bases, p.base) || p.base == first.base {
			t.Errorf("base %d is given twice: %v", p.base, bases)
		}
		if p.base < 10_000 || p.base+slotSize > 32_768 {
			t.Errorf("base %d", p.base)
		}
		bases = append(bases, p.base)
	}
	if slices.Max(used) >= slotSize {
		t.Errorf("a cluster uses ports up to %d above its base, its neighbour begins at %d", slices.Max(used), slotSize)
	}
}
