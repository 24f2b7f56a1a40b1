package admin_test

import (
	"encoding/json"
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/liftoff-mq/liftoff/core"
	"github.com/liftoff-mq/liftoff/core/rocketmq"
	"github.com/liftoff-mq/liftoff/transport/embedded"
	"github.com/liftoff-mq/liftoff/transport/remoting"
	"github.com/liftoff-mq/liftoff/transport/remoting/admin"
	"github.com/liftoff-mq/liftoff/transport/wire"
)

func TestNew(t *testing.T) {
	client, err := remoting.NewClient(remoting.Config{NameServers: []string{"127.0.0.1"}})
	if err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		client *remoting.Client
		cfg    admin.Config
		want   string
	}{
		{nil, admin.Config{}, "admin: the client is nil"},
		{client, admin.Config{Timeout: -1}, "Timeout"},
		{nil, admin.Config{Timeout: 48 * time.Hour}, "the client is nil\nTimeout"},
		{client, admin.Config{Timeout: time.Second}, ""},
	} {
		a, err := admin.New(tt.client, tt.cfg)
		if tt.want == "" && err != nil || tt.want != "" && (err == nil || a != nil || !strings.Contains(err.Error(), tt.want)) {
			t.Errorf("%v, want %q", err, tt.want)
		}
	}
	var cfg admin.Config
	if err := json.Unmarshal([]byte(`{"timeout":"1.5s"}`), &cfg); err != nil || cfg.Timeout != 1500*time.Millisecond {
		t.Errorf("%+v, %v", cfg, err)
	}
	if text, err := json.Marshal(cfg); err != nil || string(text) != `{"timeout":"1.5s"}` {
		t.Errorf("%s, %v", text, err)
	}
	if err := json.Unmarshal([]byte(`{"time":"1s"}`), &cfg); err == nil {
		t.Error("an unknown member was taken")
	}
}

// What a broker is told is what Java's tool tells it.
func TestCreateTopicFields(t *testing.T) {
	for _, tt := range []struct {
		name  string
		topic admin.Topic
		want  string
	}{
		{"defaults", admin.Topic{Name: "t"}, "topic=t defaultTopic=TBW102 readQueueNums=8 writeQueueNums=8 perm=6 topicFilterType=SINGLE_TAG topicSysFlag=0 order=false"},
		{
			"all",
			admin.Topic{Name: "t", Queues: 2, ReadQueues: 3, Perm: rocketmq.PermRead, Order: true, Type: admin.TypeFIFO},
			"topic=t defaultTopic=TBW102 readQueueNums=3 writeQueueNums=2 perm=4 topicFilterType=SINGLE_TAG topicSysFlag=0 order=true attributes=+message.type=FIFO",
		},
	} {
		t.Run(tt.name, func(t *testing.T) {
			virtual(t, 1, remoting.Config{}, func(t *testing.T, w *world) {
				w.on("", wire.UpdateAndCreateTopic, refuse(0, ""))
				if done, err := w.CreateTopic(t.Context(), tt.topic, admin.Place{}); err != nil || !slices.Equal(done, []string{"broker-a"}) {
					t.Fatalf("%v, %v", done, err)
				}
				asked := w.Requests(wire.UpdateAndCreateTopic)
				var got []string
				for _, f := range asked[0].Command.Ext {
					got = append(got, f.Key+"="+f.Value)
				}
				if len(asked) != 1 || strings.Join(got, " ") != tt.want {
					t.Errorf("%d requests; %s, want %s", len(asked), got, tt.want)
				}
			})
		})
	}
}

// A topic is made where it is wanted, and changed where it is.
func TestCreateTopicPlaces(t *testing.T) {
	virtual(t, 3, remoting.Config{}, func(t *testing.T, w *world) {
		all := "broker-a broker-b broker-c"
		for i, tt := range []struct {
			at   admin.Place
			want string
		}{
			{admin.Place{}, all},
			{admin.Place{Cluster: "DefaultCluster"}, all},
			{admin.Place{Broker: "broker-b"}, "broker-b"},
			{admin.Place{Broker: w.Broker("broker-c").Addr()}, w.Broker("broker-c").Addr()},
		} {
			queues := i + 1
			done, err := w.CreateTopic(t.Context(), admin.Topic{Name: "t", Queues: queues}, tt.at)
			if err != nil || strings.Join(done, " ") != tt.want {
				t.Errorf("%+v: %v, %v", tt.at, done, err)
			}
		}
		route, err := w.Route(t.Context(), "t")
		if err != nil {
			t.Fatal(err)
		}
		want := map[string]int{"broker-a": 2, "broker-b": 3, "broker-c": 4}
		for _, q := range route.Queues {
			if q.WriteQueueNums != want[q.BrokerName] || q.ReadQueueNums != want[q.BrokerName] || q.Perm != 6 {
				t.Errorf("%+v", q)
			}
		}
		if len(route.Queues) != 3 || route.Brokers[0].Addrs[0] == "" || route.Brokers[0].Cluster != "DefaultCluster" {
			t.Errorf("%+v", route)
		}
		for _, tt := range []struct {
			at   admin.Place
			want string
		}{
			{admin.Place{Cluster: "other"}, `no cluster "other"; there are DefaultCluster`},
			{admin.Place{Broker: "broker-x"}, `no broker "broker-x"; there are broker-a, broker-b, broker-c`},
		} {
			if done, err := w.CreateTopic(t.Context(), admin.Topic{Name: "t"}, tt.at); done != nil || !errors.Is(err, core.ErrNoRoute) || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("%+v: %v, %v", tt.at, done, err)
			}
		}
	})
}

