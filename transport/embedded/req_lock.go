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

const (
	lockTime = time.Minute
	maxLocks = 1 << 20
)

type locks struct {
	mu   sync.Mutex
	held map[offsetKey]lock
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

func (b *Broker) lockQueues(cmd *wire.Command) reply {
	req, group, err := parseLock(cmd.Body)
	if err != nil {
		return javaException("java.lang.RuntimeException", wire.TrimRemark(err.Error()))
	}
	got := struct {
		Locked []messageQueue `json:"lockOKMQSet"`
	}{Locked: []messageQueue{}}
	now := time.Now()
	b.locks.mu.Lock()
	if b.locks.held == nil {
		b.locks.held = make(map[offsetKey]lock)
	}
	for _, q := range req.Queues {
		key := offsetKey{group, queueKey{q.Topic, q.QueueID}}
		have, there := b.locks.held[key]
		if there && have.client != req.ClientID && now.Before(have.until) || !there && len(b.locks.held) >= maxLocks {
			continue
		}
		b.locks.held[key] = lock{client: req.ClientID, until: now.Add(lockTime)}
		got.Locked = append(got.Locked, q)
	}
	b.locks.mu.Unlock()
	body, err := json.Marshal(got)
	if err != nil {
		return refuse(rocketmq.CodeSystemError, err.Error())
	}
	return reply{body: body}
}

func (b *Broker) unlockQueues(cmd *wire.Command) reply {
	req, group, err := parseLock(cmd.Body)
	if err != nil {
		return javaException("java.lang.RuntimeException", wire.TrimRemark(err.Error()))
	}
	b.locks.mu.Lock()
	defer b.locks.mu.Unlock()
	for _, q := range req.Queues {
		key := offsetKey{group, queueKey{q.Topic, q.QueueID}}
		if b.locks.held[key].client == req.ClientID {
			delete(b.locks.held, key)
		}
	}
	return reply{}
}
