package transporttest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"maps"
	"reflect"
	"runtime/debug"
	"slices"
	"time"

	"github.com/liftoff-mq/liftoff/core"
)

const (
	roundTrip = "Transport.RoundTrip"
	routeOf   = "RouteSource.Route"
)

// watch stands between the producer and the transport, and notes what core does not pass
// on: what RoundTrip itself returned and how it left the attempt.
type watch struct{ k *kit }

// trip is what one RoundTrip did.
type trip struct {
	addr      string
	queue     core.Queue
	deadline  time.Time
	sendBy    time.Time
	topic     string    // of what is sent
	sent      []Message // what is sent, as it was before
	ended     time.Time
	result    core.Result // a copy
	hasResult bool
	err       error
	written   bool
	changed   string // what it changed of the messages, "" for nothing
}

type sendingKey struct{}

// Unwrap implements [core.Wrapper], so that core finds the transport's other interfaces.
func (w *watch) Unwrap() any { return w.k.world.Transport }

// errAgain ends attempts after the first: rules are about one.
var errAgain = errors.New("transporttest: one attempt is enough")

var errPanic = errors.New("transporttest: the transport panicked")

// RoundTrip implements [core.Transport].
func (w *watch) RoundTrip(ctx context.Context, at *core.Attempt) (res *core.Result, err error) {
	s, ok := ctx.Value(sendingKey{}).(*sending)
	if !ok {
		return nil, errEnded
	}
	if at.Number() > 1 {
		return nil, errAgain
	}
	t := &trip{
		addr: at.Addr(), queue: at.Queue(), deadline: at.Deadline(), sendBy: at.SendBy(),
		topic: at.Call().Outgoing().Topic(),
	}
	users, sent := copies(at.Call())
	t.sent = sent
	if s.before != nil {
		s.before(at)
	}
	defer func() {
		if v := recover(); v != nil {
			w.k.Errorf("panic in %s: %v\n%s", roundTrip, v, debug.Stack())
			res, err = nil, errPanic
		}
		t.ended, t.written = time.Now(), at.Written()
		if t.err = err; res != nil {
			t.hasResult, t.result = true, *res
		}
		t.changed = changes(at.Call(), users, sent)
		s.mu.Lock()
		defer s.mu.Unlock()
		s.made = t
	}()
	defer w.k.Enter(roundTrip)()
	close(s.asked)
	return w.k.world.Transport.RoundTrip(ctx, at)
}

// copies are the call's messages as they are now: those of the user and what is sent for
// them.
func copies(c *core.Call) (users []core.Message, sent []Message) {
	for o := range c.All() {
		u := *o.Message()
		out := Message{Body: bytes.Clone(o.Body()), Flag: o.Flag(), Codec: o.Codec(), Properties: properties(o)}
		if bytes.Equal(u.Body, out.Body) {
			u.Body = out.Body
		} else {
			u.Body = bytes.Clone(u.Body)
		}
		u.Keys, u.Properties = slices.Clone(u.Keys), maps.Clone(u.Properties)
		if u.Queue != nil {
			q := *u.Queue
			u.Queue = &q
		}
		users, sent = append(users, u), append(sent, out)
	}
	return users, sent
}

func properties(o *core.Outgoing) map[string]string {
	m := map[string]string{}
	for name, value := range o.Properties() {
		m[name] = value.String()
	}
	return m
}

// changes says what is not as it was, "" if everything is.
func changes(c *core.Call, users []core.Message, sent []Message) string {
	i := 0
	for o := range c.All() {
		was, is := reflect.ValueOf(users[i]), reflect.ValueOf(*o.Message())
		for f := range was.NumField() {
			if !reflect.DeepEqual(was.Field(f).Interface(), is.Field(f).Interface()) {
				return fmt.Sprintf("the %s of message %d is not what it was", was.Type().Field(f).Name, i)
			}
		}
		if out := sent[i]; !bytes.Equal(o.Body(), out.Body) || o.Codec() != out.Codec || !maps.Equal(properties(o), out.Properties) {
			return fmt.Sprintf("what is sent of message %d is not what it was", i)
		}
		i++
	}
	return ""
}

// routes is the world's route source with a route that was asked for before, so that rules
// of transports do not depend on it.
type routes struct {
	source core.RouteSource
	route  *core.Route
}

// Unwrap implements [core.Wrapper].
func (r *routes) Unwrap() any { return r.source }

// Route implements [core.RouteSource].
func (r *routes) Route(context.Context, string) (*core.Route, error) { return r.route, nil }
