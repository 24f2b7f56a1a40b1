package breaker_test

import (
	"context"
	"log/slog"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/liftoff-mq/liftoff/core"
	"github.com/liftoff-mq/liftoff/core/coretest"
	"github.com/liftoff-mq/liftoff/strategies/breaker"
)

// lines is a log handler that keeps the breakers' lines.
type lines struct {
	mu   *sync.Mutex
	list *[]line
}

type line struct {
	level slog.Level
	when  time.Time
	attrs map[string]slog.Value
}

func newLines() lines { return lines{new(sync.Mutex), new([]line)} }

func (l lines) Enabled(context.Context, slog.Level) bool { return true }
func (l lines) WithAttrs([]slog.Attr) slog.Handler       { return l }
func (l lines) WithGroup(string) slog.Handler            { return l }
func (l lines) Handle(_ context.Context, r slog.Record) error {
	attrs := map[string]slog.Value{}
	r.Attrs(func(a slog.Attr) bool { attrs[a.Key] = a.Value; return true })
	l.mu.Lock()
	defer l.mu.Unlock()
	*l.list = append(*l.list, line{r.Level, time.Now(), attrs})
	return nil
}

// loud are the lines above debug, quiet is the number of the others.
func (l lines) loud() (loud []line, quiet int) {
	synctest.Wait() // until they are written
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, x := range *l.list {
		if x.level > slog.LevelDebug {
			loud = append(loud, x)
		} else {
			quiet++
		}
	}
	return loud, quiet
}

func (x line) is(level slog.Level, to breaker.State) bool {
	return x.level == level && x.attrs["to"].String() == to.String()
}

// An outage has a line at its begin and one at its end, however long it is. It had 24 a
// minute.
func TestOneDeadBrokerLogsTwoLines(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		log := newLines()
		w := newWorld(t, breaker.Config{Logger: slog.New(log)}, defaults)
		w.set("broker-a", refused)
		start := time.Now()
		for time.Since(start) < time.Hour {
			w.sendAll(1)
			time.Sleep(100 * ms)
		}
		loud, quiet := log.loud()
		if len(loud) != 1 || !loud[0].is(slog.LevelWarn, breaker.Open) {
			t.Fatalf("an hour's outage has the lines %v, want one that it began", loud)
		}
		if got := loud[0].attrs; got["broker"].String() != "broker-a" || got["addr"].String() != "broker-a:10911" {
			t.Errorf("the line names %v", got)
		}
		if quiet < 1000 {
			t.Errorf("%d lines for debugging, want two for each of some 700 probes", quiet)
		}
		w.set("broker-a", ok)
		for range 200 {
			w.sendAll(1)
			time.Sleep(100 * ms)
		}
		w.expect(breaker.Closed)
		loud, _ = log.loud()
		if len(loud) != 2 || !loud[1].is(slog.LevelInfo, breaker.Closed) {
			t.Fatalf("the outage has the lines %v, want one that it began and one that it ended", loud)
		}
		if after, again := loud[1].attrs["after"].Duration(), loud[1].attrs["reopened"].Int64(); after < time.Hour || after > time.Hour+time.Minute || again < 500 {
			t.Errorf("the last line tells of %v and %d more openings", after, again)
		}
	})
}

// A second outage has its own lines.
func TestEachOutageIsLogged(t *testing.T) {
	log := newLines()
	inBubble(t, breaker.Config{Logger: slog.New(log)}, func(w *world) {
		for range 3 {
			w.halfOpen()
			w.times(1, refused) // opens again, quietly
			time.Sleep(breaker.DefaultOpenFor + ms)
			w.times(1, ok)
			w.expect(breaker.Closed)
			time.Sleep(time.Minute)
		}
		loud, _ := log.loud()
		if len(loud) != 6 {
			t.Fatalf("three outages have %d lines, want 6", len(loud))
		}
		for i, x := range loud {
			want, to, again := slog.LevelWarn, breaker.Open, int64(0)
			if i%2 == 1 {
				want, to, again = slog.LevelInfo, breaker.Closed, 1
			}
			if !x.is(want, to) || x.attrs["reopened"].Int64() != again {
				t.Errorf("line %d is %+v", i, x)
			}
		}
	})
}

