package accumulate_test

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/liftoff-mq/liftoff/core"
	"github.com/liftoff-mq/liftoff/core/coretest"
	"github.com/liftoff-mq/liftoff/hooks/accumulate"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// line is a transport that takes a while for each request, and a broker that gives
// every message an id and a place.
type line struct {
	took time.Duration
	// fate decides about request n, from 1: an error is the answer. Nil stores all.
	fate func(n int, r request) error
	// refuse decides about one message of a batch: an error refuses it alone.
	refuse func(body string) error
	// lost says that the request's answer is lost although it is stored.
	lost func(n int) bool
	// answer says what the broker tells of the messages of a batch: their ids at the
	// broker. Nil says them all in one text.
	answer func(at *core.Attempt, res *core.Result, ids []string)

	begun    time.Time
	mu       sync.Mutex
	requests []request
	offset   int64
	stored   map[string][]string // bodies by unique id
}

// request is what arrived.
type request struct {
	at     time.Duration
	batch  bool
	mode   core.Mode
	topic  string
	queue  core.Queue
	bodies []string
	ids    []string
	size   int
}

func (r request) String() string {
	return fmt.Sprintf("%v %s %v", r.at, r.topic, r.bodies)
}

func newLine(took time.Duration) *line {
	return &line{took: took, begun: time.Now(), stored: map[string][]string{}}
}

func (l *line) RoundTrip(ctx context.Context, at *core.Attempt) (*core.Result, error) {
	at.MarkWritten()
	c := at.Call()
	r := request{at: time.Since(l.begun), batch: c.Batch(), mode: c.Mode(), topic: c.Outgoing().Topic(), queue: at.Queue()}
	for o := range c.All() {
		size := 22 + len(o.Body())
		id := ""
		for name, value := range o.Properties() {
			size += len(name) + value.Len() + 2
			if name == "UNIQ_KEY" {
				id = value.String()
			}
		}
		if id != o.MessageID().String() {
			return nil, fmt.Errorf("the unique id is %q in the properties, %v in the message", id, o.MessageID())
		}
		r.bodies = append(r.bodies, string(o.Body()))
		r.ids = append(r.ids, o.MessageID().String())
		r.size += size
	}
	l.mu.Lock()
	l.requests = append(l.requests, r)
	n := len(l.requests)
	l.mu.Unlock()

	if l.took > 0 {
		timer := time.NewTimer(l.took)
		defer timer.Stop()
		end := time.NewTimer(time.Until(at.Deadline()))
		defer end.Stop()
		select {
		case <-timer.C:
		case <-end.C:
			return nil, core.ErrTimeout
		case <-at.Aborted():
			return nil, core.ErrAborted
		case <-ctx.Done():
			return nil, context.Cause(ctx)
		}
	}
	if l.fate != nil {
		if err := l.fate(n, r); err != nil {
			return nil, err
		}
	}
	refused := l.refusals(r)
	l.mu.Lock()
	defer l.mu.Unlock()
	var ids []string
	for i, id := range r.ids {
		if refused[i] == nil {
			l.stored[id] = append(l.stored[id], r.bodies[i])
		}
		ids = append(ids, "off-"+id)
	}
	if l.lost != nil && l.lost(n) {
		return nil, fmt.Errorf("%w under request %d", core.ErrConnectionLost, n)
	}
	res := at.Result()
	if c.Mode() == core.Oneway {
		res.Status = core.Written
		return res, nil
	}
	res.Queue, res.QueueOffset = at.Queue(), l.offset
	switch {
	case len(refused) > 0:
		l.tell(at, ids, refused)
	case !r.batch:
		res.OffsetMessageID = ids[0]
	case l.answer != nil:
		l.answer(at, res, ids)
	default:
		at.SetOffsetIDs(strings.Join(ids, ","), nth)
	}
	l.offset += int64(len(r.ids))
	return res, nil
}

// refusals are the errors of the messages that the broker refuses while it stores others.
func (l *line) refusals(r request) map[int]error {
	if !r.batch || l.refuse == nil {
		return nil
	}
	out := map[int]error{}
	for i, body := range r.bodies {
		if err := l.refuse(body); err != nil {
			out[i] = err
		}
	}
	return out
}

// tell gives each message of a batch its own answer.
func (l *line) tell(at *core.Attempt, ids []string, refused map[int]error) {
	for i, id := range ids {
		r := core.MessageResult{OffsetMessageID: id, QueueOffset: l.offset + int64(i)}
		if err := refused[i]; err != nil {
			r = core.MessageResult{Err: err}
		}
		at.SetMessage(i, r)
	}
}

// nth finds an id in a text that has them all.
func nth(text string, i int) string { return strings.Split(text, ",")[i] }

func (l *line) seen() []request {
	l.mu.Lock()
	defer l.mu.Unlock()
	return slices.Clone(l.requests)
}

// of are the requests that carry one of the bodies.
func (l *line) of(bodies ...string) (out []request) {
	for _, r := range l.seen() {
		if slices.ContainsFunc(bodies, func(b string) bool { return slices.Contains(r.bodies, b) }) {
			out = append(out, r)
		}
	}
	return out
}

func accumulator(t testing.TB, cfg accumulate.Config) *accumulate.Accumulator {
	t.Helper()
	a, err := accumulate.New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	return a
}

// config has an accumulator and time to spare.
func config(t testing.TB, l core.Transport, cfg accumulate.Config, steps ...core.Step) core.Config {
	t.Helper()
	c := coretest.Config(l, append(steps, accumulator(t, cfg).Step())...)
	c.Timeout, c.AttemptTimeout = 5*time.Minute, 5*time.Minute
	return c
}

// sending is a send on a goroutine of its own.
type sending struct {
	done chan struct{}
	at   time.Duration // when it ended
	res  core.Result
	err  error
}

func (s *sending) wait() (core.Result, error) {
	<-s.done
	return s.res, s.err
}

// send sends on another goroutine.
func send(ctx context.Context, p *core.Producer, m *core.Message, opts ...core.SendOption) *sending {
	s := &sending{done: make(chan struct{})}
	begun := time.Now()
	go func() {
		defer close(s.done)
		s.res, s.err = p.Send(ctx, m, opts...)
		s.at = time.Since(begun)
	}()
	return s
}

// each sends the bodies, each on a goroutine of its own.
func each(p *core.Producer, bodies ...string) []*sending {
	var out []*sending
	for _, b := range bodies {
		out = append(out, send(context.Background(), p, coretest.Message(b)))
	}
	return out
}
