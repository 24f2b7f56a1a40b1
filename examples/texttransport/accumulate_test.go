package texttransport_test

import (
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/liftoff-mq/liftoff/core"
	"github.com/liftoff-mq/liftoff/examples/texttransport"
	"github.com/liftoff-mq/liftoff/hooks/accumulate"
	"github.com/liftoff-mq/liftoff/transport/transporttest"
)

// Separate sends share a request, and each has its own outcome: the broker refuses one of
// them and stores the others.
func TestAccumulate(t *testing.T) {
	bubble(t, func(t *testing.T, s *server) {
		var sizes []int
		s.decide = func(r transporttest.Request) transporttest.Reply {
			sizes = append(sizes, len(r.Messages))
			if len(r.Messages) == 1 {
				return transporttest.Reply{Kind: transporttest.StoreLate, After: time.Second}
			}
			return transporttest.Reply{
				Kind: transporttest.RefuseSome, Refused: []int{1},
				Refusal: transporttest.Refusal{Code: texttransport.Denied},
			}
		}
		acc, err := accumulate.New(accumulate.Config{MaxCount: 3, Linger: 30 * time.Second})
		if err != nil {
			t.Fatal(err)
		}
		p := producer(t, s, func(cfg *core.Config) { cfg.Timeout = time.Minute }, acc.Step())
		outcomes := make([]error, 4)
		offsets := make([]int64, 4)
		for i := range outcomes {
			go func() {
				res, err := p.Send(t.Context(), order(fmt.Sprint("order ", i)))
				outcomes[i], offsets[i] = err, res.QueueOffset
			}()
			synctest.Wait() // the first goes at once, the others wait for it
		}
		if err := p.Flush(t.Context()); err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		if fmt.Sprint(sizes) != "[1 3]" {
			t.Errorf("requests of %v messages, want 1 and 3", sizes)
		}
		for i, err := range outcomes {
			if denied := core.ClassOf(err) == core.ClassAuth; denied != (i == 2) {
				t.Errorf("order %d: %v", i, err)
			}
			if i == 2 && core.CertaintyOf(err) != core.NotStored {
				t.Errorf("order %d is %v", i, core.CertaintyOf(err))
			}
		}
		if offsets[1] != 0 || offsets[3] != 1 || offsets[0] != 2 { // the first was stored last
			t.Errorf("offsets %v", offsets)
		}
	})
}
