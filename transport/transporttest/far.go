package transporttest

import (
	"bytes"
	"maps"
	"slices"
	"sync"
	"time"
)

// far is the kit at the far end: it knows what arrived and says what is answered.
type far struct {
	mu      sync.Mutex
	replies map[string]Reply // by the body of the first message
	arrived []Request
	changed chan struct{} // closed and replaced with each arrival
}

// serve is the world's [Handler].
func (f *far) serve(r Request) Reply {
	r.Messages = slices.Clone(r.Messages)
	for i := range r.Messages {
		m := &r.Messages[i]
		m.Body, m.Properties = bytes.Clone(m.Body), maps.Clone(m.Properties)
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	f.arrived = append(f.arrived, r)
	close(f.changed)
	f.changed = make(chan struct{})
	return f.replies[r.first()]
}

// first is the body of the first message. In a check it stands for the request.
func (r *Request) first() string {
	if len(r.Messages) == 0 {
		return ""
	}
	return string(r.Messages[0].Body)
}

// answer says what becomes of the request whose first message has this body.
func (f *far) answer(body string, r Reply) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.replies == nil {
		f.replies = map[string]Reply{}
	}
	f.replies[body] = r
}

// requests are the requests so far that are as wanted, and a channel that the next arrival
// closes.
func (f *far) requests(wanted func(r *Request) bool) (found []Request, more <-chan struct{}) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for i := range f.arrived {
		if wanted(&f.arrived[i]) {
			found = append(found, f.arrived[i])
		}
	}
	return found, f.changed
}

// every finds all requests.
func every(*Request) bool { return true }

// with finds requests by the body of their first message.
func with(body string) func(r *Request) bool {
	return func(r *Request) bool { return r.first() == body }
}

// arrival waits for the first request with this body.
func (k *kit) arrival(s *sending, body string) Request {
	return k.arrived(s, with(body), body)
}

// arrived waits for the first request that is as wanted. A send that has ended does not
// arrive any more, unless nobody waited for its answer.
func (k *kit) arrived(s *sending, wanted func(r *Request) bool, name string) Request {
	ended := s.done
	var late <-chan time.Time
	for {
		found, more := k.far.requests(wanted)
		if len(found) > 0 {
			return found[0]
		}
		if ended == nil && late == nil {
			k.Fatalf("the message %q did not arrive: the send ended with %v", short(name), s.err)
		}
		select {
		case <-more:
		case <-ended:
			if ended = nil; s.oneway {
				t := time.NewTimer(k.Late)
				defer t.Stop()
				late = t.C
			}
		case <-late:
			late = nil
		case <-k.Expired().Done():
			k.Await(nil)
		}
	}
}

// short is a text that fits into a message.
func short(s string) string {
	if len(s) > 40 {
		return s[:40] + "..."
	}
	return s
}
