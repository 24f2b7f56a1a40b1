package metrics

import (
	"sync"

	"github.com/liftoff-mq/liftoff/hooks/internal/conventions"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/metric"
)

// maxSets bounds the kept sets: topics, brokers and kinds of failure are few, but
// a program that makes up topics must not fill the memory.
const maxSets = 4096

// key is what the attributes depend on.
type key struct {
	operation            conventions.Operation
	topic, addr, failure string
}

// set holds the attributes of a key as the instruments take them.
type set struct {
	record []metric.RecordOption
	add    []metric.AddOption
}

// sets keeps the set of each key.
type sets struct {
	namespace   string
	destination func(string) string
	more        []attribute.KeyValue
	mu          sync.RWMutex
	known       map[key]*set
}

func (s *sets) get(k key) *set {
	s.mu.RLock()
	found, ok := s.known[k]
	s.mu.RUnlock()
	if ok {
		return found
	}
	made := s.make(k)
	s.mu.Lock()
	defer s.mu.Unlock()
	if found, ok := s.known[k]; ok {
		return found
	}
	if len(s.known) < maxSets {
		s.known[k] = made
	}
	return made
}

func (s *sets) make(k key) *set {
	topic := k.topic
	if s.destination != nil && topic != "" {
		topic = s.destination(topic)
	}
	const room = 8
	sent := conventions.AppendCount(append(make([]attribute.KeyValue, 0, room), s.more...), k.operation, s.namespace, topic)
	if k.addr != "" {
		sent = conventions.AppendServer(sent, k.addr)
	}
	if k.failure != "" {
		sent = append(sent, conventions.ErrorTypeName(k.failure))
	}
	duration := sent[:len(sent):len(sent)]
	if k.operation == conventions.Send {
		duration = append(duration, conventions.SendType())
	}
	return &set{
		add:    []metric.AddOption{metric.WithAttributeSet(attribute.NewSet(sent...))},
		record: []metric.RecordOption{metric.WithAttributeSet(attribute.NewSet(duration...))},
	}
}
