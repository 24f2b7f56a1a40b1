// Package logqueue keeps a program's log handler away from those who log. A line is queued,
// and a goroutine of the queue's hands it to the handler. So a handler that blocks, panics
// or sends messages itself holds up nobody. What a stranger said reaches it fit to be shown.
package logqueue

import (
	"context"
	"log/slog"
	"sync"
	"time"
)

// most is how many lines wait at a time. Further ones are counted instead.
const most = 1024

// New returns a logger that hands its lines to l by a queue, in order. A nil l means silence.
// A logger that New made is returned as it is, so that parts which share it share the queue.
// Texts and errors reach the handler as [words.Line] and [words.Err] leave them; an error
// stays an error, through which errors.As sees.
//
// The handler gets every line with the time at which it was logged. Its level is asked on
// the queue's goroutine, too. There is a goroutine only while lines wait.
func New(l *slog.Logger) *slog.Logger {
	if l == nil {
		return slog.New(slog.DiscardHandler)
	}
	if _, ok := l.Handler().(handler); ok || l.Handler() == slog.DiscardHandler {
		return l
	}
	return slog.New(handler{new(queue), l.Handler()})
}

// Flush waits until the handler has had every line that a logger of New's was given. It
// returns ctx's error if ctx ends first.
func Flush(ctx context.Context, l *slog.Logger) error {
	h, ok := l.Handler().(handler)
	if !ok {
		return nil
	}
	h.q.mu.Lock()
	ended := h.q.ended
	h.q.mu.Unlock()
	if ended == nil {
		return nil
	}
	select {
	case <-ended:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// handler puts lines into a queue, for the program's handler.
type handler struct {
	q    *queue
	mine slog.Handler
}

// Enabled is always true: the program's handler is asked later.
func (h handler) Enabled(context.Context, slog.Level) bool { return true }

func (h handler) Handle(ctx context.Context, r slog.Record) error {
	h.q.push(line{h.mine, ctx, fitRecord(r)})
	return nil
}

func (h handler) WithAttrs(attrs []slog.Attr) slog.Handler {
	out := make([]slog.Attr, len(attrs))
	for i, a := range attrs {
		out[i] = fit(a)
	}
	return h.derived(func() slog.Handler { return h.mine.WithAttrs(out) })
}

func (h handler) WithGroup(name string) slog.Handler {
	return h.derived(func() slog.Handler { return h.mine.WithGroup(name) })
}

// derived is a handler with what f gives, or h itself where f panics.
func (h handler) derived(f func() slog.Handler) (out slog.Handler) {
	defer func() {
		if recover() != nil {
			out = h
		}
	}()
	return handler{h.q, f()}
}

// line is one that waits.
type line struct {
	h   slog.Handler
	ctx context.Context
	r   slog.Record
}

// queue is what loggers that came from one another have in common.
type queue struct {
	mu    sync.Mutex
	lines []line        // those that wait, the first one first
	ended chan struct{} // closed when the goroutine ends; nil without one
	lost  int           // lines for which there was no room, or whose handler panicked
}

func (q *queue) push(l line) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if len(q.lines) >= most {
		q.lost++
		return
	}
	q.lines = append(q.lines, l)
	if q.ended == nil {
		q.ended = make(chan struct{})
		go q.run()
	}
}

// run writes until no line is left. A handler that ends the goroutine ends one line only.
func (q *queue) run() {
	over := false
	defer func() {
		if !over {
			go q.run()
		}
	}()
	for {
		l, lost, ok := q.pop()
		if !ok {
			over = true
			return
		}
		if lost > 0 {
			r := slog.NewRecord(time.Now(), slog.LevelWarn, "log lines are missing: the log handler was too slow for them, or panicked", 0)
			r.AddAttrs(slog.Int("lines", lost))
			q.write(line{l.h, l.ctx, r})
		}
		q.write(l)
	}
}

// pop takes the first line out, and how many were lost since the last one. Without a line
// the goroutine has ended.
func (q *queue) pop() (l line, lost int, ok bool) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if len(q.lines) == 0 {
		close(q.ended)
		q.lines, q.ended = nil, nil
		return line{}, 0, false
	}
	l, lost = q.lines[0], q.lost
	q.lines[0] = line{}
	q.lines, q.lost = q.lines[1:], 0
	return l, lost, true
}

// write gives a line to the program's handler.
func (q *queue) write(l line) {
	written := false
	defer func() {
		if !written {
			_ = recover() // there is nobody else to tell
			q.mu.Lock()
			q.lost++
			q.mu.Unlock()
		}
	}()
	if l.h.Enabled(l.ctx, l.r.Level) {
		_ = l.h.Handle(l.ctx, l.r)
	}
	written = true
}
