package admin

import (
	"context"
	"fmt"
	"net"
	"slices"
	"strconv"
	"strings"
	"sync"

	"github.com/liftoff-mq/liftoff/core"
	"github.com/liftoff-mq/liftoff/core/refusal"
	"github.com/liftoff-mq/liftoff/core/rocketmq"
	"github.com/liftoff-mq/liftoff/internal/words"
	"github.com/liftoff-mq/liftoff/transport/remoting"
	"github.com/liftoff-mq/liftoff/transport/wire"
)

// MessageType is what the messages of a topic are, from 5.0 on. Proxies refuse others; brokers
// do not look at it. The zero value changes nothing: a new topic then takes messages of every kind.
type MessageType string

// The types (Java: TopicMessageType). Later versions may know more.
const (
	TypeNormal      MessageType = "NORMAL"
	TypeFIFO        MessageType = "FIFO"
	TypeDelay       MessageType = "DELAY"
	TypeTransaction MessageType = "TRANSACTION"
	TypeMixed       MessageType = "MIXED" // only with the brokers' enableMixedMessageType
)

// DefaultQueues is how many queues a topic gets at each broker (Java: UpdateTopicSubCommand).
const DefaultQueues = 8

// Topic is how a topic is to be, at each broker. A topic that exists takes all of it over, but
// for the message type where none is given.
type Topic struct {
	Name string
	// Queues is how many queues producers may send to, 8 by default.
	Queues int
	// ReadQueues is how many queues consumers read, as many as Queues by default. It is greater
	// while a topic gets fewer queues, until what is in the others was consumed.
	ReadQueues int
	// Perm is what may be done with it, [rocketmq.PermRead] and [rocketmq.PermWrite] by default.
	Perm int
	// Type is what its messages are; none by default.
	Type MessageType
	// Order says that the order of its messages matters. It is a mark for tools and consumers of
	// the topic; brokers do the same with or without it.
	Order bool
}

// Place says where a topic is to be. At most one of the two is set. With neither it is every
// master of the cluster, if the name servers know of only one.
type Place struct {
	Cluster string // every master of this cluster
	Broker  string // one broker, by its name or by its address host:port
}

func (t *Topic) withDefaults() error {
	if t.Queues == 0 {
		t.Queues = DefaultQueues
	}
	if t.ReadQueues == 0 {
		t.ReadQueues = t.Queues
	}
	if t.Perm == 0 {
		t.Perm = rocketmq.PermRead | rocketmq.PermWrite
	}
	switch {
	case rocketmq.CheckName(t.Name, rocketmq.MaxTopicLength) != rocketmq.NameOK:
		return invalid("topic %s: a name has 1 to %d letters, digits, _, -, %% and |", words.Quote(t.Name), rocketmq.MaxTopicLength)
	case rocketmq.IsSystemTopic(t.Name):
		return invalid("topic %s is one of RocketMQ's own", t.Name)
	case min(t.Queues, t.ReadQueues) < 1 || max(t.Queues, t.ReadQueues) > wire.MaxRouteQueues:
		return invalid("topic %s: %d queues, %d of them to read: want 1 to %d", t.Name, t.Queues, t.ReadQueues, wire.MaxRouteQueues)
	case t.Perm&^(rocketmq.PermRead|rocketmq.PermWrite) != 0:
		return invalid("topic %s: permission %d: want %d to read, %d to write or both", t.Name, t.Perm, rocketmq.PermRead, rocketmq.PermWrite)
	case strings.Trim(string(t.Type), "ABCDEFGHIJKLMNOPQRSTUVWXYZ") != "" || len(t.Type) > 64:
		return invalid("topic %s: message type %s: want one such as %s", t.Name, words.Quote(string(t.Type)), TypeFIFO)
	}
	return nil
}

func (t *Topic) fields() wire.Fields {
	f := wire.Fields{
		{Key: "topic", Value: t.Name},
		{Key: "defaultTopic", Value: rocketmq.DefaultTopic},
		{Key: "readQueueNums", Value: strconv.Itoa(t.ReadQueues)},
		{Key: "writeQueueNums", Value: strconv.Itoa(t.Queues)},
		{Key: "perm", Value: strconv.Itoa(t.Perm)},
		{Key: "topicFilterType", Value: "SINGLE_TAG"},
		{Key: "topicSysFlag", Value: "0"},
		{Key: "order", Value: strconv.FormatBool(t.Order)},
	}
	if t.Type != "" {
		f = append(f, wire.Field{Key: "attributes", Value: "+message.type=" + string(t.Type)})
	}
	return f
}

