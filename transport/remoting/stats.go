package remoting

import "sync/atomic"

// Stats is a snapshot of what a client has done and holds. Numbers without
// another word count since Start.
type Stats struct {
	// Connections are open now, InFlight requests wait for an answer or for the
	// write now, QueuedBytes of frames wait now.
	Connections, InFlight int
	QueuedBytes           int64
	// Dials is how many connections were opened, DialFailures how often that
	// went wrong, Reconnects how many of Dials replaced an earlier connection.
	Dials, DialFailures, Reconnects uint64
	// Lost is how many connections ended by the peer's doing or for its silence.
	Lost uint64
	// LateAnswers came after their request was given up. UnknownAnswers had a
	// number that their connection did not wait for.
	LateAnswers, UnknownAnswers uint64
	// OnewayRefusals are answers to one-way sends: brokers give them when they
	// shed load, and such a message is not stored.
	OnewayRefusals uint64
	// Requests came from brokers. RefusedRequests of them found no handler or no room in a
	// producer's inbox, or have more properties than a message may; the others were for consumers or were handed to a handler.
	Requests, RefusedRequests uint64
	// GoAways were followed by a transparent retry on a new connection.
	GoAways uint64
	// Heartbeats and HeartbeatFailures count by broker.
	Heartbeats, HeartbeatFailures uint64
	// Frames and bytes to and from all peers, and the system calls they took.
	FramesOut, FramesIn, BytesOut, BytesIn, Writes, Reads uint64
}

// counters are the client's part of [Stats]; the connections count theirs.
type counters struct {
	dials, dialFailures, reconnects, lost atomic.Uint64
	requests, refusedRequests, goAways    atomic.Uint64
	heartbeats, heartbeatFailures         atomic.Uint64
}

// Stats takes a snapshot. It locks each connection for a moment.
func (c *Client) Stats() Stats {
	n, cn := &c.count, &c.shared.Count
	s := Stats{
		Dials: n.dials.Load(), DialFailures: n.dialFailures.Load(), Reconnects: n.reconnects.Load(), Lost: n.lost.Load(),
		LateAnswers: cn.LateAnswers.Load(), UnknownAnswers: cn.Unexpected.Load(), OnewayRefusals: cn.OnewayRefusals.Load(),
		Requests: n.requests.Load(), RefusedRequests: n.refusedRequests.Load(), GoAways: n.goAways.Load(),
		Heartbeats: n.heartbeats.Load(), HeartbeatFailures: n.heartbeatFailures.Load(),
		FramesOut: cn.FramesOut.Load(), BytesOut: cn.BytesOut.Load(), Writes: cn.Writes.Load(),
		FramesIn: cn.FramesIn.Load(), BytesIn: cn.BytesIn.Load(), Reads: cn.Reads.Load(),
	}
	for _, cn := range c.open() {
		s.Connections++
		u := cn.Usage()
		s.InFlight += u.InFlight
		s.QueuedBytes += int64(u.QueuedBytes)
	}
	return s
}
