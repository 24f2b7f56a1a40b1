package embedded

import (
	"crypto/sha256"
	"strconv"
	"time"

	"github.com/liftoff-mq/liftoff/core/rocketmq"
	"github.com/liftoff-mq/liftoff/transport/wire"
)

const (
	// maxErased bounds how many erasures a broker remembers.
	maxErased = maxDelayed
	// erasedFor is how long an erasure is remembered after the time of its messages, for timers
	// that a busy machine is late with.
	erasedFor = time.Minute
)

// erasure names the timed messages that are not to be delivered: those of one second of the
// timer and of one topic and unique id (Java TimerMessageStore.dequeue, buildDeleteKey). It is
// the hash of the name, because ids have any length.
type erasure struct {
	out int64 // TIMER_OUT_MS
	key [sha256.Size]byte
}

// deleteKey is the value of TIMER_DEL_UNIQKEY that names a message (Java
// TimerMessageStore.buildDeleteKey).
func deleteKey(topic, uniqueID string) string { return topic + "+" + uniqueID }

// erases returns what a parked message erases instead of being delivered. Ok is false for an
// ordinary one.
func erases(m *wire.StoredMessage, props wire.Fields) (e erasure, ok bool) {
	key, there := props.Lookup(rocketmq.PropertyTimerDelUniqKey)
	if !there || m.Topic != rocketmq.TimerTopic {
		return erasure{}, false
	}
	out, err := strconv.ParseInt(props.Get(rocketmq.PropertyTimerOutMS), 10, 64)
	return erasure{out: out, key: sha256.Sum256([]byte(key))}, err == nil
}

// erase stores m and remembers what it erases until the timer is past that. The caller holds
// the lock of delayed.
func (b *Broker) erase(e erasure, m *wire.StoredMessage) error {
	d := &b.delayed
	_, known := d.erased[e]
	if !known && len(d.erased) >= maxErased {
		return errTooManyDelayed
	}
	if err := b.store.append(m); err != nil || known {
		return err
	}
	if d.erased == nil {
		d.erased = make(map[erasure]struct{})
	}
	d.erased[e] = struct{}{}
	over := time.UnixMilli(e.out + timerPrecision).Add(erasedFor)
	b.node.cluster.after(time.Until(over), func() {
		d.mu.Lock()
		defer d.mu.Unlock()
		delete(d.erased, e)
	})
	return nil
}

// isErased reports whether the timed message at a commit-log offset has been taken back. The
// caller holds the lock of delayed.
func (b *Broker) isErased(commit int64) bool {
	if len(b.delayed.erased) == 0 {
		return false
	}
	m, _, err := wire.ParseStored(b.store.view(commit))
	if err != nil || m.Topic != rocketmq.TimerTopic {
		return false
	}
	props := wire.ParseProperties(m.Properties)
	out, err := strconv.ParseInt(props.Get(rocketmq.PropertyTimerOutMS), 10, 64)
	if err != nil {
		return false
	}
	key := deleteKey(props.Get(rocketmq.PropertyRealTopic), props.Get(rocketmq.PropertyUniqKey))
	_, erased := b.delayed.erased[erasure{out: out, key: sha256.Sum256([]byte(key))}]
	return erased
}
