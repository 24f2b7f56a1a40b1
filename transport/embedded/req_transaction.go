package embedded

// END_TRANSACTION (37): a request to a broker to commit or roll back a half message; and
// CHECK_TRANSACTION_STATE (39), by which a broker asks what becomes of one.
//
// Versions: as 5.3.3 (Java EndTransactionProcessor, TransactionalMessageServiceImpl). A half message
// lies in RMQ_SYS_TRANS_HALF_TOPIC. An end names its place there and in the commit log. The
// broker does not ask whether the half message is still open, so a second commit stores the
// message a second time. An unknown decision is noted and not answered.
//
// Every TransactionCheckInterval the broker looks at the open half messages in their order.
// It asks a client of the producer group about each that is older than TransactionTimeout, or than
// its property CHECK_IMMUNITY_TIME_IN_SECONDS says. Before that it stores the half message anew,
// and the old one counts as done: an end that names the old place commits the message and leaves
// the new one open. From the TransactionCheckMax-th question on there is none any more, and the
// message goes to TRANS_CHECK_MAX_TIME_TOPIC.
//
// Deviations: what is done is remembered in memory instead of in RMQ_SYS_TRANS_OP_HALF_TOPIC, and at
// once instead of in batches, so that no question is asked about a half message whose end has come. An
// end that names no half message but another one has code 1, where a real broker throws. A half
// message with a delay is refused with code 13, as later clients do; a real 5.3.3 loses it. 100,000 half
// messages may be open on one broker.

import (
	"maps"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/liftoff-mq/liftoff/core/rocketmq"
	"github.com/liftoff-mq/liftoff/transport/wire"
)

// maxHalves bounds the open half messages of one broker.
const maxHalves = 100_000

// transactions are a broker's open half messages.
type transactions struct {
	mu      sync.Mutex
	open    map[int64]int64 // places in the commit log, by those in the queue of half messages
	looking bool            // a look at them is due
}

// isHalf reports whether a message is to be a half message.
func isHalf(props wire.Fields) bool {
	return strings.EqualFold(props.Get(rocketmq.PropertyTransactionPrepared), "true")
}

// putHalf stores a half message (Java TransactionalMessageBridge.parseHalfMessageInner).
func (b *Broker) putHalf(m *wire.StoredMessage, props wire.Fields) reply {
	for _, name := range [...]string{
		rocketmq.PropertyDelay, rocketmq.PropertyTimerDelaySec, rocketmq.PropertyTimerDelayMS, rocketmq.PropertyTimerDeliverMS,
	} {
		if props.Get(name) != "" {
			return illegalMessage()
		}
	}
	unique, queue := props.Get(rocketmq.PropertyUniqKey), m.QueueID
	props.Set(rocketmq.PropertyTransactionID, unique)
	park(m, &props, rocketmq.TransactionHalfTopic, 0)
	m.SysFlag &^= rocketmq.SysTransactionMask
	if m.Properties = wire.AppendProperties(nil, props); len(m.Body) > maxMessageSize || len(m.Properties) > rocketmq.ProtocolMaxPropertiesLength {
		return illegalMessage()
	}
	t := &b.transactions
	t.mu.Lock()
	defer t.mu.Unlock()
	if len(t.open) >= maxHalves {
		return refuse(rocketmq.CodeSystemError, "more than "+strconv.Itoa(maxHalves)+" half messages are open")
	}
	if err := b.store.append(m); err != nil {
		return notStored(err)
	}
	t.add(b, m)
	return reply{stored: true, send: wire.SendResponse{
		MsgID: m.MsgID().String(), QueueID: queue, QueueOffset: m.QueueOffset, TransactionID: unique, RegionID: regionID, TraceOn: true,
	}}
}

// add notes an open half message, and a look at it. The caller holds the lock.
func (t *transactions) add(b *Broker, m *wire.StoredMessage) {
	if t.open == nil {
		t.open = make(map[int64]int64)
	}
	t.open[m.QueueOffset] = m.CommitLogOffset
	if !t.looking {
		t.looking = true
		b.node.cluster.after(b.node.cluster.cfg.TransactionCheckInterval, b.checkHalves)
	}
}

func (b *Broker) endTransaction(cmd *wire.Command) reply {
	end, err := wire.ParseTransactionEnd(cmd)
	if err != nil {
		return badField(err)
	}
	if end.Decision == rocketmq.SysTransactionNone {
		return reply{later: true}
	}
	t := &b.transactions
	t.mu.Lock()
	defer t.mu.Unlock()
	m, props, ok := b.half(end.CommitLogOffset)
	switch {
	case !ok:
		return refuse(rocketmq.CodeSystemError, "Find prepared transaction message failed")
	case !end.FromCheck && b.tooLate(&m, props):
		return refuse(rocketmq.CodeIllegalOperation, "not set any response code")
	case props.Get(rocketmq.PropertyProducerGroup) != end.Group:
		return refuse(rocketmq.CodeSystemError, "The producer group wrong")
	case m.QueueOffset != end.QueueOffset:
		return refuse(rocketmq.CodeSystemError, "The transaction state table offset wrong")
	}
	half := m.QueueOffset
	if end.Decision == rocketmq.SysTransactionCommit {
		if m.QueueID, err = strconv.Atoi(props.Get(rocketmq.PropertyRealQueueID)); err != nil {
			return javaException("java.lang.NumberFormatException", wire.TrimRemark(err.Error()))
		}
		m.Topic, m.PreparedTransactionOffset = props.Get(rocketmq.PropertyRealTopic), end.CommitLogOffset
		m.SysFlag |= rocketmq.SysTransactionCommit
		remove(&props, rocketmq.PropertyRealTopic, rocketmq.PropertyRealQueueID, rocketmq.PropertyTransactionPrepared)
		m.Properties = wire.AppendProperties(nil, props)
		if err := b.store.append(&m); err != nil {
			return notStored(err)
		}
	}
	delete(t.open, half)
	if end.Decision == rocketmq.SysTransactionRollback {
		return reply{remark: "not set any response code"} // with which an answer begins; a real broker leaves it
	}
	return reply{}
}

