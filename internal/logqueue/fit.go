package logqueue

import (
	"log/slog"

	"github.com/liftoff-mq/liftoff/internal/words"
)

// A log line may quote what a server said, and not every handler escapes what it prints.

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
			a.Value = slog.AnyValue(errorLine{v})
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

// errorLine is an error with a text that fits a line.
type errorLine struct{ error }

func (l errorLine) Error() string { return words.Err(l.error) }
func (l errorLine) Unwrap() error { return l.error }

// fitRecord is a record as it may be shown.
func fitRecord(r slog.Record) slog.Record {
	out := slog.NewRecord(r.Time, r.Level, words.Line(r.Message, maxText), r.PC)
	r.Attrs(func(a slog.Attr) bool {
		out.AddAttrs(fit(a))
		return true
	})
	return out
}
