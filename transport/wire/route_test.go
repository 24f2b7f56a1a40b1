package wire_test

import (
	"errors"
	"fmt"
	"reflect"
	"strings"
	"testing"

	"github.com/liftoff-mq/liftoff/transport/wire"
)

func TestParseRoute(t *testing.T) {
	two := func() *wire.RouteData {
		return &wire.RouteData{
			Queues: []wire.QueueData{{BrokerName: "broker-a", ReadQueueNums: 8, WriteQueueNums: 4, Perm: 6, TopicSysFlag: 1}},
			Brokers: []wire.BrokerData{{
				Cluster: "DefaultCluster", BrokerName: "broker-a",
				Addrs: map[int64]string{0: "127.0.0.1:10911", 1: "127.0.0.1:10921"},
			}},
		}
	}
	withOrder, negative, odd, static := two(), two(), two(), two()
	static.Mappings = []wire.QueueMapping{
		{BrokerName: "broker-a", TotalQueues: 3, Epoch: 1795714025430, Queues: map[int]int{0: 1, 2: 0}},
		{BrokerName: "broker-b", TotalQueues: 3, Epoch: 1795714025431, Queues: map[int]int{}},
	}
	withOrder.OrderTopicConf = "broker-a:4"
	negative.Brokers[0].Addrs = map[int64]string{-1: "127.0.0.1:1"}
	odd.Brokers[0].Addrs = map[int64]string{0: `{1:"x",2:"y"}`}
	odd.Brokers[0].BrokerName = `b\",3:`
	const queues = `"queueDatas":[{"brokerName":"broker-a","perm":6,"readQueueNums":8,"topicSysFlag":1,"writeQueueNums":4}]`
	for _, test := range []struct {
		name, body string
		want       *wire.RouteData
	}{
		{"standard", `{"brokerDatas":[{"brokerAddrs":{"0":"127.0.0.1:10911","1":"127.0.0.1:10921"},"brokerName":"broker-a","cluster":"DefaultCluster","enableActingMaster":false}],"filterServerTable":{},` + queues + `}`, two()},
		{"bare keys", `{"brokerDatas":[{"brokerAddrs":{0:"127.0.0.1:10911",1:"127.0.0.1:10921"},"brokerName":"broker-a","cluster":"DefaultCluster","enableActingMaster":false}],"filterServerTable":{},` + queues + `}`, two()},
		{"bare keys with space", `{ "brokerDatas" : [ { "brokerAddrs" : { 0 : "127.0.0.1:10911" , ` + "\n" + ` 1 : "127.0.0.1:10921" } , "brokerName":"broker-a","cluster":"DefaultCluster"} ], ` + queues + `}`, two()},
		{"old flag name", `{"brokerDatas":[{"brokerAddrs":{0:"127.0.0.1:10911",1:"127.0.0.1:10921"},"brokerName":"broker-a","cluster":"DefaultCluster"}],"queueDatas":[{"brokerName":"broker-a","perm":6,"readQueueNums":8,"topicSynFlag":1,"writeQueueNums":4}]}`, two()},
		{"order", `{"brokerDatas":[{"brokerAddrs":{0:"127.0.0.1:10911",1:"127.0.0.1:10921"},"brokerName":"broker-a","cluster":"DefaultCluster"}],"orderTopicConf":"broker-a:4",` + queues + `}`, withOrder},
		{"static topic", `{"brokerDatas":[{"brokerAddrs":{"0":"127.0.0.1:10911","1":"127.0.0.1:10921"},"brokerName":"broker-a","cluster":"DefaultCluster","enableActingMaster":false}],"filterServerTable":{},` + queues + `,"topicQueueMappingByBroker":{"broker-a":{"bname":"broker-a","currIdMap":{"0":1,"2":0},"dirty":false,"epoch":1795714025430,"scope":"__global__","topic":"T","totalQueues":3},"broker-b":{"bname":"broker-b","currIdMap":{},"dirty":false,"epoch":1795714025431,"scope":"__global__","topic":"T","totalQueues":3}}}`, static},
		{"static topic, bare keys", `{"brokerDatas":[{"brokerAddrs":{0:"127.0.0.1:10911",1:"127.0.0.1:10921"},"brokerName":"broker-a","cluster":"DefaultCluster"}],` + queues + `,"topicQueueMappingByBroker":{"broker-b":{"bname":"broker-b","currIdMap":{},"epoch":1795714025431,"totalQueues":3},"broker-a":{"bname":"broker-a","currIdMap":{0:1,2:0},"epoch":1795714025430,"list":[1,2,-3],"totalQueues":3}}}`, static},
		{"negative id", `{"brokerDatas":[{"brokerAddrs":{-1:"127.0.0.1:1"},"brokerName":"broker-a","cluster":"DefaultCluster"}],` + queues + `}`, negative},
		{"keys in strings", `{"brokerDatas":[{"brokerAddrs":{0:"{1:\"x\",2:\"y\"}"},"brokerName":"b\\\",3:","cluster":"DefaultCluster"}],` + queues + `}`, odd},
		{"empty", `{}`, &wire.RouteData{}},
		{"nulls", `{"brokerDatas":null,"queueDatas":null,"orderTopicConf":null,"topicQueueMappingByBroker":null}`, &wire.RouteData{}},
	} {
		t.Run(test.name, func(t *testing.T) {
			got, err := wire.ParseRoute([]byte(test.body))
			if err != nil || !got.Equal(test.want) {
				t.Errorf("got %+v, %v, want %+v", got, err, test.want)
			}
		})
	}
}