// half is the half message at a place in the commit log.
func (b *Broker) half(commit int64) (m wire.StoredMessage, props wire.Fields, ok bool) {
	record := b.store.view(commit)
	if record == nil {
		return m, nil, false
	}
	m, _, err := wire.ParseStored(record)
	if err != nil || m.Topic != rocketmq.TransactionHalfTopic {
		return m, nil, false
	}
	return m, wire.ParseProperties(m.Properties), true
}

// immunity is how long after its birth nobody is asked about a half message, and whether the
// message says so itself (Java TransactionalMessageUtil.getImmunityTime).
func (b *Broker) immunity(props wire.Fields) (d time.Duration, own bool) {
	text := props.Get(rocketmq.PropertyCheckImmunityTime)
	if n, err := strconv.ParseInt(text, 10, 32); err == nil && n != -1 {
		return time.Duration(n) * time.Second, true
	}
	return b.node.cluster.cfg.TransactionTimeout, text != ""
}

// tooLate reports whether an end comes after the time that its half message names itself (Java
// EndTransactionProcessor.rejectCommitOrRollback).
func (b *Broker) tooLate(m *wire.StoredMessage, props wire.Fields) bool {
	immunity, own := b.immunity(props)
	return own && time.Since(time.UnixMilli(m.BornTimestamp)) > immunity
}

// checkHalves looks at the open half messages, and asks about those that are old enough.
func (b *Broker) checkHalves() {
	t := &b.transactions
	t.mu.Lock()
	defer t.mu.Unlock()
	if b.Running() {
		for _, offset := range slices.Sorted(maps.Keys(t.open)) {
			b.checkHalf(offset)
		}
	}
	if t.looking = len(t.open) > 0; t.looking {
		b.node.cluster.after(b.node.cluster.cfg.TransactionCheckInterval, b.checkHalves)
	}
}

// checkHalf asks about one half message. The caller holds the lock.
func (b *Broker) checkHalf(offset int64) {
	t := &b.transactions
	m, props, ok := b.half(t.open[offset])
	if !ok { // the log has dropped it
		delete(t.open, offset)
		return
	}
	if immunity, _ := b.immunity(props); time.Since(time.UnixMilli(m.BornTimestamp)) < immunity {
		return
	}
	times, _ := strconv.Atoi(props.Get(rocketmq.PropertyTransactionCheckTimes))
	given := times >= b.node.cluster.cfg.TransactionCheckMax
	if given {
		m.Topic = transCheckMaxTopic
	} else {
		props.Set(rocketmq.PropertyTransactionCheckTimes, strconv.Itoa(times+1))
		if _, again := props.Lookup(rocketmq.PropertyTransactionPreparedQueue); !again {
			props.Set(rocketmq.PropertyTransactionPreparedQueue, textOf(offset))
		}
		m.Properties = wire.AppendProperties(nil, props)
	}
	if err := b.store.append(&m); err != nil {
		b.node.log.Warn("a half message cannot be kept", "offset", offset, "error", err)
		return
	}
	delete(t.open, offset)
	if given {
		return
	}
	t.open[m.QueueOffset] = m.CommitLogOffset
	if err := b.askAbout(m, props); err != nil {
		b.node.log.Debug("nobody can be asked about a transaction", "error", err)
	}
}

// askAbout asks a client of the producer group what becomes of a half message.
func (b *Broker) askAbout(m wire.StoredMessage, props wire.Fields) error {
	c, _, err := b.producer(props.Get(rocketmq.PropertyProducerGroup))
	if err != nil {
		return err
	}
	unique := props.Get(rocketmq.PropertyUniqKey)
	check := wire.TransactionCheck{
		Topic: m.Topic, QueueOffset: m.QueueOffset, CommitLogOffset: m.CommitLogOffset,
		MsgID: unique, TransactionID: unique, OffsetMsgID: m.MsgID().String(), BrokerName: b.Name(),
	}
	m.Topic = props.Get(rocketmq.PropertyRealTopic)
	if m.QueueID, err = strconv.Atoi(props.Get(rocketmq.PropertyRealQueueID)); err != nil {
		return err
	}
	body, err := wire.AppendStored(nil, &m)
	if err != nil {
		return err
	}
	frame, err := wire.AppendCommand(nil, &wire.Command{
		Code: wire.CheckTransactionState, Language: wire.LanguageJava, Version: serverVersion, Opaque: b.pushes.Add(1),
		Flag: wire.FlagOneway, Ext: check.Fields(), Body: body,
	})
	if err != nil {
		return err
	}
	if err := c.queue(frame); err != nil {
		return err
	}
	b.node.cluster.spawn(c.flush)
	return nil
}

// OpenTransactions is how many half messages have no end yet.
func (b *Broker) OpenTransactions() int {
	b.transactions.mu.Lock()
	defer b.transactions.mu.Unlock()
	return len(b.transactions.open)
}

// transCheckMaxTopic keeps the half messages that were asked about too often.
const transCheckMaxTopic = "TRANS_CHECK_MAX_TIME_TOPIC"
