package admin_test

import (
	"bytes"
	"context"
	"sync"
	"testing"
	"time"

	"github.com/liftoff-mq/liftoff/core"
	"github.com/liftoff-mq/liftoff/core/rocketmq"
	"github.com/liftoff-mq/liftoff/transport/embedded"
	"github.com/liftoff-mq/liftoff/transport/remoting"
	"github.com/liftoff-mq/liftoff/transport/remoting/admin"
	"github.com/liftoff-mq/liftoff/transport/wire"
)

// Large answers of several brokers, which have not all room in a client's memory at once, come one
// after the other. No connection ends for it, so the sends on these go on.
func TestLargeAnswersBesideSends(t *testing.T) {
	virtual(t, 4, remoting.Config{}, func(t *testing.T, w *world) {
		if err := w.Cluster.CreateTopic("t", 1); err != nil {
			t.Fatal(err)
		}
		message, err := wire.AppendStored(nil, &wire.StoredMessage{
			Topic: "t", Body: make([]byte, 1<<20), Properties: wire.AppendProperty(nil, rocketmq.PropertyKeys, "k"),
		})
		if err != nil {
			t.Fatal(err)
		}
		const each = 9 // two answers are more than a frame of the greatest length
		w.on("", wire.QueryMessage, answerOf(bytes.Repeat(message, each)))
		w.on("", wire.SendMessageV2, embedded.Delay(200*time.Millisecond, embedded.Pass()))
		var sends sync.WaitGroup
		for range 16 {
			sends.Go(func() {
				if _, err := w.producer.Send(context.Background(), &core.Message{Topic: "t", Body: []byte("x")}); err != nil {
					t.Error(err)
				}
			})
		}
		time.Sleep(100 * time.Millisecond) // they are under way
		got, err := w.MessagesByKey(t.Context(), admin.Query{Topic: "t", Key: "k"})
		if err != nil || len(got) != 4*each {
			t.Errorf("%d messages: %v", len(got), err)
		}
		sends.Wait()
	})
}
