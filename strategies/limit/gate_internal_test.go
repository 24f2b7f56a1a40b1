package limit

import (
	"testing"

	"pgregory.net/rapid"

	"github.com/liftoff-mq/liftoff/core"
)

// Room may come up between the moment an attempt finds none and the moment it queues. Nobody
// would wake it then, so it has to take the room itself.
func TestRoomThatCameUp(t *testing.T) {
	g := newGuard("x").newGate(core.Broker{}, 1)
	w := &waiter{ready: make(chan struct{}, 1)}
	if g.queue(w) || w.number != 1 || g.under != 1 || g.line.Len() != 0 {
		t.Errorf("it waits though there is room: %+v", g.status())
	}
}

// An attempt that gives up when its room is already on the way to it gives the room to the
// next.
func TestGivesUpTooLate(t *testing.T) {
	g := newGuard("x").newGate(core.Broker{}, 1)
	if _, ok := g.try(); !ok {
		t.Fatal("no room in an empty gate")
	}
	one, two := &waiter{ready: make(chan struct{}, 1)}, &waiter{ready: make(chan struct{}, 1)}
	g.queue(one)
	g.queue(two)
	g.leave()
	_ = g.giveUp(one, core.ErrTimeout)
	if len(one.ready) != 0 || len(two.ready) != 1 || g.under != 1 || g.line.Len() != 0 {
		t.Errorf("%d and %d places, %+v", len(one.ready), len(two.ready), g.status())
	}
}

// Whatever attempts do, no more than the limit are let in, nobody waits while there is room,
// those that wait get in in order, and in the end all room is back.
func TestGateKeepsItsLimit(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		most := rapid.IntRange(1, 4).Draw(t, "limit")
		g := newGuard("x").newGate(core.Broker{}, most)
		var in int
		var line []*waiter
		admitted := func() {
			for len(line) > 0 && len(line[0].ready) > 0 {
				<-line[0].ready
				line, in = line[1:], in+1
			}
			for _, w := range line {
				if len(w.ready) > 0 {
					t.Fatal("one got in before another that came earlier")
				}
			}
		}
		t.Repeat(map[string]func(*rapid.T){
			"come": func(t *rapid.T) {
				if _, ok := g.try(); ok {
					in++
					return
				}
				w := &waiter{ready: make(chan struct{}, 1)}
				if g.queue(w) {
					line = append(line, w)
				} else {
					t.Fatal("there was no room, and now there is")
				}
			},
			"leave": func(t *rapid.T) {
				if in == 0 {
					t.Skip("nobody is there")
				}
				in--
				g.leave()
				admitted()
			},
			"give up": func(t *rapid.T) {
				if len(line) == 0 {
					t.Skip("nobody waits")
				}
				i := rapid.IntRange(0, len(line)-1).Draw(t, "who")
				_ = g.giveUp(line[i], core.ErrTimeout)
				line = append(line[:i:i], line[i+1:]...)
				admitted()
			},
			"": func(t *rapid.T) {
				if in != g.under || len(line) != g.line.Len() || in > most || len(line) > 0 && in < most {
					t.Fatalf("%d in, %d wait, of %d: %+v", in, len(line), most, g.status())
				}
			},
		})
	})
}

// Each of 64 gates in a row has a mark of its own.
func TestMarks(t *testing.T) {
	d, seen := newGuard("x"), uint64(0)
	for range 64 {
		g := d.newGate(core.Broker{}, 1)
		if g.mark == 0 || seen&g.mark != 0 {
			t.Fatalf("mark %x of %x", g.mark, seen)
		}
		seen |= g.mark
	}
}