func TestParseRouteRefuses(t *testing.T) {
	list := func(n int, entry string) string { return strings.TrimSuffix(strings.Repeat(entry+",", n), ",") }
	ids := func(from, to int) string {
		var b strings.Builder
		for i := from; i < to; i++ {
			fmt.Fprintf(&b, ",%d:0", i)
		}
		return b.String()[1:]
	}
	var mappings strings.Builder
	for i := range 1025 {
		fmt.Fprintf(&mappings, `,"b%d":{}`, i)
	}
	for _, test := range []struct {
		name, body string
		want       error
	}{
		{"empty", "", wire.ErrDecode},
		{"text", "no route", wire.ErrDecode},
		{"cut", `{"brokerDatas":[{"brokerAddrs":{0:"1`, wire.ErrDecode},
		{"cut after bare key", `{0`, wire.ErrDecode},
		{"bare minus", `{-:"x"}`, wire.ErrDecode},
		{"bare word", `{a:"x"}`, wire.ErrDecode},
		{"bare key in an array", `[0:"x"]`, wire.ErrDecode},
		{"key beyond 64 bits", `{"brokerDatas":[{"brokerAddrs":{99999999999999999999:"x"}}]}`, wire.ErrDecode},
		{"count as text", `{"queueDatas":[{"writeQueueNums":"8"}]}`, wire.ErrDecode},
		{"count beyond 32 bits", `{"queueDatas":[{"writeQueueNums":2147483648}]}`, wire.ErrDecode},
		{"body", strings.Repeat(" ", wire.MaxRoute) + "{}", wire.ErrLimit},
		{"depth", strings.Repeat(`{"a":`, 40) + "1" + strings.Repeat("}", 40), wire.ErrLimit},
		{"objects", `{"x":[` + list(20000, "{}") + `]}`, wire.ErrLimit},
		{"brokers", `{"brokerDatas":[` + list(1025, `{"brokerName":"b"}`) + `]}`, wire.ErrLimit},
		{"queue entries", `{"queueDatas":[` + list(1025, `{"brokerName":"b"}`) + `]}`, wire.ErrLimit},
		{"queues", `{"queueDatas":[{"brokerName":"b","writeQueueNums":65537,"perm":6}]}`, wire.ErrLimit},
		{"read queues", `{"queueDatas":[{"brokerName":"b","readQueueNums":1000000,"perm":6}]}`, wire.ErrLimit},
		{"queues in sum", `{"queueDatas":[` + list(1024, `{"brokerName":"b","writeQueueNums":65,"perm":6}`) + `]}`, wire.ErrLimit},
		{"logical queues", `{"topicQueueMappingByBroker":{"a":{"totalQueues":65537}}}`, wire.ErrLimit},
		{"logical number beyond 32 bits", `{"topicQueueMappingByBroker":{"a":{"currIdMap":{2147483648:0}}}}`, wire.ErrDecode},
		{"led queues", `{"topicQueueMappingByBroker":{"a":{"currIdMap":{` + ids(0, 40000) + `}},"b":{"currIdMap":{` + ids(0, 40000) + `}}}}`, wire.ErrLimit},
		{"mappings", `{"topicQueueMappingByBroker":{` + mappings.String()[1:] + `}}`, wire.ErrLimit},
		{"overflowing queues", `{"queueDatas":[` + list(1024, `{"writeQueueNums":2147483647}`) + `]}`, wire.ErrLimit},
	} {
		t.Run(test.name, func(t *testing.T) {
			_, err := wire.ParseRoute([]byte(test.body))
			if !errors.Is(err, test.want) || !errors.Is(err, wire.ErrDecode) {
				t.Errorf("got %v, want %v", err, test.want)
			}
		})
	}
	if _, err := wire.ParseRoute([]byte(`{"queueDatas":[{"brokerName":"b","writeQueueNums":65536,"perm":6}],"brokerDatas":[` + list(1024, `{"brokerName":"b"}`) + `]}`)); err != nil {
		t.Errorf("at the limits: %v", err)
	}
	if _, err := wire.ParseClusterInfo([]byte(`{"brokerAddrTable":{` + mappings.String()[1:] + `}}`)); !errors.Is(err, wire.ErrLimit) {
		t.Errorf("cluster: got %v, want a limit error", err)
	}
}

