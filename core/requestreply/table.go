package requestreply

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"sync"

	"github.com/liftoff-mq/liftoff/core"
	"github.com/liftoff-mq/liftoff/core/rocketmq"
)

// wait is a request under way.
type wait struct {
	of    *Requester
	id    string
	bytes int64
	done  chan struct{} // closed when the reply is there, or is known to be unreadable

	// taken says that a reply has come; the requester's lock guards it.
	taken bool
	// reply or bad is set before done is closed.
	reply *Reply
	bad   error

	mu     sync.Mutex
	cancel context.CancelCauseFunc // of the send
}

// errReplied ends a send whose reply has come.
var errReplied = errors.New("requestreply: the reply came before the acknowledgement")

// over reports whether the reply has come.
func (w *wait) over() bool {
	select {
	case <-w.done:
		return true
	default:
		return false
	}
}

// got is the reply, nil if none has come.
func (w *wait) got() *Reply {
	if !w.over() {
		return nil
	}
	return w.reply
}

// arm makes the reply end the send.
func (w *wait) arm(cancel context.CancelCauseFunc) {
	w.mu.Lock()
	w.cancel = cancel
	w.mu.Unlock()
	if w.over() { // a step further out makes the call again
		cancel(errReplied)
	}
}

// end tells who waits.
func (w *wait) end(reply *Reply, bad error) {
	w.reply, w.bad = reply, bad
	close(w.done)
	w.mu.Lock()
	cancel := w.cancel
	w.mu.Unlock()
	if cancel != nil {
		cancel(errReplied)
	}
}

// open begins a request, if there is a producer for it and room.
func (r *Requester) open(msg *core.Message) (*wait, *core.Producer, error) {
	if msg == nil {
		return nil, nil, failed(nil, core.NotSent, fmt.Errorf("%w: message is nil", core.ErrInvalidMessage))
	}
	w := &wait{of: r, id: correlationID(), bytes: int64(len(msg.Body)), done: make(chan struct{})}
	r.mu.Lock()
	defer r.mu.Unlock()
	switch n := len(r.table); {
	case r.closed:
		return nil, nil, failed(msg, core.NotSent, core.ErrClosed)
	case r.producer == nil:
		return nil, nil, failed(msg, core.NotSent, fmt.Errorf("%w: the requester is a step of no producer", core.ErrNotRunning))
	case n >= r.cfg.MaxWaiting, n > 0 && r.stats.Bytes+w.bytes > r.cfg.MaxWaitingBytes:
		return nil, nil, failed(msg, core.NotSent, fmt.Errorf("%w: %d requests wait for replies, with %d bytes", core.ErrTooManyInFlight, n, r.stats.Bytes))
	}
	r.table[w.id] = w
	r.stats.Bytes += w.bytes
	r.stats.Requests++
	return w, r.producer, nil
}

// close ends a request: a reply that still comes is nobody's.
func (r *Requester) close(w *wait) {
	r.mu.Lock()
	defer r.mu.Unlock()
	delete(r.table, w.id)
	r.stats.Bytes -= w.bytes
}

// correlationID is a random UUID in text, as Java makes them (CorrelationIdUtil).
func correlationID() string {
	var b [16]byte
	_, _ = rand.Read(b[:]) // never fails (crypto/rand)
	b[6], b[8] = b[6]&0x0f|0x40, b[8]&0x3f|0x80
	return fmt.Sprintf("%x-%x-%x-%x-%x", b[:4], b[4:6], b[6:8], b[8:10], b[10:])
}

// Claims reports whether a reply is to a request of this requester; see [core.Claimer].
func (r *Requester) Claims(sr *core.ServerRequest) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.table[sr.Properties[rocketmq.PropertyCorrelationID]] != nil
}

// HandleServerRequest takes a reply that a broker brings.
func (r *Requester) HandleServerRequest(_ context.Context, sr *core.ServerRequest) {
	id := sr.Properties[rocketmq.PropertyCorrelationID]
	r.mu.Lock()
	w := r.table[id]
	if w == nil || w.taken {
		r.stats.Unmatched++
		first := r.stats.Unmatched == 1
		r.mu.Unlock()
		if first {
			r.cfg.Logger.Info("a reply came to no request that waits; further ones are counted only", "addr", sr.Addr)
		}
		return
	}
	w.taken = true
	r.stats.Replies++
	r.mu.Unlock()
	body, err := r.unpack(sr)
	if err != nil {
		w.end(nil, err)
		return
	}
	w.end(&Reply{Body: body, Properties: sr.Properties, CorrelationID: id}, nil)
}

// unpack gives the body of a reply as it was before it was packed.
func (r *Requester) unpack(sr *core.ServerRequest) (body []byte, err error) {
	body = sr.Body
	if sr.Codec != "" {
		if r.cfg.Unpack == nil {
			return nil, fmt.Errorf("%w: it is packed by %q, and the requester has no Unpack", ErrBadReply, sr.Codec)
		}
		defer func() {
			if v := recover(); v != nil {
				err = fmt.Errorf("%w: Unpack panicked: %v", ErrBadReply, v)
			}
		}()
		if body, err = r.cfg.Unpack(sr.Codec, sr.Body, r.cfg.MaxReplyBytes); err != nil {
			return nil, fmt.Errorf("%w: %w", ErrBadReply, err)
		}
	}
	if len(body) > r.cfg.MaxReplyBytes {
		return nil, fmt.Errorf("%w: it has more than %d bytes", ErrBadReply, r.cfg.MaxReplyBytes)
	}
	return body, nil
}

// Snapshot counts requests and replies since the requester was made.
type Snapshot struct {
	Waiting  int    `json:"waiting"`  // requests under way now
	Bytes    int64  `json:"bytes"`    // of their bodies
	Requests uint64 `json:"requests"` // that were begun
	Replies  uint64 `json:"replies"`  // that a request was waiting for
	// Unmatched are replies that no request was waiting for: late ones, second ones, and those
	// to requests that were never made here.
	Unmatched uint64 `json:"unmatched"`
}

// Snapshot is what the requester has at this moment.
func (r *Requester) Snapshot() Snapshot {
	r.mu.Lock()
	defer r.mu.Unlock()
	s := r.stats
	s.Waiting = len(r.table)
	return s
}
