package embedded

import (
	"context"
	"net"
	"net/netip"
	"sync"
	"sync/atomic"

	"github.com/liftoff-mq/liftoff/core/rocketmq"
	"github.com/liftoff-mq/liftoff/transport/wire"
)

// Broker is one master broker of a cluster.
type Broker struct {
	node         *node
	topics       topicTable
	store        *store
	delayed      delayed
	transactions transactions
	clients      clients
	offsets      offsets
	locks        locks
	groups       groups
	perm         atomic.Int64
	listed       atomic.Bool   // the name server knows it
	next         atomic.Uint64 // for requests that leave the queue to the broker
	ids          atomic.Uint32 // for messages without an id of their own
	pushes       atomic.Int32  // opaque of requests to clients, of Ask too
	pushing      bytesUnderWay // replies that wait for their clients' answers
	life         sync.Mutex    // held by Start, Stop and Kill
}

func newBroker(c *Cluster, name, addr string) *Broker {
	b := &Broker{node: newNode(c, name, addr), store: newStore(c.cfg.MaxStoredBytes)}
	s := b.store
	for _, table := range [...]*quota{
		&b.topics.size, &b.groups.size, &b.clients.size, &b.clients.wanted, &b.offsets.size, &b.locks.size, &s.size, &s.waiting,
	} {
		table.limit = c.cfg.MaxTableBytes
	}
	b.pushing.limit = c.cfg.MaxTableBytes
	b.node.handle = b.handle
	b.node.gone = b.gone
	b.perm.Store(rocketmq.PermRead | rocketmq.PermWrite)
	levels := len(c.cfg.DelayLevels)
	b.topics.put(Topic{Name: rocketmq.ScheduleTopic, ReadQueues: levels, WriteQueues: levels, Perm: rocketmq.PermRead | rocketmq.PermWrite})
	b.topics.put(Topic{Name: rocketmq.TimerTopic, ReadQueues: 1, WriteQueues: 1, Perm: rocketmq.PermRead | rocketmq.PermWrite})
	b.topics.put(c.replyTopic())
	if !c.cfg.NoAutoCreateTopics {
		b.topics.put(Topic{
			Name: rocketmq.DefaultTopic, ReadQueues: c.cfg.Queues, WriteQueues: c.cfg.Queues,
			Perm: rocketmq.PermInherit | rocketmq.PermRead | rocketmq.PermWrite,
		})
	}
	return b
}

// Name returns the broker's name.
func (b *Broker) Name() string { return b.node.name }

// Addr returns the address that routes carry, host:port. It stays the same over Stop and Start.
func (b *Broker) Addr() string { return b.node.advertised() }

// Stop shuts the broker down in order: the name server drops it from all routes, the port and
// all connections close. Topics and messages are kept.
func (b *Broker) Stop() {
	b.life.Lock()
	defer b.life.Unlock()
	b.listed.Store(false)
	b.node.stop()
}

// Kill is [Broker.Stop] of which the name server learns nothing, as for some time after SIGKILL:
// routes still carry the broker.
func (b *Broker) Kill() {
	b.life.Lock()
	defer b.life.Unlock()
	b.node.stop()
}

// Start listens again, on the same port, with the topics and messages from before. Ctx bounds
// the call. Starting a running broker does nothing.
func (b *Broker) Start(ctx context.Context) error {
	b.life.Lock()
	defer b.life.Unlock()
	if err := b.node.start(ctx); err != nil {
		return err
	}
	b.store.setHost(hostOf(b.node.advertised()))
	b.listed.Store(true)
	b.deliverOverdue()
	return nil
}

// hostOf is the store host of messages: that of the routes, if it is an address and not a name.
func hostOf(addr string) netip.AddrPort {
	host, err := netip.ParseAddrPort(addr)
	if err != nil {
		return netip.AddrPort{}
	}
	return host
}

// host is the broker's host as remarks name it.
func (b *Broker) host() string {
	host, _, err := net.SplitHostPort(b.Addr())
	if err != nil {
		return b.Addr()
	}
	return host
}

// Running reports whether the broker has been started and not stopped since.
func (b *Broker) Running() bool { return b.node.running() }

// Pause stops the broker as SIGSTOP would: connections stay open and new ones can be made,
// routes still carry it, but nothing is answered until Resume or Stop.
func (b *Broker) Pause() { b.node.paused.set(true) }

// Resume ends Pause; what arrived meanwhile is handled now.
func (b *Broker) Resume() { b.node.paused.set(false) }

