package integration

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/liftoff-mq/liftoff"
	"github.com/liftoff-mq/liftoff/core"
	"github.com/liftoff-mq/liftoff/core/rocketmq"
	"github.com/liftoff-mq/liftoff/integration/javaprog"
	"github.com/liftoff-mq/liftoff/transport/remoting"
	"github.com/liftoff-mq/liftoff/transport/remoting/acl"
	"github.com/liftoff-mq/liftoff/transport/remoting/admin"
	"github.com/liftoff-mq/liftoff/transport/wire"
)

// startAdmin is an Admin of a cluster, and the client that it asks with.
func startAdmin(t *testing.T, c *cluster, settings remoting.Config) (*admin.Admin, *remoting.Client) {
	t.Helper()
	settings.NameServers = []string{c.NameServer()}
	client, err := remoting.NewClient(settings)
	must(t, err)
	must(t, client.Start(t.Context()))
	t.Cleanup(func() {
		if err := client.Shutdown(context.Background()); err != nil {
			t.Error(err)
		}
	})
	a, err := admin.New(client, admin.Config{Timeout: 20 * time.Second}) // the machine may be busy
	must(t, err)
	return a, client
}

// eventually repeats what a cluster does a moment later: a route comes to the name server, a message into the index.
func eventually(t *testing.T, what string, try func() error) {
	t.Helper()
	for deadline := time.Now().Add(time.Minute); ; time.Sleep(50 * time.Millisecond) {
		err := try()
		if err == nil {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("%s: not within a minute: %v", what, err)
		}
	}
}

