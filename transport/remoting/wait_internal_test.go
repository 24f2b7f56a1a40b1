package remoting

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/liftoff-mq/liftoff/core"
)

// A wait after the deadline ends at once, also if an earlier one has used the timer
// up: the answer that sends a call to another connection may come just then.
func TestWaitAfterTheDeadline(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := &wait{ctx: context.Background(), deadline: time.Now().Add(time.Second)}
		start := time.Now()
		for range 2 {
			end := time.AfterFunc(time.Hour, func() { t.Error("it waits without end") })
			if err := w.until(make(chan struct{})); !errors.Is(err, core.ErrTimeout) {
				t.Fatal(err)
			}
			end.Stop()
		}
		if d := time.Since(start); d != time.Second {
			t.Errorf("it took %v", d)
		}
	})
}