// With more than one cluster nobody guesses.
func TestCreateTopicInOneOfSeveralClusters(t *testing.T) {
	virtual(t, 2, remoting.Config{}, func(t *testing.T, w *world) {
		w.on("", wire.GetBrokerClusterInfo, answerOf(wire.AppendClusterInfo(nil, []wire.BrokerData{
			{Cluster: "east", BrokerName: "broker-a", Addrs: map[int64]string{0: w.Broker("broker-a").Addr()}},
			{Cluster: "west", BrokerName: "broker-b", Addrs: map[int64]string{0: w.Broker("broker-b").Addr()}},
			{Cluster: "west", BrokerName: "broker-c", Addrs: map[int64]string{1: w.Broker("broker-b").Addr()}},
		}, wire.BareKeys)))
		var wrong *admin.ArgumentError
		if _, err := w.CreateTopic(t.Context(), admin.Topic{Name: "t"}, admin.Place{}); !errors.As(err, &wrong) || !strings.Contains(err.Error(), "the clusters east, west") {
			t.Errorf("%v", err)
		}
		if done, err := w.CreateTopic(t.Context(), admin.Topic{Name: "t"}, admin.Place{Cluster: "east"}); err != nil || !slices.Equal(done, []string{"broker-a"}) {
			t.Errorf("%v, %v", done, err)
		}
		// A broker without a master cannot get a topic; its slave is not asked.
		done, err := w.CreateTopic(t.Context(), admin.Topic{Name: "t"}, admin.Place{Cluster: "west"})
		var some *admin.BrokersError
		if !slices.Equal(done, []string{"broker-b"}) || !errors.As(err, &some) || len(some.Failed) != 1 || some.Failed[0].Broker != "broker-c" || some.Asked != 2 || core.ClassOf(err) != core.ClassNetwork {
			t.Errorf("%v, %v", done, err)
		}
		if n := w.RequestCount(wire.UpdateAndCreateTopic); n != 2 {
			t.Errorf("%d requests", n)
		}
	})
}

// What makes no sense is not asked.
func TestArguments(t *testing.T) {
	virtual(t, 1, remoting.Config{}, func(t *testing.T, w *world) {
		ctx := t.Context()
		topic := func(o admin.Topic) error { _, err := w.CreateTopic(ctx, o, admin.Place{}); return err }
		byKey := func(q admin.Query) error { _, err := w.MessagesByKey(ctx, q); return err }
		byID := func(topic, id string) error { _, err := w.MessagesByID(ctx, topic, id); return err }
		at := func(topic, id string) error { _, err := w.MessageAt(ctx, topic, id); return err }
		route := func(topic string) error { _, err := w.Route(ctx, topic); return err }
		_, both := w.CreateTopic(ctx, admin.Topic{Name: "t"}, admin.Place{Cluster: "c", Broker: "b"})
		for name, err := range map[string]error{
			"no name":               topic(admin.Topic{}),
			"a bad name":            topic(admin.Topic{Name: "a b"}),
			"a long name":           topic(admin.Topic{Name: strings.Repeat("t", 128)}),
			"a system topic":        topic(admin.Topic{Name: "TBW102"}),
			"no queues":             topic(admin.Topic{Name: "t", Queues: -1}),
			"no queues to read":     topic(admin.Topic{Name: "t", ReadQueues: -1}),
			"too many queues":       topic(admin.Topic{Name: "t", Queues: 65537}),
			"an unknown permission": topic(admin.Topic{Name: "t", Perm: 1}),
			"another attribute":     topic(admin.Topic{Name: "t", Type: "FIFO,+queue.type=BatchCQ"}),
			"a long type":           topic(admin.Topic{Name: "t", Type: admin.MessageType(strings.Repeat("A", 65))}),
			"two places":            both,
			"no topic":              route(""),
			"a blank topic":         route(" "),
			"control characters":    route("a\x1bb"),
			"no key":                byKey(admin.Query{Topic: "t"}),
			"two keys":              byKey(admin.Query{Topic: "t", Key: "a b"}),
			"a long key":            byKey(admin.Query{Topic: "t", Key: strings.Repeat("k", admin.MaxKey+1)}),
			"too few":               byKey(admin.Query{Topic: "t", Key: "k", Max: -1}),
			"too many":              byKey(admin.Query{Topic: "t", Key: "k", Max: admin.MaxMax + 1}),
			"the end first":         byKey(admin.Query{Topic: "t", Key: "k", Begin: time.UnixMilli(2), End: time.UnixMilli(1)}),
			"key without topic":     byKey(admin.Query{Key: "k"}),
			"no id":                 byID("t", ""),
			"a long id":             byID("t", strings.Repeat("i", admin.MaxKey+1)),
			"id without topic":      byID("", "i"),
			"no offset id":          at("", "x"),
			"a unique id":           at("", "C00002025B8CA6CB659A8607638C0001"),
			"a blank topic of it":   at(" ", "7F000001000088770000000000000000"),
		} {
			var wrong *admin.ArgumentError
			if !errors.As(err, &wrong) || core.ClassOf(err) != core.ClassInvalid {
				t.Errorf("%s: %v", name, err)
			}
		}
		for _, code := range []int{wire.UpdateAndCreateTopic, wire.GetBrokerClusterInfo, wire.GetRouteInfoByTopic, wire.QueryMessage, wire.ViewMessageByID} {
			if n := w.RequestCount(code); n != 0 {
				t.Errorf("%d requests of code %d", n, code)
			}
		}
	})
}

