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

// A broker asks a producer how a transaction has ended, as real ones do when they wait for that
// too long. Any RocketMQ client could be asked; here frames are written by hand.
func ExampleBroker_Ask() {
	cluster, err := embedded.Start(context.Background(), embedded.Config{Network: embedded.NewNetwork()})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer cluster.Close()
	broker := cluster.Broker("broker-a")
	_, err = broker.Ask(context.Background(), "shop", wire.Command{Code: wire.CheckTransactionState})
	fmt.Println(err)

	conn, err := cluster.Dial(context.Background(), "tcp", broker.Addr())
	if err != nil {
		fmt.Println(err)
		return
	}
	defer conn.Close()
	reader := wire.NewReader(conn, 0)
	exchange := func(cmd wire.Command) wire.Command {
		frame, err := wire.AppendCommand(nil, &cmd)
		if err != nil {
			fmt.Println(err)
			return wire.Command{}
		}
		if _, err = conn.Write(frame); err != nil {
			fmt.Println(err)
			return wire.Command{}
		}
		if cmd.IsResponse() {
			return wire.Command{}
		}
		next, err := reader.Next()
		if err != nil {
			fmt.Println(err)
			return wire.Command{}
		}
		answer, err := wire.ParseFrame(next)
		if err != nil {
			fmt.Println(err)
		}
		return answer
	}
	heartbeat := wire.Heartbeat{ClientID: "10.0.0.1@1", ProducerGroups: []string{"shop"}}
	fmt.Println("heartbeat:", exchange(wire.Command{Code: wire.HeartBeat, Body: wire.AppendHeartbeat(nil, &heartbeat)}).Code)

	done := make(chan struct{})
	go func() {
		defer close(done)
		answer, err := broker.Ask(context.Background(), "shop", wire.Command{
			Code: wire.CheckTransactionState, Ext: wire.Fields{{Key: "msgId", Value: "7F000001"}},
		})
		fmt.Println("answer:", answer.Code, answer.Remark, err)
	}()
	next, err := reader.Next()
	if err != nil {
		fmt.Println(err)
		return
	}
	request, err := wire.ParseFrame(next)
	fmt.Println("asked for:", request.Ext.Get("msgId"), err)
	exchange(wire.Command{Opaque: request.Opaque, Flag: wire.FlagResponse, Remark: "committed"})
	<-done
	// Output:
	// embedded: no connected client of the producer group "shop" at broker-a
	// heartbeat: 0
	// asked for: 7F000001 <nil>
	// answer: 0 committed <nil>
}

func ExampleParseDelayLevels() {
	levels, err := embedded.ParseDelayLevels("1s 5s 2m 1h")
	fmt.Println(levels, err)
	_, err = embedded.ParseDelayLevels("1s 5")
	fmt.Println(err)
	// Output:
	// [1s 5s 2m0s 1h0m0s] <nil>
	// embedded: bad configuration: delay level "5": want a whole number and s, m, h or d, as in "1s 5s 10s"
}
