package wire

import (
	"encoding/json"
	"maps"
	"slices"
	"strconv"

	"github.com/liftoff-mq/liftoff/internal/enum"
)

const (
	partRoute   = "route"
	partCluster = "cluster"
)

// maxRouteObjects bounds the objects of a route body, so that a megabyte of empty ones does not
// become many megabytes of list entries.
const maxRouteObjects = 16 * MaxRouteBrokers

// KeyStyle is how the keys of maps with integer keys are written.
type KeyStyle uint8

const (
	// StandardKeys are quoted, {"0":"x"}: what a name server answers to V4_9_4 and later or to
	// acceptStandardJsonOnly=true.
	StandardKeys KeyStyle = iota
	// BareKeys are not, {0:"x"}: fastjson's form, which is no JSON.
	BareKeys
)

var keyStyleNames = []string{"standard", "bare"}

// String gives "standard" or "bare".
func (k KeyStyle) String() string { return enum.Name(keyStyleNames, int(k)) }

// MarshalText gives the name.
func (k KeyStyle) MarshalText() ([]byte, error) {
	return enum.Marshal("key style", keyStyleNames, int(k))
}

// UnmarshalText takes a name.
func (k *KeyStyle) UnmarshalText(text []byte) error {
	return enum.Unmarshal("key style", keyStyleNames, text, k)
}

type routeJSON struct {
	OrderTopicConf string       `json:"orderTopicConf"`
	QueueDatas     []queueJSON  `json:"queueDatas"`
	BrokerDatas    []brokerJSON `json:"brokerDatas"`
	// TopicQueueMappingByBroker is a static topic's, by the brokers' names, which it repeats as
	// bname. Other topics have none.
	TopicQueueMappingByBroker map[string]mappingJSON `json:"topicQueueMappingByBroker"`
}

type mappingJSON struct {
	TotalQueues int32           `json:"totalQueues"`
	Epoch       int64           `json:"epoch"`
	CurrIDMap   map[int32]int32 `json:"currIdMap"`
}

type queueJSON struct {
	BrokerName     string `json:"brokerName"`
	ReadQueueNums  int32  `json:"readQueueNums"`
	WriteQueueNums int32  `json:"writeQueueNums"`
	Perm           int32  `json:"perm"`
	TopicSysFlag   int32  `json:"topicSysFlag"`
	// TopicSynFlag is the same under the name of early 4.x servers.
	TopicSynFlag int32 `json:"topicSynFlag"`
}

type brokerJSON struct {
	Cluster            string           `json:"cluster"`
	BrokerName         string           `json:"brokerName"`
	BrokerAddrs        map[int64]string `json:"brokerAddrs"`
	ZoneName           string           `json:"zoneName"`
	EnableActingMaster bool             `json:"enableActingMaster"`
}

func (b brokerJSON) data() BrokerData {
	return BrokerData{
		Cluster: b.Cluster, BrokerName: b.BrokerName, Addrs: b.BrokerAddrs,
		ZoneName: b.ZoneName, EnableActingMaster: b.EnableActingMaster,
	}
}

// ParseRoute decodes the body of a route answer, with quoted or bare integer keys. Members that
// it does not know are skipped. Errors match [ErrDecode]; a body of more than [MaxRoute] bytes,
// more than [MaxRouteBrokers] brokers or [MaxRouteQueues] queues match [ErrLimit] too.
func ParseRoute(body []byte) (*RouteData, error) {
	var raw routeJSON
	if err := unmarshalTolerant(partRoute, body, &raw); err != nil {
		return nil, err
	}
	if len(raw.BrokerDatas) > MaxRouteBrokers || len(raw.QueueDatas) > MaxRouteBrokers {
		return nil, tooMuch(partRoute, "more than "+strconv.Itoa(MaxRouteBrokers)+" brokers")
	}
	r := &RouteData{
		OrderTopicConf: raw.OrderTopicConf,
		Queues:         make([]QueueData, len(raw.QueueDatas)),
		Brokers:        make([]BrokerData, len(raw.BrokerDatas)),
	}
	var queues int64
	for i, q := range raw.QueueDatas {
		queues += max(int64(q.ReadQueueNums), int64(q.WriteQueueNums), 0)
		r.Queues[i] = QueueData{
			BrokerName: q.BrokerName, ReadQueueNums: int(q.ReadQueueNums), WriteQueueNums: int(q.WriteQueueNums),
			Perm: int(q.Perm), TopicSysFlag: int(q.TopicSysFlag | q.TopicSynFlag),
		}
	}
	if queues > MaxRouteQueues {
		return nil, tooMuch(partRoute, "more than "+strconv.Itoa(MaxRouteQueues)+" queues")
	}
	for i, b := range raw.BrokerDatas {
		r.Brokers[i] = b.data()
	}
	var err error
	r.Mappings, err = mappings(raw.TopicQueueMappingByBroker)
	return r, err
}