// A topic is made, sent to and looked at, and RocketMQ's own tool sees the same. What the official Java producer sends is
// found as well.
func TestAdmin(t *testing.T) {
	t.Parallel()
	eachVersion(t, func(t *testing.T, version string) {
		c := sharedCluster(t, version)
		ctx, cancel := context.WithTimeout(t.Context(), 5*time.Minute)
		defer cancel()
		a, client := startAdmin(t, c, remoting.Config{})
		topic := topicFor(t, "t")

		// Created, created again, and with a type that 4.9 does not have.
		for _, at := range []admin.Place{{}, {Cluster: "DefaultCluster"}, {Broker: "broker-a"}} {
			done, err := a.CreateTopic(ctx, admin.Topic{Name: topic, Queues: 3}, at)
			if want := map[bool][]string{true: {"broker-a"}, false: {"broker-a", "broker-b"}}[at.Broker != ""]; err != nil || !slices.Equal(done, want) {
				t.Fatalf("%+v: %v, %v", at, done, err)
			}
		}
		typed := topicFor(t, "typed")
		_, err := a.CreateTopic(ctx, admin.Topic{Name: typed, Queues: 1, Type: admin.TypeFIFO, Order: true}, admin.Place{Broker: c.BrokerAddr("broker-b")})
		if version[0] == '4' {
			if !errors.Is(err, core.ErrUnsupported) {
				t.Errorf("a type at 4.9: %v", err)
			}
		} else {
			must(t, err)
			answer, err := client.Do(ctx, "broker-b", c.BrokerAddr("broker-b"), wire.Command{Code: wire.GetTopicConfig, Ext: wire.Fields{{Key: "topic", Value: typed}, {Key: "lo", Value: "true"}}})
			must(t, err)
			var config struct {
				Attributes map[string]string
				Order      bool
			}
			must(t, json.Unmarshal(answer.Body, &config))
			if config.Attributes["message.type"] != "FIFO" || !config.Order {
				t.Errorf("%s", answer.Body)
			}
			for kind, code := range map[admin.MessageType]rocketmq.ResponseCode{"NOSUCH": rocketmq.CodeSystemError, admin.TypeMixed: rocketmq.CodeInvalidParameter} {
				_, err := a.CreateTopic(ctx, admin.Topic{Name: typed, Type: kind}, admin.Place{Broker: "broker-b"})
				var be *core.BrokerError
				if !errors.As(err, &be) || be.Code != code {
					t.Errorf("type %s: %v, want %v", kind, err, code)
				}
			}
		}

		eventually(t, "route", func() error {
			route, err := a.Route(ctx, topic)
			if err != nil {
				return err
			}
			for _, name := range []string{"broker-a", "broker-b"} {
				if b := route.Broker(name); b == nil || b.Addrs[rocketmq.MasterID] != c.BrokerAddr(name) || b.Cluster != "DefaultCluster" {
					return fmt.Errorf("%+v", route)
				}
			}
			for _, q := range route.Queues {
				if q.ReadQueueNums != 3 || q.WriteQueueNums != 3 || q.Perm != rocketmq.PermRead|rocketmq.PermWrite {
					t.Errorf("%+v", q)
				}
			}
			return nil
		})
		if _, err := a.Route(ctx, topicFor(t, "none")); !errors.Is(err, core.ErrNoRoute) {
			t.Errorf("unknown topic: %v", err)
		}

		// Sent by Liftoff, every fourth one packed.
		p, err := liftoff.New(liftoff.Config{Group: "integration-admin"}, liftoff.WithClient(client))
		must(t, err)
		must(t, p.Start(ctx))
		defer func() { must(t, p.Shutdown(context.Background())) }()
		body := func(i int) string { return strings.Repeat(fmt.Sprintf("body %d ", i), 1+i%4*1000) }
		sent := make([]core.Result, 20)
		begin := time.Now().Add(-time.Second)
		for i := range sent {
			sent[i], err = p.Send(ctx, &core.Message{Topic: topic, Tag: "x", Keys: []string{"all", fmt.Sprintf("key-%d", i)}, Body: []byte(body(i))})
			must(t, err)
		}
		for i, res := range sent {
			eventually(t, "by id", func() error { _, err := a.MessagesByID(ctx, topic, res.MessageID.String()); return err })
			byID, err := a.MessagesByID(ctx, topic, res.MessageID.String())
			must(t, err)
			byKey, err := a.MessagesByKey(ctx, admin.Query{Topic: topic, Key: fmt.Sprintf("key-%d", i), Begin: begin})
			must(t, err)
			byPlace, err := a.MessageAt(ctx, topic, res.OffsetMessageID)
			must(t, err)
			for way, found := range map[string][]admin.Message{"id": byID, "key": byKey, "place": {*byPlace}} {
				if len(found) != 1 {
					t.Fatalf("%d: %d found by %s", i, len(found), way)
				}
				m := &found[0]
				got, err := m.Unpack(0)
				if err != nil || string(got) != body(i) || m.ID() != res.MessageID.String() || m.OffsetID() != res.OffsetMessageID || m.QueueID != res.Queue.ID ||
					m.QueueOffset != res.QueueOffset || m.Topic != topic || m.Tag() != "x" || (m.Broker != res.Queue.Broker && way != "place") {
					t.Errorf("%d by %s: %d bytes, %s of %s at %s in %v, %v", i, way, len(got), m.ID(), m.Topic, m.OffsetID(), m.QueueID, err)
				}
			}
		}
		all, err := a.MessagesByKey(ctx, admin.Query{Topic: topic, Key: "all"})
		if err != nil || len(all) != len(sent) {
			t.Errorf("%d have the key of all, %v", len(all), err)
		}
		none := func(err error) bool { return errors.Is(err, admin.ErrNotFound) }
		if _, err := a.MessagesByKey(ctx, admin.Query{Topic: topic, Key: "none"}); !none(err) {
			t.Errorf("unknown key: %v", err)
		}
		if _, err := a.MessagesByKey(ctx, admin.Query{Topic: topic, Key: "all", End: begin}); !none(err) {
			t.Errorf("before: %v", err)
		}
		if _, err := a.MessagesByID(ctx, topic, "7F0000010000000000000000000000FF"); !none(err) {
			t.Errorf("unknown id: %v", err)
		}
		if _, err := a.MessageAt(ctx, topic, sent[0].OffsetMessageID[:16]+"0000FFFFFFFFFFFF"); !none(err) {
			t.Errorf("beyond the log: %v", err)
		}

		offsets, err := a.Offsets(ctx, topic)
		must(t, err)
		stored := int64(0)
		for _, o := range offsets {
			stored += o.Max - o.Min
			if o.Earliest.IsZero() != (o.Max == o.Min) || o.Max > o.Min && (o.Earliest.Before(begin) || o.Earliest.After(time.Now())) {
				t.Errorf("%+v", o)
			}
			if o.Max == o.Min {
				continue
			}
			if at, err := a.OffsetAt(ctx, topic, o.Queue, begin); err != nil || at != o.Min {
				t.Errorf("%v: the first is %d, %v", o, at, err)
			}
			end := o.Max
			if version[0] == '4' {
				end--
			}
			if at, err := a.OffsetAt(ctx, topic, o.Queue, time.Now().Add(time.Hour)); err != nil || at != end {
				t.Errorf("%v: what comes next is %d, %v", o, at, err)
			}
		}
		if len(offsets) != 6 || stored != int64(len(sent)) {
			t.Errorf("%d queues, %d messages", len(offsets), stored)
		}

		// Java's message, and Java's eyes.
		var lines []string
		eventually(t, "Java's producer", func() error { // it gives up after three seconds, which a busy machine may need
			lines, err = javaprog.TryRun(t, version, "Produce", c.NameServer(), topic, "sync", "1", "5000")
			return err
		})
		var java struct{ MsgID, OffsetMsgID string }
		mustJSON(t, lines[0], &java)
		eventually(t, "Java's by id", func() error { _, err := a.MessagesByID(ctx, topic, java.MsgID); return err })
		m, err := a.MessageAt(ctx, topic, java.OffsetMsgID)
		must(t, err)
		if got, err := m.Unpack(0); err != nil || !strings.HasPrefix(string(got), "java-sync-0.") || len(got) != 5000 || m.ID() != java.MsgID ||
			m.Tag() != "java" || !slices.Equal(m.Keys(), []string{"key-0"}) || m.Property("n") != "0" || len(m.Body) > 1000 {
			t.Errorf("Java's: %d bytes, %s with %v, %v", len(got), m.ID(), m.AllProperties(), err)
		}
		tool := startMqadmin(t, version, c.NameServer())
		byPlace := []string{"queryMsgById", "-i", java.OffsetMsgID}
		if version[0] > '4' {
			byPlace = append(byPlace, "-t", topic)
		}
		for want, args := range map[string][]string{
			`(?s)broker-a.*broker-b`:                            {"topicRoute", "-t", topic},
			`(?s)"writeQueueNums": ?3.*"writeQueueNums": ?3`:    {"topicRoute", "-t", topic},
			`(?m)^Keys:\s+\[all key-7\s*\]`:                     {"queryMsgByUniqueKey", "-t", topic, "-i", sent[7].MessageID.String()},
			`(?m)^Queue Offset:\s+` + fmt.Sprint(m.QueueOffset): byPlace,
		} {
			eventually(t, "mqadmin", func() error { // a call of the tool's gives up early on a busy machine
				if out := tool.run(args...); !regexp.MustCompile(want).MatchString(out) {
					return fmt.Errorf("%s: no %s in\n%s", strings.Join(args, " "), want, tail(out, 3000))
				}
				return nil
			})
		}
	})
}

