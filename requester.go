package liftoff

import (
	"github.com/liftoff-mq/liftoff/core/requestreply"
	"github.com/liftoff-mq/liftoff/hooks/compress"
)

// NewRequester makes a requester, with which a producer makes requests and waits for replies;
// see package [requestreply]. It is given to the producer with [WithHooks], and each producer
// needs its own. Replies that Java's or other clients packed are unpacked, unless cfg has an
// Unpack of its own.
func NewRequester(cfg requestreply.Config) (*requestreply.Requester, error) {
	if cfg.Unpack == nil {
		cfg.Unpack = compress.Unpack
	}
	return requestreply.New(cfg)
}
