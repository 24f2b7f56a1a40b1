package embedded_test

import (
	"encoding/json"
	"slices"
	"strings"
	"testing"

	"github.com/liftoff-mq/liftoff/core/rocketmq"
	"github.com/liftoff-mq/liftoff/transport/embedded"
	"github.com/liftoff-mq/liftoff/transport/wire"
)

func routeOf(t testing.TB, p *peer, topic string) *wire.RouteData {
	t.Helper()
	a := mustCode(t, p.call(wire.Command{Code: wire.GetRouteInfoByTopic, Ext: wire.RouteFields(topic)}), 0)
	r, err := wire.ParseRoute(a.Body)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// The form of the keys is what clients of different ages can read.
func TestRouteBytes(t *testing.T) {
	c := inMemory(t, embedded.Config{})
	if err := c.CreateTopic("t", 3); err != nil {
		t.Fatal(err)
	}
	bare := `{"brokerDatas":[{"brokerAddrs":{0:"127.0.0.1:10002"},"brokerName":"broker-a","cluster":"DefaultCluster","enableActingMaster":false}],` +
		`"filterServerTable":{},"queueDatas":[{"brokerName":"broker-a","perm":6,"readQueueNums":3,"topicSysFlag":0,"writeQueueNums":3}]}`
	quoted := strings.Replace(bare, "{0:", `{"0":`, 1)
	for _, ser := range serializations {
		p := connect(t, c, c.NameServers()[0], ser)
		for _, tt := range []struct {
			version int
			accept  string
			want    string
		}{
			{wire.V4_5_2, "", bare},
			{wire.V4_5_2, "false", bare},
			{wire.V4_5_2, "true", quoted},
			{wire.V4_9_3, "", bare},
			{wire.V4_9_4, "", quoted},
			{wire.V5_3_3, "", quoted},
		} {
			cmd := wire.Command{Code: wire.GetRouteInfoByTopic, Version: tt.version, Ext: wire.Fields{prop("topic", "t")}}
			if tt.accept != "" {
				cmd.Ext.Set("acceptStandardJsonOnly", tt.accept)
			}
			if got := string(mustCode(t, p.call(cmd), 0).Body); got != tt.want {
				t.Errorf("version %d, accept %q:\n%s\nwant\n%s", tt.version, tt.accept, got, tt.want)
			}
		}
	}
}

func TestRouteFollowsTheBrokers(t *testing.T) {
	c := inMemory(t, embedded.Config{Brokers: embedded.BrokerNames(2)})
	a, b := c.Broker("broker-a"), c.Broker("broker-b")
	p := connect(t, c, c.NameServers()[0], wire.JSON)
	check := func(step, topic string, want ...string) {
		t.Helper()
		r := routeOf(t, p, topic)
		var got []string
		for _, q := range r.Queues {
			got = append(got, q.BrokerName)
			master, ok := r.Broker(q.BrokerName).Master()
			if !ok || master != c.Broker(q.BrokerName).Addr() {
				t.Errorf("%s: master of %s is %q", step, q.BrokerName, master)
			}
		}
		if !slices.Equal(got, want) {
			t.Errorf("%s: route over %v, want %v", step, got, want)
		}
	}
	none := func(step, topic string) {
		t.Helper()
		a := mustCode(t, p.call(wire.Command{Code: wire.GetRouteInfoByTopic, Ext: wire.RouteFields(topic)}), 17)
		if !strings.Contains(a.Remark, "No topic route info in name server for the topic: "+topic) {
			t.Errorf("%s: remark %q", step, a.Remark)
		}
	}
	none("unknown topic", "t")
	check("model topic", "TBW102", "broker-a", "broker-b")
	if r := routeOf(t, p, "TBW102"); r.Queues[0].Perm != 7 || r.Queues[0].WriteQueueNums != 8 {
		t.Errorf("model topic: %+v", r.Queues)
	}
	mustCode(t, connect(t, c, b.Addr(), wire.JSON).send("t", 0, "made by a send"), 0)
	check("after a send", "t", "broker-b")
	if err := c.CreateTopic("t", 4, "broker-a"); err != nil {
		t.Fatal(err)
	}
	check("created on the other", "t", "broker-a", "broker-b")
	a.Pause()
	check("paused", "t", "broker-a", "broker-b")
	a.Resume()
	a.Kill()
	check("killed", "t", "broker-a", "broker-b")
	if a.Running() {
		t.Error("a killed broker runs")
	}
	a.Stop()
	check("stopped", "t", "broker-b")
	b.Stop()
	none("all stopped", "t")
	if err := a.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	check("started again", "t", "broker-a")
	a.SetPerm(rocketmq.PermRead)
	if q := routeOf(t, p, "t").Queues; q[0].Perm != rocketmq.PermRead {
		t.Errorf("read-only broker: %+v", q)
	}
	mustCode(t, connect(t, c, a.Addr(), wire.JSON).send("t", 0, "x"), 16)
	mustCode(t, p.call(wire.Command{Code: wire.GetRouteInfoByTopic}), 17)
}

func TestClusterInfoAndTopicList(t *testing.T) {
	c := inMemory(t, embedded.Config{Brokers: embedded.BrokerNames(2), ClusterName: "c1"})
	p := connect(t, c, c.NameServers()[0], wire.JSON)
	info, err := wire.ParseClusterInfo(mustCode(t, p.call(wire.Command{Code: wire.GetBrokerClusterInfo}), 0).Body)
	if err != nil || len(info) != 2 || info[1].BrokerName != "broker-b" || info[1].Cluster != "c1" || info[1].Addrs[0] != c.Broker("broker-b").Addr() {
		t.Errorf("%+v, %v", info, err)
	}
	var list struct{ TopicList []string }
	if err := json.Unmarshal(mustCode(t, p.call(wire.Command{Code: wire.GetAllTopicListFromNameServer}), 0).Body, &list); err != nil {
		t.Fatal(err)
	}
	if want := []string{"SCHEDULE_TOPIC_XXXX", "TBW102", "c1_REPLY_TOPIC", "rmq_sys_wheel_timer"}; !slices.Equal(list.TopicList, want) {
		t.Errorf("topics %v, want %v", list.TopicList, want)
	}
}

func TestCreateTopicRequest(t *testing.T) {
	c := inMemory(t, embedded.Config{})
	p := connect(t, c, c.Brokers()[0].Addr(), wire.JSON)
	ask := func(topic, read, write, perm string) wire.Command {
		return p.call(wire.Command{Code: wire.UpdateAndCreateTopic, Ext: wire.Fields{
			prop("topic", topic), prop("defaultTopic", "TBW102"),
			prop("readQueueNums", read), prop("writeQueueNums", write), prop("perm", perm), prop("topicFilterType", "SINGLE_TAG"), prop("order", "false"),
		}})
	}
	mustCode(t, ask("t", "2", "1", "6"), 0)
	ns := connect(t, c, c.NameServers()[0], wire.JSON)
	if q := routeOf(t, ns, "t").Queues[0]; q.ReadQueueNums != 2 || q.WriteQueueNums != 1 || q.Perm != 6 {
		t.Errorf("%+v", q)
	}
	mustCode(t, ask("t", "2", "1", "4"), 0)
	if q := routeOf(t, ns, "t").Queues[0]; q.Perm != 4 {
		t.Errorf("%+v", q)
	}
	mustCode(t, ask("a b", "1", "1", "6"), 29)
	mustCode(t, ask("TBW102", "1", "1", "6"), 29)
	mustCode(t, ask("t", "-1", "1", "6"), 29)
	mustCode(t, ask("t", "1", "70000", "6"), 29)
}

func TestUnknownCodes(t *testing.T) {
	c := inMemory(t, embedded.Config{})
	for _, addr := range []string{c.NameServers()[0], c.Brokers()[0].Addr()} {
		for _, ser := range serializations {
			p := connect(t, c, addr, ser)
			for _, code := range []int{0, 9999, wire.QueryBrokerOffset} {
				if a := mustCode(t, p.call(wire.Command{Code: code}), 3); !strings.Contains(a.Remark, "not supported") {
					t.Errorf("remark %q", a.Remark)
				}
			}
		}
	}
}