// A broker that comes and goes has no more than two lines a minute, and the log's last word
// is what is so.
func TestBrokerThatComesAndGoes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		log := newLines()
		w := newWorld(t, breaker.Config{Logger: slog.New(log)}, func(c *core.Config) { c.Routes = coretest.Routes(1, "broker-a") })
		const minutes = 10
		for range minutes * 60 {
			w.times(5, refused)
			w.expect(breaker.Open)
			w.times(1, ok) // the last resort: it closes
			w.expect(breaker.Closed)
			time.Sleep(time.Second)
		}
		loud, _ := log.loud()
		if len(loud) < minutes || len(loud) > 2*minutes {
			t.Errorf("%d lines in %d minutes", len(loud), minutes)
		}
		if last := loud[len(loud)-1]; !last.is(slog.LevelInfo, breaker.Closed) {
			t.Errorf("the last line is %+v, and the breaker is closed", last)
		}
		for i, x := range loud[1:] {
			// What was held back since the warning before is counted in the next.
			if again := x.attrs["reopened"].Int64(); x.level == slog.LevelWarn && again != 59 || x.level == slog.LevelInfo && again != 0 {
				t.Errorf("line %d tells of %d more openings: %+v", i+1, again, x)
			}
		}
		// It stays away from now on. The warning that is due is made up for within a minute.
		w.set("broker-a", refused)
		for range 70 {
			w.times(1, refused)
			time.Sleep(time.Second)
		}
		w.times(1, refused)
		loud, _ = log.loud()
		if last := loud[len(loud)-1]; !last.is(slog.LevelWarn, breaker.Open) {
			t.Errorf("the last line is %+v, and the breaker is open", last)
		}
	})
}

// No line is written under a lock: a log handler may ask the breakers.
func TestLogHandlerMayUseTheBreakers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		asks := &asking{}
		w := newWorld(t, breaker.Config{
			Logger: slog.New(asks), OnStateChange: func(core.Broker, breaker.State, breaker.State) { panic("change") },
			Trip: func(breaker.Counts) bool { panic("trip") }, Ignore: func(error) bool { panic("ignore") },
		}, nil)
		asks.breakers = w.breakers
		w.halfOpen()
		w.times(1, ok)
		w.expect(breaker.Closed)
		synctest.Wait()
		// Five failures, of which each asks Ignore and Trip, and three changes.
		if want := 5 + 5 + 3 + 3; asks.lines != want {
			t.Errorf("%d lines, want %d", asks.lines, want)
		}
	})
}

type asking struct {
	breakers *breaker.Breakers
	lines    int
}

func (*asking) Enabled(context.Context, slog.Level) bool { return true }
func (a *asking) WithAttrs([]slog.Attr) slog.Handler     { return a }
func (a *asking) WithGroup(string) slog.Handler          { return a }
func (a *asking) Handle(context.Context, slog.Record) error {
	a.lines++
	a.breakers.States()
	a.breakers.Health(brokerA)
	return nil
}

// A log handler that panics does not touch the send.
func TestPanicOfTheLogHandler(t *testing.T) {
	inBubble(t, breaker.Config{
		Logger: slog.New(panicking{}),
		Trip:   func(breaker.Counts) bool { panic("trip") },
	}, func(w *world) {
		w.times(4, refused)
		w.set("broker-a", ok)
		if err := w.sendA(w.Context()); err != nil {
			t.Error(err)
		}
		w.halfOpen()
		w.set("broker-a", ok)
		if err := w.sendA(w.Context()); err != nil {
			t.Error(err)
		}
		w.expect(breaker.Closed)
	})
}

type panicking struct{}

func (panicking) Enabled(context.Context, slog.Level) bool  { return true }
func (panicking) Handle(context.Context, slog.Record) error { panic("log") }
func (p panicking) WithAttrs([]slog.Attr) slog.Handler      { return p }
func (p panicking) WithGroup(string) slog.Handler           { return p }
