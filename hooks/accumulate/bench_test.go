package accumulate_test

import (
	"context"
	"fmt"
	"sync"
	"testing"

	"github.com/liftoff-mq/liftoff/core"
	"github.com/liftoff-mq/liftoff/core/coretest"
	"github.com/liftoff-mq/liftoff/hooks/accumulate"
	"github.com/liftoff-mq/liftoff/transport/embedded"
)

// BenchmarkSend is closed-loop callers on one topic of the embedded cluster over
// loopback, with the steps of a default producer, plain and accumulated.
func BenchmarkSend(b *testing.B) {
	for _, callers := range []int{1, 4, 64, 256} {
		for _, mode := range []string{"plain", "accumulated"} {
			b.Run(fmt.Sprintf("%s/%d", mode, callers), func(b *testing.B) {
				c := embedded.New(b, embedded.Config{})
				if err := c.CreateTopic("T", 4); err != nil {
					b.Fatal(err)
				}
				var steps []core.Step
				if mode == "accumulated" {
					steps = append(steps, accumulator(b, accumulate.Config{}).Step())
				}
				p := coretest.Start(b, realConfig(b, c, nil, steps...))
				body := make([]byte, 256)
				b.ReportAllocs()
				b.ResetTimer()
				var wg sync.WaitGroup
				for i := range callers {
					wg.Go(func() {
						m := &core.Message{Topic: "T", Body: body}
						for n := i; n < b.N; n += callers {
							if _, err := p.Send(context.Background(), m); err != nil {
								b.Error(err)
								return
							}
						}
					})
				}
				wg.Wait()
			})
		}
	}
}
