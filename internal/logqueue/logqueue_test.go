package logqueue_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"runtime"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"

	"github.com/liftoff-mq/liftoff/internal/logqueue"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// hooked runs before before each line, on the goroutine of the queue.
type hooked struct {
	slog.Handler
	before func(r slog.Record)
}

func (h hooked) Handle(ctx context.Context, r slog.Record) error {
	h.before(r)
	return h.Handler.Handle(ctx, r)
}

// newLog is a logger with the level Info, whose handler runs before before each line. Text gives
// what was written, once the queue is empty.
func newLog(t *testing.T, before func(r slog.Record)) (log *slog.Logger, text func() string) {
	t.Helper()
	var b bytes.Buffer
	h := slog.NewTextHandler(&b, &slog.HandlerOptions{ReplaceAttr: func(_ []string, a slog.Attr) slog.Attr {
		if a.Key == slog.TimeKey {
			a.Value = slog.StringValue(a.Value.Time().UTC().Format("05.000"))
		}
		return a
	}})
	log = logqueue.New(slog.New(hooked{h, before}))
	return log, func() string {
		if err := logqueue.Flush(t.Context(), log); err != nil {
			t.Fatal(err)
		}
		return b.String()
	}
}

// Lines come in order, with the time at which they were logged, the attributes of their
// loggers, and only those that the handler wants.
func TestLines(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		log, text := newLog(t, func(slog.Record) { time.Sleep(time.Second) })
		log.Info("one", "n", 1)
		log.Debug("not wanted")
		time.Sleep(500 * time.Millisecond)
		log.With("who", "me").WithGroup("g").Warn("two", "n", 2)
		want := "time=00.000 level=INFO msg=one n=1\ntime=00.500 level=WARN msg=two who=me g.n=2\n"
		if got := text(); got != want {
			t.Errorf("got\n%swant\n%s", got, want)
		}
	})
}

// A handler that blocks holds up nobody who logs. What finds no room is counted, and the
// count is logged when the handler goes on.
func TestHandlerBlocks(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		release := make(chan struct{})
		log, text := newLog(t, func(slog.Record) { <-release })
		for i := range 1 + 1024 + 7 {
			log.Info("line", "i", i)
			if i == 0 {
				synctest.Wait() // it has the first one
			}
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if err := logqueue.Flush(ctx, log); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("Flush gave %v", err)
		}
		close(release)
		got := text()
		if n := strings.Count(got, "msg=line"); n != 1025 {
			t.Errorf("%d lines, want 1025", n)
		}
		lines := strings.SplitAfter(got, "\n")
		if !strings.Contains(lines[1], "log lines are missing") || !strings.Contains(lines[1], "lines=7") || !strings.Contains(lines[2], "i=1\n") {
			t.Errorf("the second and third line are\n%s%s", lines[1], lines[2])
		}
	})
}

// A handler that panics or ends its goroutine loses its line, and only that.
func TestHandlerPanics(t *testing.T) {
	log, text := newLog(t, func(r slog.Record) {
		switch r.Message {
		case "panic":
			panic("the handler")
		case "goexit":
			runtime.Goexit()
		}
	})
	for _, msg := range []string{"panic", "a", "goexit", "b", "goexit", "panic", "c"} {
		log.Info(msg)
	}
	got := text()
	var say []string
	for line := range strings.Lines(got) {
		_, msg, _ := strings.Cut(line, "msg=")
		say = append(say, strings.TrimSpace(msg))
	}
	const missing = `"log lines are missing: the log handler was too slow for them, or panicked" lines=`
	want := []string{missing + "1", "a", missing + "1", "b", missing + "1", missing + "1", "c"}
	// The notice that comes before a line that panics is a line, too.
	if fmt.Sprint(say) != fmt.Sprint(want) {
		t.Errorf("got %q\nwant %q", say, want)
	}
}

// A handler that panics when it is asked for another one serves in its place.
func TestHandlerHasNoOther(t *testing.T) {
	var b bytes.Buffer
	log := logqueue.New(slog.New(alone{slog.NewTextHandler(&b, nil)}))
	log.With("k", "v").WithGroup("g").Info("x")
	if err := logqueue.Flush(t.Context(), log); err != nil || !strings.Contains(b.String(), "msg=x") {
		t.Errorf("%v: %s", err, b.String())
	}
}

type alone struct{ slog.Handler }

func (alone) WithAttrs([]slog.Attr) slog.Handler { panic("attributes") }
func (alone) WithGroup(string) slog.Handler      { panic("group") }

// A handler may log to the logger itself, and flush another one.
func TestHandlerLogs(t *testing.T) {
	var log *slog.Logger
	var once sync.Once
	log, text := newLog(t, func(slog.Record) { once.Do(func() { log.Info("inner") }) })
	log.Info("outer")
	if got := text(); !strings.Contains(got, "outer") || !strings.Contains(got, "inner") {
		t.Errorf("got %s", got)
	}
}

func TestNew(t *testing.T) {
	log, text := newLog(t, func(slog.Record) {})
	if logqueue.New(log) != log {
		t.Error("a queue in front of a queue")
	}
	silent := slog.New(slog.DiscardHandler)
	if logqueue.New(silent) != silent || logqueue.New(nil).Handler() != slog.DiscardHandler {
		t.Error("silence has a queue")
	}
	if err := logqueue.Flush(t.Context(), silent); err != nil {
		t.Error(err)
	}
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			for range 100 {
				log.With("k", "v").Info("x")
				_ = logqueue.Flush(t.Context(), log)
			}
		})
	}
	wg.Wait()
	if n := strings.Count(text(), "msg=x k=v"); n != 800 {
		t.Errorf("%d lines", n)
	}
}
