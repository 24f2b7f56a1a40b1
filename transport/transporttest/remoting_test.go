package transporttest_test

import (
	"context"
	"net"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/liftoff-mq/liftoff/core"
	"github.com/liftoff-mq/liftoff/core/refusal"
	"github.com/liftoff-mq/liftoff/core/rocketmq"
	"github.com/liftoff-mq/liftoff/transport/embedded"
	"github.com/liftoff-mq/liftoff/transport/remoting"
	"github.com/liftoff-mq/liftoff/transport/transporttest"
	"github.com/liftoff-mq/liftoff/transport/wire"
)

// The client of real clusters keeps the rules, in both forms of its headers.
func TestRemoting(t *testing.T) {
	for _, form := range []remoting.Serialization{remoting.Binary, remoting.JSON} {
		t.Run(form.String(), func(t *testing.T) {
			for _, r := range transporttest.Rules() {
				t.Run(r.String(), func(t *testing.T) {
					synctest.Test(t, func(t *testing.T) {
						r.Test(t, func(tb transporttest.TB) transporttest.World {
							return remotingWorld(tb, form, embedded.NewNetwork())
						})
					})
				})
			}
		})
	}
}

// And over TCP, in real time, as a test outside of this repository would run it.
func TestRemotingOverTCP(t *testing.T) {
	transporttest.Test(t, func(tb transporttest.TB) transporttest.World {
		return remotingWorld(tb, remoting.Binary, nil)
	})
}

// remotingWorld is a client and a cluster of two brokers, over network or, if that is nil,
// TCP.
func remotingWorld(tb transporttest.TB, form remoting.Serialization, network *embedded.Network) transporttest.World {
	cluster := embedded.New(tb, embedded.Config{Brokers: embedded.BrokerNames(2), NoAutoCreateTopics: true, Network: network})
	for _, topic := range []embedded.Topic{
		{Name: "T", ReadQueues: 2, WriteQueues: 2, Perm: rocketmq.PermRead | rocketmq.PermWrite},
		{Name: "read-only", ReadQueues: 2, WriteQueues: 2, Perm: rocketmq.PermRead},
	} {
		if err := cluster.PutTopic(topic); err != nil {
			tb.Fatalf("%v", err)
		}
	}
	c, err := remoting.NewClient(remoting.Config{NameServers: cluster.NameServers(), Dial: cluster.Dial, Serialization: form})
	if err != nil {
		tb.Fatalf("%v", err)
	}
	w := transporttest.World{
		Transport: c, Routes: c, Topic: "T", UnknownTopic: "unknown", ReadOnlyTopic: "read-only",
		Serve: func(h transporttest.Handler) { serveEmbedded(cluster, h) },
		Cannot: map[transporttest.Kind]string{
			transporttest.RefuseSome: "brokers store all messages of a batch or none",
		},
		Refusals:   refusals(),
		HangRoutes: func() { cluster.NameServer(0).Pause() },
		HangingUp:  peer(tb, network, func(c net.Conn) { c.Close() }),
		Deaf:       peer(tb, network, func(net.Conn) {}),
	}
	if network != nil {
		w.Refusing, w.Silent, w.Late = "127.0.0.1:1", "127.0.0.1:2", time.Millisecond
		if err := network.SetUnreachable(w.Silent, true); err != nil {
			tb.Fatalf("%v", err)
		}
	} else {
		w.Refusing = "127.0.0.1:1" // nobody may listen there without privileges
	}
	return w
}

