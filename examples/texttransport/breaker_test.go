package texttransport_test

import (
	"fmt"
	"slices"
	"testing"

	"github.com/liftoff-mq/liftoff/core"
	"github.com/liftoff-mq/liftoff/examples/texttransport"
	"github.com/liftoff-mq/liftoff/strategies/breaker"
)

// A breaker knows from a word's class alone what says something about the broker: one that
// is busy is left alone, one that denies entry is well.
func TestBreaker(t *testing.T) {
	for word, want := range map[texttransport.Word]string{
		texttransport.Busy: "[text-a closed to open]", texttransport.Denied: "[]",
	} {
		bubble(t, func(t *testing.T, s *server) {
			s.decide = says("text-a", word)
			changes := []string{}
			b, err := breaker.New(breaker.Config{
				Trip: func(c breaker.Counts) bool { return c.ConsecutiveFailures >= 2 },
				OnStateChange: func(b core.Broker, from, to breaker.State) {
					changes = append(changes, fmt.Sprint(b.Name, " ", from, " to ", to))
				},
			})
			if err != nil {
				t.Fatal(err)
			}
			p := producer(t, s, func(cfg *core.Config) {
				retries(2)(cfg)
				cfg.Health = b
			}, b.Step())
			var attempts []int
			for range 3 {
				res, err := p.Send(t.Context(), order("books"))
				if err != nil {
					t.Fatal(err)
				}
				attempts = append(attempts, res.Attempts)
			}
			if got := fmt.Sprint(changes); got != want {
				t.Errorf("%s: the breaker went %s, want %s", word, got, want)
			}
			last := 2
			if word == texttransport.Busy {
				last = 1 // the breaker goes past text-a
			}
			if !slices.Equal(attempts, []int{2, 2, last}) {
				t.Errorf("%s: attempts %v", word, attempts)
			}
		})
	}
}