// CreateTopic makes a topic, or changes one that exists, with UPDATE_AND_CREATE_TOPIC (17) at
// each broker of a place (Java: DefaultMQAdminExt.createAndUpdateTopicConfig). It returns the
// names of the brokers that have it now, sorted; those that do not are in a *[BrokersError].
// To do it again does no harm. A name server may need a moment before its route has the topic.
//
// A place that the name servers do not know is an error that matches [core.ErrNoRoute].
func (a *Admin) CreateTopic(ctx context.Context, t Topic, at Place) ([]string, error) {
	if err := t.withDefaults(); err != nil {
		return nil, err
	}
	brokers, err := a.place(ctx, at)
	if err != nil {
		return nil, err
	}
	var mu sync.Mutex
	var done []string
	err = a.each(ctx, "create topic "+t.Name, brokers, func(ctx context.Context, b broker) error {
		answer, err := a.ask(ctx, b, wire.UpdateAndCreateTopic, t.fields())
		if err != nil {
			return err
		}
		mu.Lock()
		done = append(done, b.name)
		mu.Unlock()
		if t.Type != "" && answer.Version < wire.V5_0_0 {
			return fmt.Errorf("%w: message types: the broker is older than 5.0, and the topic is there without one", core.ErrUnsupported)
		}
		return nil
	})
	slices.Sort(done)
	return done, err
}

// place finds the masters of a place.
func (a *Admin) place(ctx context.Context, at Place) ([]broker, error) {
	if at.Cluster != "" && at.Broker != "" {
		return nil, invalid("both cluster %s and broker %s are given", words.Quote(at.Cluster), words.Quote(at.Broker))
	}
	if _, _, err := net.SplitHostPort(at.Broker); err == nil {
		return []broker{{name: at.Broker, addr: at.Broker}}, nil
	}
	known, err := a.clusterInfo(ctx)
	if err != nil {
		return nil, err
	}
	var found []wire.BrokerData
	var clusters, names []string
	for _, b := range known {
		clusters, names = append(clusters, b.Cluster), append(names, b.BrokerName)
		switch {
		case at.Broker != "" && b.BrokerName != at.Broker, at.Cluster != "" && b.Cluster != at.Cluster:
		default:
			found = append(found, b)
		}
	}
	slices.Sort(clusters)
	clusters = slices.Compact(clusters)
	switch {
	case len(known) == 0:
		return nil, fmt.Errorf("%w: the name server knows no broker", core.ErrNoRoute)
	case len(found) == 0 && at.Broker != "":
		return nil, fmt.Errorf("%w: no broker %s; there are %s", core.ErrNoRoute, words.Quote(at.Broker), list(names))
	case len(found) == 0:
		return nil, fmt.Errorf("%w: no cluster %s; there are %s", core.ErrNoRoute, words.Quote(at.Cluster), list(clusters))
	case at == Place{} && len(clusters) > 1:
		return nil, invalid("there are the clusters %s: one of them or a broker is wanted", list(clusters))
	}
	return mastersOf(found), nil
}

// list shows some of a name server's names.
func list(names []string) string {
	more := ""
	if len(names) > maxShown {
		names, more = names[:maxShown], ", ..."
	}
	return words.Line(strings.Join(names, ", "), wire.MaxRemark) + more
}

// clusterInfo asks a name server for all brokers.
func (a *Admin) clusterInfo(ctx context.Context) ([]wire.BrokerData, error) {
	ctx, cancel := a.bound(ctx)
	defer cancel()
	answer, err := a.client.DoNameServer(ctx, wire.Command{Code: wire.GetBrokerClusterInfo})
	if err != nil {
		return nil, err
	}
	const server = "the name server"
	if answer.Code != int(rocketmq.CodeSuccess) {
		return nil, refusal.Of(rocketmq.ResponseCode(answer.Code), wire.TrimRemark(answer.Remark), server)
	}
	brokers, err := wire.ParseClusterInfo(answer.Body)
	if err != nil {
		return nil, &remoting.AnswerError{Addr: server, Err: fmt.Errorf("cluster: %w", err)}
	}
	return brokers, nil
}
