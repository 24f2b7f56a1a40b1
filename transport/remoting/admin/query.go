package admin

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"math"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/liftoff-mq/liftoff/core"
	"github.com/liftoff-mq/liftoff/core/rocketmq"
	"github.com/liftoff-mq/liftoff/internal/words"
	"github.com/liftoff-mq/liftoff/transport/remoting"
	"github.com/liftoff-mq/liftoff/transport/wire"
)

// Limits of queries.
const (
	// DefaultMax is how many messages a broker is asked for (Java: QueryMsgByKeySubCommand). By
	// default it gives no more than that in any case (maxMsgsNumBatch).
	DefaultMax = 64
	// MaxMax is the greatest number that it can be asked for.
	MaxMax = 1024
	// MaxKey is the greatest length of a key in bytes.
	MaxKey = rocketmq.ProtocolMaxPropertiesLength
	// MaxFound bounds the answers with messages that a query keeps, in bytes.
	MaxFound = 64 << 20
)

// uniqueKeyQuery is the field that says that the key is a unique id (Java:
// MixAll.UNIQUE_MSG_QUERY_FLAG). Where it is missing the key is none.
const uniqueKeyQuery = "_UNIQUE_KEY_QUERY"

// codeNotFound is the answer of a broker that found nothing (Java: ResponseCode.QUERY_NOT_FOUND).
const codeNotFound rocketmq.ResponseCode = 22

// Query says which messages are looked for by a key.
type Query struct {
	Topic string
	// Key is one of a message's keys.
	Key string
	// Max is how many messages each broker is asked for, the newest ones, 64 by default.
	Max int
	// Begin and End bound the time at which messages were stored. Zero times mean no bound.
	Begin, End time.Time
}

// MessagesByKey finds the messages of a topic that have a key, with QUERY_MESSAGE (12) at every
// broker of the topic's route: at its master, or at a slave where that is gone (Java:
// MQAdminImpl.queryMessage). Brokers find by the hash of topic and key; what has another key
// is left out. They come in the order in which they were stored, by the brokers' clocks.
//
// A message can be found a moment after it was stored, and as long as the broker's index
// goes back. Where brokers failed, a *[BrokersError] comes beside what the others have. If
// nothing was found and none failed, the error matches [ErrNotFound].
func (a *Admin) MessagesByKey(ctx context.Context, q Query) ([]Message, error) {
	if q.Max == 0 {
		q.Max = DefaultMax
	}
	begin, end := int64(0), int64(math.MaxInt64)
	if !q.Begin.IsZero() {
		begin = q.Begin.UnixMilli()
	}
	if !q.End.IsZero() {
		end = q.End.UnixMilli()
	}
	switch {
	case q.Key == "" || len(q.Key) > MaxKey || strings.ContainsAny(q.Key, rocketmq.KeySeparator):
		return nil, invalid("key %s: want 1 to %d bytes and no blank: it is one key", words.Quote(q.Key), MaxKey)
	case q.Max < 1 || q.Max > MaxMax:
		return nil, invalid("%d messages of each broker: want 1 to %d", q.Max, MaxMax)
	case begin > end:
		return nil, invalid("the time begins at %v, after its end at %v", q.Begin, q.End)
	}
	return a.query(ctx, q.Topic, "key", q.Key, wire.Fields{
		{Key: "maxNum", Value: strconv.Itoa(q.Max)},
		{Key: "beginTimestamp", Value: strconv.FormatInt(begin, 10)},
		{Key: "endTimestamp", Value: strconv.FormatInt(end, 10)},
	}, false, func(m *Message) bool { return m.Topic == q.Topic && slices.Contains(m.Keys(), q.Key) })
}

// MessagesByID finds the messages that a producer gave an id (core.Result.MessageID). There is
// more than one if an attempt was repeated whose answer was lost. All else is as
// [Admin.MessagesByKey] says (Java: MQAdminImpl.queryMessageByUniqKey).
func (a *Admin) MessagesByID(ctx context.Context, topic, id string) ([]Message, error) {
	if id == "" || len(id) > MaxKey {
		return nil, invalid("message id %s: want 1 to %d bytes", words.Quote(id), MaxKey)
	}
	return a.query(ctx, topic, "message id", id, wire.Fields{
		{Key: "maxNum", Value: "32"}, // brokers put a number of their own in its place
		{Key: "beginTimestamp", Value: "0"},
		{Key: "endTimestamp", Value: strconv.FormatInt(math.MaxInt64, 10)},
	}, true, func(m *Message) bool { return m.ID() == id })
}

