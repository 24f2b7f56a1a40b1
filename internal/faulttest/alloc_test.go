package faulttest_test

import (
	"encoding/binary"
	"runtime"
	"testing"

	"github.com/liftoff-mq/liftoff/core"
	"github.com/liftoff-mq/liftoff/internal/race"
	"github.com/liftoff-mq/liftoff/transport/embedded"
	"github.com/liftoff-mq/liftoff/transport/wire"
)

// What a send of 1 KiB allocates, from the user's call to its outcome, through
// the default chain and over loopback. The package documentation of liftoff states
// the first number.
const (
	sendAllocs     = 2 // the breaker's done function and the text of the result
	onewayAllocs   = 1 // the breaker's
	asyncAllocs    = 2 // as sync: workers and their tasks are kept
	embeddedAllocs = 8

	// sendBytes is what the client's allocations of one send take at most.
	sendBytes = 160
)

// echo acknowledges sends, which must be in binary form, and allocates nothing
// for them.
func (l *link) echo() {
	answer, out := []byte(nil), []byte(nil)
	for {
		frame, err := l.r.Next()
		if err != nil {
			return
		}
		h, err := wire.ParseHead(frame)
		switch {
		case err != nil:
			return
		case h.IsOneway():
			continue
		case !isSend(h.Code):
			if c, err := wire.ParseFrame(frame); err == nil {
				l.answer(c, 0, "")
			}
			continue
		case answer == nil:
			c, err := wire.ParseFrame(frame)
			if err != nil {
				return
			}
			answer = ackFrame(c, 0)
			out = make([]byte, 0, 64*len(answer))
		}
		binary.BigEndian.PutUint32(answer[13:], uint32(h.Opaque)) // after length, header length, code, language, version
		if out = append(out, answer...); l.r.Buffered() && len(out)+len(answer) <= cap(out) {
			continue
		}
		if _, err := l.Write(out); err != nil {
			return
		}
		out = out[:0]
	}
}

func TestAllocationsOfASend(t *testing.T) {
	if race.Enabled {
		t.Skip("the race detector empties pools at random")
	}
	w := newWorldOf(t, embedded.Config{RecordedRequests: -1})
	own := w.start(t)
	h := newPeer(t, nil, (*link).echo)
	remove := w.routeIs(routeTo(h.addr()))
	p := w.start(t)
	m := &core.Message{Topic: "T", Body: make([]byte, 1024), Tag: "tag", Keys: []string{"key"}, Properties: map[string]string{"color": "blue"}}
	done := make(chan struct{})
	ended := func(_ core.Result, err error) {
		if err != nil {
			t.Error(err)
		}
		done <- struct{}{}
	}
	send := func(p *sender) func() {
		return func() {
			if _, err := p.Send(bg, m); err != nil {
				t.Error(err)
			}
		}
	}
	send(p)()
	remove()
	own.log.off.Store(true)
	p.log.off.Store(true)
	for _, tt := range []struct {
		name string
		most float64
		send func()
	}{
		{"sync", sendAllocs, send(p)},
		{"async", asyncAllocs, func() {
			p.SendAsync(bg, m, ended)
			<-done
		}},
		{"oneway", onewayAllocs, func() {
			if err := p.SendOneway(bg, m); err != nil {
				t.Error(err)
			}
		}},
		{"sync over the embedded cluster, its side included", embeddedAllocs, send(own)},
	} {
		for range 200 { // fill the pools
			tt.send()
		}
		got := testing.AllocsPerRun(2000, tt.send)
		t.Logf("%s: %v allocations", tt.name, got)
		if got > tt.most {
			t.Errorf("%s: %v allocations, at most %v are allowed", tt.name, got, tt.most)
		}
		if tt.most == embeddedAllocs {
			continue
		}
		var before, after runtime.MemStats
		const sends = 2000
		runtime.ReadMemStats(&before)
		for range sends {
			tt.send()
		}
		runtime.ReadMemStats(&after)
		bytes := float64(after.TotalAlloc-before.TotalAlloc) / sends
		t.Logf("%s: %.0f bytes", tt.name, bytes)
		if bytes > sendBytes {
			t.Errorf("%s: %.0f bytes, at most %v are allowed", tt.name, bytes, sendBytes)
		}
	}
}
