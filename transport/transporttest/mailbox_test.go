package transporttest_test

import (
	"bytes"
	"context"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/liftoff-mq/liftoff/core"
	"github.com/liftoff-mq/liftoff/transport/transporttest"
)

// mailbox keeps messages in the process.
type mailbox struct {
	mu     sync.Mutex
	bodies [][]byte
}

func (m *mailbox) Route(context.Context, string) (*core.Route, error) {
	return core.NewRoute([]core.Queue{{Broker: "mailbox"}}, []core.Broker{{Name: "mailbox", Addr: "mailbox:1"}})
}

func (m *mailbox) RoundTrip(ctx context.Context, at *core.Attempt) (*core.Result, error) {
	if ctx.Err() != nil {
		return nil, core.ContextError(ctx)
	}
	at.MarkWritten() // from here on a failure does not mean that nothing was sent
	m.mu.Lock()
	defer m.mu.Unlock()
	if at.WantsAnswer() {
		at.Result().Status = core.SendOK
		at.Result().QueueOffset = int64(len(m.bodies)) // the next messages of a batch follow it
	}
	for out := range at.Call().All() { // one message, or those of a batch
		m.bodies = append(m.bodies, bytes.Clone(out.Body()))
	}
	return at.Result(), nil
}

// The transport of docs/plugins.md is this one, and it breaks no rule.
func TestMailbox(t *testing.T) {
	_, rec := verdict(t, func(transporttest.TB) transporttest.World {
		m := &mailbox{}
		return transporttest.World{Transport: m, Routes: m, Topic: "T", Late: time.Millisecond}
	})
	if len(rec.failures) > 0 {
		t.Errorf("%q", rec.failures)
	}
	source, err := os.ReadFile("mailbox_test.go")
	if err != nil {
		t.Fatal(err)
	}
	doc, err := os.ReadFile("../../docs/plugins.md")
	if err != nil {
		t.Fatal(err)
	}
	_, code, _ := strings.Cut(string(source), "\n// mailbox keeps")
	code, _, _ = strings.Cut(code, "\n// The transport of docs")
	if !strings.Contains(string(doc), "// mailbox keeps"+strings.TrimRight(code, "\n")+"\n```") {
		t.Errorf("docs/plugins.md shows another mailbox")
	}
}
