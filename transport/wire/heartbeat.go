package wire

import (
	"encoding/json"
	"strconv"
)

const partHeartbeat = "heartbeat"

// Heartbeat is what a client tells every broker about itself, twice a minute (Java HeartbeatData).
type Heartbeat struct {
	ClientID       string
	ProducerGroups []string
	// Consumers is read only: Liftoff encodes no consumers.
	Consumers []Consumer
	// Fingerprint is not 0 in heartbeats of clients that use the shortened form of 5.x.
	Fingerprint int32
	// WithoutSub says that the consumers' subscriptions are left out of such a heartbeat.
	WithoutSub bool
}

type heartbeatJSON struct {
	ClientID    string         `json:"clientID"`
	Producers   []groupJSON    `json:"producerDataSet"`
	Consumers   []consumerJSON `json:"consumerDataSet"`
	Fingerprint int32          `json:"heartbeatFingerprint"`
	WithoutSub  bool           `json:"withoutSub"`
}

type groupJSON struct {
	GroupName *string `json:"groupName"`
}

// AppendHeartbeat appends the body of a producer's heartbeat (code 34).
func AppendHeartbeat(dst []byte, h *Heartbeat) []byte {
	dst = append(dst, `{"clientID":`...)
	dst = appendJSONString(dst, h.ClientID)
	dst = append(dst, `,"consumerDataSet":[],"producerDataSet":[`...)
	for i, group := range h.ProducerGroups {
		if i > 0 {
			dst = append(dst, ',')
		}
		dst = append(dst, `{"groupName":`...)
		dst = appendJSONString(dst, group)
		dst = append(dst, '}')
	}
	dst = append(dst, ']')
	if h.Fingerprint != 0 {
		dst = append(dst, `,"heartbeatFingerprint":`...)
		dst = strconv.AppendInt(dst, int64(h.Fingerprint), 10)
	}
	if h.WithoutSub {
		dst = append(dst, `,"withoutSub":true`...)
	}
	return append(dst, '}')
}

// ParseHeartbeat decodes the body of a heartbeat. Groups with an empty name are left out, those
// without one are an error. Errors match [ErrDecode]; a body of more than [MaxHeartbeat] bytes or
// more than [MaxHeartbeatGroups] groups match [ErrLimit] too.
func ParseHeartbeat(body []byte) (*Heartbeat, error) {
	if len(body) > MaxHeartbeat {
		return nil, tooMuch(partHeartbeat, "body longer than "+strconv.Itoa(MaxHeartbeat)+" bytes")
	}
	var raw heartbeatJSON
	if err := json.Unmarshal(body, &raw); err != nil {
		return nil, malformed(partHeartbeat, TrimRemark(err.Error()), -1)
	}
	if len(raw.Producers) > MaxHeartbeatGroups || len(raw.Consumers) > MaxHeartbeatGroups {
		return nil, tooMuch(partHeartbeat, "more than "+strconv.Itoa(MaxHeartbeatGroups)+" groups")
	}
	if raw.ClientID == "" {
		return nil, malformed(partHeartbeat, "no client id", -1)
	}
	h := &Heartbeat{ClientID: raw.ClientID, Fingerprint: raw.Fingerprint, WithoutSub: raw.WithoutSub}
	var named [2]bool
	h.ProducerGroups, named[0] = groupNames(raw.Producers)
	h.Consumers, named[1] = consumers(raw.Consumers)
	if !named[0] || !named[1] {
		return nil, malformed(partHeartbeat, "a group without a name", -1)
	}
	return h, nil
}

// groupNames are the names that are not empty. Named is false if a group has none at all.
func groupNames(groups []groupJSON) (names []string, named bool) {
	for _, g := range groups {
		if g.GroupName == nil {
			return nil, false
		}
		if *g.GroupName != "" {
			names = append(names, *g.GroupName)
		}
	}
	return names, true
}

// Unregister is the header of UNREGISTER_CLIENT (code 35).
type Unregister struct {
	ClientID      string
	ProducerGroup string // may be empty
	ConsumerGroup string // may be empty
}

// Fields returns the header's fields; empty groups are left out.
func (u Unregister) Fields() Fields {
	f := Fields{{Key: "clientID", Value: u.ClientID}}
	if u.ProducerGroup != "" {
		f = append(f, Field{Key: "producerGroup", Value: u.ProducerGroup})
	}
	if u.ConsumerGroup != "" {
		f = append(f, Field{Key: "consumerGroup", Value: u.ConsumerGroup})
	}
	return f
}

// ParseUnregister reads the header of an unregister request. Errors match [ErrField].
func ParseUnregister(c *Command) (Unregister, error) {
	p := fieldParser{fields: c.Ext}
	u := Unregister{
		ClientID:      p.text("clientID", ""),
		ProducerGroup: c.Ext.Get("producerGroup"),
		ConsumerGroup: c.Ext.Get("consumerGroup"),
	}
	return u, p.err
}

// RouteFields returns the header fields of GET_ROUTEINFO_BY_TOPIC (code 105). They ask for
// standard JSON, which name servers of 4.9.4 and later give; others ignore the wish, hence
// [ParseRoute] reads both.
func RouteFields(topic string) Fields {
	return Fields{{Key: "topic", Value: topic}, {Key: "acceptStandardJsonOnly", Value: "true"}}
}
