package main

import (
	"fmt"
	"io"
	"os"
	"time"

	"github.com/schollz/progressbar/v3"
	"golang.org/x/term"
)

// bar shows progress on a terminal. A nil *bar shows nothing. It is not safe for
// concurrent use.
type bar struct{ b *progressbar.ProgressBar }

// newBar makes a bar on w if that is a terminal. Size is the number of bytes to
// come, -1 if nobody knows.
func newBar(w io.Writer, size int64) *bar {
	if !isTerminal(w) {
		return nil
	}
	return drawBar(w, size, 100*time.Millisecond)
}

// drawBar makes a bar that is drawn at most once in each interval.
func drawBar(w io.Writer, size int64, interval time.Duration) *bar {
	return &bar{progressbar.NewOptions64(size,
		progressbar.OptionSetWriter(w),
		progressbar.OptionShowBytes(true),
		progressbar.OptionThrottle(interval),
		progressbar.OptionSetWidth(30),
		progressbar.OptionClearOnFinish(),
		// The spinner of an unknown size turns when lines are done, not by a
		// goroutine that outlives the bar.
		progressbar.OptionSetSpinnerChangeInterval(0),
	)}
}

// add moves the bar on. What the terminal makes of it does not matter to the
// send, so its errors do not either.
func (b *bar) add(bytes int64, lines, failed int) {
	if b == nil {
		return
	}
	text := fmt.Sprintf("%d lines", lines)
	if failed > 0 {
		text += fmt.Sprintf(", %d failed", failed)
	}
	b.b.Describe(text)
	_ = b.b.Add64(bytes)
}

// hide makes room for a line of text; the next add draws the bar again.
func (b *bar) hide() {
	if b != nil {
		_ = b.b.Clear()
	}
}

// close removes the bar.
func (b *bar) close() {
	if b != nil {
		_ = b.b.Finish()
	}
}

func isTerminal(v any) bool {
	f, ok := v.(*os.File)
	return ok && term.IsTerminal(int(f.Fd()))
}
