package selector

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/liftoff-mq/liftoff/core"
	"github.com/liftoff-mq/liftoff/internal/absent"
	"github.com/liftoff-mq/liftoff/internal/confjson"
	"github.com/liftoff-mq/liftoff/internal/plausible"
)

// Hash gives messages with the same [core.Message.OrderKey], a sharding key or a lite
// topic, to the same queue, and those without one to the queues in turn. It computes the queue
// like Java's SelectMessageQueueByHash, so that producers in both languages
// agree, as long as both see the route's queues in the same order. [NewHash] has other
// functions.
//
// The choice is consistent in the sense of [core.ConsistentSelector]: it looks
// at no broker's health and a retry does not leave the queue. When the number of
// queues changes most keys move to another queue, as they do in Java.
//
// How even it is depends on the keys: a key that many messages have fills its queue. Of many
// random keys each queue gets the same number, give or take what chance does (a standard
// deviation of the square root of keys/queues); [HashJava] says of which keys it does not. In
// a batch the first message's key decides for all.
func Hash() core.SelectorFactory {
	return newHash(HashConfig{})
}

// HashBy is [Hash] with a key of the caller's choice, such as a property. The
// function is called at each attempt, by many goroutines at once; "" means that
// any queue will do. A nil function is a mistake: the result is nil then, and a producer
// refuses it by the name of its field.
func HashBy(key func(m *core.Message) string) core.SelectorFactory {
	if key == nil {
		return (*outer)(nil)
	}
	return newHash(HashConfig{Key: key})
}

// HashConfig configures a hash selector. Its zero value is [Hash].
//
// What is data in it can be decoded from YAML, JSON and environment variables; the tags
// have the names.
type HashConfig struct {
	// Function is the way from a key to a queue, [HashJava] by default.
	Function HashFunc `json:"function" yaml:"function" env:"FUNCTION"`
	// Key gives a message's key, by default [core.Message.OrderKey]. It is called at each attempt, by
	// many goroutines at once; "" means that any queue will do.
	Key func(m *core.Message) string `json:"-" yaml:"-"`
	// Rest chooses for messages without a key, [RoundRobin] by default. It listens, if it is
	// a listener, as it would by itself.
	Rest core.SelectorFactory `json:"-" yaml:"-"`
}

// UnmarshalJSON refuses unknown members.
func (c *HashConfig) UnmarshalJSON(data []byte) error { return confjson.Unmarshal(data, c) }

// MarshalJSON gives what is data and not zero.
func (c HashConfig) MarshalJSON() ([]byte, error) { return confjson.Marshal(c) }

// NewHash makes a selector like [Hash] with another function, key, or selector for the rest.
// A pick by a remainder costs a walk over the key; the consistent functions say what they cost.
// None allocates.
func NewHash(cfg HashConfig) (core.SelectorFactory, error) {
	var errs []error
	if _, err := cfg.Function.MarshalText(); err != nil {
		errs = append(errs, plausible.Named("Function", errors.New("is "+cfg.Function.String()+"; there are "+strings.Join(hashFuncNames, ", "))))
	}
	if cfg.Rest != nil && absent.Is(cfg.Rest) {
		errs = append(errs, plausible.Named("Rest", fmt.Errorf("is a nil %T", cfg.Rest)))
	}
	if err := errors.Join(errs...); err != nil {
		return nil, fmt.Errorf("selector hash: %w", err)
	}
	return newHash(cfg), nil
}

// newHash makes the factory of a valid configuration.
func newHash(cfg HashConfig) core.SelectorFactory {
	what := "a key of the program's own"
	if cfg.Key == nil {
		what, cfg.Key = "the sharding key", (*core.Message).OrderKey
	}
	own := cfg.Rest != nil
	if !own {
		cfg.Rest = RoundRobin()
	}
	o := outer{
		inner: []core.SelectorFactory{cfg.Rest},
		say: func(rest []core.Description) core.Description {
			d := core.Description{Summary: "hash of " + what + ", " + hashFuncTexts[cfg.Function], Settings: []core.Setting{
				{Name: "with a key", Value: "one queue whatever its broker's health"},
			}}
			if own {
				d.Settings = append(d.Settings, core.Setting{Name: "without a key", Value: rest[0].String()})
			} else {
				d.Settings = append(d.Settings, core.Setting{Name: "without a key", Value: "round-robin"}, preference)
			}
			return d
		},
		around: func(rest []core.QueueSelector) (core.QueueSelector, requirer) {
			h := &hash{key: cfg.Key, function: cfg.Function, rest: rest[0], restConsistent: consistencyOf(rest[0])}
			h.scores.make = scoresOf
			return h, h
		},
	}
	return o.factory()
}

type hash struct {
	key            func(m *core.Message) string
	function       HashFunc
	scores         perRoute[scores]
	rest           core.QueueSelector
	restConsistent requirer
}

// Select implements [core.QueueSelector].
func (h *hash) Select(ctx context.Context, sel *core.Selection) (int, error) {
	key := h.key(sel.Message())
	switch {
	case key == "":
		return h.rest.Select(ctx, sel)
	case h.function == HashRendezvous:
		return h.scores.of(sel.Route()).highest(key), nil
	}
	return h.function.remainder(key, sel.Len()), nil
}

// RequiresConsistency implements [core.ConsistentSelector].
func (h *hash) RequiresConsistency(m *core.Message) bool {
	return h.key(m) != "" || requires(h.restConsistent, m)
}
