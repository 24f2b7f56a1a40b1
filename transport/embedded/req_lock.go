package embedded

// LOCK_BATCH_MQ (41), UNLOCK_BATCH_MQ (42): requests to a broker of consumers that consume in order.
//
// Versions: as 4.x and 5.x: a lock belongs to a client of a group and lasts 60 s after it was
// last taken.
//
// Deviations: none known.

import (
	"encoding/json"
	"errors"
	"sync"
	"time"

	"github.com/liftoff-mq/liftoff/core/rocketmq"
	"github.com/liftoff-mq/liftoff/transport/wire"
)

const lockTime = time.Minute

// locks is which client has a queue for its group. Requests are decoded under the lock, one at a
// time, because their bodies grow by it.
type locks struct {
	mu   sync.Mutex
	held map[offsetKey]lock
	size quota
	full time.Time // when the locks that are over were last looked for
}

type lock struct {
	client string
	until  time.Time
}

type messageQueue struct {
	BrokerName string `json:"brokerName"`
	QueueID    int    `json:"queueId"`
	Topic      string `json:"topic"`
}

type lockRequest struct {
	ConsumerGroup *string        `json:"consumerGroup"`
	ClientID      string         `json:"clientId"`
	Queues        []messageQueue `json:"mqSet"`
}

func parseLock(body []byte) (req lockRequest, group string, err error) {
	if len(body) > maxJSONBody {
		return lockRequest{}, "", errLongBody
	}
	err = json.Unmarshal(body, &req)
	if err == nil && req.ConsumerGroup == nil {
		err = errors.New("the request has no group")
	}
	if err != nil {
		return lockRequest{}, "", err
	}
	return req, *req.ConsumerGroup, nil
}

// any reports whether a group holds a lock.
func (l *locks) any(group string, now time.Time) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	for key, have := range l.held {
		if key.group == group && now.Before(have.until) {
			return true
		}
	}
	return false
}

// set gives a queue to a client if nobody else has it and there is room. The caller holds the lock.
func (l *locks) set(key offsetKey, client string, now time.Time) bool {
	have, there := l.held[key]
	if there && have.client != client && now.Before(have.until) {
		return false
	}
	l.remove(key)
	n := key.size() + len(client)
	if !l.size.take(n) {
		l.sweep(now)
		if !l.size.take(n) {
			return false
		}
	}
	if l.held == nil {
		l.held = make(map[offsetKey]lock)
	}
	l.held[key] = lock{client: client, until: now.Add(lockTime)}
	return true
}

// sweep removes the locks that are over, at most once a second. The caller holds the lock.
func (l *locks) sweep(now time.Time) {
	if now.Sub(l.full) < time.Second {
		return
	}
	l.full = now
	for key, have := range l.held {
		if !now.Before(have.until) {
			l.remove(key)
		}
	}
}

// remove ends a lock, if there is one. The caller holds the lock.
func (l *locks) remove(key offsetKey) {
	if have, there := l.held[key]; there {
		l.size.give(key.size() + len(have.client))
		delete(l.held, key)
	}
}

func (b *Broker) lockQueues(cmd *wire.Command) reply {
	b.locks.mu.Lock()
	defer b.locks.mu.Unlock()
	req, group, err := parseLock(cmd.Body)
	if err != nil {
		return javaException("java.lang.RuntimeException", wire.TrimRemark(err.Error()))
	}
	got := struct {
		Locked []messageQueue `json:"lockOKMQSet"`
	}{Locked: []messageQueue{}}
	now := time.Now()
	for _, q := range req.Queues {
		if b.locks.set(offsetKey{group, queueKey{q.Topic, q.QueueID}}, req.ClientID, now) {
			got.Locked = append(got.Locked, q)
		}
	}
	body, err := json.Marshal(got)
	if err != nil {
		return refuse(rocketmq.CodeSystemError, err.Error())
	}
	return reply{body: body}
}

func (b *Broker) unlockQueues(cmd *wire.Command) reply {
	b.locks.mu.Lock()
	defer b.locks.mu.Unlock()
	req, group, err := parseLock(cmd.Body)
	if err != nil {
		return javaException("java.lang.RuntimeException", wire.TrimRemark(err.Error()))
	}
	for _, q := range req.Queues {
		key := offsetKey{group, queueKey{q.Topic, q.QueueID}}
		if b.locks.held[key].client == req.ClientID {
			b.locks.remove(key)
		}
	}
	return reply{}
}
