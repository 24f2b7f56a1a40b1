package accumulate_test

import (
	"context"
	"fmt"
	"log"
	"sync"
	"time"

	"github.com/liftoff-mq/liftoff/core"
	"github.com/liftoff-mq/liftoff/core/coretest"
	"github.com/liftoff-mq/liftoff/hooks/accumulate"
)

// Sends that come while another is under way share a request.
func ExampleNew() {
	ctx := context.Background()
	acc, err := accumulate.New(accumulate.Config{MaxCount: 3, Linger: 30 * time.Second})
	if err != nil {
		log.Fatal(err)
	}
	arrived, open := make(chan struct{}), make(chan struct{})
	tr := &coretest.Transport{}
	tr.Do = func(_ context.Context, at *core.Attempt) (*core.Result, error) {
		if at.Call().Len() == 1 {
			close(arrived)
			<-open
		}
		return tr.Ack(at), nil
	}
	p, err := core.NewProducer(coretest.Config(tr, acc.Step()))
	if err != nil {
		log.Fatal(err)
	}
	if err := p.Start(ctx); err != nil {
		log.Fatal(err)
	}
	var sends sync.WaitGroup
	send := func(body string) {
		sends.Go(func() {
			if _, err := p.Send(ctx, coretest.Message(body), core.SendTimeout(time.Minute)); err != nil {
				fmt.Println(err)
			}
		})
	}
	send("first") // nobody else is sending: it goes at once
	<-arrived
	for i := range 3 {
		send(fmt.Sprint("message ", i))
	}
	for len(tr.Attempts()) < 2 {
		time.Sleep(time.Millisecond)
	}
	close(open)
	sends.Wait()
	for _, a := range tr.Attempts() {
		fmt.Println("a request with", a.Messages)
	}
	fmt.Println(p.Shutdown(ctx))
	// Output:
	// a request with 1
	// a request with 3
	// <nil>
}
