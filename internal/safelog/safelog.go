// Package safelog makes loggers that cannot hurt who logs, and who reads. A log handler is the
// user's code, and it runs on goroutines where nobody else would recover its panic: there it
// would end the process. And a log line may quote what a server said, which not every handler
// escapes.
package safelog

import (
	"context"
	"fmt"
	"log/slog"

	"github.com/liftoff-mq/liftoff/internal/words"
)

// New gives a logger to l's handler that keeps its panics. A line during which the handler
// panics may be lost. Texts and errors reach the handler as [words.Line] and [words.Err] leave
// them; an error stays an error, through which errors.As sees. A nil l means silence.
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
	out := slog.NewRecord(r.Time, r.Level, words.Line(r.Message, maxText), r.PC)
	r.Attrs(func(a slog.Attr) bool {
		out.AddAttrs(fit(a))
		return true
	})
	return h.user.Handle(ctx, out)
}

func (h handler) WithAttrs(attrs []slog.Attr) slog.Handler {
	out := make([]slog.Attr, len(attrs))
	for i, a := range attrs {
		out[i] = fit(a)
	}
	return h.derived(func() slog.Handler { return h.user.WithAttrs(out) })
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

// maxText is the most bytes of a text in a log line.
const maxText = 4 << 10

// fit is an attribute as it may be shown. Values that are neither text nor errors are the
// program's own.
func fit(a slog.Attr) slog.Attr {
	switch v := a.Value.Resolve(); v.Kind() {
	case slog.KindString:
		a.Value = slog.StringValue(words.Line(v.String(), maxText))
	case slog.KindAny:
		switch v := v.Any().(type) {
		case error:
			a.Value = slog.AnyValue(line{v})
		case []string:
			out := make([]string, len(v))
			for i, s := range v {
				out[i] = words.Line(s, maxText)
			}
			a.Value = slog.AnyValue(out)
		}
	}
	return a
}

// line is an error with a text that fits a line.
type line struct{ error }

func (l line) Error() string { return words.Err(l.error) }
func (l line) Unwrap() error { return l.error }
