package selector

import (
	"context"
	"unicode/utf16"

	"github.com/liftoff-mq/liftoff/core"
)

// Hash gives messages with the same [core.Message.ShardingKey] to the same
// queue, and those without one to the queues in turn. It computes the queue
// like Java's SelectMessageQueueByHash, so that producers in both languages
// agree, as long as both see the route's queues in the same order.
//
// The choice is consistent in the sense of [core.ConsistentSelector]: it looks
// at no broker's health and a retry does not leave the queue. When the number of
// queues changes most keys move to another queue, as they do in Java.
//
// In a batch the first message's key decides for all.
func Hash() core.SelectorFactory {
	return newHash("the sharding key", func(m *core.Message) string { return m.ShardingKey })
}

// HashBy is [Hash] with a key of the caller's choice, such as a property. The
// function is called at each attempt, by many goroutines at once; "" means that
// any queue will do. A nil function is a mistake: the result is nil then, and a producer
// refuses it by the name of its field.
func HashBy(key func(m *core.Message) string) core.SelectorFactory {
	if key == nil {
		return (*factory)(nil)
	}
	return newHash("a key of the program's own", key)
}

func newHash(what string, key func(m *core.Message) string) core.SelectorFactory {
	return &factory{
		core.Description{Summary: "hash of " + what + ", as in Java", Settings: []core.Setting{
			{Name: "with a key", Value: "one queue whatever its broker's health"},
			{Name: "without a key", Value: "round-robin"},
			preference,
		}},
		func() core.QueueSelector { return &hash{key: key, rest: newRoundRobin()} },
	}
}

type hash struct {
	key  func(m *core.Message) string
	rest *roundRobin
}

var _ core.ConsistentSelector = (*hash)(nil)

// Select implements [core.QueueSelector].
func (h *hash) Select(ctx context.Context, sel *core.Selection) (int, error) {
	key := h.key(sel.Message())
	if key == "" {
		return h.rest.Select(ctx, sel)
	}
	// Java: abs(hashCode % n). The remainder of an int64 cannot be the one
	// value that has no absolute.
	i := int64(JavaHash(key)) % int64(sel.Len())
	return int(max(i, -i)), nil
}

// RequiresConsistency implements [core.ConsistentSelector].
func (h *hash) RequiresConsistency(m *core.Message) bool { return h.key(m) != "" }

// JavaHash is Java's String.hashCode: over UTF-16 units, so that a character
// beyond U+FFFF counts as its two surrogates. A byte that is not UTF-8 counts as
// U+FFFD, which is what Java makes of it when it decodes the string.
func JavaHash(s string) int32 {
	var h int32
	for _, r := range s {
		if high, low := utf16.EncodeRune(r); high != '\uFFFD' {
			h = 31*h + high
			r = low
		}
		h = 31*h + r
	}
	return h
}
