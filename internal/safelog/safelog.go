// Package safelog makes loggers that cannot hurt who logs. A log handler is the user's code,
// and it runs on goroutines where nobody else would recover its panic: there it would end the
// process.
package safelog

import (
	"context"
	"fmt"
	"log/slog"
)

// New gives a logger to l's handler that keeps its panics. A line during which the handler
// panics may be lost. A nil l means silence.
func New(l *slog.Logger) *slog.Logger {
	if l == nil {
		return slog.New(slog.DiscardHandler)
	}
	if _, ok := l.Handler().(handler); ok {
		return l
	}
	return slog.New(handler{l.Handler()})
}

type handler struct{ user slog.Handler }

func (h handler) Enabled(ctx context.Context, level slog.Level) (enabled bool) {
	defer func() { _ = recover() }()
	return h.user.Enabled(ctx, level)
}

func (h handler) Handle(ctx context.Context, r slog.Record) (err error) {
	defer func() {
		if v := recover(); v != nil {
			err = fmt.Errorf("log handler panicked: %v", v)
		}
	}()
	return h.user.Handle(ctx, r)
}

func (h handler) WithAttrs(attrs []slog.Attr) slog.Handler {
	return h.derived(func() slog.Handler { return h.user.WithAttrs(attrs) })
}

func (h handler) WithGroup(name string) slog.Handler {
	return h.derived(func() slog.Handler { return h.user.WithGroup(name) })
}

// derived is what f gives, or h itself where f panics.
func (h handler) derived(f func() slog.Handler) (out slog.Handler) {
	defer func() {
		if recover() != nil {
			out = h
		}
	}()
	return handler{f()}
}
