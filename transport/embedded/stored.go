package embedded

import (
	"cmp"
	"net/netip"
	"slices"
	"time"

	"github.com/liftoff-mq/liftoff/core/rocketmq"
	"github.com/liftoff-mq/liftoff/transport/wire"
)

// Stored is a message as a broker keeps it.
type Stored struct {
	Broker          string
	Topic           string
	QueueID         int
	QueueOffset     int64
	CommitLogOffset int64
	// MsgID is the offset message id, which the answer to the send carried.
	MsgID   string
	Flag    int32
	SysFlag int32
	// Body is as stored: compressed if SysFlag says so.
	Body           []byte
	Properties     wire.Fields
	BornTime       time.Time
	BornHost       netip.AddrPort
	StoreTime      time.Time
	StoreHost      netip.AddrPort
	ReconsumeTimes int
}

// Property returns a property, or "".
func (m *Stored) Property(name string) string { return m.Properties.Get(name) }

// UniqueID returns the id that the producer gave the message (property UNIQ_KEY), or "".
func (m *Stored) UniqueID() string { return m.Properties.Get(rocketmq.PropertyUniqKey) }

// Stored returns the messages of a topic on all brokers, stopped ones included, ordered by
// broker name, queue and offset. The messages are copies.
func (c *Cluster) Stored(topic string) []Stored {
	var out []Stored
	for _, b := range c.brokers {
		out = append(out, b.Stored(topic)...)
	}
	slices.SortStableFunc(out, func(a, b Stored) int { return cmp.Compare(a.Broker, b.Broker) })
	return out
}

// StoredCount is how many messages of a topic all brokers hold.
func (c *Cluster) StoredCount(topic string) int {
	n := 0
	for _, b := range c.brokers {
		n += b.store.count(topic)
	}
	return n
}

// Stored returns the broker's messages of a topic, ordered by queue and offset.
func (b *Broker) Stored(topic string) []Stored {
	records := b.store.records(topic)
	out := make([]Stored, 0, len(records))
	for _, r := range records {
		m, _, err := wire.ParseStored(r)
		if err != nil {
			b.node.log.Error("a stored message cannot be read", "error", err)
			continue
		}
		out = append(out, Stored{
			Broker: b.Name(), Topic: m.Topic, QueueID: m.QueueID, QueueOffset: m.QueueOffset, CommitLogOffset: m.CommitLogOffset,
			MsgID: m.MsgID().String(), Flag: m.Flag, SysFlag: m.SysFlag, Body: slices.Clone(m.Body),
			Properties: wire.ParseProperties(m.Properties), BornTime: time.UnixMilli(m.BornTimestamp), BornHost: m.BornHost,
			StoreTime: time.UnixMilli(m.StoreTimestamp), StoreHost: m.StoreHost, ReconsumeTimes: m.ReconsumeTimes,
		})
	}
	return out
}

// records returns the records of a topic, by queue and offset.
func (s *store) records(topic string) [][]byte {
	s.mu.RLock()
	defer s.mu.RUnlock()
	var ids []int
	for k := range s.queues {
		if k.topic == topic {
			ids = append(ids, k.id)
		}
	}
	slices.Sort(ids)
	var out [][]byte
	for _, id := range ids {
		for _, e := range s.queues[queueKey{topic, id}].entries {
			out = append(out, s.at(e))
		}
	}
	return out
}

func (s *store) count(topic string) int {
	s.mu.RLock()
	defer s.mu.RUnlock()
	n := 0
	for k, q := range s.queues {
		if k.topic == topic {
			n += len(q.entries)
		}
	}
	return n
}
