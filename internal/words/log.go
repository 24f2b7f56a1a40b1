package words

import (
	"context"
	"log/slog"
)

// Logger makes a logger that writes texts and errors to l's handler as [Line] and [Err] leave
// them. A log line may quote what a server said, and not every handler escapes what it prints.
// An error stays an error for the handler: errors.As sees through it. A nil l is silent.
func Logger(l *slog.Logger) *slog.Logger {
	if l == nil {
		return slog.New(slog.DiscardHandler)
	}
	return slog.New(lines{l.Handler()})
}

// lines is the handler of a [Logger].
type lines struct{ slog.Handler }

func (h lines) Handle(ctx context.Context, r slog.Record) error {
	out := slog.NewRecord(r.Time, r.Level, Line(r.Message, maxError), r.PC)
	r.Attrs(func(a slog.Attr) bool {
		out.AddAttrs(fit(a))
		return true
	})
	return h.Handler.Handle(ctx, out)
}

func (h lines) WithAttrs(attrs []slog.Attr) slog.Handler {
	out := make([]slog.Attr, len(attrs))
	for i, a := range attrs {
		out[i] = fit(a)
	}
	return lines{h.Handler.WithAttrs(out)}
}

func (h lines) WithGroup(name string) slog.Handler { return lines{h.Handler.WithGroup(name)} }

// fit is an attribute as it may be shown. Values that are neither text nor errors are the
// program's own.
func fit(a slog.Attr) slog.Attr {
	switch v := a.Value.Resolve(); v.Kind() {
	case slog.KindString:
		a.Value = slog.StringValue(Line(v.String(), maxError))
	case slog.KindAny:
		switch v := v.Any().(type) {
		case error:
			a.Value = slog.AnyValue(line{v})
		case []string:
			out := make([]string, len(v))
			for i, s := range v {
				out[i] = Line(s, maxError)
			}
			a.Value = slog.AnyValue(out)
		}
	}
	return a
}

// line is an error with a text that fits a line.
type line struct{ error }

func (l line) Error() string { return Err(l.error) }
func (l line) Unwrap() error { return l.error }
