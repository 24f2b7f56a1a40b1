package integration

import (
	"sync"
	"testing"
)

// senders are goroutines that send while a test does something to the cluster. They end when stop is called, and at the
// end of a test that fails before. One that outlived its test would report failures to it, which ends the whole run.
type senders struct {
	done    chan struct{}
	once    sync.Once
	running sync.WaitGroup
}

// newSenders has none yet. A test makes its producers first, so that at its end they are shut down after the senders.
func newSenders(t *testing.T) *senders {
	s := &senders{done: make(chan struct{})}
	t.Cleanup(s.stop)
	return s
}

// Go starts one, which looks at stopped between its sends.
func (s *senders) Go(f func()) { s.running.Go(f) }

func (s *senders) stopped() bool {
	select {
	case <-s.done:
		return true
	default:
		return false
	}
}

// stop returns when all have ended. It may be called again.
func (s *senders) stop() {
	s.once.Do(func() { close(s.done) })
	s.running.Wait()
}
