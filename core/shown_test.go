package core_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"unicode"

	"github.com/liftoff-mq/liftoff/core"
	"github.com/liftoff-mq/liftoff/core/coretest"
)

const escape = "\x1b[2J\u009b31m\n\u202e"

var long = strings.Repeat("x", 300<<10)

// showable fails the test if text is no line that a terminal or a log can take.
func showable(t *testing.T, what, text string) {
	t.Helper()
	const most = 64 << 10
	if len(text) > most || strings.ContainsFunc(text, func(r rune) bool { return !unicode.IsPrint(r) }) {
		t.Errorf("%s has %d bytes or cannot be printed: %.300q", what, len(text), text)
	}
}

// An error whose cause quotes a server, or the program's own user, clears the terminal of
// whoever reads it, or fills the log.
func TestErrorsAreShowable(t *testing.T) {
	for _, said := range []string{escape, long} {
		cause := fmt.Errorf("certificate of %s", said)
		attempts := make([]core.AttemptError, 100)
		for i := range attempts {
			attempts[i] = core.AttemptError{Number: i + 1, Queue: core.Queue{Broker: "b"}, Addr: "h:1", Err: cause}
		}
		for what, err := range map[string]error{
			"send":           &core.SendError{Topic: said, Cause: errors.Join(cause, cause), Attempts: attempts},
			"last":           &core.SendError{Topic: said, Cause: cause, Attempts: attempts[:1]},
			"attempt":        &attempts[0],
			"broker":         &core.BrokerError{Code: word(said), Remark: said, Addr: said},
			"operation":      &core.OperationError{Topic: said, Cause: cause},
			"empty":          &core.SendError{},
			"no cause":       &core.OperationError{},
			"attempt of nil": &core.AttemptError{},
		} {
			showable(t, what, err.Error())
		}
	}
}

// word is a code of a protocol of words.
type word string

func (w word) String() string { return string(w) }

// A topic that is too long, or a queue that nobody has, is told as it can be read.
func TestTopicsInErrorsAreShowable(t *testing.T) {
	for _, said := range []string{escape, long} {
		cfg := coretest.Config(&coretest.Transport{})
		cfg.Routes = coretest.RouteFunc(func(_ context.Context, topic string) (*core.Route, error) {
			if topic == "T"+said {
				return core.NewRoute(nil, nil)
			}
			return core.NewRoute([]core.Queue{{Broker: "a"}}, []core.Broker{{Name: "a", Addr: "h:1"}})
		})
		p := coretest.Start(t, cfg)
		for _, m := range []*core.Message{
			{Topic: "T" + said, Body: []byte("x")},
			{Topic: "U" + said, Body: []byte("x"), Queue: &core.Queue{Broker: said, ID: 1}},
		} {
			_, err := p.Send(t.Context(), m)
			if err == nil {
				t.Fatal("no error")
			}
			showable(t, "the error", err.Error())
			_, err = p.SendBatch(t.Context(), []*core.Message{m, {Topic: said}})
			showable(t, "the batch's error", err.Error())
		}
	}
}

// What a route names goes into errors, logs, metrics and snapshots as it is. So a route is not
// made of names that cannot be shown.
func TestRouteOfUnprintableNames(t *testing.T) {
	for _, said := range []string{escape, long} {
		for _, b := range []core.Broker{{Name: said, Addr: "h:1"}, {Name: "a", Addr: said}, {Name: "a", Addr: "h:1", Cluster: said}} {
			_, err := core.NewRoute([]core.Queue{{Broker: b.Name}}, []core.Broker{b})
			if err == nil || !strings.Contains(err.Error(), "is not printable text of at most 300 bytes") {
				t.Errorf("%.100q: %v", b, err)
				continue
			}
			showable(t, "the error", err.Error())
		}
		_, err := core.NewRoute([]core.Queue{{Broker: said}}, nil)
		showable(t, "the error", err.Error())
	}
	for _, name := range []string{"broker-a", "мой брокер", strings.Repeat("x", 300)} {
		if _, err := core.NewRoute([]core.Queue{{Broker: name}}, []core.Broker{{Name: name, Addr: name, Cluster: name}}); err != nil {
			t.Errorf("%.50q: %v", name, err)
		}
	}
}

// talker is a part that describes itself by what others wrote.
type talker struct{ coretest.Transport }

func (*talker) Describe() core.Description {
	return core.Description{Summary: escape, Settings: []core.Setting{{Name: escape, Value: escape + long}}}
}

func (*talker) BrokerReport(core.Broker) []core.Setting {
	return []core.Setting{{Name: "last dial", Value: escape + long}}
}

// What parts say of themselves and of brokers is shown, so it is no place for a stranger's
// control characters.
func TestDescriptionsAreShowable(t *testing.T) {
	p := coretest.Start(t, coretest.Config(&talker{}))
	if _, err := p.Send(t.Context(), coretest.Message("x")); err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(p.Pipeline().String()) {
		showable(t, "the pipeline", strings.TrimSuffix(line, "\n"))
	}
	d := p.Pipeline().Transport()
	showable(t, "the transport", d.Summary+d.Settings[0].Name+d.Settings[0].Value)
	for _, b := range p.Snapshot().Brokers {
		for _, s := range b.Details {
			showable(t, "the snapshot", s.Value)
		}
	}
}