// Of a static topic the producer's queues are the logical ones, by number, each at the broker that leads it.
func TestPublishQueuesOfAStaticTopic(t *testing.T) {
	claims := func(broker string, epoch int64, total int, ids ...int) wire.QueueMapping {
		m := wire.QueueMapping{BrokerName: broker, TotalQueues: total, Epoch: epoch, Queues: map[int]int{}}
		for i, id := range ids {
			m.Queues[id] = i + 7
		}
		return m
	}
	const none = "__syslo__none__"
	for _, test := range []struct {
		name     string
		order    string
		mappings []wire.QueueMapping
		want     []string // the brokers, by number
		err      error
	}{
		{"two brokers", "", []wire.QueueMapping{claims("b", 1, 5, 1, 3, 4), claims("a", 1, 5, 0, 2)}, []string{"a", "b", "a", "b", "b"}, nil},
		{"the newer claim", "", []wire.QueueMapping{claims("a", 2, 2, 0, 1), claims("b", 1, 2, 0, 1)}, []string{"a", "a"}, nil},
		{"the newer claim comes last", "", []wire.QueueMapping{claims("b", 1, 2, 0), claims("a", 2, 2, 0, 1)}, []string{"a", "a"}, nil},
		{"claims of one epoch", "", []wire.QueueMapping{claims("b", 1, 1, 0), claims("a", 1, 1, 0)}, []string{"b"}, nil},
		{"no leader", "", []wire.QueueMapping{claims("a", 1, 4, 1)}, []string{none, "a", none, none}, nil},
		{"a leader without a name", "", []wire.QueueMapping{claims("", 1, 1, 0)}, []string{none}, nil},
		{"more queues are announced by one", "", []wire.QueueMapping{claims("a", 1, 1, 0), claims("b", 2, 3, 1, 2)}, []string{"a", "b", "b"}, nil},
		{"numbers outside", "", []wire.QueueMapping{claims("a", 1, 2, -1, 0, 1, 2)}, []string{"a", "a"}, nil},
		{"order configuration first", "c:2", []wire.QueueMapping{claims("a", 1, 1, 0)}, []string{"c", "c"}, nil},
		{"no queue", "", []wire.QueueMapping{claims("a", 1, 0)}, nil, wire.ErrNoWritableQueue},
		{"a negative number", "", []wire.QueueMapping{claims("a", 1, -1, 0)}, nil, wire.ErrNoWritableQueue},
		{"too many", "", []wire.QueueMapping{claims("a", 1, 65537, 0)}, nil, wire.ErrLimit},
	} {
		t.Run(test.name, func(t *testing.T) {
			r := wire.RouteData{
				OrderTopicConf: test.order, Mappings: test.mappings,
				// What the brokers have themselves says nothing about a static topic.
				Queues:  []wire.QueueData{{BrokerName: "a", WriteQueueNums: 9, Perm: 6}},
				Brokers: []wire.BrokerData{{BrokerName: "a", Addrs: map[int64]string{0: "127.0.0.1:1"}}},
			}
			got, err := wire.PublishQueues(&r)
			if !errors.Is(err, test.err) || len(got) != len(test.want) {
				t.Fatalf("got %v, %v, want %v, %v", got, err, test.want, test.err)
			}
			for i, broker := range test.want {
				if got[i] != (wire.PublishQueue{BrokerName: broker, QueueID: i}) {
					t.Errorf("queue %d: got %v, want %s", i, got[i], broker)
				}
			}
			if r.Static() != (test.order == "") {
				t.Errorf("static: %v", r.Static())
			}
		})
	}
}

