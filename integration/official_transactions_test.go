package integration

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/liftoff-mq/liftoff/core"
	"github.com/liftoff-mq/liftoff/integration/javaprog"
)

// The official transactional producers, unchanged, take `liftoff broker` for a RocketMQ: what they commit is visible, at
// once or when they are asked, and nothing else is.
func TestOfficialTransactionsAtLiftoffBroker(t *testing.T) {
	t.Parallel()
	nameServer := startLiftoffBroker(t)
	eachVersion(t, func(t *testing.T, version string) {
		const count = 60
		topic := topicFor(t, "t")
		ids := map[int]string{}
		asked := map[int]int{}
		for _, l := range javaprog.Run(t, version, "Transactions", nameServer, topic, fmt.Sprint(count), "90") {
			var x struct {
				What, MsgID, TransactionID string
				N                          int
			}
			mustJSON(t, l, &x)
			if x.What == "asked" {
				if asked[x.N]++; x.TransactionID != ids[x.N] {
					t.Errorf("asked about %+v, want the id %s", x, ids[x.N])
				}
				continue
			}
			ids[x.N] = x.TransactionID
			if want := []string{"COMMIT_MESSAGE", "ROLLBACK_MESSAGE", "UNKNOW"}[x.N%3]; x.What != "SEND_OK "+want {
				t.Errorf("the producer says %s", l)
			}
		}
		var want, got []string
		for n := range count {
			if first, then := decided(n); then == core.TransactionCommit {
				want = append(want, fmt.Sprint(n))
			} else if first == core.TransactionUnknown && asked[n] == 0 {
				t.Errorf("nobody asked about %d", n)
			}
		}
		for _, m := range javaprog.ReadBack(t, version, nameServer, topic, len(want), time.Minute) {
			got = append(got, string(m.Body()))
		}
		slices.Sort(got)
		slices.Sort(want)
		if !slices.Equal(got, want) || len(asked) != count/3 {
			t.Errorf("%d messages are visible, want %d: %v; %d were asked about", len(got), len(want), got, len(asked))
		}
	})
}

// The official producer of 5.x, unchanged, recalls a timed message at `liftoff broker`: it never comes, and the other one
// does. A handle that is none is refused in words. The producer of 4.x has no recall.
func TestOfficialRecallAtLiftoffBroker(t *testing.T) {
	t.Parallel()
	nameServer := startLiftoffBroker(t)
	eachVersion(t, func(t *testing.T, version string) {
		if version == "4.9.7" {
			return
		}
		topic := topicFor(t, "t")
		var said []struct{ ID, Error, Recalled, Kept string }
		for _, l := range javaprog.Run(t, version, "Recall", nameServer, topic, "15000") {
			said = append(said, struct{ ID, Error, Recalled, Kept string }{})
			mustJSON(t, l, &said[len(said)-1])
		}
		if len(said) != 3 || said[0].ID != said[0].Recalled || said[1].ID != said[0].Recalled || !strings.Contains(said[2].Error, "handle") {
			t.Errorf("the producer says %+v", said)
		}
		javaprog.ReadBack(t, version, nameServer, topic, 1, time.Minute)
		time.Sleep(3 * time.Second) // what was recalled and comes all the same comes by now
		stored := javaprog.ReadBack(t, version, nameServer, topic, 1, time.Minute)
		if len(stored) != 1 || string(stored[0].Body()) != "kept" || stored[0].MsgID != said[0].Kept {
			t.Errorf("delivered: %+v, want the message that was not recalled", stored)
		}
	})
}
