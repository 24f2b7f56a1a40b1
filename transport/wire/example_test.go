package wire_test

import (
	"bytes"
	"errors"
	"fmt"
	"io"

	"github.com/liftoff-mq/liftoff/core/rocketmq"
	"github.com/liftoff-mq/liftoff/transport/wire"
)

// A stream of frames is read one by one; the head routes a frame before the rest is looked at.
func ExampleNewReader() {
	var stream []byte
	for opaque := range int32(2) {
		stream, _ = wire.AppendSendResponse(stream, wire.ResponseHead{Opaque: opaque, Serialization: wire.RocketMQ}, "",
			&wire.SendResponse{MsgID: "7F00000100002A9F00000000000F4240", QueueOffset: int64(opaque), TraceOn: true})
	}
	r := wire.NewReader(bytes.NewReader(stream), wire.MaxFrame)
	var answer wire.Answer
	for {
		frame, err := r.Next()
		if errors.Is(err, io.EOF) {
			return
		}
		if err != nil {
			fmt.Println(err)
			return
		}
		if err := answer.Parse(frame); err != nil {
			fmt.Println(err)
			return
		}
		head := answer.Head() // whose answer it is
		var stored wire.SendResponse
		if err := answer.SendResponse(&stored); err != nil {
			fmt.Println(err)
			return
		}
		fmt.Println(head.Opaque, head.IsResponse(), stored.MsgID, stored.QueueOffset)
	}
	// Output:
	// 0 true 7F00000100002A9F00000000000F4240 0
	// 1 true 7F00000100002A9F00000000000F4240 1
}

// A peer that speaks something else is named.
func ExampleFrameError() {
	_, err := wire.NewReader(bytes.NewReader([]byte("HTTP/1.1 400 Bad Request\r\n")), 0).Next()
	fmt.Println(errors.Is(err, wire.ErrFrame))
	fmt.Println(err)
	// Output:
	// true
	// wire: bad frame: length beyond the limit (1213486160): the peer looks like an HTTP server
}

// A client encodes a send request, a server decodes it.
func ExampleAppendSend() {
	request := wire.SendRequest{
		Group: "orders-producer", Topic: "orders", DefaultTopic: "TBW102", DefaultTopicQueueNums: 4, QueueID: 2,
		Properties: wire.AppendProperty(nil, rocketmq.PropertyTags, "paid"), MaxReconsumeTimes: -1,
	}
	buf := make([]byte, 0, 1024) // reused from send to send
	buf, err := wire.AppendSend(buf, wire.RocketMQ, wire.SendMessageV2, 1, 0, &request, nil, []byte("body"))
	if err != nil {
		fmt.Println(err)
		return
	}
	command, err := wire.ParseFrame(buf[4:])
	if err != nil {
		fmt.Println(err)
		return
	}
	got, err := wire.ParseSend(&command)
	fmt.Println(got.Topic, got.QueueID, wire.ParseProperties(got.Properties).Get("TAGS"), string(command.Body), err)
	// Output: orders 2 paid body <nil>
}

func ExampleAppendCommand() {
	frame, err := wire.AppendCommand(nil, &wire.Command{
		Code: wire.GetRouteInfoByTopic, Language: wire.LanguageGo, Version: wire.CurrentVersion, Opaque: 7,
		Ext: wire.RouteFields("orders"),
	})
	fmt.Printf("%s %v\n", frame[8:], err)
	// Output: {"code":105,"flag":0,"language":"GO","opaque":7,"serializeTypeCurrentRPC":"JSON","version":479,"extFields":{"topic":"orders","acceptStandardJsonOnly":"true"}} <nil>
}

// Older name servers answer with integer keys that no JSON parser takes.
func ExampleParseRoute() {
	route, err := wire.ParseRoute([]byte(`{
		"brokerDatas":[{"brokerAddrs":{0:"10.0.0.1:10911"},"brokerName":"broker-a","cluster":"c"}],
		"queueDatas":[{"brokerName":"broker-a","perm":6,"readQueueNums":2,"writeQueueNums":2}]}`))
	if err != nil {
		fmt.Println(err)
		return
	}
	master, _ := route.Broker("broker-a").Master()
	queues, err := wire.PublishQueues(route)
	fmt.Println(master, queues, err)
	// Output: 10.0.0.1:10911 [{broker-a 0} {broker-a 1}] <nil>
}

func ExampleParseOffsetID() {
	id, err := wire.ParseOffsetID("7F00000100002A9F00000000000F4240")
	fmt.Println(id.Addr, id.Offset, err)
	// Output: 127.0.0.1:10911 1000000 <nil>
}
