package texttransport_test

import (
	"bufio"
	"context"
	"fmt"
	"net"

	"github.com/liftoff-mq/liftoff/core"
	"github.com/liftoff-mq/liftoff/core/coretest"
	"github.com/liftoff-mq/liftoff/examples/texttransport"
)

// A transport of one's own is given to a producer like any other. Here the broker is at the
// other end of a pipe and answers by rote.
func ExampleNew() {
	dial := func(ctx context.Context, addr string) (net.Conn, error) {
		client, server := net.Pipe()
		go func() {
			defer server.Close()
			in := bufio.NewReader(server)
			line, _ := in.ReadString('\n')
			if addr == "directory:1" {
				fmt.Fprintln(server, "QUEUES text-a broker:1 1")
				return
			}
			fmt.Print(line)
			_, _ = in.ReadString('\n') // the message, whose id is another one each time
			fmt.Fprintln(server, "STORED 42")
		}()
		return client, nil
	}
	transport := texttransport.New(dial, "directory:1")
	p, err := core.NewProducer(core.Config{
		Group: "shop", Transport: transport, Routes: transport, Own: []core.Service{transport},
		Selector: coretest.InOrder(), Retry: coretest.NoRetry(),
	})
	if err != nil {
		panic(err)
	}
	ctx := context.Background()
	if err := p.Start(ctx); err != nil {
		panic(err)
	}
	defer p.Shutdown(ctx)
	res, err := p.Send(ctx, &core.Message{Topic: "orders", Body: []byte("2 books")})
	fmt.Println(res.Status, res.Queue, res.QueueOffset, err)
	// Output:
	// SEND "orders" 0 1
	// SEND_OK text-a/0 42 <nil>
}
