package core_test

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/liftoff-mq/liftoff/core"
	"github.com/liftoff-mq/liftoff/core/coretest"
)

// clerk writes down the outcome of every call.
type clerk struct {
	mu    sync.Mutex
	lines []string
	errs  []error
	batch []bool
	ctxs  []context.Context
}

// traceKey finds a value of the caller's context.
type traceKey struct{}

func (c *clerk) CallDone(ctx context.Context, r *core.CallReport) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.batch, c.ctxs = append(c.batch, r.Call.Batch()), append(c.ctxs, ctx)
	c.lines = append(c.lines, fmt.Sprintf("%v %q %d %v %s", r.Call.Mode(), r.Call.Message().Topic, r.Call.Len(), core.ClassOf(r.Err), r.Call.Policy().Name))
	c.errs = append(c.errs, r.Err)
}

// Every call that has an outcome is told to listeners once, with the error that the caller
// gets, also one that is refused before it began: after Shutdown, before Start, without a
// message or a context, an empty or mixed batch, no room, a wrong option. So is a call under
// which a step or an option ends the goroutine.
func TestCallDoneOfRefusedCalls(t *testing.T) {
	x := func() *core.Message { return coretest.Message("x") }
	exit := core.SendOptionFunc(func(*core.CallOptions) { runtime.Goexit() })
	wrong := core.SendTimeout(-time.Second)
	var none context.Context
	for name, tt := range map[string]struct {
		before string // "", "created", "shut down", "full"
		send   func(ctx context.Context, p *core.Producer) error
		want   string
	}{
		"before start":        {"created", func(ctx context.Context, p *core.Producer) error { _, err := p.Send(ctx, x()); return err }, `sync "T" 1 closed default`},
		"after shutdown":      {"shut down", func(ctx context.Context, p *core.Producer) error { _, err := p.Send(ctx, x()); return err }, `sync "T" 1 closed default`},
		"one-way":             {"shut down", func(ctx context.Context, p *core.Producer) error { return p.SendOneway(ctx, x()) }, `oneway "T" 1 closed default`},
		"try":                 {"shut down", func(ctx context.Context, p *core.Producer) error { return p.TrySendAsync(ctx, x(), nil) }, `async "T" 1 closed default`},
		"async":               {"shut down", async(x()), `async "T" 1 closed default`},
		"batch":               {"shut down", batch(x(), x()), `sync "T" 2 closed default`},
		"nil message":         {"", func(ctx context.Context, p *core.Producer) error { _, err := p.Send(ctx, nil); return err }, `sync "" 1 invalid default`},
		"nil message, async":  {"", async(nil), `async "" 1 invalid default`},
		"nil message, try":    {"", func(ctx context.Context, p *core.Producer) error { return p.TrySendAsync(ctx, nil, nil) }, `async "" 1 invalid default`},
		"nil context":         {"", func(_ context.Context, p *core.Producer) error { _, err := p.Send(none, x()); return err }, `sync "T" 1 invalid default`},
		"empty batch":         {"", batch(), `sync "" 1 invalid default`},
		"nil in a batch":      {"", batch(x(), nil, x()), `sync "T" 3 invalid default`},
		"mixed batch":         {"", batch(x(), &core.Message{Topic: "U", Body: []byte("x")}), `sync "T" 2 invalid default`},
		"no room":             {"full", func(ctx context.Context, p *core.Producer) error { return p.TrySendAsync(ctx, x(), nil) }, `async "T" 1 in-flight default`},
		"wrong option":        {"", func(ctx context.Context, p *core.Producer) error { _, err := p.Send(ctx, x(), wrong); return err }, `sync "T" 1 invalid default`},
		"wrong option, try":   {"", func(ctx context.Context, p *core.Producer) error { return p.TrySendAsync(ctx, x(), nil, wrong) }, `async "T" 1 invalid default`},
		"step exits":          {"exit", func(ctx context.Context, p *core.Producer) error { _, err := p.Send(ctx, x()); return err }, `sync "T" 1 plugin default`},
		"step exits, one-way": {"exit", func(ctx context.Context, p *core.Producer) error { return p.SendOneway(ctx, x()) }, `oneway "T" 1 plugin default`},
		"step exits, batch":   {"exit", batch(x(), x()), `sync "T" 2 plugin default`},
		"option exits":        {"", func(ctx context.Context, p *core.Producer) error { _, err := p.Send(ctx, x(), exit); return err }, `sync "T" 1 plugin default`},
		"option exits, async": {"", async(x(), exit), `async "T" 1 plugin default`},
		"option exits, try":   {"", func(ctx context.Context, p *core.Producer) error { return p.TrySendAsync(ctx, x(), nil, exit) }, `async "T" 1 plugin default`},
		"option exits, batch": {"", func(ctx context.Context, p *core.Producer) error {
			_, err := p.SendBatch(ctx, []*core.Message{x()}, exit)
			return err
		}, `sync "T" 1 plugin default`},
		"policy source exits": {"source", func(ctx context.Context, p *core.Producer) error { _, err := p.Send(ctx, x()); return err }, `sync "T" 1 plugin only`},
		"source exits, batch": {"source", batch(x(), x()), `sync "T" 2 plugin only`},
		"source exits, async": {"source", async(x()), `async "T" 1 plugin only`},
		"source exits, try":   {"source", func(ctx context.Context, p *core.Producer) error { return p.TrySendAsync(ctx, x(), nil) }, `async "T" 1 plugin only`},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				told := &clerk{}
				g := newGate()
				cfg := g.config(1, 1)
				cfg.Steps = []core.Step{core.ListenerStep("told", told)}
				switch tt.before {
				case "exit":
					cfg.Steps = append(cfg.Steps, around("exit", func(context.Context, *core.Call, core.Handler) (*core.Result, error) {
						runtime.Goexit()
						return nil, nil
					}))
				case "source":
					cfg.Policies = exitSource{}
				}
				p := must(core.NewProducer(cfg))
				if tt.before != "created" {
					if err := p.Start(t.Context()); err != nil {
						t.Fatal(err)
					}
				}
				switch tt.before {
				case "shut down":
					if err := p.Shutdown(t.Context()); err != nil {
						t.Fatal(err)
					}
				case "full":
					p.SendAsync(t.Context(), x(), nil)
				}
				synctest.Wait()
				got := errors.New("the goroutine ended")
				ended := make(chan struct{})
				go func() {
					defer close(ended)
					got = tt.send(context.WithValue(t.Context(), traceKey{}, "trace"), p)
				}()
				<-ended
				synctest.Wait()
				told.mu.Lock()
				if len(told.lines) != 1 || told.lines[0] != tt.want {
					t.Errorf("told %q, want %q", told.lines, tt.want)
				} else if _, isSend := got.(*core.SendError); isSend && told.errs[0] != got {
					t.Errorf("told %v, the caller got %v", told.errs[0], got)
				} else if se := sendError(t, told.errs[0]); tt.before != "exit" && se.Certainty != core.NotSent {
					t.Errorf("it is %v", se.Certainty)
				} else if told.batch[0] != strings.Contains(name, "batch") {
					t.Errorf("batch: %v", told.batch[0])
				} else if ctx := told.ctxs[0]; ctx == nil || (ctx.Value(traceKey{}) == "trace") != (name != "nil context") {
					t.Errorf("the listener got the context %v, which is not the caller's", ctx)
				}
				told.mu.Unlock()
				if n := p.Snapshot().InFlight; tt.before != "full" && (n.Sends != 0 || n.Bytes != 0) {
					t.Errorf("left in flight: %+v", n)
				}
				close(g.open)
				if err := p.Shutdown(t.Context()); err != nil {
					t.Error(err)
				}
				if n := p.Snapshot().Totals; tt.before != "full" && n.Failed != 1 {
					t.Errorf("%d failures are counted", n.Failed)
				}
			})
		})
	}
}

