package core_test

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"runtime"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/liftoff-mq/liftoff/core"
	"github.com/liftoff-mq/liftoff/core/coretest"
)

// mailman is a transport that brings what servers ask.
type mailman struct {
	coretest.Transport
	inbox *core.Inbox
	left  func() // called when the group leaves
}

func (m *mailman) RegisterGroup(_ context.Context, r core.Registration) error {
	m.inbox = r.Inbox
	return nil
}

func (m *mailman) UnregisterGroup(context.Context, string) error {
	if m.left != nil {
		m.left()
	}
	return nil
}

type handlers = map[core.ServerRequestKind]core.ServerRequestHandler

func check(f core.ServerRequestHandlerFunc) handlers {
	return handlers{core.RequestTransactionCheck: f}
}

// openInbox starts a producer with the handlers, which the test shuts down.
func openInbox(t *testing.T, h handlers, change ...func(*core.Config)) (*core.Producer, *mailman) {
	t.Helper()
	m := &mailman{}
	cfg := coretest.Config(m)
	cfg.Handlers = h
	for _, f := range change {
		f(&cfg)
	}
	p, err := core.NewProducer(cfg)
	if err == nil {
		err = p.Start(t.Context())
	}
	if err != nil {
		t.Fatal(err)
	}
	return p, m
}

func request(body string) *core.ServerRequest {
	return &core.ServerRequest{Kind: core.RequestTransactionCheck, Name: "CHECK_TRANSACTION_STATE", Group: "test", Addr: "a:1", Fields: map[string]string{"k": "v"}, Body: []byte(body)}
}

// A request reaches the handler of its kind, as it came.
func TestInbox(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var checks, replies []*core.ServerRequest
		p, m := openInbox(t, handlers{
			core.RequestTransactionCheck: core.ServerRequestHandlerFunc(func(_ context.Context, r *core.ServerRequest) { checks = append(checks, r) }),
			core.RequestReply:            core.ServerRequestHandlerFunc(func(_ context.Context, r *core.ServerRequest) { replies = append(replies, r) }),
		})
		check, reply := request("half"), &core.ServerRequest{Kind: core.RequestReply}
		for _, r := range []*core.ServerRequest{check, reply} {
			if err := m.inbox.Deliver(r); err != nil {
				t.Error(err)
			}
			synctest.Wait()
		}
		if !slices.Equal(checks, []*core.ServerRequest{check}) || !slices.Equal(replies, []*core.ServerRequest{reply}) {
			t.Errorf("checks %v, replies %v", checks, replies)
		}
		if got := m.inbox.Kinds(); !slices.Equal(got, []core.ServerRequestKind{core.RequestTransactionCheck, core.RequestReply}) {
			t.Errorf("kinds %v", got)
		}
		if got := p.Snapshot().Inbox; got != (core.InboxSnapshot{Requests: 2, Handled: 2}) {
			t.Errorf("%+v", got)
		}
		if err := p.Shutdown(t.Context()); err != nil {
			t.Error(err)
		}
	})
}

// A request that nobody handles is refused and counted, and logged once for its kind, within
// bounds: what is in it was said by a peer.
func TestInboxWithoutHandler(t *testing.T) {
	logs := &logLines{}
	p, m := openInbox(t, check(nil), func(c *core.Config) { c.Handlers, c.Logger = nil, logs.logger() })
	for _, r := range []*core.ServerRequest{
		request(""), request(""),
		{Kind: core.RequestOther, Name: strings.Repeat("x", 10_000)},
		{Kind: core.RequestOther},
		{Kind: core.RequestReply},
		{Kind: core.RequestReply + 1},
		{Kind: 99},
		{Kind: 99},
	} {
		if err := m.inbox.Deliver(r); !errors.Is(err, core.ErrNoHandler) || !strings.Contains(err.Error(), r.Kind.String()) {
			t.Errorf("%v: %v", r.Kind, err)
		}
	}
	if n := logs.count("no handler for"); n != 3 {
		t.Errorf("%d warnings, want one for each of three kinds", n)
	}
	if n := logs.count(strings.Repeat("x", 200)); n != 0 {
		t.Error("a peer's text is in the log at its whole length")
	}
	if n := logs.count("name=CHECK_TRANSACTION_STATE"); n != 1 {
		t.Errorf("%d lines have the name", n)
	}
	if got := p.Snapshot().Inbox; got != (core.InboxSnapshot{Requests: 8, Unhandled: 8}) {
		t.Errorf("%+v", got)
	}
	if len(m.inbox.Kinds()) != 0 {
		t.Errorf("kinds %v", m.inbox.Kinds())
	}
	if err := p.Shutdown(t.Context()); err != nil {
		t.Error(err)
	}
}

