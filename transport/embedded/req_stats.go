package embedded

// GET_TOPIC_STATS_INFO (202), GET_CONSUMER_CONNECTION_LIST (203), GET_PRODUCER_CONNECTION_LIST (204),
// GET_CONSUME_STATS (208), QUERY_TOPIC_CONSUME_BY_WHO (300): requests to a broker, of mqadmin's
// topicStatus, consumerConnection, producerConnection, consumerProgress and of the queries for messages.
//
// Versions: as 5.3.3; the bodies are read by the tools of 4.9 too.
//
// Deviations: there are no statistics, so all rates are 0; what was pulled and not committed is not known.

import (
	"encoding/json"
	"maps"
	"slices"
	"strings"

	"github.com/liftoff-mq/liftoff/core/rocketmq"
	"github.com/liftoff-mq/liftoff/transport/wire"
)

// offsetTable is the JSON of a Java map with message queues as keys, which stand there as
// objects: {{"brokerName":...}:{...},...}. JSON does not know that, Java's library does.
type offsetTable struct{ text strings.Builder }

// add appends a queue and what is said of it, names and numbers in turn.
func (o *offsetTable) add(broker string, q queueKey, fields ...wire.Field) {
	name, _ := json.Marshal(broker) // a text always has a form
	topic, _ := json.Marshal(q.topic)
	if o.text.Len() > 0 {
		o.text.WriteByte(',')
	}
	o.text.WriteString(`{"brokerName":` + string(name) + `,"queueId":` + textOf(int64(q.id)) + `,"topic":` + string(topic) + `}:{`)
	for i, f := range fields {
		if i > 0 {
			o.text.WriteByte(',')
		}
		o.text.WriteString(`"` + f.Key + `":` + f.Value)
	}
	o.text.WriteByte('}')
}

// reply answers with the table; before is what stands before it in the body.
func (o *offsetTable) reply(before string) reply {
	return reply{body: []byte("{" + before + `"offsetTable":{` + o.text.String() + "}}")}
}

func (b *Broker) topicStats(cmd *wire.Command) reply {
	name := cmd.Ext.Get("topic")
	topic, ok := b.topics.get(name)
	if !ok {
		return refuse(rocketmq.CodeTopicNotExist, "topic["+wire.TrimRemark(name)+"] not exist")
	}
	var table offsetTable
	for id := range max(topic.ReadQueues, topic.WriteQueues) {
		key := queueKey{name, id}
		low, high := b.store.edges(key)
		table.add(b.Name(), key,
			wire.Field{Key: "lastUpdateTimestamp", Value: textOf(b.store.storedTime(key, high-1))},
			wire.Field{Key: "maxOffset", Value: textOf(high)},
			wire.Field{Key: "minOffset", Value: textOf(low)})
	}
	return table.reply("")
}

func (b *Broker) consumeStats(cmd *wire.Command) reply {
	f := readFields(cmd)
	group, only := f.text("consumerGroup"), cmd.Ext.Get("topic")
	if f.err != nil {
		return badField(f.err)
	}
	topics := []string{only}
	if only == "" {
		topics = b.offsets.topics(group)
	}
	var table offsetTable
	for _, name := range topics {
		topic, ok := b.topics.get(name)
		if !ok {
			continue
		}
		for id := range topic.ReadQueues {
			key := queueKey{name, id}
			_, high := b.store.edges(key)
			at, _ := b.offsets.get(group, key)
			at = max(at, 0)
			table.add(b.Name(), key,
				wire.Field{Key: "brokerOffset", Value: textOf(high)},
				wire.Field{Key: "consumerOffset", Value: textOf(at)},
				wire.Field{Key: "lastTimestamp", Value: textOf(b.store.storedTime(key, at-1))},
				wire.Field{Key: "pullOffset", Value: textOf(at)})
		}
	}
	return table.reply(`"consumeTps":0.0,`)
}

// storedTime is the store time of the message at an offset of a queue, 0 if it is not there.
func (s *store) storedTime(key queueKey, at int64) int64 {
	s.mu.RLock()
	defer s.mu.RUnlock()
	q := s.queues[key]
	if q == nil || at < q.min || at >= q.max() {
		return 0
	}
	return s.storedAt(q.entries[at-q.min])
}

// connection is a client as the tools see it (Java Connection).
type connection struct {
	ClientAddr string `json:"clientAddr"`
	ClientID   string `json:"clientId"`
	Language   string `json:"language"`
	Version    int    `json:"version"`
}

func connectionsOf(clients []Client) []connection {
	out := make([]connection, len(clients))
	for i, c := range clients {
		out[i] = connection{c.Remote.String(), c.ID, c.Language.String(), c.Version}
	}
	return out
}

func (b *Broker) producerConnections(cmd *wire.Command) reply {
	group := cmd.Ext.Get("producerGroup")
	clients := slices.DeleteFunc(b.Clients(), func(c Client) bool { return !slices.Contains(c.ProducerGroups, group) })
	if len(clients) == 0 {
		return refuse(rocketmq.CodeSystemError, "the producer group["+wire.TrimRemark(group)+"] not exist")
	}
	return jsonReply(struct {
		Connections []connection `json:"connectionSet"`
	}{connectionsOf(clients)})
}

// subscriptionJSON is a subscription as the tools see it (Java SubscriptionData).
type subscriptionJSON struct {
	Class      bool     `json:"classFilterMode"`
	Codes      []int32  `json:"codeSet"`
	Type       string   `json:"expressionType"`
	Expression string   `json:"subString"`
	Version    int64    `json:"subVersion"`
	Tags       []string `json:"tagsSet"`
	Topic      string   `json:"topic"`
}

func (b *Broker) consumerConnections(cmd *wire.Command) reply {
	name := cmd.Ext.Get("consumerGroup")
	group, ok := b.clients.group(name)
	if !ok {
		return refuse(codeConsumerNotOnline, "the consumer group["+wire.TrimRemark(name)+"] not online")
	}
	body := struct {
		Connections   []connection                `json:"connectionSet"`
		From          string                      `json:"consumeFromWhere,omitempty"`
		ConsumeType   string                      `json:"consumeType,omitempty"`
		MessageModel  string                      `json:"messageModel,omitempty"`
		Subscriptions map[string]subscriptionJSON `json:"subscriptionTable"`
	}{
		Connections: connectionsOf(slices.DeleteFunc(b.Clients(), func(c Client) bool { return !slices.Contains(c.ConsumerGroups, name) })),
		From:        group.From, ConsumeType: group.ConsumeType, MessageModel: group.MessageModel,
		Subscriptions: make(map[string]subscriptionJSON, len(group.Subscriptions)),
	}
	for _, s := range group.Subscriptions {
		body.Subscriptions[s.Topic] = subscriptionJSON{
			Class: s.Class, Codes: append([]int32{}, s.Codes...), Type: "TAG", Expression: s.Expression, Version: s.Version,
			Tags: append([]string{}, s.Tags()...), Topic: s.Topic,
		}
	}
	return jsonReply(body)
}

func (b *Broker) consumersOf(cmd *wire.Command) reply {
	topic := cmd.Ext.Get("topic")
	groups := make(map[string]bool)
	for _, g := range b.clients.groupsOf(topic) {
		groups[g] = true
	}
	for _, g := range b.offsets.groups(topic) {
		groups[g] = true
	}
	return jsonReply(struct {
		Groups []string `json:"groupList"`
	}{append([]string{}, slices.Sorted(maps.Keys(groups))...)})
}
