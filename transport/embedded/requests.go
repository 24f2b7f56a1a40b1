package embedded

import (
	"net/netip"
	"slices"
	"sync"
	"time"

	"github.com/liftoff-mq/liftoff/transport/wire"
)

// Request is a request as it arrived.
type Request struct {
	// Node is the name of the server: that of the broker, or "namesrv", "namesrv-2" and so on.
	Node string
	// Conn numbers the connection, from 1, over the whole cluster.
	Conn uint64
	// Remote is the client's address.
	Remote netip.AddrPort
	Time   time.Time
	// Command is the decoded request. In a fault rule its Body is valid until the rule returns;
	// a remembered request holds its own copy. It must not be changed.
	Command wire.Command

	header int // bytes of the frame that are not the body
}

// Topic returns the topic that the request is about, or "".
func (r *Request) Topic() string {
	switch r.Command.Code {
	case wire.SendMessageV2, wire.SendBatchMessage, wire.SendReplyMessageV2:
		return r.Command.Ext.Get("b")
	}
	return r.Command.Ext.Get("topic")
}

// size is what remembering the request costs, about. The texts of its fields hold the whole header.
func (r *Request) size() int {
	return 256 + r.header + 32*len(r.Command.Ext) + len(r.Command.Body)
}

func newRequest(c *conn, cmd *wire.Command) *Request {
	return &Request{Node: c.node.name, Conn: c.id, Remote: c.remote, Time: time.Now(), Command: *cmd}
}

// records remembers the latest requests.
type records struct {
	limit int // of each code; below 1: remember none

	mu     sync.Mutex
	byCode map[int][]*Request
	counts map[int]int
	bytes  int
}

func (r *records) on() bool { return r.limit > 0 }

func (r *records) add(req *Request) {
	own := *req
	if own.size() > maxRecordedBytes/4 {
		own.Command.Body = nil // one large message must not push out everything else
	} else {
		own.Command.Body = slices.Clone(req.Command.Body)
	}
	code := own.Command.Code
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.byCode == nil {
		r.byCode = make(map[int][]*Request)
		r.counts = make(map[int]int)
	}
	// A peer may make codes up: beyond this many kinds it is not worth remembering.
	if _, known := r.counts[code]; !known && len(r.counts) >= 256 {
		return
	}
	r.counts[code]++
	if len(r.byCode[code]) >= r.limit {
		r.dropOldest(code)
	}
	r.byCode[code] = append(r.byCode[code], &own)
	r.bytes += own.size()
	for r.bytes > maxRecordedBytes {
		r.dropOldest(r.largest())
	}
}

// largest is the code with the most requests, whose oldest one is missed least.
func (r *records) largest() int {
	code, most := 0, 0
	for k, l := range r.byCode {
		if len(l) > most {
			code, most = k, len(l)
		}
	}
	return code
}

func (r *records) dropOldest(code int) {
	l := r.byCode[code]
	r.bytes -= l[0].size()
	l[0] = nil
	r.byCode[code] = l[1:]
}

// Requests returns the remembered requests of a code, oldest first, at all servers. The list is
// bounded, see [Config.RecordedRequests].
func (c *Cluster) Requests(code int) []Request {
	r := &c.records
	r.mu.Lock()
	defer r.mu.Unlock()
	out := make([]Request, 0, len(r.byCode[code]))
	for _, req := range r.byCode[code] {
		out = append(out, *req)
	}
	return out
}

// RequestCount is how many requests of a code have arrived since the start, those included that
// are no longer remembered. It stays 0 if requests are not remembered at all.
func (c *Cluster) RequestCount(code int) int {
	c.records.mu.Lock()
	defer c.records.mu.Unlock()
	return c.records.counts[code]
}
