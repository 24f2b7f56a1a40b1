package embedded

import (
	"errors"
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/liftoff-mq/liftoff/core/rocketmq"
	"github.com/liftoff-mq/liftoff/transport/wire"
)

// maxDelayLevels bounds the levels of a configuration.
const maxDelayLevels = 256

// DefaultDelayLevels returns what brokers have unless configured otherwise: "1s 5s 10s 30s 1m 2m
// 3m 4m 5m 6m 7m 8m 9m 10m 20m 30m 1h 2h".
func DefaultDelayLevels() []time.Duration {
	return []time.Duration{
		1 * time.Second, 5 * time.Second, 10 * time.Second, 30 * time.Second,
		1 * time.Minute, 2 * time.Minute, 3 * time.Minute, 4 * time.Minute, 5 * time.Minute, 6 * time.Minute,
		7 * time.Minute, 8 * time.Minute, 9 * time.Minute, 10 * time.Minute, 20 * time.Minute, 30 * time.Minute,
		1 * time.Hour, 2 * time.Hour,
	}
}

// ParseDelayLevels reads delay levels as a broker's setting messageDelayLevel has them: whole
// numbers with the unit s, m, h or d, separated by spaces, level 1 first.
func ParseDelayLevels(text string) ([]time.Duration, error) {
	units := map[byte]time.Duration{'s': time.Second, 'm': time.Minute, 'h': time.Hour, 'd': 24 * time.Hour}
	var levels []time.Duration
	for _, level := range strings.Fields(text) {
		number, unit := level[:len(level)-1], units[level[len(level)-1]]
		n, err := strconv.ParseUint(number, 10, 31)
		if unit == 0 || err != nil || time.Duration(n) > math.MaxInt64/unit {
			return nil, fmt.Errorf("%w: delay level %q: want a whole number and s, m, h or d, as in \"1s 5s 10s\"", ErrConfig, level)
		}
		levels = append(levels, time.Duration(n)*unit)
	}
	if len(levels) == 0 || len(levels) > maxDelayLevels {
		return nil, fmt.Errorf("%w: %d delay levels, allowed are 1 to %d", ErrConfig, len(levels), maxDelayLevels)
	}
	return levels, nil
}

// maxTimer is the longest that a message with a delivery time waits (Java timerMaxDelaySec).
const maxTimer = 3 * 24 * time.Hour

// timerPrecision is the step of delivery times in milliseconds (Java timerPrecisionMs).
const timerPrecision = 1000

// maxDelayed bounds how many messages wait for their time on one broker.
const maxDelayed = 100_000

// errTooManyDelayed is a message that would wait beyond maxDelayed or maxErased.
var errTooManyDelayed = errors.New("too many messages wait for their time")

// delayed counts the messages that wait and lists those whose time has come while their broker
// was stopped, by their place in the commit log. A message that the log has dropped is lost.
type delayed struct {
	waiting atomic.Int64
	mu      sync.Mutex
	overdue []int64
	erased  map[erasure]struct{}
}

// errTimer is a delivery time that a broker refuses, or a message that is to erase another one when
// the time for that is over.
var errTimer = errors.New("timer message illegal")

// schedule redirects a message that is to be delivered later and returns when; the zero time
// means now. Errors are errTimer and a *strconv.NumError for a delay level that is no number.
//
// A level goes to the queue of its level in SCHEDULE_TOPIC_XXXX, a time to rmq_sys_wheel_timer;
// REAL_TOPIC and REAL_QID keep where the message belongs (Java HookUtils.handleScheduleMessage).
// A message that has TIMER_OUT_MS already is none of the timer's (Java HookUtils.checkIfTimerMessage).
func (b *Broker) schedule(m *wire.StoredMessage, props *wire.Fields) (due time.Time, err error) {
	levels := b.node.cluster.cfg.DelayLevels
	now := time.Now()
	level, err := delayLevel(*props)
	if err != nil {
		return time.Time{}, err
	}
	if level > 0 {
		// A level takes precedence and removes the others.
		level = min(level, len(levels))
		remove(props, rocketmq.PropertyTimerDelaySec, rocketmq.PropertyTimerDelayMS, rocketmq.PropertyTimerDeliverMS)
		park(m, props, rocketmq.ScheduleTopic, level-1)
		return now.Add(levels[level-1]), nil
	}
	var text string
	var unit int64 = 1
	base := now.UnixMilli()
	switch {
	case props.Get(rocketmq.PropertyTimerOutMS) != "":
		return time.Time{}, nil
	case props.Get(rocketmq.PropertyTimerDelaySec) != "":
		text, unit = props.Get(rocketmq.PropertyTimerDelaySec), 1000
	case props.Get(rocketmq.PropertyTimerDelayMS) != "":
		text = props.Get(rocketmq.PropertyTimerDelayMS)
	case props.Get(rocketmq.PropertyTimerDeliverMS) != "":
		text, base = props.Get(rocketmq.PropertyTimerDeliverMS), 0
	default:
		return time.Time{}, nil
	}
	n, err := strconv.ParseInt(text, 10, 64)
	if err != nil || n > 1<<53 {
		return time.Time{}, errTimer
	}
	due = time.UnixMilli(base + n*unit)
	switch {
	case !due.After(now):
		if _, late := props.Lookup(rocketmq.PropertyTimerDelUniqKey); late {
			return time.Time{}, errTimer
		}
		return time.Time{}, nil
	case due.Sub(now) > maxTimer:
		return time.Time{}, errTimer
	}
	// The property is the last full second before.
	out := (due.UnixMilli() - 1) / timerPrecision * timerPrecision
	props.Set(rocketmq.PropertyTimerOutMS, strconv.FormatInt(out, 10))
	park(m, props, rocketmq.TimerTopic, 0)
	return due, nil
}

