package conn

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/liftoff-mq/liftoff/core"
	"github.com/liftoff-mq/liftoff/transport/wire"
)

// A wait after the deadline ends at once, also if an earlier one has used the timer
// up: the answer that sends a request to another connection may come just then.
func TestWaitAfterTheDeadline(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := NewWait(bg, time.Now().Add(time.Second), nil)
		start := time.Now()
		for range 2 {
			end := time.AfterFunc(time.Hour, func() { t.Error("it waits without end") })
			if err := w.Until(make(chan struct{})); !errors.Is(err, core.ErrTimeout) {
				t.Fatal(err)
			}
			end.Stop()
		}
		if d := time.Since(start); d != time.Second {
			t.Errorf("it took %v", d)
		}
	})
}

// A wait ends with what comes first.
func TestWaitEnds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		why := errors.New("why")
		for want, end := range map[error]func(cancel context.CancelCauseFunc, aborted, ready chan struct{}){
			nil:             func(_ context.CancelCauseFunc, _, ready chan struct{}) { close(ready) },
			why:             func(cancel context.CancelCauseFunc, _, _ chan struct{}) { cancel(why) },
			core.ErrAborted: func(_ context.CancelCauseFunc, aborted, _ chan struct{}) { close(aborted) },
		} {
			ctx, cancel := context.WithCancelCause(bg)
			aborted, ready := make(chan struct{}), make(chan struct{})
			w := NewWait(ctx, time.Now().Add(time.Hour), aborted)
			time.AfterFunc(time.Second, func() { end(cancel, aborted, ready) })
			start := time.Now()
			if err := w.Until(ready); !errors.Is(err, want) || time.Since(start) != time.Second {
				t.Errorf("got %v after %v, want %v", err, time.Since(start), want)
			}
			w.Stop()
			if w.running {
				t.Error("the timer still runs")
			}
			cancel(nil)
		}
	})
}

// What is ready needs no timer.
func TestWaitForWhatIsReady(t *testing.T) {
	ready := make(chan struct{})
	close(ready)
	w := NewWait(bg, time.Now().Add(-time.Hour), nil)
	if err := w.Until(ready); err != nil || w.timer != nil {
		t.Errorf("got %v, a timer: %v", err, w.timer != nil)
	}
}

// The answer is decoded for its kind of request.
func TestDecode(t *testing.T) {
	parse := func(b []byte) *wire.Answer {
		a := new(wire.Answer)
		if err := a.Parse(b[4:]); err != nil {
			t.Fatal(err)
		}
		return a
	}
	r := newRequest()
	r.Kind = Send
	if err := r.decode(parse(sent(t, 1)), 0, true); err != nil || r.Answer.Sent.QueueOffset != 42 {
		t.Errorf("a success: %v, %+v", err, r.Answer)
	}
	var de *DecodeError
	if err := r.decode(parse(answer(t, 1, 0, "")), 0, true); !errors.As(err, &de) {
		t.Errorf("a success without its fields: %v", err)
	}
	if err := r.decode(parse(answer(t, 1, 2, "busy")), 2, false); err != nil || r.Answer.Code != 2 || r.Answer.Remark != "busy" {
		t.Errorf("a refusal: %v, %+v", err, r.Answer)
	}
	frame := answer(t, 7, 3, "remark")
	r = newRequest()
	if err := r.decode(parse(frame), 3, false); err != nil {
		t.Fatal(err)
	}
	clear(frame) // the answer must not share its memory
	if c := r.Answer.Command; c.Code != 3 || c.Remark != "remark" || c.Opaque != 7 {
		t.Errorf("another answer: %+v", c)
	}
}

// A request that goes back to the pool keeps nothing of its past.
func TestFreedRequestIsClean(t *testing.T) {
	s := NewShared(Config{})
	aborted := make(chan struct{})
	r := s.NewRequest(bg, time.Now().Add(time.Hour), aborted)
	r.Kind, r.Opaque, r.stage, r.silence, r.err = Send, 7, stageWritten, time.Second, core.ErrTimeout
	r.Answer = Answer{Code: 1, Remark: "x", Sent: wire.SendResponse{MsgID: "y"}}
	r.start()
	done, timer := r.done, r.timer
	s.FreeRequest(r)
	if r.ctx != nil || r.aborted != nil || r.Written() || r.Silence() != 0 || r.err != nil || r.Kind != Ask ||
		r.Answer.Remark != "" || r.Answer.Sent.MsgID != "" || r.running {
		t.Errorf("left behind: %+v", r)
	}
	if r.done != done || r.timer != timer {
		t.Error("the channel and the timer are made anew for each request")
	}
}
