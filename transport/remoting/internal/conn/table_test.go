package conn

import (
	"slices"
	"testing"
)

// An answer belongs to a written request with its number, to one that was given up, or to
// one of as many one-way requests as were written.
func TestClaim(t *testing.T) {
	tab := newTable()
	r := &Request{Opaque: 1, stage: stageQueued}
	tab.add(r)
	if got, m := tab.claim(1); got != nil || m != matchNone {
		t.Errorf("a request that was not written is answered: %v, %d", got, m)
	}
	r.stage = stageWritten
	if !tab.holds(r) {
		t.Error("it is no longer under way")
	}
	if got, m := tab.claim(1); got != r || m != matchRequest {
		t.Errorf("got %v, %d", got, m)
	}
	if _, m := tab.claim(1); m != matchNone || tab.holds(r) {
		t.Errorf("the second answer to a request: %d", m)
	}

	tab.expectLate(2)
	if _, m := tab.claim(2); m != matchLate {
		t.Errorf("a late answer: %d", m)
	}
	if _, m := tab.claim(2); m != matchNone {
		t.Errorf("a second late answer: %d", m)
	}

	tab.refusable = 2
	for i, want := range []match{matchOneway, matchOneway, matchNone} {
		if _, m := tab.claim(3); m != want {
			t.Errorf("answer %d to two one-way requests: %d", i, m)
		}
	}
}

// A number that was given up is remembered while as many others are, and not for ever.
func TestLateNumbersAreBounded(t *testing.T) {
	tab := newTable()
	for i := range int32(2*maxLate + 1) {
		tab.expectLate(i)
	}
	if n := len(tab.late[0]) + len(tab.late[1]); n > 2*maxLate {
		t.Errorf("%d numbers are remembered", n)
	}
	if _, m := tab.claim(2 * maxLate); m != matchLate {
		t.Error("the last one is forgotten")
	}
	if _, m := tab.claim(maxLate); m != matchLate {
		t.Error("one of the last generation is forgotten")
	}
	if _, m := tab.claim(0); m != matchNone {
		t.Error("the oldest one is remembered")
	}
}

// The requests of a connection that ends are told in their order.
func TestRemoveAllKeepsTheOrder(t *testing.T) {
	tab := newTable()
	var want []*Request
	for i := range int32(100) {
		want = append(want, &Request{Opaque: i})
	}
	for _, r := range slices.Backward(want) {
		tab.add(r)
	}
	if got := tab.removeAll(); !slices.Equal(got, want) {
		t.Errorf("got %d requests, not in their order", len(got))
	}
	if tab.holds(want[0]) || len(tab.removeAll()) != 0 {
		t.Error("the table is not empty")
	}
}