func TestPublishQueues(t *testing.T) {
	master := map[int64]string{0: "127.0.0.1:1"}
	broker := func(name string, addrs map[int64]string) wire.BrokerData {
		return wire.BrokerData{BrokerName: name, Addrs: addrs}
	}
	queue := func(name string, write, perm int) wire.QueueData {
		return wire.QueueData{BrokerName: name, ReadQueueNums: 99, WriteQueueNums: write, Perm: perm}
	}
	queues := func(text string) (out []wire.PublishQueue) {
		for _, f := range strings.Fields(text) {
			out = append(out, wire.PublishQueue{BrokerName: f[:1], QueueID: int(f[1] - '0')})
		}
		return out
	}
	for _, test := range []struct {
		name  string
		route wire.RouteData
		want  string
		err   error
	}{
		{"sorted by broker", wire.RouteData{Queues: []wire.QueueData{queue("b", 1, 6), queue("a", 2, 2)}, Brokers: []wire.BrokerData{broker("b", master), broker("a", master)}}, "a0 a1 b0", nil},
		{"read only", wire.RouteData{Queues: []wire.QueueData{queue("a", 2, 4), queue("b", 1, 6)}, Brokers: []wire.BrokerData{broker("a", master), broker("b", master)}}, "b0", nil},
		{"no master", wire.RouteData{Queues: []wire.QueueData{queue("a", 2, 6), queue("b", 1, 6)}, Brokers: []wire.BrokerData{broker("a", map[int64]string{1: "x"}), broker("b", master)}}, "b0", nil},
		{"unknown broker", wire.RouteData{Queues: []wire.QueueData{queue("a", 2, 6), queue("b", 1, 6)}, Brokers: []wire.BrokerData{broker("b", master)}}, "b0", nil},
		{"broker twice", wire.RouteData{Queues: []wire.QueueData{queue("a", 2, 6), queue("a", 2, 6)}, Brokers: []wire.BrokerData{broker("a", master)}}, "a0 a1", nil},
		{"order first", wire.RouteData{OrderTopicConf: "b:2;a:1;", Queues: []wire.QueueData{queue("a", 8, 6)}, Brokers: []wire.BrokerData{broker("a", master)}}, "b0 b1 a0", nil},
		{"nothing at all", wire.RouteData{}, "", wire.ErrNoWritableQueue},
		{"all read only", wire.RouteData{Queues: []wire.QueueData{queue("a", 2, 4)}, Brokers: []wire.BrokerData{broker("a", master)}}, "", wire.ErrNoWritableQueue},
		{"no write queues", wire.RouteData{Queues: []wire.QueueData{queue("a", 0, 6), queue("b", -5, 6)}, Brokers: []wire.BrokerData{broker("a", master), broker("b", master)}}, "", wire.ErrNoWritableQueue},
		{"only slaves", wire.RouteData{Queues: []wire.QueueData{queue("a", 2, 6)}, Brokers: []wire.BrokerData{broker("a", map[int64]string{1: "x"})}}, "", wire.ErrNoMaster},
		{"master without address", wire.RouteData{Queues: []wire.QueueData{queue("a", 2, 6)}, Brokers: []wire.BrokerData{broker("a", map[int64]string{0: ""})}}, "", wire.ErrNoMaster},
		{"a million queues", wire.RouteData{Queues: []wire.QueueData{queue("a", 1000000, 6)}, Brokers: []wire.BrokerData{broker("a", master)}}, "", wire.ErrLimit},
		{"overflowing queues", wire.RouteData{Queues: []wire.QueueData{queue("a", 1<<31-1, 6), queue("b", 1<<31-1, 6)}, Brokers: []wire.BrokerData{broker("a", master), broker("b", master)}}, "", wire.ErrLimit},
		{"order of none", wire.RouteData{OrderTopicConf: "a:0"}, "", wire.ErrNoWritableQueue},
		{"order broken", wire.RouteData{OrderTopicConf: "a"}, "", wire.ErrDecode},
		{"order of too many", wire.RouteData{OrderTopicConf: "a:60000;b:60000"}, "", wire.ErrLimit},
	} {
		t.Run(test.name, func(t *testing.T) {
			got, err := wire.PublishQueues(&test.route)
			if !errors.Is(err, test.err) || !reflect.DeepEqual(got, queues(test.want)) {
				t.Errorf("got %v, %v, want %v, %v", got, err, test.want, test.err)
			}
		})
	}
}

