package msgtrace

import (
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/liftoff-mq/liftoff/core/rocketmq"
	"github.com/liftoff-mq/liftoff/internal/confjson"
	"github.com/liftoff-mq/liftoff/internal/logqueue"
	"github.com/liftoff-mq/liftoff/internal/plausible"
)

// The defaults of a [Config].
const (
	DefaultTopic     = rocketmq.TraceTopic
	DefaultMaxQueued = 2048
	DefaultMaxCount  = 100
	DefaultLinger    = 500 * time.Millisecond
)

// Config configures a [Trace]. Zero values mean the defaults.
//
// What is data in it can be decoded from YAML, JSON and environment variables; the tags
// have the names. Durations are text there, such as "1.5s".
type Config struct {
	// Topic takes the records, RMQ_SYS_TRACE_TOPIC by default, which brokers have where
	// traceTopicEnable is set. It is a name on the wire: no namespace is put in front.
	Topic string `json:"topic" yaml:"topic" env:"TOPIC"`
	// MaxQueued is how many records wait to be sent, 2,048 by default as in Java, at most
	// 65,536. Beyond it they are dropped and counted. Each keeps the topic, the tag and the keys
	// of its message.
	MaxQueued int `json:"maxQueued" yaml:"maxQueued" env:"MAX_QUEUED"`
	// MaxCount is the most records in one trace message, 100 by default, at most 256. A message
	// ends at 128,000 bytes too, as in Java.
	MaxCount int `json:"maxCount" yaml:"maxCount" env:"MAX_COUNT"`
	// Linger is the longest that a record waits for others, 500 ms by default, at least 1 ms and
	// at most a minute. Records wait less where MaxCount of them have come.
	Linger time.Duration `json:"linger" yaml:"linger" env:"LINGER"`
	// Logger is told when records begin to be lost, and when they arrive again. Nil means
	// silence. Its handler gets the lines on a goroutine of its own.
	Logger *slog.Logger `json:"-" yaml:"-"`
}

// UnmarshalJSON takes durations as text, such as "1.5s", and refuses unknown members.
func (c *Config) UnmarshalJSON(data []byte) error { return confjson.Unmarshal(data, c) }

// MarshalJSON gives what is data and not zero, with durations as text.
func (c Config) MarshalJSON() ([]byte, error) { return confjson.Marshal(c) }

const (
	maxQueued = 1 << 16
	maxCount  = 256
	minLinger = time.Millisecond
	maxLinger = time.Minute
)

// withDefaults fills the zero values and reports everything that is wrong.
func (c Config) withDefaults() (Config, error) {
	if c.Topic == "" {
		c.Topic = DefaultTopic
	}
	if c.MaxQueued == 0 {
		c.MaxQueued = DefaultMaxQueued
	}
	if c.MaxCount == 0 {
		c.MaxCount = DefaultMaxCount
	}
	if c.Linger == 0 {
		c.Linger = DefaultLinger
	}
	c.Logger = logqueue.New(c.Logger).With("component", "rocketmq.msgtrace")
	return c, errors.Join(
		plausible.Named("Topic", checkTopic(c.Topic)),
		plausible.Named("MaxQueued", plausible.Number(c.MaxQueued, 1, maxQueued, "each record that waits takes memory")),
		plausible.Named("MaxCount", plausible.Number(c.MaxCount, 1, maxCount, "the ids of all records are keys of the message")),
		plausible.Named("Linger", plausible.Time(c.Linger, minLinger, maxLinger)),
	)
}

func checkTopic(topic string) error {
	if rocketmq.CheckTopic(topic) != rocketmq.NameOK || rocketmq.IsForbiddenTopic(topic) {
		return fmt.Errorf("%q is no topic that takes messages", topic)
	}
	return nil
}
