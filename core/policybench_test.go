package core_test

import (
	"fmt"
	"testing"

	"github.com/liftoff-mq/liftoff/core"
	"github.com/liftoff-mq/liftoff/core/coretest"
)

// BenchmarkPolicies: a send by one of many policies, to one topic and to many.
func BenchmarkPolicies(b *testing.B) {
	for _, policies := range []int{1, 1000} {
		for _, topics := range []int{1, 1000} {
			b.Run(fmt.Sprintf("policies=%d/topics=%d", policies, topics), func(b *testing.B) {
				table := &core.PolicyTable{Default: &core.Policy{Name: "default"}, ByTopic: map[string]*core.Policy{}}
				for i := range policies - 1 {
					name := fmt.Sprintf("T%d", i)
					table.ByTopic[name] = &core.Policy{Name: name}
				}
				cfg := coretest.Config(&coretest.Transport{Forget: true})
				cfg.Policies = table
				p := coretest.Start(b, cfg)
				msgs := make([]*core.Message, topics)
				for i := range msgs {
					msgs[i] = &core.Message{Topic: fmt.Sprintf("T%d", i), Body: []byte("x")}
				}
				ctx := b.Context()
				b.ReportAllocs()
				for i := 0; b.Loop(); i++ {
					if _, err := p.Send(ctx, msgs[i%topics]); err != nil {
						b.Fatal(err)
					}
				}
			})
		}
	}
}
