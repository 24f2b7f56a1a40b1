package scale

import (
	"context"
	"errors"
	"strings"
	"sync"
	"time"

	"github.com/liftoff-mq/liftoff"
	"github.com/liftoff-mq/liftoff/core"
	"github.com/liftoff-mq/liftoff/transport/remoting"
)

// client is the default producer with its own client, as liftoff.New makes it.
type client struct {
	*core.Producer
	remoting *remoting.Client // the producer's own, for its counts
	body     []byte
}

// limit is the time of one call. The default of 3 s is enough for a send on a machine that does nothing else; here
// 100,000 of them wait for each other, and other programs may take the processor.
const limit = 40 * time.Second

// newClient starts a producer that may have so many asynchronous sends under way. A refresh of zero is the default.
func newClient(ctx context.Context, nameServer string, inFlight int, refresh time.Duration) (*client, error) {
	cfg, err := liftoff.Defaults(liftoff.Config{
		Group: "bench_scale", NameServers: []string{nameServer}, Timeout: limit,
		MaxInFlight: max(inFlight, core.DefaultMaxInFlight), MaxInFlightBytes: max(int64(inFlight)*size, core.DefaultMaxInFlightBytes),
	})
	if err != nil {
		return nil, err
	}
	cfg.RouteRefresh = refresh
	own, ok := cfg.Transport.(*remoting.Client)
	if !ok {
		return nil, errors.New("the default transport is no remoting client")
	}
	p, err := core.NewProducer(cfg)
	if err != nil {
		return nil, err
	}
	if err := p.Start(ctx); err != nil {
		return nil, err
	}
	return &client{Producer: p, remoting: own, body: []byte(strings.Repeat("x", size))}, nil
}

// message is a new one for each send, as applications make them.
func (c *client) message(topic string) *core.Message {
	return &core.Message{Topic: topic, Body: c.body}
}

// touchers is how many callers make the first sends.
const touchers = 64

// touch sends so many messages to each topic, so that its route is known and its brokers are connected.
func (c *client) touch(ctx context.Context, topics []string, messages int) error {
	todo := make(chan string)
	errs := make(chan error, touchers)
	var wg sync.WaitGroup
	for range touchers {
		wg.Go(func() {
			for topic := range todo {
				if _, err := c.Send(ctx, c.message(topic)); err != nil {
					select {
					case errs <- err:
					default:
					}
				}
			}
		})
	}
	for range messages {
		for _, topic := range topics {
			todo <- topic
		}
	}
	close(todo)
	wg.Wait()
	close(errs)
	return <-errs // nil if there is none
}

// stop ends the producer. What is still under way is aborted, which is no error here.
func (c *client) stop(ctx context.Context, wait time.Duration) error {
	ctx, cancel := context.WithTimeout(ctx, wait)
	defer cancel()
	err := c.Shutdown(ctx)
	if aborted := (*core.ShutdownError)(nil); errors.As(err, &aborted) {
		return nil
	}
	return err
}

func topicNames(n int) []string {
	names := make([]string, n)
	for i := range names {
		names[i] = topicName(i)
	}
	return names
}