func TestHandlersThatAreNil(t *testing.T) {
	cfg := coretest.Config(&coretest.Transport{})
	cfg.Handlers = check(nil)
	if _, err := core.NewProducer(cfg); err == nil || !strings.Contains(err.Error(), "Handlers[transaction-check] is nil") {
		t.Errorf("got %v", err)
	}
}

// An inbox holds so many requests and so many bytes, and says so once.
func TestInboxIsFull(t *testing.T) {
	const most, bytes, mib = 1024, 8 << 20, 1 << 20
	const mostReplies, replyBytes = 4096, 64 << 20
	for _, tt := range []struct {
		name  string
		kind  core.ServerRequestKind
		body  int
		first int // the size of the first body
		room  int
		bytes int
	}{
		{"by number", core.RequestTransactionCheck, 1, 1, most, bytes},
		{"by bytes", core.RequestTransactionCheck, mib, mib, bytes/mib - 1, bytes}, // names and fields count too
		{"one larger than everything", core.RequestTransactionCheck, 1, 2 * bytes, 1, bytes},
		{"what has no kind", core.RequestOther, 1, 1, most, bytes},
		{"replies by number", core.RequestReply, 1, 1, mostReplies, replyBytes},
		{"replies by bytes", core.RequestReply, mib, mib, replyBytes/mib - 1, replyBytes},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				hold, logs := make(chan struct{}), &logLines{}
				p, m := openInbox(t, handlers{tt.kind: core.ServerRequestHandlerFunc(func(context.Context, *core.ServerRequest) { <-hold })}, func(c *core.Config) { c.Logger = logs.logger() })
				deliver := func(size int) error {
					r := request(strings.Repeat("x", size))
					r.Kind = tt.kind
					return m.inbox.Deliver(r)
				}
				for i := range tt.room {
					size := tt.body
					if i == 0 {
						size = tt.first
					}
					if err := deliver(size); err != nil {
						t.Fatalf("request %d: %v", i, err)
					}
				}
				for range 3 {
					if err := deliver(tt.body); !errors.Is(err, core.ErrInboxFull) {
						t.Errorf("one too many: %v", err)
					}
					if n := logs.count("servers ask faster"); n != 1 {
						t.Errorf("%d warnings", n)
					}
				}
				synctest.Wait()
				if got := p.Snapshot().Inbox; got.Waiting != tt.room || got.Full != 3 || got.Handled != 0 {
					t.Errorf("%+v", got)
				}
				close(hold)
				synctest.Wait()
				if err := deliver(tt.bytes - 100); err != nil {
					t.Errorf("its room was not given back: %v", err)
				}
				synctest.Wait()
				if got := p.Snapshot().Inbox; got.Waiting != 0 || got.Handled != uint64(tt.room)+1 {
					t.Errorf("%+v", got)
				}
				if err := p.Shutdown(t.Context()); err != nil {
					t.Error(err)
				}
			})
		})
	}
}

