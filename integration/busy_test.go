package integration

import (
	"context"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/liftoff-mq/liftoff/core"
	"github.com/liftoff-mq/liftoff/integration/javaprog"
	"github.com/liftoff-mq/liftoff/integration/realcluster"
)

// A broker that is overloaded refuses most messages (SYSTEM_BUSY) and stores others with a weaker answer
// (FLUSH_DISK_TIMEOUT). What the producer says of each message is what the store holds.
func TestOverloadedBrokerIsReportedAsTheStoreSays(t *testing.T) {
	const count = 4000
	eachVersion(t, func(t *testing.T, version string) {
		c := startCluster(t, realcluster.Options{Version: version, Settings: []string{
			"flushDiskType=SYNC_FLUSH", "syncFlushTimeout=1", "waitTimeMillsInSendQueue=1",
			"sendMessageThreadPoolNums=1", "sendThreadPoolQueueCapacity=50",
		}})
		topic := topicFor(t, "t")
		c.CreateTopic(t, topic, 4)
		p := newProducer(t, c.NameServer(), producerOptions{group: "overload"})
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()

		var mu sync.Mutex
		var done sync.WaitGroup
		summary := map[string]int{}
		acked := map[string]core.Result{}
		failed := map[string]core.Certainty{}
		for i := range count {
			body := fmt.Sprintf("busy-%d", i)
			done.Add(1)
			p.SendAsync(ctx, &core.Message{Topic: topic, Body: []byte(body)}, func(r core.Result, err error) {
				defer done.Done()
				mu.Lock()
				defer mu.Unlock()
				if err != nil {
					failed[body] = core.CertaintyOf(err)
					summary[core.ClassOf(err).String()+" "+core.CertaintyOf(err).String()]++
					return
				}
				acked[body] = r
				summary[r.Status.String()]++
			})
		}
		done.Wait()
		stored := map[string]int{}
		for _, m := range javaprog.ReadBack(t, version, c.NameServer(), topic, len(acked), time.Minute) {
			stored[string(m.Body())]++
		}
		duplicates := 0
		for body, r := range acked {
			if stored[body] == 0 {
				t.Errorf("%s is acknowledged with %s and not stored", body, r.Status)
			}
			if stored[body] > 1 {
				duplicates++
				if !r.MaybeDuplicate {
					t.Errorf("%s is stored %d times and the result does not say that it may be", body, stored[body])
				}
			}
		}
		for body, certainty := range failed {
			if stored[body] > 0 && (certainty == core.NotSent || certainty == core.NotStored) {
				t.Errorf("%s is stored and was reported as %s", body, certainty)
			}
		}
		if len(acked)+len(failed) != count {
			t.Errorf("%d outcomes for %d sends", len(acked)+len(failed), count)
		}
		t.Logf("%s: of %d sends at once: %v; %d distinct stored, %d of them more than once", version, count, summary, len(stored), duplicates)
	})
}