// mappings are those of a static topic, by the name of the broker.
func mappings(raw map[string]mappingJSON) ([]QueueMapping, error) {
	if len(raw) > MaxRouteBrokers {
		return nil, tooMuch(partRoute, "more than "+strconv.Itoa(MaxRouteBrokers)+" brokers")
	}
	if len(raw) == 0 {
		return nil, nil
	}
	out := make([]QueueMapping, 0, len(raw))
	queues := 0
	for _, broker := range slices.Sorted(maps.Keys(raw)) {
		m := raw[broker]
		if queues += len(m.CurrIDMap); max(queues, int(m.TotalQueues)) > MaxRouteQueues {
			return nil, tooMuch(partRoute, "more than "+strconv.Itoa(MaxRouteQueues)+" queues")
		}
		q := QueueMapping{
			BrokerName: broker, TotalQueues: int(m.TotalQueues), Epoch: m.Epoch, Queues: make(map[int]int, len(m.CurrIDMap)),
		}
		for logical, physical := range m.CurrIDMap {
			q.Queues[int(logical)] = int(physical)
		}
		out = append(out, q)
	}
	return out, nil
}

// AppendRoute appends the body of a route answer: the server's side.
func AppendRoute(dst []byte, r *RouteData, style KeyStyle) []byte {
	dst = append(dst, `{"brokerDatas":[`...)
	for i := range r.Brokers {
		if i > 0 {
			dst = append(dst, ',')
		}
		dst = appendBroker(dst, &r.Brokers[i], style)
	}
	dst = append(dst, `],"filterServerTable":{}`...)
	if r.OrderTopicConf != "" {
		dst = append(dst, `,"orderTopicConf":`...)
		dst = appendJSONString(dst, r.OrderTopicConf)
	}
	dst = append(dst, `,"queueDatas":[`...)
	for i := range r.Queues {
		q := &r.Queues[i]
		if i > 0 {
			dst = append(dst, ',')
		}
		dst = append(dst, `{"brokerName":`...)
		dst = appendJSONString(dst, q.BrokerName)
		dst = appendMember(dst, `,"perm":`, q.Perm)
		dst = appendMember(dst, `,"readQueueNums":`, q.ReadQueueNums)
		dst = appendMember(dst, `,"topicSysFlag":`, q.TopicSysFlag)
		dst = appendMember(dst, `,"writeQueueNums":`, q.WriteQueueNums)
		dst = append(dst, '}')
	}
	dst = append(dst, ']')
	if len(r.Mappings) > 0 {
		dst = append(dst, `,"topicQueueMappingByBroker":{`...)
		for i := range r.Mappings {
			if i > 0 {
				dst = append(dst, ',')
			}
			dst = appendMapping(dst, &r.Mappings[i], style)
		}
		dst = append(dst, '}')
	}
	return append(dst, '}')
}

// appendMapping appends a broker's mapping as a member of the map of all. The topic's name, which
// Java repeats in it, is left out.
func appendMapping(dst []byte, m *QueueMapping, style KeyStyle) []byte {
	dst = appendJSONString(dst, m.BrokerName)
	dst = append(dst, `:{"bname":`...)
	dst = appendJSONString(dst, m.BrokerName)
	dst = append(dst, `,"currIdMap":{`...)
	for i, id := range slices.Sorted(maps.Keys(m.Queues)) {
		if i > 0 {
			dst = append(dst, ',')
		}
		dst = appendKey(dst, int64(id), style)
		dst = strconv.AppendInt(dst, int64(m.Queues[id]), 10)
	}
	dst = append(dst, `},"dirty":false,"epoch":`...)
	dst = strconv.AppendInt(dst, m.Epoch, 10)
	dst = append(dst, `,"scope":"__global__"`...)
	dst = appendMember(dst, `,"totalQueues":`, m.TotalQueues)
	return append(dst, '}')
}

// appendKey appends an integer as the key of a map, with its colon.
func appendKey(dst []byte, n int64, style KeyStyle) []byte {
	if style == StandardKeys {
		dst = append(dst, '"')
	}
	dst = strconv.AppendInt(dst, n, 10)
	if style == StandardKeys {
		dst = append(dst, '"')
	}
	return append(dst, ':')
}

func appendMember(dst []byte, name string, n int) []byte {
	return strconv.AppendInt(append(dst, name...), int64(n), 10)
}

func appendBroker(dst []byte, b *BrokerData, style KeyStyle) []byte {
	dst = append(dst, `{"brokerAddrs":{`...)
	for i, id := range slices.Sorted(maps.Keys(b.Addrs)) {
		if i > 0 {
			dst = append(dst, ',')
		}
		dst = appendJSONString(appendKey(dst, id, style), b.Addrs[id])
	}
	dst = append(dst, `},"brokerName":`...)
	dst = appendJSONString(dst, b.BrokerName)
	dst = append(dst, `,"cluster":`...)
	dst = appendJSONString(dst, b.Cluster)
	dst = append(dst, `,"enableActingMaster":`...)
	dst = strconv.AppendBool(dst, b.EnableActingMaster)
	if b.ZoneName != "" {
		dst = append(dst, `,"zoneName":`...)
		dst = appendJSONString(dst, b.ZoneName)
	}
	return append(dst, '}')
}

