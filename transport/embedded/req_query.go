package embedded

// QUERY_MESSAGE (12): a request to a broker for the messages of a topic that have a key or a
// unique id.
//
// Versions: as 4.9 and 5.3.3. Keys and ids are found alike; the newest messages of the time asked
// for come, oldest first, at most as many as asked for, or 32 for a unique id.
//
// Deviations: keys are compared and not their hashes, so nothing is found that must be left out.
// There is no index: a query reads the whole topic. Messages of more than 8 MiB in all are cut
// off at the newest. The kinds of index of 5.4 and later are not told apart.

import (
	"cmp"
	"slices"
	"strings"

	"github.com/liftoff-mq/liftoff/core/rocketmq"
	"github.com/liftoff-mq/liftoff/transport/wire"
)

const (
	uniqueKeyQuery  = "_UNIQUE_KEY_QUERY"
	maxUniqueFound  = 32
	maxQueriedBytes = 8 << 20
)

func (b *Broker) queryMessage(cmd *wire.Command) reply {
	f := readFields(cmd)
	topic, key, most := f.text("topic"), f.text("key"), f.int("maxNum")
	begin, end := f.int64("beginTimestamp"), f.int64("endTimestamp")
	if f.err != nil {
		return badField(f.err)
	}
	if cmd.Ext.Get(uniqueKeyQuery) == "true" {
		most = maxUniqueFound
	}
	type hit struct {
		at     int64
		record []byte
	}
	var found []hit
	for _, record := range b.store.records(topic) {
		m, _, err := wire.ParseStored(record)
		if err == nil && m.StoreTimestamp >= begin && m.StoreTimestamp <= end && hasKey(string(m.Properties), key) {
			found = append(found, hit{m.CommitLogOffset, record})
		}
	}
	slices.SortFunc(found, func(a, b hit) int { return cmp.Compare(b.at, a.at) })
	size := 0
	for i, h := range found {
		if size += len(h.record); i >= most || i > 0 && size > maxQueriedBytes {
			found = found[:i]
			break
		}
	}
	r := reply{}
	for _, h := range slices.Backward(found) {
		r.body = append(r.body, h.record...)
	}
	if len(found) == 0 {
		r = refuse(codeQueryNotFound, "can not find message, maybe time range not correct")
	}
	at, when := b.store.last()
	r.ext = wire.Fields{{Key: "indexLastUpdateTimestamp", Value: textOf(when)}, {Key: "indexLastUpdatePhyoffset", Value: textOf(at)}}
	return r
}

// hasKey reports whether the text form of properties has the key among KEYS, or as UNIQ_KEY.
func hasKey(properties, key string) bool {
	if key == "" {
		return false
	}
	if unique, _ := wire.LookupProperty(properties, rocketmq.PropertyUniqKey); unique == key {
		return true
	}
	keys, _ := wire.LookupProperty(properties, rocketmq.PropertyKeys)
	for k := range strings.SplitSeq(keys, " ") {
		if k == key {
			return true
		}
	}
	return false
}

// last returns the commit-log offset and the store time of the newest message, 0 without one.
func (s *store) last() (commit, millis int64) {
	s.mu.RLock()
	defer s.mu.RUnlock()
	return s.newest, s.newestTime
}