// refusals are what brokers answer, and what it means to the client of real clusters.
func refusals() []transporttest.Refusal {
	var out []transporttest.Refusal
	for _, r := range []struct {
		code   rocketmq.ResponseCode
		remark string
	}{
		{rocketmq.CodeSystemBusy, "[TIMEOUT_CLEAN_QUEUE]broker busy"},
		{rocketmq.CodeFlowControl, "too many requests"},
		{rocketmq.CodeServiceNotAvailable, "the disk is full"},
		{rocketmq.CodeNoPermission, "the broker[broker-a] sending message is forbidden"},
		{rocketmq.CodeNoPermission, "check signature failed."},
		{rocketmq.CodeTopicNotExist, "topic[T] not exist, apply first please!"},
		{rocketmq.CodeNotLeaderForQueue, ""},
		{rocketmq.CodeMessageIllegal, "the message is illegal"},
		{rocketmq.CodeGoAway, ""},
		{rocketmq.CodeSystemError, "UNKNOWN_ERROR\nat line 1"},
	} {
		e := refusal.Of(r.code, r.remark, "")
		out = append(out, transporttest.Refusal{Code: r.code, Remark: r.remark, Class: e.Class, Certainty: e.Certainty})
	}
	return out
}

// serveEmbedded lets the kit decide about the cluster's sends.
func serveEmbedded(cluster *embedded.Cluster, h transporttest.Handler) {
	for _, code := range []int{wire.SendMessageV2, wire.SendMessage, wire.SendBatchMessage} {
		cluster.Control(code, func(req *embedded.Request) embedded.Action {
			r, err := arrived(cluster, req)
			if err != nil {
				return embedded.Reply(rocketmq.CodeSystemError, err.Error())
			}
			switch reply := h(r); reply.Kind {
			case transporttest.StoreLate:
				return embedded.StoreThen(embedded.Delay(reply.After, embedded.Pass()))
			case transporttest.Refuse:
				return embedded.Reply(reply.Refusal.Code.(rocketmq.ResponseCode), reply.Refusal.Remark)
			case transporttest.Hang:
				return embedded.Hang()
			case transporttest.Cut:
				return embedded.Cut()
			default:
				return embedded.Pass()
			}
		})
	}
}

// arrived is a request as the kit sees it.
func arrived(cluster *embedded.Cluster, req *embedded.Request) (transporttest.Request, error) {
	send, err := wire.ParseSend(&req.Command)
	if err != nil {
		return transporttest.Request{}, err
	}
	r := transporttest.Request{
		Addr: cluster.Broker(req.Node).Addr(), Queue: core.Queue{Broker: req.Node, ID: send.QueueID}, Topic: send.Topic,
	}
	if !send.Batch {
		r.Messages = []transporttest.Message{message(req.Command.Body, send.Flag, send.Properties, send.SysFlag)}
		return r, nil
	}
	batch, err := wire.ParseBatch(req.Command.Body)
	for _, m := range batch {
		r.Messages = append(r.Messages, message(m.Body, m.Flag, m.Properties, send.SysFlag))
	}
	return r, err
}

func message(body []byte, flag int32, properties []byte, sysFlag int32) transporttest.Message {
	m := transporttest.Message{Body: body, Flag: flag, Properties: map[string]string{}}
	for _, p := range wire.ParseProperties(properties) {
		m.Properties[p.Key] = p.Value
	}
	if sysFlag&rocketmq.SysCompressed != 0 {
		m.Codec = map[int32]string{
			rocketmq.SysCompressionLZ4: "lz4", rocketmq.SysCompressionZstd: "zstd", rocketmq.SysCompressionZlib: "zlib",
		}[sysFlag&rocketmq.SysCompressionMask]
	}
	return m
}

// peer listens and does something with each connection. It gives its address.
func peer(tb transporttest.TB, network *embedded.Network, meet func(c net.Conn)) string {
	var ln net.Listener
	var err error
	if network != nil {
		ln, err = network.Listen("127.0.0.1:0")
	} else {
		ln, err = new(net.ListenConfig).Listen(context.Background(), "tcp", "127.0.0.1:0")
	}
	if err != nil {
		tb.Fatalf("%v", err)
	}
	var wg sync.WaitGroup
	wg.Go(func() {
		for {
			c, err := ln.Accept()
			if err != nil {
				return
			}
			defer c.Close()
			meet(c)
		}
	})
	tb.Cleanup(func() {
		ln.Close()
		wg.Wait()
	})
	return ln.Addr().String()
}
