package logqueue_test

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"strings"
	"testing"

	"github.com/liftoff-mq/liftoff/internal/logqueue"
)

// raw is a handler that prints what it gets, as some for terminals do.
type raw struct {
	out  *strings.Builder
	with []slog.Attr
}

func (h raw) Enabled(context.Context, slog.Level) bool { return true }

func (h raw) Handle(_ context.Context, r slog.Record) error {
	h.out.WriteString(r.Message)
	show := func(a slog.Attr) bool {
		if err, ok := a.Value.Any().(error); ok && !errors.Is(err, fs.ErrExist) {
			h.out.WriteString(" lost")
		}
		fmt.Fprintf(h.out, " %s=%v", a.Key, a.Value.Any())
		return true
	}
	for _, a := range h.with {
		show(a)
	}
	r.Attrs(show)
	return nil
}

func (h raw) WithAttrs(attrs []slog.Attr) slog.Handler { return raw{h.out, append(h.with, attrs...)} }
func (h raw) WithGroup(string) slog.Handler            { return h }

// What a server said is neither raw nor long in a log, whatever the handler does with it.
func TestStrangersTexts(t *testing.T) {
	var out strings.Builder
	l := logqueue.New(slog.New(raw{out: &out})).With("with", "\x1b[1m").WithGroup("g")
	l.Warn("a\nb", "text", "\x1b[31m", "err", fmt.Errorf("\x1b[2J: %w", fs.ErrExist), "list", []string{"\x07"}, "n", 7, "ok", true)
	flush(t, l)
	if want := "a b with=[1m text=[31m err=[2J: file already exists list=[] n=7 ok=true"; out.String() != want {
		t.Errorf("got %q, want %q", out.String(), want)
	}
	out.Reset()
	l.Info("x", "long", strings.Repeat("x", 1<<20))
	flush(t, l)
	if out.Len() > 5<<10 {
		t.Errorf("%d bytes", out.Len())
	}
}

func flush(t *testing.T, l *slog.Logger) {
	t.Helper()
	if err := logqueue.Flush(t.Context(), l); err != nil {
		t.Fatal(err)
	}
}
