package embedded

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"

	"github.com/liftoff-mq/liftoff/core/rocketmq"
)

// Topic is a topic's configuration on one broker.
type Topic struct {
	Name        string
	ReadQueues  int
	WriteQueues int
	// Perm holds rocketmq.PermRead and rocketmq.PermWrite; on the topic TBW102 also rocketmq.PermInherit.
	Perm    int
	SysFlag int
	// Order and MessageType, such as FIFO, are kept and have no effect, as at a real broker.
	Order       bool
	MessageType string
}

// topicTable is the topics of one broker.
type topicTable struct {
	mu     sync.RWMutex
	topics map[string]Topic
	size   quota
}

func (t *topicTable) get(name string) (Topic, bool) {
	t.mu.RLock()
	defer t.mu.RUnlock()
	topic, ok := t.topics[name]
	return topic, ok
}

// put adds or replaces a topic. It reports false if the table is full.
func (t *topicTable) put(topic Topic) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.set(topic)
}

func (t *topicTable) set(topic Topic) bool {
	if t.topics == nil {
		t.topics = make(map[string]Topic)
	}
	topic.Name = strings.Clone(topic.Name)
	if _, there := t.topics[topic.Name]; !there && !t.size.take(entrySize(topic.Name)) {
		return false
	}
	t.topics[topic.Name] = topic
	return true
}

func (t *topicTable) remove(name string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if _, there := t.topics[name]; there {
		t.size.give(entrySize(name))
		delete(t.topics, name)
	}
}

// create returns the topic, made from the settings of another one if it does not exist and the
// other one allows it (Java TopicConfigManager.createTopicInSendMessageMethod).
func (t *topicTable) create(name, from string, queues int) (Topic, bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if topic, ok := t.topics[name]; ok {
		return topic, true
	}
	model, ok := t.topics[from]
	if !ok || model.Perm&rocketmq.PermInherit == 0 {
		return Topic{}, false
	}
	n := max(0, min(queues, model.WriteQueues))
	topic := Topic{Name: name, ReadQueues: n, WriteQueues: n, Perm: model.Perm &^ rocketmq.PermInherit}
	return topic, t.set(topic)
}

func (t *topicTable) names() []string {
	t.mu.RLock()
	defer t.mu.RUnlock()
	return slices.Collect(maps.Keys(t.topics))
}

// illegalTopic returns why a broker refuses the name, in its words, or "" (Java TopicValidator).
func illegalTopic(topic string) string {
	switch rocketmq.CheckName(topic, rocketmq.MaxTopicLength) {
	case rocketmq.NameBlank:
		return "The specified topic is blank."
	case rocketmq.NameBadChar:
		return "The specified topic contains illegal characters, allowing only ^[%|a-zA-Z0-9_-]+$"
	case rocketmq.NameTooLong:
		return "The specified topic is longer than topic max length."
	}
	return ""
}

// maxGroupLength is the longest name of a consumer group (Java Validators.CHARACTER_MAX_LENGTH).
const maxGroupLength = 255

// illegalGroup reports whether brokers make no subscription group of the name (Java
// SubscriptionGroupManager.findSubscriptionGroupConfig). An empty name is legal there.
func illegalGroup(group string) bool {
	return group != "" && rocketmq.CheckName(group, maxGroupLength) != rocketmq.NameOK
}

// illegalName returns why a broker cannot have the name, or "".
func illegalName(name string) string {
	switch rocketmq.CheckName(name, rocketmq.MaxTopicLength) {
	case rocketmq.NameBlank, rocketmq.NameTooLong:
		return "1 to 127 characters are allowed"
	case rocketmq.NameBadChar:
		return "letters, digits, percent, bar, underscore and hyphen are allowed"
	}
	return ""
}

// Topics returns the names of the topics of all brokers, their system topics included, sorted.
func (c *Cluster) Topics() []string {
	var names []string
	for _, b := range c.brokers {
		names = append(names, b.topics.names()...)
	}
	slices.Sort(names)
	return slices.Compact(names)
}

// CreateTopic gives a topic that many readable and writable queues on the named brokers, on all
// if none is named. An existing topic is changed. Errors: an unknown broker, an illegal name, a
// number of queues outside 0 to 65536.
func (c *Cluster) CreateTopic(topic string, queues int, brokers ...string) error {
	return c.PutTopic(Topic{Name: topic, ReadQueues: queues, WriteQueues: queues, Perm: rocketmq.PermRead | rocketmq.PermWrite}, brokers...)
}

// PutTopic is [Cluster.CreateTopic] with everything that can be set.
func (c *Cluster) PutTopic(topic Topic, brokers ...string) error {
	if remark := illegalTopic(topic.Name); remark != "" {
		return fmt.Errorf("embedded: %s", remark)
	}
	if topic.ReadQueues < 0 || topic.ReadQueues > maxQueues || topic.WriteQueues < 0 || topic.WriteQueues > maxQueues {
		return fmt.Errorf("embedded: topic %s: 0 to %d queues are allowed", topic.Name, maxQueues)
	}
	on := c.brokers
	if len(brokers) > 0 {
		on = nil
		for _, name := range brokers {
			b := c.Broker(name)
			if b == nil {
				return fmt.Errorf("embedded: no broker %q", name)
			}
			on = append(on, b)
		}
	}
	for _, b := range on {
		if !b.topics.put(topic) {
			return fmt.Errorf("embedded: broker %s has too many topics", b.Name())
		}
	}
	return nil
}
