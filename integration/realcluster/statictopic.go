package realcluster

import (
	"context"
	"encoding/json"
	"fmt"
	"strconv"
	"strings"
	"time"
)

// A static topic (5.x) has logical queues: its number of queues is fixed, each is led by one broker, and a queue can be
// given to another broker. Brokers keep a logical queue in a queue of their own, which mostly has another number.

// LogicalQueue says where a logical queue of a static topic is.
type LogicalQueue struct {
	Broker   string // leads it
	Physical int    // the number of the broker's own queue that holds it
}

// CreateStaticTopic makes a static topic over the named brokers, or over all masters, and returns when the name server's
// route shows all its queues.
func (c *Cluster) CreateStaticTopic(ctx context.Context, topic string, queues int, brokers ...string) error {
	return c.mapQueues(ctx, "create", topic, queues, c.orAll(brokers))
}

// RemapStaticTopic gives the queues of a static topic to the named brokers, and returns when the name server's route
// shows that no other broker leads one.
func (c *Cluster) RemapStaticTopic(ctx context.Context, topic string, queues int, brokers ...string) error {
	return c.mapQueues(ctx, "remap", topic, queues, brokers)
}

func (c *Cluster) mapQueues(ctx context.Context, what, topic string, queues int, brokers []string) error {
	if err := c.admin(ctx, "StaticTopic", what, topic, strconv.Itoa(queues), strings.Join(brokers, ",")); err != nil {
		return err
	}
	return c.waitLed(ctx, topic, queues, brokers)
}

// LogicalQueues are the logical queues of a static topic by number, as the name server knows them.
func (c *Cluster) LogicalQueues(ctx context.Context, topic string) (map[int]LogicalQueue, error) {
	_, body, err := c.call(ctx, c.NameServer(), codeRoute, map[string]string{"topic": topic})
	if err != nil {
		return nil, err
	}
	var route struct {
		TopicQueueMappingByBroker map[string]struct {
			CurrIDMap map[int]int `json:"currIdMap"`
			Epoch     int64       `json:"epoch"`
		} `json:"topicQueueMappingByBroker"`
	}
	if err := json.Unmarshal(body, &route); err != nil {
		return nil, err
	}
	led := make(map[int]LogicalQueue)
	epochs := make(map[int]int64)
	for broker, m := range route.TopicQueueMappingByBroker {
		for id, physical := range m.CurrIDMap {
			if m.Epoch >= epochs[id] {
				led[id], epochs[id] = LogicalQueue{broker, physical}, m.Epoch
			}
		}
	}
	return led, nil
}

// waitLed waits until each queue is led by one of the brokers, and each broker leads one.
func (c *Cluster) waitLed(ctx context.Context, topic string, queues int, brokers []string) error {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	return poll(ctx, 20*time.Millisecond, func() error {
		led, err := c.LogicalQueues(ctx, topic)
		if err != nil {
			return err
		}
		leads := make(map[string]int)
		for _, q := range led {
			leads[q.Broker]++
		}
		sum := 0
		for _, b := range brokers {
			if leads[b] == 0 {
				return fmt.Errorf("%s leads no queue of %s: %v", b, topic, led)
			}
			sum += leads[b]
		}
		if sum != queues || len(led) != queues {
			return fmt.Errorf("%v lead %d of %d queues of %s: %v", brokers, sum, queues, topic, led)
		}
		return nil
	})
}