// A refusal at one of two brokers is told with its class; the other one has the topic.
func TestCreateTopicAtSomeBrokers(t *testing.T) {
	for _, tt := range []struct {
		name   string
		action embedded.Action
		class  core.Class
		text   string
	}{
		{"no permission (5.x)", refuse(rocketmq.CodeNoPermission, "User:u has no permission to access Topic:t from 127.0.0.1"), core.ClassAuth, "has no permission"},
		{"no permission (4.9)", refuse(rocketmq.CodeSystemError, "org.apache.rocketmq.acl.common.AclException: Need admin permission"), core.ClassAuth, "Need admin permission"},
		{"refused", refuse(rocketmq.CodeInvalidParameter, "no"), core.ClassRejected, "INVALID_PARAMETER"},
		{"hung", embedded.Hang(), core.ClassTimeout, "timeout"},
		{"cut", embedded.Cut(), core.ClassNetwork, "connection lost"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			virtual(t, 2, remoting.Config{}, func(t *testing.T, w *world) {
				w.on("broker-b", wire.UpdateAndCreateTopic, tt.action)
				begin := time.Now()
				done, err := w.CreateTopic(t.Context(), admin.Topic{Name: "t"}, admin.Place{})
				var some *admin.BrokersError
				if !errors.As(err, &some) || core.ClassOf(err) != tt.class || len(some.Failed) != 1 || some.Failed[0].Broker != "broker-b" ||
					some.Failed[0].Addr != w.Broker("broker-b").Addr() || !strings.Contains(err.Error(), "create topic t: 1 of 2 brokers failed; broker-b: ") || !strings.Contains(err.Error(), tt.text) {
					t.Errorf("%v", err)
				}
				if !slices.Equal(done, []string{"broker-a"}) || time.Since(begin) > admin.DefaultTimeout {
					t.Errorf("%v after %v", done, time.Since(begin))
				}
				if n := w.RequestCount(wire.UpdateAndCreateTopic); n != 2 {
					t.Errorf("%d requests", n)
				}
			})
		})
	}
}

// Brokers before 5.0 drop the type; the answer shows how old they are.
func TestOldBrokersHaveNoTypes(t *testing.T) {
	virtual(t, 1, remoting.Config{}, func(t *testing.T, w *world) {
		for _, tt := range []struct {
			version int
			kind    admin.MessageType
			old     bool
		}{{wire.V4_9_8, admin.TypeDelay, true}, {wire.V4_9_8, "", false}, {wire.V5_0_0, admin.TypeDelay, false}} {
			remove := answerAsVersion(w, tt.version)
			done, err := w.CreateTopic(t.Context(), admin.Topic{Name: "t", Type: tt.kind}, admin.Place{})
			if errors.Is(err, core.ErrUnsupported) != tt.old || (err != nil) != tt.old || len(done) != 1 {
				t.Errorf("%d %s: %v, %v", tt.version, tt.kind, done, err)
			}
			remove()
		}
	})
}

func TestRouteOfNobody(t *testing.T) {
	virtualOf(t, embedded.Config{NameServers: 2}, remoting.Config{}, func(t *testing.T, w *world) {
		for _, ask := range []func() error{
			func() error { _, err := w.Route(t.Context(), "none"); return err },
			func() error { _, err := w.Offsets(t.Context(), "none"); return err },
			func() error {
				_, err := w.OffsetAt(t.Context(), "none", core.Queue{Broker: "broker-a"}, time.Now())
				return err
			},
			func() error { _, err := w.MessagesByID(t.Context(), "none", "id"); return err },
			func() error { _, err := w.MessagesByKey(t.Context(), admin.Query{Topic: "none", Key: "k"}); return err },
		} {
			var re *remoting.RouteError
			if err := ask(); !errors.As(err, &re) || core.ClassOf(err) != core.ClassNoRoute || errors.Is(err, admin.ErrNotFound) {
				t.Errorf("%v", err)
			}
		}
		if len(w.Topics()) == 0 || slices.Contains(w.Topics(), "none") {
			t.Errorf("%v", w.Topics())
		}
	})
}