// exitSource is a policy source that ends who asks it for a policy.
type exitSource struct{}

func (exitSource) Policy(string) *core.Policy { runtime.Goexit(); return nil }
func (exitSource) Policies() []core.TopicPolicy {
	return []core.TopicPolicy{{Topics: "every topic", Policy: troupePolicy}}
}

// async sends asynchronously and gives what done gets.
func async(m *core.Message, opts ...core.SendOption) func(context.Context, *core.Producer) error {
	return func(ctx context.Context, p *core.Producer) error {
		outcome := make(chan error, 1)
		returned := make(chan struct{})
		go func() { // an option may end the goroutine
			defer close(returned)
			p.SendAsync(ctx, m, func(_ core.Result, err error) { outcome <- err }, opts...)
		}()
		<-returned
		return <-outcome
	}
}

func batch(msgs ...*core.Message) func(context.Context, *core.Producer) error {
	return func(ctx context.Context, p *core.Producer) error {
		_, err := p.SendBatch(ctx, msgs)
		return err
	}
}

// A listener that ends the goroutine of a synchronous send is told of it once.
func TestCallDoneOnceWhereItEndsTheGoroutine(t *testing.T) {
	told := &clerk{}
	p := coretest.Start(t, coretest.Config(&coretest.Transport{}, core.ListenerStep("told", told), core.ListenerStep("z.exit", exitsAfterCalls{})))
	for _, send := range []func(){
		func() { _, _ = p.Send(t.Context(), coretest.Message("x")) },
		func() { _, _ = p.SendBatch(t.Context(), []*core.Message{coretest.Message("x")}) },
	} {
		ended := make(chan struct{})
		go func() {
			defer close(ended)
			send()
		}()
		<-ended
	}
	if len(told.lines) != 2 || p.Snapshot().Totals.Calls["sync"] != 2 {
		t.Errorf("told %q", told.lines)
	}
}
