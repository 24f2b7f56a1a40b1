package embedded

// GET_ROUTEINFO_BY_TOPIC (105), GET_BROKER_CLUSTER_INFO (106), GET_ALL_TOPIC_LIST_FROM_NAMESERVER (206),
// GET_KV_CONFIG (101), DELETE_KV_CONFIG (102), GET_KVLIST_BY_NAMESPACE (219): requests to a name server.
//
// Versions: as 4.9.4 to 5.3.3. The route is standard JSON for clients of 4.9.4 and later and for
// those who ask for it; others get bare integer keys, as the cluster information always has them.
//
// Deviations: a route is made from the brokers' state when it is asked for, so that it is never
// behind; a broker's permission narrows the topic's in it, as a real broker's registration does.
// There is no configuration, and none can be put (100): a route has no order configuration. No
// filter servers; all brokers are masters.

import (
	"encoding/json"
	"slices"
	"strings"

	"github.com/liftoff-mq/liftoff/core/rocketmq"
	"github.com/liftoff-mq/liftoff/transport/wire"
)

func (s *NameServer) route(cmd *wire.Command) reply {
	topic := cmd.Ext.Get("topic")
	c := s.node.cluster
	var r wire.RouteData
	for _, b := range c.brokers {
		t, ok := b.topics.get(topic)
		if !ok || !b.listed.Load() {
			continue
		}
		r.Queues = append(r.Queues, wire.QueueData{
			BrokerName: b.Name(), ReadQueueNums: t.ReadQueues, WriteQueueNums: t.WriteQueues,
			Perm: routePerm(t.Perm, b.Perm()), TopicSysFlag: t.SysFlag,
		})
		r.Brokers = append(r.Brokers, b.data())
	}
	if len(r.Brokers) == 0 {
		return refuse(rocketmq.CodeTopicNotExist, "No topic route info in name server for the topic: "+wire.TrimRemark(topic))
	}
	r.Mappings = c.static.mappings(topic)
	style := wire.BareKeys
	if cmd.Version >= wire.V4_9_4 || strings.EqualFold(cmd.Ext.Get("acceptStandardJsonOnly"), "true") {
		style = wire.StandardKeys
	}
	return reply{body: wire.AppendRoute(nil, &r, style)}
}

// routePerm is a topic's permission as the broker registers it: a broker that may do everything
// leaves it alone, the bit for inheriting included.
func routePerm(topic, broker int) int {
	if broker&(rocketmq.PermRead|rocketmq.PermWrite) == rocketmq.PermRead|rocketmq.PermWrite {
		return topic
	}
	return topic & broker
}

func (s *NameServer) clusterInfo() reply {
	var brokers []wire.BrokerData
	for _, b := range s.node.cluster.brokers {
		if b.listed.Load() {
			brokers = append(brokers, b.data())
		}
	}
	return reply{body: wire.AppendClusterInfo(nil, brokers, wire.BareKeys)}
}

func (s *NameServer) topicList() reply {
	var names []string
	for _, b := range s.node.cluster.brokers {
		if b.listed.Load() {
			names = append(names, b.topics.names()...)
		}
	}
	slices.Sort(names)
	list := struct {
		TopicList []string `json:"topicList"`
	}{TopicList: slices.Compact(names)}
	body, err := json.Marshal(list)
	if err != nil {
		return javaException("java.lang.RuntimeException", err.Error())
	}
	return reply{body: body}
}

// Request codes that package wire does not name.
const (
	deleteKVConfig       = 102
	getKVListByNamespace = 219
)

// noConfiguration is the answer to a question for a configuration value, of which there are none.
func noConfiguration(cmd *wire.Command) reply {
	remark := "No config item, Namespace: " + wire.TrimRemark(cmd.Ext.Get("namespace"))
	if cmd.Code == wire.GetKVConfig {
		remark += " Key: " + wire.TrimRemark(cmd.Ext.Get("key"))
	}
	return refuse(codeQueryNotFound, remark)
}