// delayLevel is a message's delay level, 0 without one. Errors are those of its text (Java
// Message.getDelayTimeLevel, which throws).
func delayLevel(props wire.Fields) (int, error) {
	text := props.Get(rocketmq.PropertyDelay)
	if text == "" {
		return 0, nil
	}
	n, err := strconv.ParseInt(text, 10, 32)
	return int(n), err
}

// recallHandle is what takes a timed message back, or "" (Java SendMessageProcessor.attachRecallHandle).
func recallHandle(topic, broker string, props wire.Fields) string {
	out, err := strconv.ParseInt(props.Get(rocketmq.PropertyTimerOutMS), 10, 64)
	if err != nil || props.Get(rocketmq.PropertyRealTopic) == "" || rocketmq.IsRetryTopic(topic) {
		return ""
	}
	return rocketmq.RecallHandle{
		Topic: topic, Broker: broker, DeliverAt: time.UnixMilli(out + 1), MessageID: props.Get(rocketmq.PropertyUniqKey),
	}.String()
}

func park(m *wire.StoredMessage, props *wire.Fields, topic string, queue int) {
	props.Set(rocketmq.PropertyRealTopic, m.Topic)
	props.Set(rocketmq.PropertyRealQueueID, strconv.Itoa(m.QueueID))
	m.Topic, m.QueueID = topic, queue
}

func remove(props *wire.Fields, names ...string) {
	*props = slices.DeleteFunc(*props, func(p wire.Field) bool { return slices.Contains(names, p.Key) })
}

// keep stores a parked message and delivers it when it is due. One that erases others is kept
// in the log, takes effect at once and is never delivered. Errors are errTooManyDelayed and those
// of the stored form.
func (b *Broker) keep(m *wire.StoredMessage, props wire.Fields, due time.Time) error {
	if e, ok := erases(m, props); ok {
		b.delayed.mu.Lock()
		defer b.delayed.mu.Unlock()
		return b.erase(e, m)
	}
	if b.delayed.waiting.Add(1) > maxDelayed {
		b.delayed.waiting.Add(-1)
		return errTooManyDelayed
	}
	if err := b.store.append(m); err != nil {
		b.delayed.waiting.Add(-1)
		return err
	}
	b.deliverAt(due, m.CommitLogOffset)
	return nil
}

// deliverAt puts the parked message at a commit-log offset where it belongs when its time comes,
// or when the broker is started after that. Whether it was taken back is decided when its time
// comes: later nobody can do that.
func (b *Broker) deliverAt(due time.Time, commit int64) {
	b.node.cluster.after(time.Until(due), func() {
		b.delayed.waiting.Add(-1)
		b.delayed.mu.Lock()
		if !b.isErased(commit) {
			b.delayed.overdue = append(b.delayed.overdue, commit)
		}
		b.delayed.mu.Unlock()
		if b.Running() {
			b.deliverOverdue()
		}
	})
}

func (b *Broker) deliverOverdue() {
	b.delayed.mu.Lock()
	defer b.delayed.mu.Unlock()
	for _, commit := range b.delayed.overdue {
		if err := b.deliver(commit); err != nil {
			b.node.log.Warn("a delayed message cannot be delivered", "offset", commit, "error", err)
		}
	}
	b.delayed.overdue = nil
}

// deliver stores a parked message again, where it belongs (Java ScheduleMessageService.messageTimeUp).
func (b *Broker) deliver(commit int64) error {
	record := b.store.view(commit)
	if record == nil {
		return errors.New("it was dropped")
	}
	m, _, err := wire.ParseStored(record)
	if err != nil {
		return err
	}
	props := wire.ParseProperties(m.Properties)
	m.Topic = props.Get(rocketmq.PropertyRealTopic)
	if m.QueueID, err = strconv.Atoi(props.Get(rocketmq.PropertyRealQueueID)); err != nil {
		return err
	}
	remove(&props, rocketmq.PropertyDelay, rocketmq.PropertyTimerDeliverMS, rocketmq.PropertyTimerDelaySec)
	m.Properties = wire.AppendProperties(nil, props)
	return b.store.append(&m)
}