// administered shows what users of a cluster with access control may do: the administrator all, one who may send no
// more than that, strangers nothing.
func administered(t *testing.T, c *cluster, said *transcript) {
	by := func(keys acl.Credentials) *admin.Admin {
		provider, err := acl.Static(keys)
		must(t, err)
		signer, err := acl.NewSigner(provider)
		must(t, err)
		a, _ := startAdmin(t, c, remoting.Config{Signer: signer})
		return a
	}
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	root := by(keysOf(t, c.AdminCredentials()))
	if _, err := root.CreateTopic(ctx, admin.Topic{Name: "administered", Queues: 1}, admin.Place{}); err != nil {
		t.Error(said.error(err))
	}
	eventually(t, "route", func() error { _, err := root.Route(ctx, "administered"); return err })
	for name, ask := range map[string]func() error{
		"offsets": func() error { _, err := root.Offsets(ctx, "administered"); return err },
		"key": func() error {
			if _, err := root.MessagesByKey(ctx, admin.Query{Topic: "administered", Key: "k"}); !errors.Is(err, admin.ErrNotFound) {
				return fmt.Errorf("not found, but: %w", err)
			}
			return nil
		},
		"id": func() error {
			if _, err := root.MessagesByID(ctx, "administered", "7F0000010000000000000000000000FF"); !errors.Is(err, admin.ErrNotFound) {
				return fmt.Errorf("not found, but: %w", err)
			}
			return nil
		},
	} {
		if err := ask(); err != nil {
			t.Errorf("%s: %v", name, said.error(err))
		}
	}
	sender := keysOf(t, c.SenderCredentials())
	for name, keys := range map[string]acl.Credentials{"no permission": sender, "wrong secret key": {AccessKey: sender.AccessKey, SecretKey: acl.NewSecret("wrong-secret-key")}} {
		_, err := by(keys).CreateTopic(ctx, admin.Topic{Name: "administered", Queues: 2}, admin.Place{Broker: c.BrokerAddr("broker-a")})
		if err = said.error(err); core.ClassOf(err) != core.ClassAuth {
			t.Errorf("%s: %v", name, err)
		}
	}
}
