package breaker

import (
	"context"
	"log/slog"
	"time"
)

// The log of an outage has two lines: a warning when the breaker opens, and information when
// it closes. The probes in between, one every [Config].OpenFor, are for debugging. A broker
// that comes and goes has no more than two lines a minute.

// quiet is how long after a warning there is no other about the same broker.
const quiet = time.Minute

// logged is what the log says of a broker. It belongs to the goroutine that delivers
// changes, of which there is one at a time.
type logged struct {
	open  bool      // the last line above debug said that the breaker is open
	when  time.Time // of the last warning
	again int       // openings since then that have no line above debug
}

// line decides how a change is logged.
func (t *logged) line(c change) slog.Level {
	opening := c.to == Open
	switch {
	case c.to == Closed && t.open:
		t.open = false
		return slog.LevelInfo
	// A warning that was held back is made up for when a later probe fails.
	case opening && !t.open && (t.when.IsZero() || c.when.Sub(t.when) >= quiet):
		t.open, t.when = true, c.when
		return slog.LevelWarn
	case opening:
		t.again++
	}
	return slog.LevelDebug
}

// changed tells of a change: the log, then the user.
func (b *Breakers) changed(c change) {
	if c.panicked != nil {
		b.logPanic("Trip", c.panicked)
		return
	}
	b.log(c)
	defer b.keepPanic("OnStateChange", func() {})
	b.cfg.OnStateChange(c.broker.at, c.from, c.to)
}

func (b *Breakers) log(c change) {
	t := &c.broker.logged
	began := t.when
	level := t.line(c)
	attrs := []slog.Attr{
		slog.String("broker", c.broker.at.Name), slog.String("addr", c.broker.at.Addr),
		slog.String("from", c.from.String()), slog.String("to", c.to.String()),
		slog.Int("reopened", t.again),
	}
	switch level {
	case slog.LevelInfo:
		attrs = append(attrs, slog.Duration("after", c.when.Sub(began)))
		t.again = 0
	case slog.LevelWarn:
		t.again = 0
	}
	b.cfg.Logger.LogAttrs(context.Background(), level, "circuit breaker changed", attrs...)
}

// keepPanic is deferred around the user's functions: their panic must not touch
// the send, which has its outcome already.
func (b *Breakers) keepPanic(function string, instead func()) {
	if v := recover(); v != nil {
		instead()
		b.logPanic(function, v)
	}
}

func (b *Breakers) logPanic(function string, v any) {
	b.cfg.Logger.Error("breaker's function panicked", "function", function, "panic", v)
}

func (b *Breakers) deliver() { b.changes.deliver(b.changed) }
