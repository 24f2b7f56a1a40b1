package embedded

import (
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/liftoff-mq/liftoff/core/rocketmq"
	"github.com/liftoff-mq/liftoff/transport/wire"
)

// What recalls make a broker remember is bounded, is the same for ids of any length, and is forgotten.
func TestErasuresAreBoundedAndForgotten(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := New(t, Config{Network: NewNetwork(), MaxStoredBytes: 1 << 20})
		if err := c.CreateTopic("t", 1); err != nil {
			t.Fatal(err)
		}
		b := c.Brokers()[0]
		peer := &conn{}
		recall := func(id string) reply {
			handle := rocketmq.RecallHandle{Topic: "t", Broker: b.Name(), DeliverAt: time.Now().Add(time.Minute), MessageID: id}
			return b.takeBack(peer, &wire.Recall{Topic: "t", Handle: handle.String()})
		}
		held := func() int {
			b.delayed.mu.Lock()
			defer b.delayed.mu.Unlock()
			return len(b.delayed.erased)
		}
		for i := range 1000 {
			if r := recall(fmt.Sprintf("%d%s", i, strings.Repeat("x", 10*i))); r.code != 0 {
				t.Fatalf("recall %d: %d %s", i, r.code, r.remark)
			}
			if r := recall("again"); r.code != 0 {
				t.Fatalf("the same recall once more: %d %s", r.code, r.remark)
			}
		}
		if n := held(); n != 1001 {
			t.Errorf("%d erasures are remembered, want one for each id", n)
		}
		if n := b.Dropped(); n == 0 {
			t.Error("recalls are stored without a bound")
		}
		b.delayed.mu.Lock()
		for i := range maxErased - len(b.delayed.erased) {
			b.delayed.erased[erasure{out: int64(-i)}] = struct{}{}
		}
		b.delayed.mu.Unlock()
		if r := recall("one too many"); r.code != rocketmq.CodeSystemError || r.remark != "recall failed, execute error" {
			t.Errorf("beyond the bound: %d %s", r.code, r.remark)
		}
		if r := recall("again"); r.code != 0 {
			t.Errorf("what is known already: %d %s", r.code, r.remark)
		}
		if n := held(); n != maxErased {
			t.Errorf("%d erasures are remembered", n)
		}
		time.Sleep(time.Minute)
		if n := held(); n != maxErased {
			t.Errorf("%d erasures are left before their time is over", n)
		}
		time.Sleep(erasedFor + time.Second)
		synctest.Wait()
		if n := held(); n != maxErased-1001 {
			t.Errorf("%d erasures are left, want those whose timers this test has not started", n)
		}
	})
}
