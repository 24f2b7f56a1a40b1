package core

import (
	"context"
	"errors"
	"slices"

	"github.com/liftoff-mq/liftoff/internal/absent"
)

// PolicyFeed is a [PolicySource] whose policies change while the producer runs, such as a file
// that is read again. As [Config].Policies it is not asked for
// policies itself: what Begin gives is.
//
// A feed that is a [Service] is started with the producer, before everything
// but [Config].Own, and shut down after it.
type PolicyFeed interface {
	PolicySource
	// Begin gives the policies of now. They do not change.
	Begin() PolicySource
	// Follow is called when the producer is made; a feed may have several producers. From then
	// on the feed calls set, which is [Producer.SetPolicies], when there are other policies: from
	// a goroutine of its own, but not in Follow, Start and Shutdown. It forgets a set that gives
	// [ErrClosed]. An error of Follow's is NewProducer's.
	Follow(set func(context.Context, PolicySource) error) error
}

// feed takes the policies of a feed, and what gives it life, into the configuration. It is nil
// without one.
func (c *Config) feed() (f PolicyFeed, err error) {
	f, ok := c.Policies.(PolicyFeed)
	if !ok {
		return nil, nil
	}
	defer containPanic("policy feed", &err)
	if s, ok := f.(Service); ok && !slices.ContainsFunc(c.Own, func(o Service) bool { return same(o, s) }) {
		c.Own = append(c.Own, s)
	}
	if c.Policies = f.Begin(); absent.Is(c.Policies) {
		return nil, errors.New("the policy feed began with nil")
	}
	return f, nil
}

// follow tells the feed of the producer.
func (p *Producer) follow(f PolicyFeed) (err error) {
	if f == nil {
		return nil
	}
	defer containPanic("policy feed", &err)
	return f.Follow(p.SetPolicies)
}