// SetReadPaused stops or resumes the reading of all connections; answers still go out. The
// client's side fills its socket.
func (b *Broker) SetReadPaused(paused bool) { b.node.reading.set(paused) }

// SetPerm sets the broker's permission, of rocketmq.PermRead and rocketmq.PermWrite. Without the latter
// its queues stop being writable in routes, and sends that still come are refused with code 16.
func (b *Broker) SetPerm(perm int) { b.perm.Store(int64(perm)) }

// Perm returns the broker's permission.
func (b *Broker) Perm() int { return int(b.perm.Load()) }

// Connections is how many connections are open.
func (b *Broker) Connections() int { return len(b.node.connections()) }

// Dropped is how many messages have been dropped because of [Config.MaxStoredBytes].
func (b *Broker) Dropped() int64 { return b.store.droppedCount() }

// Push sends a request to every connected client, as brokers do for transaction checks and
// changes of consumer groups, and returns to how many. The opaque is chosen by the broker;
// answers are dropped. Connections that are stuck in a write get it later. [Broker.Ask] waits for
// the answer of one client.
func (b *Broker) Push(cmd wire.Command) (clients int, err error) {
	cmd.Flag &^= wire.FlagResponse
	for _, c := range b.node.connections() {
		cmd.Opaque = b.pushes.Add(1)
		frame, err := wire.AppendCommand(nil, &cmd)
		if err != nil {
			return clients, err
		}
		c.sendNow(frame)
		clients++
	}
	return clients, nil
}

func (b *Broker) data() wire.BrokerData {
	return wire.BrokerData{
		Cluster: b.node.cluster.cfg.ClusterName, BrokerName: b.Name(), Addrs: map[int64]string{rocketmq.MasterID: b.Addr()},
	}
}

func (b *Broker) handle(c *conn, cmd *wire.Command) reply {
	switch cmd.Code {
	case wire.SendMessage, wire.SendMessageV2, wire.SendBatchMessage:
		return b.send(c, cmd)
	case wire.SendReplyMessage, wire.SendReplyMessageV2:
		return b.sendReply(c, cmd)
	case wire.RecallMessage:
		return b.recall(c, cmd)
	}
	if r, refused := b.refuseStatic(cmd); refused {
		return r
	}
	switch cmd.Code {
	case wire.HeartBeat:
		return b.heartbeat(c, cmd)
	case wire.EndTransaction:
		return b.endTransaction(cmd)
	case wire.UnregisterClient:
		return b.unregister(c, cmd)
	case wire.PullMessage, litePullMessage:
		return b.pull(c, cmd)
	case wire.ConsumerSendMsgBack:
		return b.sendBack(cmd)
	case wire.CheckClientConfig:
		return b.checkClient(cmd)
	case wire.GetConsumerListByGroup:
		return b.consumerList(cmd)
	case wire.QueryConsumerOffset:
		return b.queryOffset(cmd)
	case wire.UpdateConsumerOffset:
		return b.updateOffset(cmd)
	case wire.QueryAssignment:
		return b.assign(cmd)
	case wire.SearchOffsetByTimestamp:
		return b.searchOffset(cmd)
	case wire.GetMaxOffset:
		return b.edgeOffset(cmd, true)
	case wire.GetMinOffset:
		return b.edgeOffset(cmd, false)
	case wire.GetEarliestMsgStoreTime:
		return b.earliestTime(cmd)
	case wire.ViewMessageByID:
		return b.viewMessage(cmd)
	case wire.QueryMessage:
		return b.queryMessage(cmd)
	case wire.UpdateAndCreateTopic:
		return b.createTopic(cmd)
	case wire.DeleteTopicInBroker:
		return b.deleteTopic(cmd)
	case wire.GetTopicConfig:
		return b.topicConfig(cmd)
	case wire.UpdateAndCreateSubscription:
		return b.putGroup(cmd)
	case wire.DeleteSubscriptionGroup:
		return b.deleteGroup(cmd)
	case wire.GetSubscriptionGroupConfig:
		return b.getGroup(cmd)
	case wire.GetTopicStatsInfo:
		return b.topicStats(cmd)
	case wire.GetConsumeStats:
		return b.consumeStats(cmd)
	case wire.GetConsumerConnectionList:
		return b.consumerConnections(cmd)
	case wire.GetProducerConnectionList:
		return b.producerConnections(cmd)
	case wire.QueryTopicConsumeByWho:
		return b.consumersOf(cmd)
	case wire.LockBatchMQ:
		return b.lockQueues(cmd)
	case wire.UnlockBatchMQ:
		return b.unlockQueues(cmd)
	}
	return b.node.notSupported(cmd.Code)
}
