package integration

import (
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"net"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/liftoff-mq/liftoff/transport/wire"
)

// exchange is one request of the differential script.
type exchange struct {
	name string
	// toNameServer sends it there and not to the broker.
	toNameServer bool
	code         int
	ext          wire.Fields
	send         *wire.SendRequest // for send codes, in place of ext
	body         []byte
}

// differentialScript is what all sides are asked, in this order.
func differentialScript(topic string) []exchange {
	send := func(edit func(*wire.SendRequest)) *wire.SendRequest {
		r := &wire.SendRequest{
			Group: "g", Topic: topic, DefaultTopic: "TBW102", DefaultTopicQueueNums: 4, QueueID: 1,
			BornTimestamp: time.Now().UnixMilli(), MaxReconsumeTimes: -1,
			Properties: wire.AppendProperties(nil, wire.Fields{{Key: "UNIQ_KEY", Value: goldenID}, {Key: "a", Value: "b"}}),
		}
		if edit != nil {
			edit(r)
		}
		return r
	}
	asBatch := func(r *wire.SendRequest) { r.Batch, r.Properties = true, nil }
	batch := slices.Concat(goldenBatchMessage(0), goldenBatchMessage(1), goldenBatchMessage(2))
	ofTopic := wire.Fields{{Key: "topic", Value: topic}, {Key: "queueId", Value: "1"}}
	one := []byte("x")
	v2 := wire.SendMessageV2
	return []exchange{
		{name: "route of an unknown topic", toNameServer: true, code: wire.GetRouteInfoByTopic, ext: wire.RouteFields(topic + "_none")},
		{name: "route of the auto-create topic", toNameServer: true, code: wire.GetRouteInfoByTopic, ext: wire.RouteFields("TBW102")},
		{name: "first send creates the topic", code: v2, send: send(nil), body: []byte("one")},
		{name: "second send", code: v2, send: send(nil), body: []byte("two")},
		{name: "send in the long form", code: wire.SendMessage, send: send(nil), body: []byte("three")},
		{name: "body above the limit", code: v2, send: send(nil), body: make([]byte, maxBody+1)},
		{name: "queue out of range", code: v2, send: send(func(r *wire.SendRequest) { r.QueueID = 99 }), body: one},
		{name: "illegal topic", code: v2, send: send(func(r *wire.SendRequest) { r.Topic = "no good" }), body: one},
		{name: "topic too long", code: v2, send: send(func(r *wire.SendRequest) { r.Topic = strings.Repeat("t", 128) }), body: one},
		{name: "system topic", code: v2, send: send(func(r *wire.SendRequest) { r.Topic = "SCHEDULE_TOPIC_XXXX" }), body: one},
		{name: "unknown topic and default topic", code: v2, send: send(func(r *wire.SendRequest) {
			r.Topic, r.DefaultTopic = topic+"_no", "none"
		}), body: one},
		{name: "batch", code: wire.SendBatchMessage, send: send(asBatch), body: batch},
		{name: "broken batch", code: wire.SendBatchMessage, send: send(asBatch), body: batch[:50]},
		{name: "greatest offset", code: wire.GetMaxOffset, ext: ofTopic},
		{name: "least offset", code: wire.GetMinOffset, ext: ofTopic},
		{name: "heartbeat", code: wire.HeartBeat, body: wire.AppendHeartbeat(nil, &goldenHeartbeat)},
		{
			name: "unregister", code: wire.UnregisterClient,
			ext: wire.Unregister{ClientID: goldenHeartbeat.ClientID, ProducerGroup: "group-1"}.Fields(),
		},
		{name: "unknown request code", code: 9999},
		{name: "unknown request code at the name server", toNameServer: true, code: 9999},
		{name: "route after the sends", toNameServer: true, code: wire.GetRouteInfoByTopic, ext: wire.RouteFields(topic)},
	}
}

// Whatever a producer may ask, `liftoff broker` answers as a real 5.3.3 or a real 4.9.7 does: same code, same fields.
func TestLiftoffBrokerAnswersAsARealOne(t *testing.T) {
	type server struct{ name, nameServer, broker string }
	servers := []server{{name: "liftoff", nameServer: startLiftoffBroker(t)}}
	for _, v := range versions(t) {
		servers = append(servers, server{name: v, nameServer: sharedCluster(t, v).NameServer()})
	}
	for i := range servers {
		servers[i].broker = brokerOf(t, servers[i].nameServer)
	}
	for _, ser := range []wire.Serialization{wire.JSON, wire.RocketMQ} {
		for _, x := range differentialScript(topicFor(t, ser.String())) {
			t.Run(ser.String()+"/"+x.name, func(t *testing.T) {
				answers := make([]string, len(servers))
				for i, s := range servers {
					ctx, cancel := context.WithTimeout(t.Context(), 3*time.Second)
					defer cancel()
					var err error
					if answers[i], err = x.ask(ctx, s.nameServer, s.broker, ser); err != nil {
						t.Errorf("%s: %v", s.name, err)
					}
				}
				if !slices.Contains(answers[1:], answers[0]) {
					for i, s := range servers {
						t.Errorf("%-8s %s", s.name, answers[i])
					}
				}
			})
		}
	}
}

