package embedded

import (
	"slices"

	"github.com/liftoff-mq/liftoff/transport/wire"
)

// subscriptionSize is what remembering a consumer group costs, about.
func subscriptionSize(c *wire.Consumer) int {
	n := 256 + len(c.Group) + len(c.ConsumeType) + len(c.MessageModel) + len(c.From)
	for i := range c.Subscriptions {
		s := &c.Subscriptions[i]
		n += 128 + len(s.Topic) + len(s.Expression) + len(s.Type) + 4*len(s.Codes)
	}
	return n
}

// subscribe remembers what a consumer group wants, and reports whether it is something new. The
// last heartbeat of any of its clients counts; an expression is replaced by a newer one only (Java
// ConsumerGroupInfo.updateSubscription). A heartbeat without subscriptions changes nothing of a
// known group; an unknown one is something new, so that the client sends them. It reports !ok if there
// is no room. The caller holds the lock.
func (t *clients) subscribe(c wire.Consumer, withoutSub bool) (changed, ok bool) {
	old, known := t.groups[c.Group]
	if withoutSub && known {
		return false, true
	}
	for i, s := range c.Subscriptions {
		j := slices.IndexFunc(old.Subscriptions, func(o wire.Subscription) bool { return o.Topic == s.Topic })
		if j < 0 || s.Version > old.Subscriptions[j].Version {
			changed = true
		} else {
			c.Subscriptions[i] = old.Subscriptions[j]
		}
	}
	changed = changed || withoutSub || len(c.Subscriptions) != len(old.Subscriptions)
	more := subscriptionSize(&c)
	if known {
		more -= subscriptionSize(&old)
	}
	if !t.wanted.take(more) {
		return false, false
	}
	if t.groups == nil {
		t.groups = make(map[string]wire.Consumer)
	}
	t.groups[c.Group] = c
	return changed, true
}

// forget drops groups without a client. The caller holds the lock.
func (t *clients) forget(groups []string) {
	for _, group := range groups {
		old, known := t.groups[group]
		alive := false
		for _, client := range t.byID {
			alive = alive || slices.Contains(client.ConsumerGroups, group)
		}
		if known && !alive {
			t.wanted.give(subscriptionSize(&old))
			delete(t.groups, group)
		}
	}
}

// group returns what is known of a consumer group that has a client. It must not be changed.
func (t *clients) group(name string) (wire.Consumer, bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	group, ok := t.groups[name]
	return group, ok
}

// groupsOf returns the groups that want a topic.
func (t *clients) groupsOf(topic string) []string {
	t.mu.Lock()
	defer t.mu.Unlock()
	var out []string
	for name, group := range t.groups {
		if slices.ContainsFunc(group.Subscriptions, func(s wire.Subscription) bool { return s.Topic == topic }) {
			out = append(out, name)
		}
	}
	return out
}
