package requestreply_test

import (
	"context"
	"maps"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/liftoff-mq/liftoff"
	"github.com/liftoff-mq/liftoff/core"
	"github.com/liftoff-mq/liftoff/core/coretest"
	"github.com/liftoff-mq/liftoff/core/requestreply"
	"github.com/liftoff-mq/liftoff/transport/embedded"
)

const topic = "Questions"

// link is a transport that keeps the properties of what it sends, and brings what it is told to.
type link struct {
	coretest.Transport
	id    string
	inbox *core.Inbox

	mu   sync.Mutex
	sent []map[string]string
}

func newLink() *link {
	l := &link{id: "client-1"}
	l.Do = func(_ context.Context, at *core.Attempt) (*core.Result, error) { return l.take(at), nil }
	return l
}

// take notes a message and acknowledges it.
func (l *link) take(at *core.Attempt) *core.Result {
	props := map[string]string{}
	for name, value := range at.Call().Outgoing().Properties() {
		props[name] = value.String()
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.sent = append(l.sent, props)
	return l.Ack(at)
}

// request is the properties of message i that was sent.
func (l *link) request(i int) map[string]string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return maps.Clone(l.sent[i])
}

func (l *link) count() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return len(l.sent)
}

// reply brings a reply to the request with these properties.
func (l *link) reply(tb testing.TB, request map[string]string, body string) {
	tb.Helper()
	l.bring(tb, &core.ServerRequest{Body: []byte(body), Properties: map[string]string{"CORRELATION_ID": request["CORRELATION_ID"], "color": "red"}})
}

func (l *link) bring(tb testing.TB, r *core.ServerRequest) {
	tb.Helper()
	r.Kind, r.Addr = core.RequestReply, "broker-a:10911"
	if err := l.inbox.Deliver(r); err != nil {
		tb.Error(err)
	}
}

func (l *link) ClientID() string { return l.id }

func (l *link) RegisterGroup(_ context.Context, r core.Registration) error {
	l.inbox = r.Inbox
	return nil
}

func (l *link) UnregisterGroup(context.Context, string) error { return nil }

// open starts a producer with a requester, which the test has to shut down.
func open(tb testing.TB, l core.Transport, cfg requestreply.Config, change ...func(*core.Config)) (*requestreply.Requester, *core.Producer) {
	tb.Helper()
	r := must(requestreply.New(cfg))
	c := coretest.Config(l, r.Step())
	for _, f := range change {
		f(&c)
	}
	p := must(core.NewProducer(c))
	if err := p.Start(tb.Context()); err != nil {
		tb.Fatal(err)
	}
	return r, p
}

func shut(tb testing.TB, p *core.Producer) {
	tb.Helper()
	if err := p.Shutdown(context.WithoutCancel(tb.Context())); err != nil {
		tb.Error(err)
	}
}

func message(body string) *core.Message { return &core.Message{Topic: topic, Body: []byte(body)} }

func must[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}

// onCluster starts a producer with a requester at an embedded cluster.
func onCluster(tb testing.TB, c *embedded.Cluster, group string, options ...liftoff.Option) (*requestreply.Requester, *liftoff.Producer) {
	tb.Helper()
	r := must(liftoff.NewRequester(requestreply.Config{}))
	p := must(liftoff.New(liftoff.Config{Group: group, NameServers: c.NameServers()}, append(options, liftoff.WithHooks(r))...))
	if err := p.Start(tb.Context()); err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() { shut(tb, p) })
	return r, p
}

// respond replies to every request in the topic, as a consumer would, with its body in capitals.
func respond(tb testing.TB, c *embedded.Cluster, p *core.Producer) {
	tb.Helper()
	ctx, stop := context.WithCancel(context.WithoutCancel(tb.Context()))
	var done sync.WaitGroup
	done.Go(func() {
		seen := map[string]bool{}
		for ; ctx.Err() == nil; time.Sleep(time.Millisecond) {
			for _, m := range c.Stored(topic) {
				if seen[m.MsgID] {
					continue
				}
				seen[m.MsgID] = true
				done.Go(func() {
					if _, err := requestreply.SendReply(ctx, p, properties(&m), []byte(strings.ToUpper(string(m.Body)))); err != nil && ctx.Err() == nil {
						tb.Errorf("reply to %s: %v", m.Body, err)
					}
				})
			}
		}
	})
	tb.Cleanup(func() {
		stop()
		done.Wait()
	})
}

// properties are those of a message as a consumer gets them.
func properties(m *embedded.Stored) map[string]string {
	out := map[string]string{}
	for _, f := range m.Properties {
		out[f.Key] = f.Value
	}
	return out
}

// consume waits for the first message of a topic and gives its properties.
func consume(c *embedded.Cluster, topic string) map[string]string {
	for {
		if stored := c.Stored(topic); len(stored) > 0 {
			return properties(&stored[0])
		}
		time.Sleep(time.Millisecond)
	}
}
