package acl

import "github.com/liftoff-mq/liftoff/transport/remoting"

// Secret is [remoting.Secret]: a program that gives credentials needs this package alone.
type Secret = remoting.Secret

// NewSecret is [remoting.NewSecret].
func NewSecret(text string) Secret { return remoting.NewSecret(text) }
