package embedded

// QUERY_ASSIGNMENT (400): a request to a broker of a consumer of 5.x that leaves the sharing out of
// queues to the broker (clientRebalance=false), as pop consumption needs it.
//
// Versions: as a 5.3.3 on which no group is set to pop: every queue is to be pulled. The strategies are
// AVG, the default of clients, and AVG_BY_CIRCLE.
//
// Deviations: other strategies are refused. The mode cannot be set (401), because there is no pop.

import (
	"cmp"
	"encoding/json"
	"slices"

	"github.com/liftoff-mq/liftoff/core/rocketmq"
	"github.com/liftoff-mq/liftoff/transport/wire"
)

type assignmentRequest struct {
	ClientID     string `json:"clientId"`
	Group        string `json:"consumerGroup"`
	MessageModel string `json:"messageModel"`
	Strategy     string `json:"strategyName"`
	Topic        string `json:"topic"`
}

type assignment struct {
	MessageQueue messageQueue `json:"messageQueue"`
	Mode         string       `json:"mode"`
}

func (b *Broker) assign(cmd *wire.Command) reply {
	var req assignmentRequest
	if err := json.Unmarshal(cmd.Body, &req); err != nil {
		return javaException("java.lang.RuntimeException", wire.TrimRemark(err.Error()))
	}
	queues := b.node.cluster.readQueues(req.Topic)
	if req.MessageModel != "BROADCASTING" {
		var clients []string
		for _, c := range b.Clients() { // by id
			if slices.Contains(c.ConsumerGroups, req.Group) {
				clients = append(clients, c.ID)
			}
		}
		switch req.Strategy {
		case "AVG":
			queues = share(queues, clients, req.ClientID)
		case "AVG_BY_CIRCLE":
			queues = shareByCircle(queues, clients, req.ClientID)
		default:
			return refuse(rocketmq.CodeSystemError, "no strategy "+wire.TrimRemark(req.Strategy)+" to share out queues")
		}
	}
	body := struct {
		Assignments []assignment `json:"messageQueueAssignments"`
	}{make([]assignment, len(queues))}
	for i, q := range queues {
		body.Assignments[i] = assignment{q, "PULL"}
	}
	return jsonReply(body)
}

// readQueues returns the queues of a topic that consumers may read, of all brokers that the name
// server knows, by broker and number.
func (c *Cluster) readQueues(topic string) []messageQueue {
	var out []messageQueue
	for _, b := range c.brokers {
		t, ok := b.topics.get(topic)
		if !ok || !b.listed.Load() || routePerm(t.Perm, b.Perm())&rocketmq.PermRead == 0 {
			continue
		}
		for id := range t.ReadQueues {
			out = append(out, messageQueue{BrokerName: b.Name(), QueueID: id, Topic: topic})
		}
	}
	slices.SortStableFunc(out, func(a, b messageQueue) int { return cmp.Compare(a.BrokerName, b.BrokerName) })
	return out
}

// share gives each client a run of queues, the first ones one more (Java AllocateMessageQueueAveragely).
func share(queues []messageQueue, clients []string, me string) []messageQueue {
	i := slices.Index(clients, me)
	if i < 0 {
		return nil
	}
	n, more := len(queues)/len(clients), len(queues)%len(clients)
	from := i*n + min(i, more)
	if i < more {
		n++
	}
	return queues[from : from+n]
}

// shareByCircle deals the queues out one after the other (Java AllocateMessageQueueAveragelyByCircle).
func shareByCircle(queues []messageQueue, clients []string, me string) []messageQueue {
	var out []messageQueue
	for i := range queues {
		if clients != nil && clients[i%len(clients)] == me {
			out = append(out, queues[i])
		}
	}
	return out
}
