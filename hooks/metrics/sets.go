package metrics

import (
	"sync"

	"github.com/liftoff-mq/liftoff/hooks/internal/conventions"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/metric"
)

// maxSets is how many sets with a topic or a broker there are: both are few, but a program
// may make up topics, and a name server brokers, and each set is a time series that is kept
// for good. What comes later is measured without the two, so that all is counted still.
const maxSets = 4096

// maxOther is how many sets without topic and broker there are: one for each operation and
// kind of failure. Errors of the program's own can name any number of kinds; beyond, they are
// of the kind that the conventions have for this, "_OTHER".
const maxOther = 1024

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
	others      int // of known, those without topic and broker
}

func (s *sets) get(k key) *set {
	s.mu.RLock()
	found, ok := s.known[k]
	full := len(s.known)-s.others >= maxSets
	s.mu.RUnlock()
	if ok {
		return found
	}
	if k.topic+k.addr != "" && full {
		return s.get(key{operation: k.operation, failure: k.failure})
	}
	made := s.make(k) // without the lock: it may ask the program
	s.mu.Lock()
	defer s.mu.Unlock()
	if found, ok := s.known[k]; ok {
		return found
	}
	if k.topic+k.addr != "" {
		s.known[k] = made
		return made
	}
	if s.others >= maxOther && k.failure != "" {
		k.failure = conventions.OtherError
		if found, ok := s.known[k]; ok {
			return found
		}
		made = s.make(k)
	}
	s.known[k] = made
	s.others++
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
	if k.operation == conventions.Send || k.operation == conventions.Request {
		duration = append(duration, conventions.SendType())
	}
	return &set{
		add:    []metric.AddOption{metric.WithAttributeSet(attribute.NewSet(sent...))},
		record: []metric.RecordOption{metric.WithAttributeSet(attribute.NewSet(duration...))},
	}
}