func TestParseOrderConf(t *testing.T) {
	got, err := wire.ParseOrderConf("broker-a:4;broker-b:0;")
	if want := []wire.OrderQueues{{BrokerName: "broker-a", Queues: 4}, {BrokerName: "broker-b"}}; err != nil || !reflect.DeepEqual(got, want) {
		t.Errorf("got %v, %v, want %v", got, err, want)
	}
	for conf, want := range map[string]error{
		"": wire.ErrDecode, ";": wire.ErrDecode, "a": wire.ErrDecode, ":4": wire.ErrDecode, "a:": wire.ErrDecode, "a:x": wire.ErrDecode,
		"a:-1": wire.ErrDecode, "a:4;;b:4": wire.ErrDecode, "a:4:4": wire.ErrDecode, "a: 4": wire.ErrDecode, "a:9999999999": wire.ErrDecode,
		"a:65537":                              wire.ErrLimit,
		strings.Repeat("a:1;", 1025):           wire.ErrLimit,
		strings.Repeat("a:1;", 1024) + "a:1;;": wire.ErrLimit,
	} {
		if _, err := wire.ParseOrderConf(conf); !errors.Is(err, want) {
			t.Errorf("%.30q: got %v, want %v", conf, err, want)
		}
	}
}

func TestRouteCloneEqual(t *testing.T) {
	r := &wire.RouteData{
		OrderTopicConf: "x",
		Queues:         []wire.QueueData{{BrokerName: "a", Perm: 6}, {BrokerName: "b", Perm: 6}},
		Brokers:        []wire.BrokerData{{BrokerName: "a", Addrs: map[int64]string{0: "x"}}, {BrokerName: "b", Cluster: "c"}},
		Mappings:       []wire.QueueMapping{{BrokerName: "a", Epoch: 1, Queues: map[int]int{0: 0}}, {BrokerName: "b", Epoch: 1}},
	}
	swapped := r.Clone()
	swapped.Queues[0], swapped.Queues[1] = swapped.Queues[1], swapped.Queues[0]
	swapped.Brokers[0], swapped.Brokers[1] = swapped.Brokers[1], swapped.Brokers[0]
	swapped.Mappings[0], swapped.Mappings[1] = swapped.Mappings[1], swapped.Mappings[0]
	if !r.Equal(swapped) || !r.Equal(r.Clone()) {
		t.Error("order of entries makes a difference")
	}
	for i, change := range []func(*wire.RouteData){
		func(r *wire.RouteData) { r.OrderTopicConf = "y" },
		func(r *wire.RouteData) { r.Queues = r.Queues[1:] },
		func(r *wire.RouteData) { r.Queues[0].Perm = 4 },
		func(r *wire.RouteData) { r.Queues[0].ReadQueueNums = 4 },
		func(r *wire.RouteData) { r.Brokers = r.Brokers[1:] },
		func(r *wire.RouteData) { r.Brokers[0].Addrs[0] = "y" },
		func(r *wire.RouteData) { r.Brokers[1].Cluster = "d" },
		func(r *wire.RouteData) { r.Brokers[1].ZoneName = "d" },
		func(r *wire.RouteData) { r.Mappings = r.Mappings[1:] },
		func(r *wire.RouteData) { r.Mappings[0].BrokerName = "c" },
		func(r *wire.RouteData) { r.Mappings[0].Epoch = 2 },
		func(r *wire.RouteData) { r.Mappings[0].TotalQueues = 2 },
		func(r *wire.RouteData) { r.Mappings[0].Queues[0] = 1 },
	} {
		c := r.Clone()
		change(c)
		if r.Equal(c) {
			t.Errorf("change %d makes no difference", i)
		}
	}
	if b := r.Broker("b"); b == nil || b.Cluster != "c" || r.Broker("z") != nil {
		t.Errorf("got %v", b)
	}
}
