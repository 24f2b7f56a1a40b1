package safelog_test

import (
	"bytes"
	"context"
	"log/slog"
	"testing"

	"github.com/liftoff-mq/liftoff/internal/safelog"
)

// broken panics wherever it is told to.
type broken struct {
	slog.Handler
	at string
}

func (b broken) act(at string) {
	if b.at == at {
		panic("boom")
	}
}

func (b broken) Enabled(context.Context, slog.Level) bool { b.act("Enabled"); return true }
func (b broken) Handle(ctx context.Context, r slog.Record) error {
	b.act("Handle")
	return b.Handler.Handle(ctx, r)
}

func (b broken) WithAttrs(attrs []slog.Attr) slog.Handler {
	b.act("WithAttrs")
	return broken{b.Handler.WithAttrs(attrs), b.at}
}

func (b broken) WithGroup(name string) slog.Handler {
	b.act("WithGroup")
	return broken{b.Handler.WithGroup(name), b.at}
}

// No panic of a handler reaches who logs. What can be logged is.
func TestPanics(t *testing.T) {
	for at, want := range map[string]string{
		"":          "level=WARN msg=hello a=1 g.b=2\n",
		"Enabled":   "",
		"Handle":    "",
		"WithAttrs": "level=WARN msg=hello g.b=2\n",
		"WithGroup": "level=WARN msg=hello a=1 b=2\n",
	} {
		var out bytes.Buffer
		text := slog.NewTextHandler(&out, &slog.HandlerOptions{ReplaceAttr: func(_ []string, a slog.Attr) slog.Attr {
			if a.Key == slog.TimeKey {
				return slog.Attr{}
			}
			return a
		}})
		l := safelog.New(slog.New(broken{text, at}))
		l.With("a", 1).WithGroup("g").Warn("hello", "b", 2)
		if got := out.String(); got != want {
			t.Errorf("%s panics: %q, want %q", at, got, want)
		}
	}
}

// Without a logger there is silence, and a safe logger is not made safer.
func TestNew(t *testing.T) {
	if safelog.New(nil).Enabled(t.Context(), slog.LevelError) {
		t.Error("no logger logs")
	}
	if l := safelog.New(slog.Default()); safelog.New(l) != l {
		t.Error("a safe logger was wrapped again")
	}
}