type clusterJSON struct {
	BrokerAddrTable map[string]brokerJSON `json:"brokerAddrTable"`
}

// AppendClusterInfo appends the body of a cluster answer (code 106, Java ClusterInfo): every
// broker by its name, and the names of the brokers of every cluster.
func AppendClusterInfo(dst []byte, brokers []BrokerData, style KeyStyle) []byte {
	clusters := make(map[string][]string)
	dst = append(dst, `{"brokerAddrTable":{`...)
	for i := range brokers {
		b := &brokers[i]
		if i > 0 {
			dst = append(dst, ',')
		}
		dst = appendJSONString(dst, b.BrokerName)
		dst = append(dst, ':')
		dst = appendBroker(dst, b, style)
		clusters[b.Cluster] = append(clusters[b.Cluster], b.BrokerName)
	}
	dst = append(dst, `},"clusterAddrTable":{`...)
	for i, cluster := range slices.Sorted(maps.Keys(clusters)) {
		if i > 0 {
			dst = append(dst, ',')
		}
		dst = appendJSONString(dst, cluster)
		dst = append(dst, ':', '[')
		for j, name := range clusters[cluster] {
			if j > 0 {
				dst = append(dst, ',')
			}
			dst = appendJSONString(dst, name)
		}
		dst = append(dst, ']')
	}
	return append(dst, '}', '}')
}

// ParseClusterInfo decodes the body of a cluster answer into its brokers, sorted by name. Limits
// and errors are those of [ParseRoute].
func ParseClusterInfo(body []byte) ([]BrokerData, error) {
	var raw clusterJSON
	if err := unmarshalTolerant(partCluster, body, &raw); err != nil {
		return nil, err
	}
	if len(raw.BrokerAddrTable) > MaxRouteBrokers {
		return nil, tooMuch(partCluster, "more than "+strconv.Itoa(MaxRouteBrokers)+" brokers")
	}
	out := make([]BrokerData, 0, len(raw.BrokerAddrTable))
	for _, name := range slices.Sorted(maps.Keys(raw.BrokerAddrTable)) {
		out = append(out, raw.BrokerAddrTable[name].data())
	}
	return out, nil
}

// unmarshalTolerant is json.Unmarshal with limits and with bare integer keys.
func unmarshalTolerant(part string, body []byte, into any) error {
	if len(body) > MaxRoute {
		return tooMuch(part, "body longer than "+strconv.Itoa(MaxRoute)+" bytes")
	}
	standard, err := quoteBareKeys(part, body)
	if err != nil {
		return err
	}
	if err := json.Unmarshal(standard, into); err != nil {
		// Errors of encoding/json may quote the peer's text; they are cut like a remark.
		return malformed(part, TrimRemark(err.Error()), -1)
	}
	return nil
}

// quoteBareKeys puts quotes around integers that stand where an object's key must be, and leaves
// all else as it is; what is then no JSON is left for the JSON decoder to refuse. It bounds the
// nesting and the number of objects.
func quoteBareKeys(part string, b []byte) ([]byte, error) {
	var (
		out     []byte // nil until the first change
		copied  int    // b[:copied] is in out
		inArray [maxJSONDepth]bool
		depth   int
		objects int
		key     bool // a key may begin here
	)
	for i := 0; i < len(b); i++ {
		switch c := b[i]; c {
		case ' ', '\t', '\n', '\r':
			continue
		case '"':
			for i++; i < len(b) && b[i] != '"'; i++ {
				if b[i] == '\\' {
					i++
				}
			}
			key = false
		case '{', '[':
			if depth == maxJSONDepth {
				return nil, tooMuch(part, "nested too deeply")
			}
			if objects++; objects > maxRouteObjects {
				return nil, tooMuch(part, "too many objects")
			}
			inArray[depth] = c == '['
			depth++
			key = c == '{'
		case '}', ']':
			depth = max(depth-1, 0)
			key = false
		case ',':
			key = depth > 0 && !inArray[depth-1]
		default:
			wasKey := key
			key = false
			digits := i
			if c == '-' {
				digits++
			}
			end := digits
			for end < len(b) && '0' <= b[end] && b[end] <= '9' {
				end++
			}
			if !wasKey || end == digits {
				continue
			}
			if out == nil {
				out = make([]byte, 0, len(b)+len(b)/8+16)
			}
			out = append(out, b[copied:i]...)
			out = append(out, '"')
			out = append(out, b[i:end]...)
			out = append(out, '"')
			copied, i = end, end-1
		}
	}
	if out == nil {
		return b, nil
	}
	return append(out, b[copied:]...), nil
}