// ask makes the request and returns the comparable part of the answer.
func (x *exchange) ask(ctx context.Context, nameServer, broker string, ser wire.Serialization) (string, error) {
	addr := broker
	if x.toNameServer {
		addr = nameServer
	}
	c, err := x.call(ctx, addr, ser)
	switch {
	case errors.Is(err, io.EOF):
		return "connection closed", nil
	case errors.Is(err, os.ErrDeadlineExceeded): // a 4.9 name server leaves unknown codes unanswered
		return "no answer", nil
	case err != nil:
		return "", err
	}
	var b strings.Builder
	fmt.Fprintf(&b, "code %d", c.Code)
	fields := map[string]string{}
	for _, f := range c.Ext {
		switch f.Key {
		case "msgId": // address and store offset differ; how many there are does not
			fields[f.Key] = fmt.Sprintf("%d ids", strings.Count(f.Value, ",")+1)
		case "transactionId": // 5.x repeats the unique id here
		default:
			fields[f.Key] = f.Value
		}
	}
	for _, k := range slices.Sorted(maps.Keys(fields)) {
		fmt.Fprintf(&b, " %s=%s", k, fields[k])
	}
	if x.code == wire.GetRouteInfoByTopic && c.Code == 0 {
		r, err := wire.ParseRoute(c.Body)
		if err != nil {
			return "", err
		}
		slices.SortFunc(r.Queues, func(a, b wire.QueueData) int { return strings.Compare(a.BrokerName, b.BrokerName) }) // Java's is hash order
		for _, q := range r.Queues {
			fmt.Fprintf(&b, " %s:r%dw%dp%d", q.BrokerName, q.ReadQueueNums, q.WriteQueueNums, q.Perm)
		}
	}
	return b.String(), nil
}

func (x *exchange) call(ctx context.Context, addr string, ser wire.Serialization) (wire.Command, error) {
	const opaque = 5
	var frame []byte
	var err error
	if x.send != nil {
		frame, err = wire.AppendSend(nil, ser, x.code, opaque, 0, x.send, nil, x.body)
	} else {
		frame, err = wire.AppendCommand(nil, &wire.Command{
			Code: x.code, Language: wire.LanguageGo, Version: wire.CurrentVersion,
			Opaque: opaque, Ext: x.ext, Body: x.body, Serialization: ser,
		})
	}
	if err != nil {
		return wire.Command{}, err
	}
	conn, err := (&net.Dialer{}).DialContext(ctx, "tcp", addr)
	if err != nil {
		return wire.Command{}, err
	}
	defer conn.Close()
	if d, ok := ctx.Deadline(); ok {
		if err := conn.SetDeadline(d); err != nil {
			return wire.Command{}, err
		}
	}
	if _, err := conn.Write(frame); err != nil {
		return wire.Command{}, err
	}
	answer, err := wire.NewReader(conn, wire.MaxFrame).Next()
	if err != nil {
		return wire.Command{}, err
	}
	c, err := wire.ParseFrame(answer)
	// The serialization is not compared: 5.3.3 answers in JSON whatever the request was in, 4.9.7 in the request's.
	if err == nil && (c.Opaque != opaque || !c.IsResponse()) {
		err = fmt.Errorf("not the answer: opaque %d, flag %d", c.Opaque, c.Flag)
	}
	return c, err
}

// brokerOf is the address of broker-a, as the name server's route gives it.
func brokerOf(t *testing.T, nameServer string) string {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	x := exchange{code: wire.GetRouteInfoByTopic, ext: wire.RouteFields("TBW102")}
	c, err := x.call(ctx, nameServer, wire.JSON)
	if err != nil {
		t.Fatal(err)
	}
	r, err := wire.ParseRoute(c.Body)
	if err != nil {
		t.Fatalf("route of TBW102: code %d %s: %v", c.Code, c.Remark, err)
	}
	b := r.Broker("broker-a")
	if b == nil {
		t.Fatalf("no broker-a in %+v", r)
	}
	addr, _ := b.Master()
	return addr
}