// What an entry of a map takes counts too: texts of a few bytes each are many entries.
func TestInboxCountsEntries(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		hold := make(chan struct{})
		p, m := openInbox(t, handlers{core.RequestReply: core.ServerRequestHandlerFunc(func(context.Context, *core.ServerRequest) { <-hold })})
		entries := make(map[string]string, 1<<13)
		for i := range 1 << 13 {
			entries[fmt.Sprintf("%04x", i)] = "x"
		}
		for name, r := range map[string]core.ServerRequest{"properties": {Properties: entries}, "fields": {Fields: entries}} {
			before, n := p.Snapshot().Inbox, 0
			r.Kind = core.RequestReply
			for ; m.inbox.Deliver(&r) == nil; n++ {
				synctest.Wait()
			}
			// 64 MiB, and 64 bytes an entry beside its texts of 5.
			if want := 64 << 20 / (69 << 13); n != want {
				t.Errorf("%s: %d requests found room, want %d", name, n, want)
			}
			for range n {
				hold <- struct{}{}
			}
			synctest.Wait()
			if s := p.Snapshot().Inbox; s.Waiting != 0 || s.Full != before.Full+1 {
				t.Errorf("%s: %+v", name, s)
			}
		}
		if err := p.Shutdown(t.Context()); err != nil {
			t.Error(err)
		}
	})
}

// A kind whose handlers hang, and that is full, takes nothing from the others: not their
// goroutines, not their room, and not their line in the log. The counts are those of all.
func TestInboxLanes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		hold, logs := make(chan struct{}), &logLines{}
		hangs := core.ServerRequestHandlerFunc(func(context.Context, *core.ServerRequest) { <-hold })
		replies := 0
		p, m := openInbox(t, handlers{
			core.RequestTransactionCheck: hangs,
			core.RequestOther:            hangs,
			core.RequestReply:            core.ServerRequestHandlerFunc(func(context.Context, *core.ServerRequest) { replies++ }),
		}, func(c *core.Config) { c.Logger = logs.logger() })
		deliver := func(kind core.ServerRequestKind) error {
			return m.inbox.Deliver(&core.ServerRequest{Kind: kind, Body: []byte("x")})
		}
		const room = 1024
		for _, kind := range []core.ServerRequestKind{core.RequestTransactionCheck, core.RequestOther} {
			for range room {
				if err := deliver(kind); err != nil {
					t.Fatal(err)
				}
			}
			for range 2 {
				if err := deliver(kind); !errors.Is(err, core.ErrInboxFull) {
					t.Errorf("%v: one too many: %v", kind, err)
				}
			}
		}
		synctest.Wait()
		if n := goroutinesIn("core.(*Inbox).work"); n != 2*16 {
			t.Errorf("%d goroutines of two kinds", n)
		}
		if n := logs.count("servers ask faster"); n != 2 {
			t.Errorf("%d warnings, want one of each kind", n)
		}
		for i := range 3 {
			if err := deliver(core.RequestReply); err != nil {
				t.Fatal(err)
			}
			synctest.Wait()
			if replies != i+1 {
				t.Fatalf("%d replies of %d", replies, i+1)
			}
		}
		if got := p.Snapshot().Inbox; got != (core.InboxSnapshot{Requests: 2*(room+2) + 3, Handled: 3, Full: 4, Waiting: 2 * room}) {
			t.Errorf("%+v", got)
		}
		down := make(chan error, 1)
		go func() { down <- p.Shutdown(t.Context()) }()
		synctest.Wait()
		select {
		case err := <-down:
			t.Errorf("Shutdown did not wait for the handlers: %v", err)
		default:
		}
		for kind := range 3 {
			if err := deliver(core.ServerRequestKind(kind)); !errors.Is(err, core.ErrClosed) {
				t.Errorf("kind %d after the end: %v", kind, err)
			}
		}
		close(hold)
		if err := <-down; err != nil {
			t.Error(err)
		}
	})
}

