package accumulate

import (
	"context"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/liftoff-mq/liftoff/core"
	"github.com/liftoff-mq/liftoff/core/coretest"
)

// nosy is the cause of a context, and looks whether it is asked under the accumulator's
// lock.
type nosy struct {
	a             *Accumulator
	asked, locked *atomic.Int32
}

func (n nosy) Error() string { n.look(); return "the user closed the window" }

func (n nosy) ErrorClass() core.Class { n.look(); return core.ClassCanceled }

func (n nosy) look() {
	n.asked.Add(1)
	if !n.a.mu.TryLock() {
		n.locked.Add(1)
		return
	}
	n.a.mu.Unlock()
}

// A caller that leaves a batch on its way has its own error asked, and not under the lock.
func TestCauseIsAskedWithoutLock(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a, err := New(Config{Linger: time.Millisecond})
		if err != nil {
			t.Fatal(err)
		}
		release := make(chan struct{})
		tr := &coretest.Transport{Forget: true}
		tr.Do = func(_ context.Context, at *core.Attempt) (*core.Result, error) {
			<-release
			return tr.Ack(at), nil
		}
		p := coretest.Start(t, coretest.Config(tr, a.Step()))
		send := func(ctx context.Context, body string) <-chan error {
			ended := make(chan error, 1)
			go func() {
				_, err := p.Send(ctx, coretest.Message(body))
				ended <- err
			}()
			synctest.Wait()
			return ended
		}
		flying := send(t.Context(), "flying")
		ctx, cancel := context.WithCancelCause(t.Context())
		left := send(ctx, "left")
		time.Sleep(2 * time.Millisecond) // virtual: the batch goes
		synctest.Wait()
		var asked, locked atomic.Int32
		cancel(nosy{a, &asked, &locked})
		if err := <-left; core.ClassOf(err) != core.ClassCanceled || core.CertaintyOf(err) != core.MaybeStored {
			t.Errorf("got %v", err)
		}
		if asked.Load() == 0 || locked.Load() > 0 {
			t.Errorf("asked %d times, %d of them under the lock", asked.Load(), locked.Load())
		}
		close(release)
		if err := <-flying; err != nil {
			t.Error(err)
		}
	})
}
