package embedded

// VIEW_MESSAGE_BY_ID (33): a request to a broker for the message at a commit-log offset, which
// the offset message id of a send's answer holds.
//
// Versions: as 4.x and 5.x.
//
// Deviations: an offset in the middle of a message is not found, where a real broker may answer
// with whatever lies there.

import (
	"cmp"
	"slices"

	"github.com/liftoff-mq/liftoff/core/rocketmq"
	"github.com/liftoff-mq/liftoff/transport/wire"
)

func (b *Broker) viewMessage(cmd *wire.Command) reply {
	f := readFields(cmd)
	at := f.int64("offset")
	if f.err != nil {
		return badField(f.err)
	}
	record := b.store.view(at)
	if record == nil {
		return refuse(rocketmq.CodeSystemError, "can not find message by the offset, "+textOf(at))
	}
	return reply{body: record}
}

// view returns the record that begins at a commit-log offset, or nil.
func (s *store) view(at int64) []byte {
	s.mu.RLock()
	defer s.mu.RUnlock()
	i, found := slices.BinarySearchFunc(s.segments, at, func(seg *segment, at int64) int { return cmp.Compare(seg.base, at) })
	if !found {
		i--
	}
	if i < 0 || at-s.segments[i].base >= int64(len(s.segments[i].buf)) {
		return nil
	}
	rest := s.segments[i].buf[at-s.segments[i].base:]
	m, after, err := wire.ParseStored(rest)
	if err != nil || m.CommitLogOffset != at {
		return nil
	}
	return slices.Clone(rest[:len(rest)-len(after)])
}
