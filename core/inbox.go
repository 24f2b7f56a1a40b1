package core

import (
	"context"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"sync"

	"github.com/liftoff-mq/liftoff/internal/enum"
	"github.com/liftoff-mq/liftoff/internal/words"
)

// ServerRequestKind says what a server asks of a producer.
type ServerRequestKind uint8

// The kinds.
const (
	// RequestOther is a request that this version has no kind for; its Name says what it is.
	RequestOther ServerRequestKind = iota
	// RequestTransactionCheck asks whether a half message's transaction was committed.
	RequestTransactionCheck
	// RequestReply brings the reply to a request that this client sent.
	RequestReply
)

var requestNames = []string{"other", "transaction-check", "reply"}

// String gives the kind's name.
func (k ServerRequestKind) String() string { return enum.Name(requestNames, int(k)) }

// MarshalText gives the name.
func (k ServerRequestKind) MarshalText() ([]byte, error) {
	return enum.Marshal("server request", requestNames, int(k))
}

// UnmarshalText takes a name.
func (k *ServerRequestKind) UnmarshalText(text []byte) error {
	return enum.Unmarshal("server request", requestNames, text, k)
}

// ServerRequest is what a broker asks of a producer group. It is a copy: a handler may keep
// it. Everything in it was said by the peer, so nothing of it can be trusted.
type ServerRequest struct {
	Kind  ServerRequestKind
	Name  string // the protocol's name of the request, for logs
	Group string // the producer group that is asked; "" where the request names none
	Addr  string // of the broker that asks
	// Fields are the request's own fields by their protocol's names, Body its body.
	Fields map[string]string
	Body   []byte
	// Properties are those of the message that a [RequestReply] brings; its body is Body. Codec
	// is the name of the codec that packed the body, "" for none and "?" for one without a name.
	Properties map[string]string
	Codec      string
}

// entryBytes is about what an entry of a map takes beside its texts.
const entryBytes = 64

// size is what the request takes of the inbox's bytes.
func (r *ServerRequest) size() int {
	n := len(r.Body) + len(r.Name) + len(r.Group) + len(r.Addr)
	for _, fields := range [...]map[string]string{r.Fields, r.Properties} {
		for k, v := range fields {
			n += entryBytes + len(k) + len(v)
		}
	}
	return n
}

// ServerRequestHandler handles what servers ask. It runs on a goroutine of the inbox, at most 16
// of one kind at a time, and may take its time: requests of other kinds do not wait for it. ctx
// ends when the producer aborts what is under way. A panic in it is recovered and logged.
type ServerRequestHandler interface {
	HandleServerRequest(ctx context.Context, r *ServerRequest)
}

// ServerRequestHandlerFunc is a function that is a [ServerRequestHandler].
type ServerRequestHandlerFunc func(ctx context.Context, r *ServerRequest)

// HandleServerRequest calls f.
func (f ServerRequestHandlerFunc) HandleServerRequest(ctx context.Context, r *ServerRequest) {
	f(ctx, r)
}

// Claimer is implemented by handlers of requests that name no group, such as replies. Where
// several producers of a client have a handler, the transport asks each of them whose the
// request is. Claims runs where the connection is read: it must be quick and must not wait.
type Claimer interface {
	Claims(r *ServerRequest) bool
}

// What an inbox holds at most of one kind of requests: those that wait or are being handled,
// their bytes, and the handlers that run at a time. A kind has them for itself, because handlers
// of another kind may hang: while a program's database is away every check waits for it, and
// replies come all the same.
const (
	inboxRequests = 1024
	inboxBytes    = 8 << 20
	inboxWorkers  = 16
)

// Replies have more room than checks. A broker repeats a check that the inbox refused. No broker
// repeats a reply, so the request of a refused reply waits in vain. Therefore all replies to the requests that
// are under way by default fit, which may come at once (requestreply.DefaultMaxWaiting), and one
// of the greatest length for each handler (requestreply.DefaultMaxReplyBytes). They are there for
// as long as it takes to unpack one and to wake its request, which waits for nothing.
const (
	inboxReplies    = 4096
	inboxReplyBytes = inboxWorkers * 4 << 20
)

// Inbox takes what servers ask of one producer group and hands it to the producer's
// handlers, on a bounded number of goroutines that exist only while there is work. Each kind
// of request has a lane of its own: its queue, its room and its goroutines. It is safe for
// concurrent use.
type Inbox struct {
	group string
	lanes map[ServerRequestKind]*lane // of the kinds that have a handler
	log   *slog.Logger
	life  func() context.Context

	mu     sync.Mutex
	closed bool
	stats  InboxSnapshot
	warned [RequestReply + 1]bool // whether the log has this kind
	wg     sync.WaitGroup         // of all lanes
}

// lane is what an inbox has of one kind of requests. The inbox's lock guards what changes.
type lane struct {
	handler  ServerRequestHandler
	requests int // how many it holds at most
	most     int // and how many bytes

	queue   []*ServerRequest
	held    int // requests waiting or being handled
	bytes   int // of these
	workers int
	full    bool // it was full once, and the log has that
}

func newInbox(cfg *Config, life func() context.Context) *Inbox {
	in := &Inbox{group: cfg.Group, lanes: make(map[ServerRequestKind]*lane, len(cfg.Handlers)), log: cfg.Logger, life: life}
	for kind, h := range cfg.Handlers {
		l := &lane{handler: h, requests: inboxRequests, most: inboxBytes}
		if kind == RequestReply {
			l.requests, l.most = inboxReplies, inboxReplyBytes
		}
		in.lanes[kind] = l
	}
	return in
}

