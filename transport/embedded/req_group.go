package embedded

// UPDATE_AND_CREATE_SUBSCRIPTIONGROUP (200), DELETE_SUBSCRIPTIONGROUP (207), GET_SUBSCRIPTIONGROUP_CONFIG (352):
// requests to a broker.
//
// Versions: as 5.3.3 with autoCreateSubscriptionGroup, the default: every group exists.
//
// Deviations: of a group's settings these count: how often a message comes again (retryMaxTimes),
// in how many queues (retryQueueNums), whether the group may consume (consumeEnable), also by
// broadcast (consumeBroadcastEnable). The others are kept and given back. Attributes are refused.

import (
	"encoding/json"
	"maps"
	"slices"
	"strings"
	"sync"

	"github.com/liftoff-mq/liftoff/core/rocketmq"
	"github.com/liftoff-mq/liftoff/transport/wire"
)

// groupConfig is the settings of a consumer group (Java SubscriptionGroupConfig).
type groupConfig struct {
	Name            string            `json:"groupName"`
	ConsumeEnable   bool              `json:"consumeEnable"`
	FromMinEnable   bool              `json:"consumeFromMinEnable"`
	BroadcastEnable bool              `json:"consumeBroadcastEnable"`
	Orderly         bool              `json:"consumeMessageOrderly"`
	RetryQueues     int               `json:"retryQueueNums"`
	RetryMaxTimes   int               `json:"retryMaxTimes"`
	BrokerID        int64             `json:"brokerId"`
	SlowBrokerID    int64             `json:"whichBrokerWhenConsumeSlowly"`
	NotifyChanges   bool              `json:"notifyConsumerIdsChangedEnable"`
	SysFlag         int               `json:"groupSysFlag"`
	TimeoutMinutes  int               `json:"consumeTimeoutMinute"`
	Attributes      map[string]string `json:"attributes,omitempty"`
}

func newGroupConfig(name string) groupConfig {
	return groupConfig{
		Name: name, ConsumeEnable: true, FromMinEnable: true, BroadcastEnable: true, RetryQueues: 1, RetryMaxTimes: 16,
		SlowBrokerID: 1, NotifyChanges: true, TimeoutMinutes: 15,
	}
}

// parseGroupConfig reads the body of an update. What it leaves out has its default.
func parseGroupConfig(body []byte) (groupConfig, error) {
	g := newGroupConfig("")
	if len(body) > maxJSONBody {
		return g, errLongBody
	}
	err := json.Unmarshal(body, &g)
	return g, err
}

// groups is the consumer groups that have settings of their own.
type groups struct {
	mu     sync.RWMutex
	byName map[string]groupConfig
	size   quota
}

// get returns a group's settings. It reports false for a name that no group can have.
func (g *groups) get(name string) (groupConfig, bool) {
	g.mu.RLock()
	defer g.mu.RUnlock()
	if own, there := g.byName[name]; there {
		return own, true
	}
	return newGroupConfig(name), !illegalGroup(name)
}

func (g *groups) put(config groupConfig) bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.byName == nil {
		g.byName = make(map[string]groupConfig)
	}
	if _, there := g.byName[config.Name]; !there && !g.size.take(entrySize(config.Name)) {
		return false
	}
	g.byName[config.Name] = config
	return true
}

func (g *groups) remove(name string) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if _, there := g.byName[name]; there {
		g.size.give(entrySize(name))
		delete(g.byName, name)
	}
}

func noGroup(name string) reply {
	return refuse(codeGroupNotExist, "subscription group not exist, "+wire.TrimRemark(name))
}

func (b *Broker) putGroup(cmd *wire.Command) reply {
	config, err := parseGroupConfig(cmd.Body)
	if err != nil {
		return javaException("java.lang.RuntimeException", wire.TrimRemark(err.Error()))
	}
	switch {
	case config.Name == "" || illegalGroup(config.Name):
		return refuse(rocketmq.CodeInvalidParameter, "the specified group is blank, too long or has illegal characters: "+wire.TrimRemark(config.Name))
	case len(config.Attributes) > 0:
		names := slices.Sorted(maps.Keys(config.Attributes))
		return refuse(rocketmq.CodeInvalidParameter, "this broker has no attributes of groups: "+wire.TrimRemark(strings.Join(names, ", "))).without("attributes of consumer groups")
	case config.RetryQueues < 0 || config.RetryQueues > maxQueues:
		return refuse(rocketmq.CodeInvalidParameter, "retryQueueNums is not within 0 to "+textOf(maxQueues))
	case !b.groups.put(config):
		return refuse(rocketmq.CodeSystemBusy, "too many consumer groups")
	}
	return reply{}
}

func (b *Broker) deleteGroup(cmd *wire.Command) reply {
	f := readFields(cmd)
	name := f.text("groupName")
	if f.err != nil {
		return badField(f.err)
	}
	b.groups.remove(name)
	if strings.EqualFold(cmd.Ext.Get("cleanOffset"), "true") {
		b.offsets.remove(func(k offsetKey) bool { return k.group == name })
	}
	return reply{}
}

func (b *Broker) getGroup(cmd *wire.Command) reply {
	config, ok := b.groups.get(cmd.Ext.Get("group"))
	if !ok {
		return refuse(codeGroupNotExist, "No group in this broker")
	}
	return jsonReply(config)
}

// jsonReply answers with a JSON body.
func jsonReply(v any) reply {
	body, err := json.Marshal(v)
	if err != nil {
		return javaException("java.lang.RuntimeException", err.Error())
	}
	return reply{body: body}
}
