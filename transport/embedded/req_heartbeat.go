package embedded

// HEART_BEAT (34), UNREGISTER_CLIENT (35), GET_CONSUMER_LIST_BY_GROUP (38), CHECK_CLIENT_CONFIG (46): requests
// to a broker.
//
// Versions: as 5.3.3, with the shortened heartbeat (fingerprint). A group is forgotten when its
// client unregisters or its connection ends. When the members of a consumer group change, those
// that are left are told (NOTIFY_CONSUMER_IDS_CHANGED, 40), so that they share the queues anew.
//
// Deviations: clients that fall silent on an open connection are not forgotten after two
// minutes. A heartbeat with a subscription by other expressions than tags is refused, where a
// real broker that filters by tags alone refuses only the pulls: the consumer's log then says why at
// once. The other groups of such a heartbeat are registered, its own is not.

import (
	"cmp"
	"encoding/json"
	"maps"
	"net/netip"
	"slices"
	"sync"
	"time"

	"github.com/liftoff-mq/liftoff/core/rocketmq"
	"github.com/liftoff-mq/liftoff/transport/wire"
)

// Client is a client that has sent heartbeats to a broker.
type Client struct {
	ID             string
	ProducerGroups []string // sorted
	ConsumerGroups []string // sorted
	Language       wire.Language
	Version        int
	Remote         netip.AddrPort
	// Conn is the connection of the last heartbeat, as in [Request].
	Conn          uint64
	LastHeartbeat time.Time
	Heartbeats    int
	fingerprint   int32
	conn          *conn
	// producing has the producer groups that each connection has brought. replies is where replies
	// go: the last connection that brought a group which it had not brought before (Java:
	// ProducerManager.clientChannelTable). It is nil after any group has left, and after any
	// connection with groups has ended, until a connection brings a new group again.
	producing map[*conn][]string
	replies   *conn
	size      int // as the table's quota has it
}

// clients is a broker's table of clients and of what their consumer groups want.
type clients struct {
	mu     sync.Mutex
	byID   map[string]*Client
	size   quota
	groups map[string]wire.Consumer
	wanted quota  // of groups, as subscriptionSize has it
	turn   uint64 // of those that are asked
}

// Clients returns the clients of the named broker, sorted by id; nil for an unknown broker.
func (c *Cluster) Clients(broker string) []Client {
	if b := c.Broker(broker); b != nil {
		return b.Clients()
	}
	return nil
}

// Clients returns the clients that have sent heartbeats and neither unregistered nor
// disconnected since, sorted by id.
func (b *Broker) Clients() []Client {
	b.clients.mu.Lock()
	defer b.clients.mu.Unlock()
	out := make([]Client, 0, len(b.clients.byID))
	for _, c := range b.clients.byID {
		own := *c
		own.conn, own.replies, own.producing = nil, nil, nil
		own.ProducerGroups, own.ConsumerGroups = slices.Clone(c.ProducerGroups), slices.Clone(c.ConsumerGroups)
		out = append(out, own)
	}
	slices.SortFunc(out, func(a, b Client) int { return cmp.Compare(a.ID, b.ID) })
	return out
}

// ProducerGroups returns the sorted names of all producer groups with a live client.
func (b *Broker) ProducerGroups() []string {
	seen := make(map[string]bool)
	for _, c := range b.Clients() {
		for _, g := range c.ProducerGroups {
			seen[g] = true
		}
	}
	return slices.Sorted(maps.Keys(seen))
}

func (b *Broker) heartbeat(c *conn, cmd *wire.Command) reply {
	h, err := wire.ParseHeartbeat(cmd.Body)
	if err != nil {
		return javaException("java.lang.RuntimeException", wire.TrimRemark(err.Error()))
	}
	t := &b.clients
	t.mu.Lock()
	client := t.byID[h.ClientID]
	changed := false
	if client == nil {
		if t.byID == nil {
			t.byID = make(map[string]*Client)
		}
		client = &Client{ID: h.ClientID}
		t.byID[h.ClientID] = client
	} else {
		changed = h.Fingerprint != client.fingerprint
	}
	client.Language, client.Version = cmd.Language, cmd.Version
	client.Remote, client.Conn, client.conn = c.remote, c.id, c
	client.LastHeartbeat = time.Now()
	client.Heartbeats++
	client.fingerprint = h.Fingerprint
	// Groups are added, never taken away: those leave by unregistering.
	client.ProducerGroups = union(client.ProducerGroups, h.ProducerGroups)
	if brought := union(client.producing[c], h.ProducerGroups); len(brought) > len(client.producing[c]) {
		if client.producing == nil {
			client.producing = make(map[*conn][]string)
		}
		client.producing[c], client.replies = brought, c
	}
	var refusal reply
	var news []string
	for _, consumer := range h.Consumers {
		if r := unfiltered(consumer.Subscriptions); r.code != rocketmq.CodeSuccess {
			refusal = r
			continue
		}
		fresh, ok := t.subscribe(consumer, h.WithoutSub)
		if !ok {
			refusal = refuse(rocketmq.CodeSystemBusy, "too many subscriptions")
			continue
		}
		changed = changed || fresh && h.WithoutSub
		if fresh || !slices.Contains(client.ConsumerGroups, consumer.Group) {
			news = append(news, consumer.Group)
		}
		client.ConsumerGroups = union(client.ConsumerGroups, []string{consumer.Group})
	}
	if !t.measure(client) {
		t.remove(client)
		t.forget(client.ConsumerGroups)
		t.mu.Unlock()
		return refuse(rocketmq.CodeSystemBusy, "too many clients")
	}
	t.mu.Unlock()
	for _, consumer := range h.Consumers {
		if group, ok := b.groups.get(consumer.Group); ok {
			b.backTopic(rocketmq.RetryPrefix+consumer.Group, group.RetryQueues)
		}
	}
	b.notify(news)
	if refusal.code != rocketmq.CodeSuccess {
		return refusal
	}
	change := "true"
	if h.Fingerprint != 0 && !changed {
		change = "false"
	}
	return reply{ext: wire.Fields{{Key: "IS_SUPPORT_HEART_BEAT_V2", Value: "true"}, {Key: "IS_SUB_CHANGE", Value: change}}}
}