// Deliver takes a request over, for the transport that got it. It does not block, and does
// not wait for the handler: nil means that the handler will run. [ErrNoHandler],
// [ErrInboxFull] and [ErrClosed] mean that it will not; the transport then answers the
// server with an error if the server wants an answer. A request without a handler is also
// counted and, once for each kind, logged, so none is lost in silence. So is one that finds
// no room: of each kind 1,024 requests or 8 MiB are held at most, and 4,096 or 64 MiB of replies.
func (in *Inbox) Deliver(r *ServerRequest) error {
	l := in.lanes[r.Kind]
	if l == nil {
		return in.Refuse(r)
	}
	size := r.size()
	in.mu.Lock()
	in.stats.Requests++
	switch {
	case in.closed:
		in.mu.Unlock()
		return ErrClosed
	case l.held >= l.requests || l.bytes+size > l.most && l.held > 0:
		in.stats.Full++
		first := !l.full
		l.full = true
		in.mu.Unlock()
		if first {
			in.log.Warn("servers ask faster than the handlers work; further refusals of this kind are counted only",
				"group", in.group, "kind", r.Kind.String(), "addr", shown(r.Addr))
		}
		return ErrInboxFull
	}
	l.held++
	l.bytes += size
	l.queue = append(l.queue, r)
	if l.workers < inboxWorkers {
		l.workers++
		in.wg.Add(1)
		go in.work(l)
	}
	in.mu.Unlock()
	return nil
}

// Claims reports whether the handler of the request's kind knows that the request is its own;
// see [Claimer].
func (in *Inbox) Claims(r *ServerRequest) (claims bool) {
	defer func() {
		if v := recover(); v != nil {
			claims = false
			in.log.Error("handler of a server's request panicked", "group", in.group, "kind", r.Kind.String(), "panic", v)
		}
	}()
	l := in.lanes[r.Kind]
	if l == nil {
		return false
	}
	c, ok := l.handler.(Claimer)
	return ok && c.Claims(r)
}

// Refuse counts a request that no handler will see, and logs the first of each kind. It is
// for transports that know of no group which could handle it, and returns [ErrNoHandler].
func (in *Inbox) Refuse(r *ServerRequest) error {
	in.mu.Lock()
	in.stats.Requests++
	in.stats.Unhandled++
	first := int(r.Kind) < len(in.warned) && !in.warned[r.Kind]
	if first {
		in.warned[r.Kind] = true
	}
	in.mu.Unlock()
	if first {
		in.log.Warn("no handler for a server's request; further ones of this kind are counted only",
			"group", in.group, "kind", r.Kind.String(), "name", shown(r.Name), "for", shown(r.Group), "addr", shown(r.Addr))
	}
	return fmt.Errorf("%w: %v", ErrNoHandler, r.Kind)
}

// shown is what a peer said, for the log.
func shown(text string) string { return words.Line(text, 128) }

// work handles requests of a lane until none is left.
func (in *Inbox) work(l *lane) {
	defer in.wg.Done()
	returned := false
	defer unlessReturned(&returned, func() { // a handler ended the goroutine
		in.wg.Add(1)
		go in.work(l)
	})
	for {
		r := in.next(l)
		if r == nil {
			returned = true
			return
		}
		in.handle(l, r)
	}
}

// next takes a lane's oldest request out, nil if there is none; then the worker has ended.
func (in *Inbox) next(l *lane) *ServerRequest {
	in.mu.Lock()
	defer in.mu.Unlock()
	if len(l.queue) == 0 {
		l.workers--
		l.queue = nil
		return nil
	}
	r := l.queue[0]
	l.queue[0] = nil
	l.queue = l.queue[1:]
	return r
}

// handle runs the handler. Whatever it does, the request's room is given back.
func (in *Inbox) handle(l *lane, r *ServerRequest) {
	kind, size := r.Kind, r.size() // before the handler may change them
	defer func() {
		if v := recover(); v != nil {
			in.log.Error("handler of a server's request panicked", "group", in.group, "kind", kind.String(), "panic", v)
		}
	}()
	defer func() {
		in.mu.Lock()
		defer in.mu.Unlock()
		l.held--
		l.bytes -= size
		in.stats.Handled++
	}()
	l.handler.HandleServerRequest(in.life(), r)
}

// close refuses further requests. Those that were accepted are still handled.
func (in *Inbox) close() {
	in.mu.Lock()
	defer in.mu.Unlock()
	in.closed = true
}

// Kinds lists the kinds that have a handler.
func (in *Inbox) Kinds() []ServerRequestKind {
	return slices.Sorted(maps.Keys(in.lanes))
}

// InboxSnapshot counts what servers asked since the producer was made, the requests of all kinds
// together. Which kind finds no room or no handler is in the log.
type InboxSnapshot struct {
	Requests  uint64 `json:"requests"`  // all of them
	Handled   uint64 `json:"handled"`   // whose handler has ended
	Unhandled uint64 `json:"unhandled"` // for which there was no handler
	Full      uint64 `json:"full"`      // for which there was no room
	Waiting   int    `json:"waiting"`   // waiting for a handler or being handled now
}

func (in *Inbox) snapshot() InboxSnapshot {
	in.mu.Lock()
	defer in.mu.Unlock()
	s := in.stats
	for _, l := range in.lanes {
		s.Waiting += l.held
	}
	return s
}
