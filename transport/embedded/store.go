package embedded

import (
	"bytes"
	"cmp"
	"errors"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/liftoff-mq/liftoff/core/rocketmq"
	"github.com/liftoff-mq/liftoff/transport/wire"
)

const (
	minSegment = 16 << 10
	maxSegment = 1 << 20
)

// store is a broker's messages: a commit log in segments, in the stored form, and for each queue
// the places of its messages in the log. The oldest segment is dropped as a whole when the log
// exceeds its limit.
type store struct {
	limit int64

	mu       sync.RWMutex
	host     netip.AddrPort
	segments []*segment // by base
	bytes    int64
	end      int64 // of the log: the next commit-log offset
	queues   map[queueKey]*queue
	size     quota // of queues
	held     map[queueKey][]*heldPull
	waiting  quota // of pulls that wait, those included whose answer is not made yet
	dropped  int64

	newest, newestTime int64 // commit-log offset and store time of the last message
}

type segment struct {
	base  int64
	buf   []byte // its capacity is never exceeded: readers keep parts of it
	count int64
}

type queueKey struct {
	topic string
	id    int
}

// queue is the index of one queue.
type queue struct {
	min     int64 // queue offset of entries[0]
	entries []entry
}

type entry struct {
	commit int64
	size   int32
	tag    int32 // see wire.TagCode
}

func (q *queue) max() int64 { return q.min + int64(len(q.entries)) }

func newStore(limit int64) *store {
	return &store{limit: limit, queues: make(map[queueKey]*queue), held: make(map[queueKey][]*heldPull)}
}

func (s *store) setHost(host netip.AddrPort) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.host = host
}

// append stores messages, all or none, one after the other in the log. It sets their offsets,
// store host and store time. The messages' bodies and properties are copied. Errors are those of
// the stored form.
func (s *store) append(messages ...*wire.StoredMessage) error {
	now := time.Now().UnixMilli()
	s.mu.Lock()
	var wake []*heldPull
	for i, m := range messages {
		key := queueKey{m.Topic, m.QueueID}
		q := s.queue(key)
		if q == nil {
			s.mu.Unlock()
			release(wake)
			return errTooManyQueues
		}
		m.StoreHost, m.StoreTimestamp = s.host, now
		m.CommitLogOffset, m.QueueOffset = s.end, q.max()
		size, err := s.write(m)
		if err != nil {
			// The checks before make this impossible for the second of several.
			s.mu.Unlock()
			if i > 0 {
				release(wake)
			}
			return err
		}
		q.entries = append(q.entries, entry{commit: m.CommitLogOffset, size: int32(size), tag: wire.TagCode(tagOf(m.Properties))})
		s.newest, s.newestTime = m.CommitLogOffset, now
		wake = append(wake, s.held[key]...)
		delete(s.held, key)
	}
	s.trim()
	s.mu.Unlock()
	release(wake)
	return nil
}

// errTooManyQueues is a message for a queue of which the broker can keep no more.
var errTooManyQueues = errors.New("too many queues")

// queue returns a queue, which it makes if need be, or nil if there are too many. The caller holds
// the lock.
func (s *store) queue(key queueKey) *queue {
	q := s.queues[key]
	if q == nil && s.size.take(entrySize(key.topic)) {
		q = &queue{}
		s.queues[queueKey{strings.Clone(key.topic), key.id}] = q
	}
	return q
}

// tagOf returns the tag of a message from the text form of its properties, nil without one.
func tagOf(properties []byte) (tag []byte) {
	const name = rocketmq.PropertyTags + string(rocketmq.NameValueSeparator)
	for len(properties) > 0 {
		entry, rest, _ := bytes.Cut(properties, []byte{rocketmq.PropertySeparator})
		properties = rest
		if value, ok := bytes.CutPrefix(entry, []byte(name)); ok && len(value) > 0 {
			tag = value // of equal names the last one counts
		}
	}
	return tag
}

// removeTopic drops the queues of a topic. The bytes of their messages stay in the log until it
// is their turn to go. Pulls that wait are answered.
func (s *store) removeTopic(topic string) {
	s.mu.Lock()
	var wake []*heldPull
	for key := range s.queues {
		if key.topic == topic {
			s.size.give(entrySize(topic))
			delete(s.queues, key)
		}
	}
	for key, held := range s.held {
		if key.topic == topic {
			wake = append(wake, held...)
			delete(s.held, key)
		}
	}
	s.mu.Unlock()
	release(wake)
}

func (s *store) write(m *wire.StoredMessage) (size int, err error) {
	room := 160 + len(m.Topic) + len(m.Body) + len(m.Properties) // an upper bound of the stored size
	var seg *segment
	if n := len(s.segments); n > 0 && cap(s.segments[n-1].buf)-len(s.segments[n-1].buf) >= room {
		seg = s.segments[n-1]
	} else {
		// Segments grow with the log, so that small stores stay small and large ones have few.
		next := minSegment
		if n > 0 {
			next = 2 * cap(s.segments[n-1].buf)
		}
		next = min(next, maxSegment, max(minSegment, int(s.limit/8)))
		seg = &segment{base: s.end, buf: make([]byte, 0, max(next, room))}
		s.segments = append(s.segments, seg)
	}
	start := len(seg.buf)
	buf, err := wire.AppendStored(seg.buf, m)
	if err != nil {
		return 0, err
	}
	seg.buf = buf
	seg.count++
	size = len(buf) - start
	s.end += int64(size)
	s.bytes += int64(size)
	return size, nil
}

// trim drops the oldest segments while the log is too long. The newest one stays.
func (s *store) trim() {
	before := len(s.segments)
	for s.bytes > s.limit && len(s.segments) > 1 {
		s.bytes -= int64(len(s.segments[0].buf))
		s.dropped += s.segments[0].count
		s.segments[0] = nil
		s.segments = s.segments[1:]
	}
	if len(s.segments) == before {
		return
	}
	first := s.segments[0].base
	for _, q := range s.queues {
		n, _ := slices.BinarySearchFunc(q.entries, first, func(e entry, at int64) int { return cmp.Compare(e.commit, at) })
		if n > 0 {
			q.entries = slices.Clone(q.entries[n:])
			q.min += int64(n)
		}
	}
}

// at returns the record of an entry. The caller holds the lock; the bytes stay valid without it.
func (s *store) at(e entry) []byte {
	i, found := slices.BinarySearchFunc(s.segments, e.commit, func(seg *segment, at int64) int { return cmp.Compare(seg.base, at) })
	if !found {
		i--
	}
	if i < 0 {
		return nil
	}
	seg := s.segments[i]
	lo := e.commit - seg.base
	if lo+int64(e.size) > int64(len(seg.buf)) {
		return nil
	}
	return seg.buf[lo : lo+int64(e.size) : lo+int64(e.size)]
}

func (s *store) droppedCount() int64 {
	s.mu.RLock()
	defer s.mu.RUnlock()
	return s.dropped
}
