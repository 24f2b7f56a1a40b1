package accumulate_test

import (
	"context"
	"sync"
	"testing"
	"time"

	"github.com/liftoff-mq/liftoff/core"
	"github.com/liftoff-mq/liftoff/core/coretest"
	"github.com/liftoff-mq/liftoff/hooks/accumulate"
	"github.com/liftoff-mq/liftoff/internal/race"
)

// A send that goes alone allocates nothing for the step. One in a batch of 64 pays
// for a 64th of the batch.
func TestAllocations(t *testing.T) {
	if race.Enabled {
		t.Skip("the race detector allocates")
	}
	const callers = 64
	release := make(chan struct{})
	flying := make(chan struct{})
	tr := &coretest.Transport{Forget: true}
	tr.Do = func(_ context.Context, at *core.Attempt) (*core.Result, error) {
		if string(at.Call().Message().Body) == "flying" {
			close(flying)
			<-release
		}
		return tr.Ack(at), nil
	}
	p := coretest.Start(t, config(t, tr, accumulate.Config{MaxCount: callers, Linger: 30 * time.Second}))
	ctx := context.Background()
	m := &core.Message{Topic: "T", Body: []byte("x"), Tag: "tag"}
	if n := testing.AllocsPerRun(1000, func() {
		if _, err := p.Send(ctx, m); err != nil {
			t.Fatal(err)
		}
	}); n != 0 {
		t.Errorf("a lone send allocates %v times, want 0", n)
	}

	last := send(ctx, p, coretest.Message("flying")) // keeps the others waiting
	<-flying
	begin, done := make(chan struct{}), make(chan error)
	var wg sync.WaitGroup
	for range callers {
		wg.Go(func() {
			for range begin {
				_, err := p.Send(ctx, m)
				done <- err
			}
		})
	}
	round := func() {
		for range callers {
			begin <- struct{}{}
		}
		for range callers {
			if err := <-done; err != nil {
				t.Error(err)
			}
		}
	}
	round()
	n := testing.AllocsPerRun(200, round)
	t.Logf("a batch of %d sends allocates %v times, %.2f a send", callers, n, n/callers)
	if n > 16 { // 9 and, rarely, what a pool has lost to a collection
		t.Errorf("a batch of %d sends allocates %v times", callers, n)
	}
	close(begin)
	wg.Wait()
	close(release)
	if _, err := last.wait(); err != nil {
		t.Error(err)
	}
}
