package integration

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/liftoff-mq/liftoff/core"
	"github.com/liftoff-mq/liftoff/integration/javaprog"
)

// With one of two brokers hung (its sockets open, no answer) or killed before the load starts, a producer with default
// settings fails no send. The hung broker costs one attempt limit, 1 s, and is avoided afterwards.
func TestOneOfTwoBrokersHungOrKilledFailsNoSend(t *testing.T) {
	const sends = 100
	eachCluster(t, func(t *testing.T, c *cluster) {
		for _, fault := range []string{"hung", "killed"} {
			t.Run(fault, func(t *testing.T) {
				topic := topicFor(t, "t")
				c.CreateTopic(t, topic, 4)
				if fault == "hung" {
					c.Pause(t, "broker-b")
					defer c.Resume(t, "broker-b")
				} else {
					c.Kill(t, "broker-b")
					defer c.Restart(t, "broker-b")
				}
				p := newProducer(t, c.NameServer(), producerOptions{})
				took := make([]time.Duration, 0, sends)
				acked := map[string]int{}
				attempts := 0
				for i := range sends {
					ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
					began := time.Now()
					r, err := p.Send(ctx, &core.Message{Topic: topic, Body: fmt.Appendf(nil, "%d", i)})
					d := time.Since(began)
					cancel()
					took = append(took, d)
					if err != nil {
						t.Errorf("send %d after %s: %v", i, d, err)
						continue
					}
					acked[r.MessageID.String()] = i
					attempts += r.Attempts
					// The call's own limit is 3 s; what is above it is not the machine's noise.
					if d > 5*time.Second {
						t.Errorf("send %d took %s", i, d)
					}
				}
				t.Logf("%s, broker-b %s: %d of %d acknowledged in %d attempts; p99 %s, max %s; first three %v; after them p50 %s, p99 %s",
					c.Version(), fault, len(acked), sends, attempts, percentile(took, 99), percentile(took, 100), took[:3],
					percentile(took[3:], 50), percentile(took[3:], 99))
				// The counts hold on any machine, the times above only on a quiet one.
				if attempts > sends+5 {
					t.Errorf("%d attempts for %d sends: the broken broker is not avoided", attempts, sends)
				}
				if fault == "hung" {
					c.Resume(t, "broker-b")
				} else {
					c.Restart(t, "broker-b")
				}
				stored := javaprog.ReadBack(t, c.Version(), c.NameServer(), topic, sends, time.Minute)
				for _, m := range stored {
					delete(acked, m.MsgID)
				}
				if len(acked) != 0 {
					t.Errorf("acknowledged and not stored: %v", acked)
				}
			})
		}
	})
}

// With the topic's only broker hung a send ends at its time limit and says that it may be stored; the message id that
// the error names is the one under which it is, if it is.
func TestOnlyBrokerHungIsMaybeStored(t *testing.T) {
	eachCluster(t, func(t *testing.T, c *cluster) {
		topic := topicFor(t, "t")
		c.CreateTopic(t, topic, 4, "broker-b")
		p := newProducer(t, c.NameServer(), producerOptions{})
		if _, err := p.Send(t.Context(), &core.Message{Topic: topic, Body: []byte("before")}); err != nil {
			t.Fatal(err)
		}
		c.Pause(t, "broker-b")
		defer c.Resume(t, "broker-b")
		began := time.Now()
		_, err := p.Send(t.Context(), &core.Message{Topic: topic, Body: []byte("hung")})
		took := time.Since(began)
		var se *core.SendError
		if !errors.As(err, &se) || !errors.Is(err, core.ErrTimeout) || se.Certainty != core.MaybeStored {
			t.Fatalf("after %s: %v, want a timeout that may be stored", took, err)
		}
		if took < 2*time.Second || took > 5*time.Second {
			t.Errorf("ended after %s, the limit is 3 s", took)
		}
		c.Resume(t, "broker-b")
		stored := javaprog.ReadBack(t, c.Version(), c.NameServer(), topic, 2, 5*time.Second)
		copies := 0
		for _, m := range stored {
			if string(m.Body()) == "hung" {
				copies++
				if m.MsgID != se.MessageID.String() {
					t.Errorf("stored with id %s, the error says %s", m.MsgID, se.MessageID)
				}
			}
		}
		t.Logf("%s: ended after %s with %d attempts, %s; stored %d times after all", c.Version(), took.Round(time.Millisecond),
			len(se.Attempts), se.Certainty, copies)
	})
}

// percentile is the smallest duration that p percent of them do not exceed.
func percentile(d []time.Duration, p int) time.Duration {
	if len(d) == 0 {
		return 0
	}
	s := slices.Sorted(slices.Values(d))
	return s[max(0, (len(s)*p+99)/100-1)].Round(10 * time.Microsecond)
}
