package requestreply

import (
	"errors"
	"log/slog"

	"github.com/liftoff-mq/liftoff/internal/confjson"
	"github.com/liftoff-mq/liftoff/internal/logqueue"
	"github.com/liftoff-mq/liftoff/internal/plausible"
)

// The defaults of a [Config].
const (
	DefaultMaxWaiting      = 4096
	DefaultMaxWaitingBytes = 64 << 20
	DefaultMaxReplyBytes   = 4 << 20
)

// Config configures a [Requester]. Zero values mean the defaults.
//
// What is data in it can be decoded from YAML, JSON and environment variables; the tags have
// the names.
type Config struct {
	// MaxWaiting is how many requests may be under way, 4,096 by default. One more fails at once
	// with [core.ErrTooManyInFlight]. The inbox of a producer has room for so many replies; with
	// more requests than that, replies that all come at the same moment may find none.
	MaxWaiting int `json:"maxWaiting" yaml:"maxWaiting" env:"MAX_WAITING"`
	// MaxWaitingBytes bounds the bytes of their bodies, 64 MiB by default. A request that is
	// larger is taken while no other is under way.
	MaxWaitingBytes int64 `json:"maxWaitingBytes" yaml:"maxWaitingBytes" env:"MAX_WAITING_BYTES"`
	// MaxReplyBytes is the longest body of a reply, unpacked, 4 MiB by default: what brokers
	// take in a message. A request with a longer reply fails with [ErrBadReply].
	MaxReplyBytes int `json:"maxReplyBytes" yaml:"maxReplyBytes" env:"MAX_REPLY_BYTES"`
	// Unpack unpacks the body of a reply that a codec packed, to at most limit bytes. Java's
	// clients pack bodies from 4 KiB, so without it a request with such a reply fails with
	// [ErrBadReply]. liftoff.NewRequester and the fx module give the one of hooks/compress.
	Unpack func(codec string, packed []byte, limit int) ([]byte, error) `json:"-" yaml:"-"`
	// Logger gets what no error can report, such as a panic of a function that was to be told
	// of a reply. Nil means silence. Its handler gets the lines on a goroutine of its own.
	Logger *slog.Logger `json:"-" yaml:"-"`
}

// UnmarshalJSON refuses unknown members.
func (c *Config) UnmarshalJSON(data []byte) error { return confjson.Unmarshal(data, c) }

// MarshalJSON gives what is data and not zero.
func (c Config) MarshalJSON() ([]byte, error) { return confjson.Marshal(c) }

const (
	maxWaiting      = 1 << 20
	maxWaitingBytes = 1 << 40
	maxReplyBytes   = 1 << 30
)

// withDefaults fills the zero values and reports everything that is wrong.
func (c Config) withDefaults() (Config, error) {
	if c.MaxWaiting == 0 {
		c.MaxWaiting = DefaultMaxWaiting
	}
	if c.MaxWaitingBytes == 0 {
		c.MaxWaitingBytes = DefaultMaxWaitingBytes
	}
	if c.MaxReplyBytes == 0 {
		c.MaxReplyBytes = DefaultMaxReplyBytes
	}
	c.Logger = logqueue.New(c.Logger).With("component", "rocketmq.requestreply")
	return c, errors.Join(
		plausible.Named("MaxWaiting", plausible.Number(int64(c.MaxWaiting), 1, maxWaiting, "each request that waits takes a goroutine")),
		plausible.Named("MaxWaitingBytes", plausible.Number(c.MaxWaitingBytes, 1, maxWaitingBytes, "it bounds memory, in bytes")),
		plausible.Named("MaxReplyBytes", plausible.Number(int64(c.MaxReplyBytes), 1, maxReplyBytes, "it counts bytes")),
	)
}
