package sendrules

import (
	"errors"
	"fmt"
	"slices"

	"github.com/liftoff-mq/liftoff/core/rocketmq"
	"github.com/liftoff-mq/liftoff/internal/confjson"
	"github.com/liftoff-mq/liftoff/internal/plausible"
	"github.com/liftoff-mq/liftoff/internal/words"
)

// maxBody is the most that a limit of bodies can be: no frame can carry more (Java:
// com.rocketmq.remoting.frameMaxLength).
const maxBody = 16 << 20

// Config has the rules. The zero value has none.
//
// It can be decoded from YAML, JSON and environment variables; the tags have the names.
type Config struct {
	// Key says that a message must have a key ([core.Message].Keys), by which it can be found
	// again.
	Key bool `json:"key" yaml:"key" env:"KEY"`
	// Ordered says that a message must have a place in an order: a sharding key, and a
	// selector that keeps messages of one key in one queue ([core.ConsistentSelector]), or a
	// fixed queue.
	Ordered bool `json:"ordered" yaml:"ordered" env:"ORDERED"`
	// MaxBody is the largest body in bytes, before compression, at most 16 MiB. 0 leaves it to
	// hooks/validate. In a batch it is that of each message.
	MaxBody int `json:"maxBody" yaml:"maxBody" env:"MAX_BODY"`
	// Modes are the ways in which a program may send. None means all.
	Modes []Mode `json:"modes" yaml:"modes" env:"MODES"`
	// Tag says that a message must have a tag.
	Tag bool `json:"tag" yaml:"tag" env:"TAG"`
	// Properties are the names of properties that a message must have, with a value.
	Properties []string `json:"properties" yaml:"properties" env:"PROPERTIES"`
}

// UnmarshalJSON refuses unknown members.
func (c *Config) UnmarshalJSON(data []byte) error { return confjson.Unmarshal(data, c) }

// MarshalJSON gives what is not zero.
func (c Config) MarshalJSON() ([]byte, error) { return confjson.Marshal(c) }

// check reports everything that is wrong.
func (c *Config) check() error {
	errs := []error{plausible.Named("MaxBody", plausible.Number(c.MaxBody, 0, maxBody, "no frame can carry more bytes"))}
	wrong := func(field string, i int, format string, args ...any) {
		errs = append(errs, plausible.Named(fmt.Sprintf("%s[%d]", field, i), fmt.Errorf(format, args...)))
	}
	for i, m := range c.Modes {
		switch {
		case int(m) >= len(modeNames):
			wrong("Modes", i, "is %v, there are %v, %v, %v and %v", m, Sync, Async, Oneway, Batch)
		case slices.Contains(c.Modes[:i], m):
			wrong("Modes", i, "is %v once more", m)
		}
	}
	for i, name := range c.Properties {
		quoted := words.Quote(name)
		switch {
		case rocketmq.IsBlank(name):
			wrong("Properties", i, "is blank: %s", quoted)
		case rocketmq.HasSeparator(name):
			wrong("Properties", i, "is %s, which has a character that separates properties", quoted)
		case rocketmq.IsReservedProperty(name):
			wrong("Properties", i, "is %s, which is RocketMQ's own: no program can set it", quoted)
		case slices.Contains(c.Properties[:i], name):
			wrong("Properties", i, "is %s once more", quoted)
		}
	}
	return errors.Join(errs...)
}