// unfiltered refuses subscriptions by other expressions than tags, as a broker does without
// enablePropertyFilter.
func unfiltered(subscriptions []wire.Subscription) reply {
	for i := range subscriptions {
		if s := &subscriptions[i]; !s.IsTag() {
			return refuse(rocketmq.CodeSystemError, "The broker does not support consumer to filter message by "+wire.TrimRemark(s.Type)).without("filters by other expressions than tags")
		}
	}
	return reply{}
}

func (b *Broker) checkClient(cmd *wire.Command) reply {
	s, err := wire.ParseClientCheck(cmd.Body)
	if err != nil {
		return javaException("java.lang.RuntimeException", wire.TrimRemark(err.Error()))
	}
	return unfiltered([]wire.Subscription{s})
}

// measure counts what a client takes now. It reports false if there is no room. The caller holds
// the lock.
func (t *clients) measure(c *Client) bool {
	size := entrySize(c.ID)
	add := func(groups []string) {
		for _, g := range groups {
			size += 16 + len(g)
		}
	}
	add(c.ProducerGroups)
	add(c.ConsumerGroups)
	for _, groups := range c.producing {
		size += entryBytes
		add(groups)
	}
	if !t.size.take(size - c.size) {
		return false
	}
	c.size = size
	return true
}

// remove forgets a client. The caller holds the lock.
func (t *clients) remove(c *Client) {
	t.size.give(c.size)
	delete(t.byID, c.ID)
}

func union(have, add []string) []string {
	for _, s := range add {
		if i, found := slices.BinarySearch(have, s); !found && len(have) < wire.MaxHeartbeatGroups {
			have = slices.Insert(have, i, s)
		}
	}
	return have
}

func (b *Broker) unregister(c *conn, cmd *wire.Command) reply {
	u, err := wire.ParseUnregister(cmd)
	if err != nil {
		return reply{} // a client without a name was never known; real brokers do not mind either
	}
	t := &b.clients
	t.mu.Lock()
	var left []string
	if client := t.byID[u.ClientID]; client != nil {
		if slices.Contains(client.ConsumerGroups, u.ConsumerGroup) {
			left = append(left, u.ConsumerGroup)
		}
		without := func(groups []string, group string) []string {
			return slices.DeleteFunc(groups, func(g string) bool { return g == group })
		}
		if slices.Contains(client.ProducerGroups, u.ProducerGroup) {
			client.replies = nil
			client.producing[c] = without(client.producing[c], u.ProducerGroup)
		}
		client.ProducerGroups = without(client.ProducerGroups, u.ProducerGroup)
		client.ConsumerGroups = without(client.ConsumerGroups, u.ConsumerGroup)
		if len(client.ProducerGroups)+len(client.ConsumerGroups) == 0 {
			t.remove(client)
		} else {
			t.measure(client) // it has become smaller
		}
		t.forget(left)
	}
	t.mu.Unlock()
	b.notify(left)
	return reply{}
}

// gone forgets the clients of a connection that has ended.
func (b *Broker) gone(c *conn) {
	t := &b.clients
	t.mu.Lock()
	var left []string
	for _, client := range t.byID {
		if len(client.producing[c]) > 0 {
			client.replies = nil
		}
		delete(client.producing, c)
		if client.conn == c {
			left = union(left, client.ConsumerGroups)
			t.remove(client)
		} else {
			t.measure(client) // it may have become smaller
		}
	}
	t.forget(left)
	t.mu.Unlock()
	b.notify(left)
}

// notify tells the members of consumer groups that the members have changed.
func (b *Broker) notify(groups []string) {
	for _, group := range groups {
		b.clients.mu.Lock()
		var members []*conn
		for _, client := range b.clients.byID {
			if slices.Contains(client.ConsumerGroups, group) {
				members = append(members, client.conn)
			}
		}
		b.clients.mu.Unlock()
		for _, c := range members {
			frame, err := wire.AppendCommand(nil, &wire.Command{
				Code: wire.NotifyConsumerIDsChanged, Language: wire.LanguageJava, Version: serverVersion, Opaque: b.pushes.Add(1),
				Flag: wire.FlagOneway, Ext: wire.Fields{{Key: "consumerGroup", Value: group}},
			})
			if err != nil {
				b.node.log.Debug("a consumer group cannot be announced", "error", err)
				continue
			}
			// Nobody waits here for a peer that does not read, and such a one hears no more.
			if c.queue(frame) == nil {
				b.node.cluster.spawn(c.flush)
			}
		}
	}
}

func (b *Broker) consumerList(cmd *wire.Command) reply {
	group := cmd.Ext.Get("consumerGroup")
	list := struct {
		ConsumerIDs []string `json:"consumerIdList"`
	}{}
	for _, c := range b.Clients() {
		if slices.Contains(c.ConsumerGroups, group) {
			list.ConsumerIDs = append(list.ConsumerIDs, c.ID)
		}
	}
	if len(list.ConsumerIDs) == 0 {
		return refuse(rocketmq.CodeSystemError, "no consumer for this group, "+wire.TrimRemark(group))
	}
	body, err := json.Marshal(list)
	if err != nil {
		return javaException("java.lang.RuntimeException", err.Error())
	}
	return reply{body: body}
}