// Everything in a request takes room, to the last byte.
func TestRoomOfARequest(t *testing.T) {
	const bytes = 8 << 20
	entry := func(n int) map[string]string { // 64 bytes beside its texts
		n = max(0, n-64)
		return map[string]string{strings.Repeat("k", n/2): strings.Repeat("v", n-n/2)}
	}
	for name, grow := range map[string]func(r *core.ServerRequest, n int){
		"body":     func(r *core.ServerRequest, n int) { r.Body = make([]byte, n) },
		"name":     func(r *core.ServerRequest, n int) { r.Name = strings.Repeat("x", n) },
		"group":    func(r *core.ServerRequest, n int) { r.Group = strings.Repeat("x", n) },
		"addr":     func(r *core.ServerRequest, n int) { r.Addr = strings.Repeat("x", n) },
		"field":    func(r *core.ServerRequest, n int) { r.Fields = entry(n) },
		"property": func(r *core.ServerRequest, n int) { r.Properties = entry(n) },
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				step := make(chan struct{})
				p, m := openInbox(t, check(func(context.Context, *core.ServerRequest) { <-step }))
				deliver := func(n int) error {
					r := &core.ServerRequest{Kind: core.RequestTransactionCheck}
					grow(r, n)
					return m.inbox.Deliver(r)
				}
				for round := range 3 { // what was handled has given its room back
					if err := errors.Join(deliver(bytes/2), deliver(bytes/2)); err != nil {
						t.Errorf("round %d: what fits: %v", round, err)
					}
					if err := deliver(1); !errors.Is(err, core.ErrInboxFull) {
						t.Errorf("round %d: one byte more: %v", round, err)
					}
					step <- struct{}{}
					step <- struct{}{}
					synctest.Wait()
				}
				if err := p.Shutdown(t.Context()); err != nil {
					t.Error(err)
				}
			})
		})
	}
}

// However many requests come, so many handlers run at a time, on so many goroutines, of
// which none is left.
func TestInboxWorkers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const workers, requests = 16, 10_000
		var now, most, handled atomic.Int32
		step := make(chan struct{})
		p, m := openInbox(t, check(func(context.Context, *core.ServerRequest) {
			most.Store(max(most.Load(), now.Add(1)))
			<-step
			now.Add(-1)
			handled.Add(1)
		}))
		for delivered := 0; delivered < requests; {
			switch err := m.inbox.Deliver(request("x")); {
			case err == nil:
				delivered++
			case !errors.Is(err, core.ErrInboxFull):
				t.Fatal(err)
			default:
				synctest.Wait()
				if n := goroutinesIn("core.(*Inbox).work"); now.Load() != workers || n != workers {
					t.Fatalf("%d handlers run on %d goroutines, want %d", now.Load(), n, workers)
				}
				for range 1000 {
					step <- struct{}{}
				}
			}
		}
		close(step)
		synctest.Wait()
		if handled.Load() != requests || most.Load() > workers {
			t.Errorf("%d handled, %d at a time", handled.Load(), most.Load())
		}
		if n := goroutinesIn("core.(*Inbox).work"); n != 0 {
			t.Errorf("%d goroutines are left", n)
		}
		if err := p.Shutdown(t.Context()); err != nil {
			t.Error(err)
		}
	})
}

// goroutinesIn is how many goroutines are in a function.
func goroutinesIn(function string) int {
	buf := make([]byte, 1<<20)
	n := 0
	for trace := range strings.SplitSeq(string(buf[:runtime.Stack(buf, true)]), "\n\n") {
		if strings.Contains(trace, function+"(") {
			n++
		}
	}
	return n
}

// One handler at a time gets the requests in their order.
func TestInboxOrder(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var got []string
		hold := make(chan struct{})
		p, m := openInbox(t, check(func(_ context.Context, r *core.ServerRequest) {
			if string(r.Body) == "block" {
				<-hold
				return
			}
			got = append(got, string(r.Body))
		}))
		var want []string
		for range 15 {
			if err := m.inbox.Deliver(request("block")); err != nil {
				t.Fatal(err)
			}
		}
		for i := range 100 {
			want = append(want, fmt.Sprint(i))
			if err := m.inbox.Deliver(request(fmt.Sprint(i))); err != nil {
				t.Fatal(err)
			}
		}
		synctest.Wait()
		if !slices.Equal(got, want) {
			t.Errorf("got %q", got)
		}
		close(hold)
		if err := p.Shutdown(t.Context()); err != nil {
			t.Error(err)
		}
	})
}

