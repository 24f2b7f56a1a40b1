// Package namespace lets several tenants share a cluster: on the wire topic and
// group carry the namespace in front, "tenant%orders" for "orders" (Java:
// NamespaceUtil, namespace version 1).
//
// [New] makes a step for the shape stage of message scope. It changes the topic
// on the wire, never the user's message, and gives each message the property
// INSTANCE_ID. Operations, such as a recall, get the same topic as the sends that
// they are about. The producer's group is configuration, so the program wraps it
// itself, with [WrapGroup].
//
// The second version of namespaces (5.2.0 on) changes no topic and no group: the client names
// the tenant in the header of each request, see NamespaceV2 of
// [github.com/liftoff-mq/liftoff/transport/remoting.Config]. A cluster has one or the other.
package namespace

import (
	"context"
	"fmt"
	"maps"
	"strings"
	"sync/atomic"

	"github.com/liftoff-mq/liftoff/core"
	"github.com/liftoff-mq/liftoff/core/rocketmq"
)

// MaxLength is the longest namespace in bytes: it leaves room for a topic.
const MaxLength = 100

const (
	// maxCached bounds the table of wrapped topics; a topic beyond it costs one
	// allocation a send.
	maxCached = 256
)

var (
	_ core.Interceptor          = (*Namespace)(nil)
	_ core.OperationInterceptor = (*Namespace)(nil)
	_ core.Describer            = (*Namespace)(nil)
)

// Namespace is the step that wraps topics. It is safe for concurrent use and
// allocates nothing for a topic that it has seen before.
type Namespace struct {
	name string
	// seen maps topics to their wrapped form. It is copied on write, because it
	// is read at every send and written once a topic.
	seen atomic.Pointer[map[string]string]
}

// New makes the step for one namespace; [Check] says what a name may be.
func New(name string) (*Namespace, error) {
	if err := Check(name); err != nil {
		return nil, err
	}
	n := &Namespace{name: name}
	n.seen.Store(&map[string]string{})
	return n, nil
}

// Check reports what is wrong with a namespace's name: it has 1 to [MaxLength]
// bytes of [a-zA-Z0-9_-|]. The percent sign, which topics may have, ends it on
// the wire.
func Check(name string) error {
	switch {
	case name == "":
		return fmt.Errorf("namespace: name is empty")
	case len(name) > MaxLength:
		return fmt.Errorf("namespace: name has %d bytes, at most %d are allowed", len(name), MaxLength)
	}
	for i := 0; i < len(name); i++ {
		if name[i] == '%' || !rocketmq.NameChar(name[i]) {
			return fmt.Errorf("namespace: name %q has characters other than | a-z A-Z 0-9 _ -", name)
		}
	}
	return nil
}

// Name is the namespace.
func (n *Namespace) Name() string { return n.name }

// Describe names the namespace.
func (n *Namespace) Describe() core.Description {
	return core.Description{Summary: "topics in a namespace", Settings: []core.Setting{{Name: "namespace", Value: n.name}}}
}

// Step places the step: "namespace", in the shape stage of message scope.
func (n *Namespace) Step() core.Step {
	return core.CallStep("namespace", core.StageShape, n)
}

// Intercept wraps the topic of every message of the call. A topic that gets
// longer than the protocol's 127 bytes is an invalid message.
//
// It leaves the wrapped topic in place afterwards, since wrapping it again
// changes nothing: a step further out may run the call a second time.
func (n *Namespace) Intercept(ctx context.Context, call *core.Call, next core.Handler) (*core.Result, error) {
	for o := range call.All() {
		if o.Reply() {
			continue // a cluster has one topic for the replies of all namespaces
		}
		topic, err := n.wrap(o.Topic())
		if err != nil {
			return nil, err
		}
		o.SetTopic(topic)
		o.SetProperty(rocketmq.PropertyInstanceID, n.name)
	}
	return next(ctx, call)
}

// InterceptOperation wraps the topic of an operation, by the rules of Intercept.
func (n *Namespace) InterceptOperation(ctx context.Context, op *core.Operation, next core.OperationHandler) error {
	topic, err := n.wrap(op.Target())
	if err != nil {
		return err
	}
	op.SetTarget(topic)
	return next(ctx, op)
}

func (n *Namespace) wrap(topic string) (string, error) {
	if w, ok := (*n.seen.Load())[topic]; ok {
		return w, nil
	}
	w := Wrap(n.name, topic)
	if len(w) > rocketmq.MaxTopicLength {
		return "", fmt.Errorf("%w: topic has %d bytes with its namespace %q, at most %d are allowed",
			core.ErrInvalidMessage, len(w), n.name, rocketmq.MaxTopicLength)
	}
	n.remember(strings.Clone(topic), w) // the topic may be part of something large
	return w, nil
}

func (n *Namespace) remember(topic, wrapped string) {
	for {
		old := n.seen.Load()
		if len(*old) >= maxCached {
			return
		}
		table := maps.Clone(*old)
		table[topic] = wrapped
		if n.seen.CompareAndSwap(old, &table) {
			return
		}
	}
}
