package realcluster

import (
	"context"
	"encoding/json"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/liftoff-mq/liftoff/core/rocketmq"
)

// What may be done with a topic.
const (
	ReadOnly  = 4
	ReadWrite = 6
)

// CreateTopic makes a topic with that many queues on each named broker (on all masters when none is named), and
// returns when the name server's route shows those brokers.
func (c *Cluster) CreateTopic(ctx context.Context, topic string, queues int, brokers ...string) error {
	return c.SetTopic(ctx, topic, queues, ReadWrite, brokers...)
}

// SetTopic is CreateTopic with a permission, for new topics and for those that are there.
func (c *Cluster) SetTopic(ctx context.Context, topic string, queues, perm int, brokers ...string) error {
	return c.setTopic(ctx, topic, queues, perm, "", brokers)
}

// CreateTypedTopic is CreateTopic for messages of one type only, such as DELAY, which a proxy sees to (5.x).
func (c *Cluster) CreateTypedTopic(ctx context.Context, topic, messageType string, queues int) error {
	return c.setTopic(ctx, topic, queues, ReadWrite, "+message.type="+messageType, nil)
}

func (c *Cluster) setTopic(ctx context.Context, topic string, queues, perm int, attributes string, brokers []string) error {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	brokers = c.orAll(brokers)
	n := strconv.Itoa(queues)
	for _, b := range brokers {
		_, _, err := c.call(ctx, c.BrokerAddr(b), codeCreateTopic, map[string]string{
			"topic": topic, "defaultTopic": rocketmq.DefaultTopic, "readQueueNums": n, "writeQueueNums": n, "perm": strconv.Itoa(perm),
			"topicFilterType": "SINGLE_TAG", "topicSysFlag": "0", "order": "false",
			"attributes": attributes,
		})
		if err != nil {
			return fmt.Errorf("create topic %s on %s: %w", topic, b, err)
		}
	}
	err := poll(ctx, 20*time.Millisecond, func() error {
		_, body, err := c.call(ctx, c.NameServer(), codeRoute, map[string]string{"topic": topic})
		for _, b := range brokers {
			if err == nil && !strings.Contains(string(body), `"`+b+`"`) {
				err = fmt.Errorf("no %s in its route", b)
			}
		}
		return err
	})
	if err != nil {
		return fmt.Errorf("topic %s does not appear at the name server: %w", topic, err)
	}
	return nil
}

// RouteBrokers are the brokers that the name server names for a topic, none if it does not know the topic.
func (c *Cluster) RouteBrokers(ctx context.Context, topic string) ([]string, error) {
	answer, body, err := c.exchange(ctx, c.NameServer(), codeRoute, map[string]string{"topic": topic, "acceptStandardJsonOnly": "true"}, nil)
	switch {
	case err != nil:
		return nil, err
	case answer.Code == codeNoTopic:
		return nil, nil
	case answer.Code != 0:
		return nil, fmt.Errorf("route of %s: code %d %s", topic, answer.Code, answer.Remark)
	}
	var route struct {
		QueueDatas []struct{ BrokerName string }
	}
	if err := json.Unmarshal(body, &route); err != nil {
		return nil, fmt.Errorf("route of %s: %w", topic, err)
	}
	var names []string
	for _, q := range route.QueueDatas {
		names = append(names, q.BrokerName)
	}
	return names, nil
}

// SetOrder gives a topic an order configuration, such as "broker-a:4;broker-b:4". The name server hands it out if it
// was started with the setting namesrv:orderMessageEnable=true.
func (c *Cluster) SetOrder(ctx context.Context, topic, conf string) error {
	_, _, err := c.call(ctx, c.NameServer(), codePutKVConfig, map[string]string{
		"namespace": "ORDER_TOPIC_CONFIG", "key": topic, "value": conf,
	})
	return err
}

// Stored is the number of messages that a topic has ever got: the sum of its queues' next offsets, on the named
// brokers or on all. Of a static topic these are the queues in which brokers really store, so queues is the greatest
// number that one broker has.
func (c *Cluster) Stored(ctx context.Context, topic string, queues int, brokers ...string) (int64, error) {
	var sum int64
	for _, b := range c.orAll(brokers) {
		for q := range queues {
			n, err := c.QueueStored(ctx, topic, q, b)
			if err != nil {
				return 0, err
			}
			sum += n
		}
	}
	return sum, nil
}

// QueueStored is the number of messages that one queue of a broker has ever got: the offset that the next one gets.
func (c *Cluster) QueueStored(ctx context.Context, topic string, queue int, broker string) (int64, error) {
	n, err := c.queueStored(ctx, topic, queue, broker)
	if err != nil {
		return 0, fmt.Errorf("offset of %s[%d] on %s: %w", topic, queue, broker, err)
	}
	return n, nil
}

func (c *Cluster) queueStored(ctx context.Context, topic string, queue int, broker string) (int64, error) {
	if !c.ipv6 {
		if err := c.dispatched(ctx, broker); err != nil {
			return 0, err
		}
		return c.nextOffset(ctx, topic, queue, broker)
	}
	// A broker that has stored a message with an IPv6 address fails at its runtime info (Java: IndexOutOfBoundsException), so
	// dispatched cannot ask it. An offset that does not grow for a second has to do.
	n, err := c.nextOffset(ctx, topic, queue, broker)
	for before := int64(-1); err == nil && n != before; {
		before = n
		time.Sleep(time.Second)
		n, err = c.nextOffset(ctx, topic, queue, broker)
	}
	return n, err
}

