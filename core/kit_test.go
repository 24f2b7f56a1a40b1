package core_test

import (
	"bytes"
	"context"
	"log/slog"
	"strings"
	"sync"

	"github.com/liftoff-mq/liftoff/internal/logqueue"
)

// logLines collects what a producer logs.
type logLines struct {
	mu  sync.Mutex
	buf bytes.Buffer
	log *slog.Logger
}

func (l *logLines) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.buf.Write(p)
}

func (l *logLines) logger() *slog.Logger {
	l.log = logqueue.New(slog.New(slog.NewTextHandler(l, &slog.HandlerOptions{Level: slog.LevelDebug})))
	return l.log
}

// count is how many lines hold the text, once all are written.
func (l *logLines) count(text string) int {
	_ = logqueue.Flush(context.Background(), l.log)
	l.mu.Lock()
	defer l.mu.Unlock()
	n := 0
	for line := range strings.Lines(l.buf.String()) {
		if strings.Contains(line, text) {
			n++
		}
	}
	return n
}