// A handler that panics or ends its goroutine ends its own request only. What a handler does
// to its request changes nothing about the room that is given back.
func TestHandlersMisbehave(t *testing.T) {
	for name, misbehave := range map[string]func(*core.ServerRequest){
		"panic":  func(*core.ServerRequest) { panic("boom") },
		"goexit": func(*core.ServerRequest) { runtime.Goexit() },
		"changes": func(r *core.ServerRequest) {
			r.Body = append(r.Body, make([]byte, 1<<20)...)
			maps.Copy(r.Fields, map[string]string{"new": "field"})
		},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				logs := &logLines{}
				var fine atomic.Int32
				p, m := openInbox(t, check(func(_ context.Context, r *core.ServerRequest) {
					if string(r.Body) == "bad" {
						misbehave(r)
					}
					fine.Add(1)
				}), func(c *core.Config) { c.Logger = logs.logger() })
				for i := range 200 {
					body := "good"
					if i%2 == 0 {
						body = "bad"
					}
					if err := m.inbox.Deliver(request(body)); err != nil {
						t.Fatal(err)
					}
				}
				synctest.Wait()
				want, panics := int32(100), 0
				switch name {
				case "changes":
					want = 200
				case "panic":
					panics = 100
				}
				if n := logs.count("handler of a server's request panicked"); n != panics || fine.Load() != want {
					t.Errorf("%d fine, %d panics logged", fine.Load(), n)
				}
				if got := p.Snapshot().Inbox; got.Handled != 200 || got.Waiting != 0 {
					t.Errorf("%+v", got)
				}
				for range 7 {
					if err := m.inbox.Deliver(request(strings.Repeat("x", 1<<20))); err != nil {
						t.Errorf("its room was not given back: %v", err)
					}
				}
				if err := p.Shutdown(t.Context()); err != nil {
					t.Error(err)
				}
			})
		})
	}
}

// Shutdown refuses what comes, handles what was accepted, and ends the handlers' context
// when its own time is over.
func TestShutdownWithInbox(t *testing.T) {
	for _, tt := range []struct {
		name    string
		takes   time.Duration // of a handler that does not heed its context; 0: it does
		ends    time.Duration
		handled uint64
		err     string
	}{
		{"in time", 3 * time.Second, 6 * time.Second, 20, ""},
		{"aborted", 0, 10 * time.Second, 20, ""},
		{"does not return", time.Hour, 10*time.Second + 25*time.Millisecond, 0, "left behind a handler of a server's request: context deadline exceeded"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var aborted atomic.Int32
				var p *core.Producer
				p, m := openInbox(t, check(func(ctx context.Context, r *core.ServerRequest) {
					switch {
					case tt.takes > 0:
						time.Sleep(tt.takes)
					default:
						<-ctx.Done()
						aborted.Add(1)
					}
				}))
				late := make(chan error, 1)
				m.left = func() { late <- m.inbox.Deliver(request("still registered")) }
				for range 19 {
					if err := m.inbox.Deliver(request("x")); err != nil {
						t.Fatal(err)
					}
				}
				ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
				defer cancel()
				var wg sync.WaitGroup
				wg.Go(func() {
					time.Sleep(time.Second)
					if err := m.inbox.Deliver(request("late")); !errors.Is(err, core.ErrClosed) {
						t.Errorf("a late request: %v", err)
					}
				})
				start := time.Now()
				err := p.Shutdown(ctx)
				if (err == nil) != (tt.err == "") || err != nil && !strings.Contains(err.Error(), tt.err) {
					t.Errorf("shutdown: %v", err)
				}
				if took := time.Since(start); took != tt.ends {
					t.Errorf("Shutdown took %v, want %v", took, tt.ends)
				}
				wg.Wait()
				if err := <-late; err != nil {
					t.Errorf("while the group leaves: %v", err)
				}
				if got := p.Snapshot().Inbox; got.Handled != tt.handled || got.Requests != 21 {
					t.Errorf("%+v", got)
				}
				if tt.takes == 0 && aborted.Load() != 20 {
					t.Errorf("%d handlers were aborted", aborted.Load())
				}
				if tt.takes == time.Hour {
					time.Sleep(3 * time.Hour) // let them go, or the bubble does not end
				}
			})
		})
	}
}