func (c *Cluster) nextOffset(ctx context.Context, topic string, queue int, broker string) (int64, error) {
	answer, _, err := c.call(ctx, c.BrokerAddr(broker), codeMaxOffset, map[string]string{
		"topic": topic, "queueId": strconv.Itoa(queue), "committed": "false",
		"lo": "false", // the broker's own queue, also in a static topic
	})
	if err != nil {
		return 0, err
	}
	return strconv.ParseInt(answer.ExtFields["offset"], 10, 64)
}

// dispatched waits until the queues have all that the broker's log has now. A broker acknowledges a message when it is in
// the log, and puts it into its queue a moment later (Java: ReputMessageService): until then an offset is too small.
func (c *Cluster) dispatched(ctx context.Context, broker string) error {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	logged := int64(-1)
	return poll(ctx, 20*time.Millisecond, func() error {
		_, body, err := c.call(ctx, c.BrokerAddr(broker), codeRuntimeInfo, nil)
		if err != nil {
			return err
		}
		var info struct {
			Table struct {
				Logged int64 `json:"commitLogMaxOffset,string"`
				Behind int64 `json:"dispatchBehindBytes,string"`
			}
		}
		if err := json.Unmarshal(body, &info); err != nil {
			return fmt.Errorf("runtime info: %w", err)
		}
		if logged < 0 {
			logged = info.Table.Logged
		}
		if now := info.Table.Logged - info.Table.Behind; now < logged {
			return fmt.Errorf("%d of the log's %d bytes are in queues", now, logged)
		}
		return nil
	})
}

// InSync is the number of replicas of a controlled broker that are in sync, of which one is the master.
func (c *Cluster) InSync(ctx context.Context, broker string) (int, error) {
	_, body, err := c.callBody(ctx, local(c.ports.base+1), codeSyncState, nil, fmt.Appendf(nil, "[%q]", broker))
	if err != nil {
		return 0, err
	}
	var state struct {
		Table map[string]struct {
			InSyncReplicas []struct{ BrokerID int }
		} `json:"replicasInfoTable"`
	}
	if err := json.Unmarshal(body, &state); err != nil {
		return 0, fmt.Errorf("sync state: %w", err)
	}
	return len(state.Table[broker].InSyncReplicas), nil
}

// Written is the number of bytes in the brokers' commit logs.
func (c *Cluster) Written(ctx context.Context) (int64, error) {
	var sum int64
	for _, b := range c.brokers {
		_, body, err := c.call(ctx, b.Addr, codeRuntimeInfo, nil)
		if err != nil {
			return 0, err
		}
		var info struct{ Table map[string]string }
		if err := json.Unmarshal(body, &info); err != nil {
			return 0, fmt.Errorf("runtime info: %w", err)
		}
		n, err := strconv.ParseInt(info.Table["commitLogMaxOffset"], 10, 64)
		if err != nil {
			return 0, fmt.Errorf("runtime info has no commitLogMaxOffset: %w", err)
		}
		sum += n
	}
	return sum, nil
}

// SetBroker changes a broker's setting while it runs. A setting that it does not know changes nothing.
func (c *Cluster) SetBroker(ctx context.Context, broker, key, value string) error {
	return c.admin(ctx, "updateBrokerConfig", "-b", c.BrokerAddr(broker), "-k", key, "-v", value)
}

// admin runs RocketMQ's admin tool. The tool exits with 0 whatever happens, so its output is looked at. Of some failures it
// says nothing, so the caller has to look at what it did.
func (c *Cluster) admin(ctx context.Context, command string, args ...string) error {
	out, err := c.script(ctx, "mqadmin", append([]string{c.dir, command}, args...)...)
	if err == nil && strings.Contains(out, "SubCommandException") {
		err = fmt.Errorf("mqadmin %s %s:\n%s", command, strings.Join(args, " "), out)
	}
	return err
}

// Ready waits until the brokers can tell how much they have written: their statistics need a second after the start.
func (c *Cluster) Ready(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	return poll(ctx, 200*time.Millisecond, func() error {
		_, err := c.Written(ctx)
		return err
	})
}

// Settle waits until the topic's count and the logs no longer grow, and returns both.
func (c *Cluster) Settle(ctx context.Context, topic string, queues int) (stored, written int64, err error) {
	const quiet = 300 * time.Millisecond
	for {
		s, err := c.Stored(ctx, topic, queues)
		if err != nil {
			return 0, 0, err
		}
		w, err := c.Written(ctx)
		if err != nil {
			return 0, 0, err
		}
		if s == stored && w == written {
			return s, w, nil
		}
		stored, written = s, w
		select {
		case <-ctx.Done():
			return 0, 0, context.Cause(ctx)
		case <-time.After(quiet):
		}
	}
}

// orAll is the named brokers or, if there are none, all.
func (c *Cluster) orAll(named []string) []string {
	if len(named) > 0 {
		return named
	}
	for _, b := range c.brokers {
		named = append(named, b.Name)
	}
	return named
}

// poll tries until there is no error. When the context ends first, it returns the last one.
func poll(ctx context.Context, pause time.Duration, try func() error) error {
	for {
		err := try()
		if err == nil {
			return nil
		}
		select {
		case <-ctx.Done():
			return err
		case <-time.After(pause):
		}
	}
}
