package embedded_test

import (
	"context"
	"fmt"
	"net"

	"github.com/liftoff-mq/liftoff/transport/embedded"
	"github.com/liftoff-mq/liftoff/transport/wire"
)

// A cluster of two brokers, of which one refuses the first send. Any RocketMQ client could be
// pointed at its name server; here frames are written by hand.
func ExampleStart() {
	ctx := context.Background()
	cluster, err := embedded.Start(ctx, embedded.Config{Brokers: embedded.BrokerNames(2)})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer cluster.Close()
	if err := cluster.CreateTopic("orders", 4); err != nil {
		fmt.Println(err)
		return
	}
	cluster.ControlOnce(wire.SendMessageV2, func(r *embedded.Request) embedded.Action {
		return embedded.Reply(2, "[OVERLOAD] "+r.Node)
	})

	conn, err := net.Dial("tcp", cluster.Broker("broker-a").Addr())
	if err != nil {
		fmt.Println(err)
		return
	}
	defer conn.Close()
	reader := wire.NewReader(conn, 0)
	for opaque := range int32(2) {
		request := wire.SendRequest{Group: "shop", Topic: "orders", DefaultTopic: "TBW102", DefaultTopicQueueNums: 4, MaxReconsumeTimes: -1}
		frame, err := wire.AppendSend(nil, wire.RocketMQ, wire.SendMessageV2, opaque, 0, &request, nil, []byte("one tea"))
		if err != nil {
			fmt.Println(err)
			return
		}
		if _, err := conn.Write(frame); err != nil {
			fmt.Println(err)
			return
		}
		answer, err := reader.Next()
		if err != nil {
			fmt.Println(err)
			return
		}
		head, err := wire.ParseFrame(answer)
		fmt.Println("code", head.Code, head.Remark, err)
	}
	for _, m := range cluster.Stored("orders") {
		fmt.Printf("%s queue %d offset %d: %s\n", m.Broker, m.QueueID, m.QueueOffset, m.Body)
	}
	// Output:
	// code 2 [OVERLOAD] broker-a <nil>
	// code 0  <nil>
	// broker-a queue 0 offset 0: one tea
}

// A whole cluster without a socket, for tests under testing/synctest.
func ExampleNewNetwork() {
	network := embedded.NewNetwork()
	cluster, err := embedded.Start(context.Background(), embedded.Config{Network: network})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer cluster.Close()
	conn, err := cluster.Dial(context.Background(), "tcp", cluster.NameServers()[0])
	if err != nil {
		fmt.Println(err)
		return
	}
	defer conn.Close()
	fmt.Println(conn.LocalAddr(), "to", conn.RemoteAddr())
	// Output:
	// 127.0.0.1:40001 to 127.0.0.1:10001
}
