package conn

import (
	"context"
	"time"

	"github.com/liftoff-mq/liftoff/core"
	"github.com/liftoff-mq/liftoff/internal/fifo"
	"github.com/liftoff-mq/liftoff/transport/wire"
)

// Wait is all that can end a request before its outcome: its context, its deadline and
// the producer's abort. One timer serves all waits of a request. A Wait belongs to one
// goroutine at a time.
type Wait struct {
	ctx      context.Context
	deadline time.Time
	aborted  <-chan struct{} // nil: cannot be aborted
	timer    *time.Timer     // fires at the deadline; nil until it is first needed
	running  bool            // the timer was started, and its channel is not drained
}

// NewWait makes a Wait. Aborted may be nil. Call Stop when it is of no more use.
func NewWait(ctx context.Context, deadline time.Time, aborted <-chan struct{}) Wait {
	return Wait{ctx: ctx, deadline: deadline, aborted: aborted}
}

// Until waits for ready, which is closed or sent to. It returns nil if that came first.
// Otherwise it returns [core.ErrTimeout], [core.ErrAborted] or the context's error. A
// channel that is ready already needs no timer.
func (w *Wait) Until(ready <-chan struct{}) error {
	select {
	case <-ready:
		return nil
	default:
	}
	if !w.running {
		w.start()
	}
	select {
	case <-ready:
		return nil
	case <-w.ctx.Done():
		return core.ContextError(w.ctx)
	case <-w.aborted:
		return core.ErrAborted
	case <-w.timer.C:
		w.running = false
		return core.ErrTimeout
	}
}

func (w *Wait) start() {
	w.running = true
	if d := time.Until(w.deadline); w.timer == nil {
		w.timer = time.NewTimer(d)
	} else {
		w.timer.Reset(d)
	}
}

// Deadline is when the Wait ends at the latest.
func (w *Wait) Deadline() time.Time { return w.deadline }

// Reset gives the Wait another deadline.
func (w *Wait) Reset(deadline time.Time) {
	w.Stop()
	w.deadline = deadline
}

// Stop stops the timer.
func (w *Wait) Stop() {
	if w.running {
		w.timer.Stop()
		w.running = false
	}
}

// Kind says what ends a request.
type Kind uint8

const (
	// Ask ends with the peer's answer in [Answer].Command, whole if [Request].Body is set.
	Ask Kind = iota
	// Send ends with the answer to a sent message. A success is decoded into [Answer].Sent,
	// for which nothing but its strings is allocated. Of a refusal code and remark are kept.
	Send
	// Oneway ends when its frame is written.
	Oneway
)

// stage is how far a request has come on its connection.
type stage uint8

const (
	stageUnsent  stage = iota // no byte of it can have left
	stageQueued               // its frame is in the send queue, at its position
	stageWritten              // its frame was taken for a write: bytes may have left
)

// Request is one request on a connection, and the place for its answer.
//
// While a request is in the connection's table, the goroutines of the connection share
// it. The goroutine that takes it out, with the connection's lock held, decides its
// outcome: the goroutine that read the answer, the one that wrote a one-way request, the
// one that ended the connection, or the caller that gives up. The first three then send
// to done, once. So an outcome is never delivered twice, and when Do has returned no
// goroutine of the connection knows the request: it can be used again.
type Request struct {
	Wait
	// Opaque is the request's number, the one in its frame. It must not be in use on the
	// same connection.
	Opaque int32
	Kind   Kind
	// Body says that the body of the answer to an Ask is wanted. Otherwise it is dropped.
	Body bool
	// AnswerBy is when the request ends once it is written, where that is later than the
	// deadline. The deadline then bounds only what comes before: the dial, the wait for room
	// and the wait for the write. The zero time means that the deadline bounds all of it.
	AnswerBy time.Time
	// Answer is set when Do has returned nil.
	Answer Answer

	done chan struct{} // has a place for one: the outcome is decided, or there is room
	err  error         // the outcome, for done's receiver

	// The connection's lock guards these while a goroutine other than the caller's can
	// reach the request.
	stage    stage
	position uint64 // in the send queue, while queued
	size     int    // of the frame, in bytes
	waiting  fifo.Node[Request]

	// The caller's own.
	admitted time.Time     // when the wait for the peer began
	heard    uint64        // bytes of whole frames that the connection had received by then
	silence  time.Duration // see Silence
}

// Answer is what the peer answered.
type Answer struct {
	Code    int
	Remark  string            // of a Send that did not succeed, cut short by wire.TrimRemark
	Sent    wire.SendResponse // of a Send that succeeded
	Command wire.Command      // of an Ask; it shares no memory with the connection
}

func newRequest() *Request { return &Request{done: make(chan struct{}, 1)} }

// NewRequest takes a request from the pool. Aborted may be nil.
func (s *Shared) NewRequest(ctx context.Context, deadline time.Time, aborted <-chan struct{}) *Request {
	r := s.requests.Get().(*Request)
	r.ctx, r.deadline, r.aborted = ctx, deadline, aborted
	return r
}

// FreeRequest puts a request back. Do must have returned, not panicked: otherwise the
// connection may still know the request.
func (s *Shared) FreeRequest(r *Request) {
	r.Stop()
	// The channel, the timer and the empty node are kept, all else is cleared.
	*r = Request{done: r.done, Wait: Wait{timer: r.timer}}
	s.requests.Put(r)
}

// Written reports whether bytes of the request may have left in its last Do.
func (r *Request) Written() bool { return r.stage == stageWritten }

// Silence is for how long the peer sent no whole frame while the last Do waited for it.
// It is 0 if one came, and 0 if Do ended for another reason than that the caller gave up.
func (r *Request) Silence() time.Duration { return r.silence }

// oneway reports whether the request ends without an answer.
func (r *Request) oneway() bool { return r.Kind == Oneway }

// finish tells the caller the outcome. The request must be out of the table.
func (r *Request) finish(err error) {
	r.err = err
	r.done <- struct{}{}
}

// DecodeError says that the peer's answer could not be decoded. What became of the
// request is not known.
type DecodeError struct{ Err error }

// Error gives the cause.
func (e *DecodeError) Error() string { return e.Err.Error() }

// Unwrap gives the cause.
func (e *DecodeError) Unwrap() error { return e.Err }

// decode puts the peer's answer into the request. It returns a *[DecodeError] if it
// cannot. A is valid until decode returns.
func (r *Request) decode(a *wire.Answer, code int, stored bool) error {
	r.Answer.Code = code
	if r.Kind != Ask && stored {
		if err := a.SendResponse(&r.Answer.Sent); err != nil {
			return &DecodeError{err}
		}
		return nil
	}
	cmd, err := wire.ParseFrame(a.Frame())
	switch {
	case err != nil:
		return &DecodeError{err}
	case r.Kind != Ask:
		r.Answer.Remark = wire.TrimRemark(cmd.Remark)
	case r.Body:
		cmd.Body = append([]byte(nil), cmd.Body...)
		r.Answer.Command = cmd
	default:
		cmd.Body = nil
		r.Answer.Command = cmd
	}
	return nil
}

// startClock notes when the request begins to wait. It returns false if the deadline has
// passed.
func (r *Request) startClock() bool {
	r.admitted = time.Now()
	return r.admitted.Before(r.deadline)
}

// waited is how long the request has waited since it was admitted.
func (r *Request) waited() time.Duration { return time.Since(r.admitted) }