// query asks every broker of a topic. Match leaves out what the brokers found by chance.
func (a *Admin) query(ctx context.Context, topic, kind, key string, fields wire.Fields, unique bool, match func(*Message) bool) ([]Message, error) {
	route, err := a.Route(ctx, topic)
	if err != nil {
		return nil, err
	}
	what := fmt.Sprintf("%s %s in topic %s", kind, words.Quote(key), topic)
	fields = append(wire.Fields{{Key: "topic", Value: topic}, {Key: "key", Value: key}}, fields...)
	var mu sync.Mutex
	var out []Message
	kept := 0
	err = a.each(ctx, "look for "+what, readable(route.Brokers), func(ctx context.Context, b broker) error {
		answer, err := a.lookFor(ctx, b, fields, unique)
		if answer.Code == int(codeNotFound) {
			return nil
		}
		if err != nil {
			return err
		}
		found, err := decode(answer.Body, b.name, match)
		if err != nil {
			return &remoting.AnswerError{Addr: b.addr, Err: err}
		}
		if len(found) == 0 {
			return nil
		}
		mu.Lock()
		defer mu.Unlock()
		if kept += len(answer.Body); kept > MaxFound {
			kept -= len(answer.Body)
			return fmt.Errorf("it found more: all together is more than %d MiB", MaxFound>>20)
		}
		out = append(out, found...)
		return nil
	})
	slices.SortStableFunc(out, func(a, b Message) int {
		return cmp.Or(cmp.Compare(a.StoreTimestamp, b.StoreTimestamp), cmp.Compare(a.Broker, b.Broker), cmp.Compare(a.CommitLogOffset, b.CommitLogOffset))
	})
	if len(out) == 0 && err == nil {
		err = &NotFoundError{What: what}
	}
	return out, err
}

// lookFor asks one broker. One of 4.9 with access control leaves the field for unique ids out of
// what it verifies, other than Java's client and than brokers of 5.x, and refuses the request.
// It is then made without the field, which such a broker does not need to find an id.
func (a *Admin) lookFor(ctx context.Context, b broker, fields wire.Fields, unique bool) (wire.Command, error) {
	if !unique {
		return a.ask(ctx, b, wire.QueryMessage, fields)
	}
	answer, err := a.ask(ctx, b, wire.QueryMessage, append(fields[:len(fields):len(fields)], wire.Field{Key: uniqueKeyQuery, Value: "true"}))
	if be := (*core.BrokerError)(nil); errors.As(err, &be) && be.Class == core.ClassAuth && answer.Version < wire.V5_0_0 {
		return a.ask(ctx, b, wire.QueryMessage, fields)
	}
	return answer, err
}

// readable are the brokers with an address to read from: the master's, or that of the slave
// with the least number (Java: BrokerData.selectBrokerAddr).
func readable(brokers []wire.BrokerData) []broker {
	out := mastersOf(brokers)
	slaves := map[string]string{}
	for i := range brokers {
		if _, seen := slaves[brokers[i].BrokerName]; seen {
			continue // as in mastersOf
		}
		for _, id := range slices.Sorted(maps.Keys(brokers[i].Addrs)) {
			if addr := brokers[i].Addrs[id]; addr != "" {
				slaves[brokers[i].BrokerName] = addr
				break
			}
		}
	}
	for i := range out {
		if out[i].addr == "" {
			out[i].addr, out[i].slave = slaves[out[i].name], true
		}
	}
	return out
}

// decode takes an answer's messages apart and keeps those that match. Their bytes are those of
// the answer.
func decode(body []byte, broker string, match func(*Message) bool) (out []Message, err error) {
	for n := 0; len(body) > 0; n++ {
		if n == MaxMax {
			return nil, fmt.Errorf("more than %d messages", MaxMax)
		}
		var stored wire.StoredMessage
		if stored, body, err = wire.ParseStored(body); err != nil {
			return nil, err
		}
		if err := checkPlace(&stored); err != nil {
			return nil, err
		}
		if m := (Message{StoredMessage: stored, Broker: broker}); match(&m) {
			out = append(out, m)
		}
	}
	return out, nil
}
