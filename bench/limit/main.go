// Command limit is no client but the limit of all clients: it writes ready-made frames over one connection to each
// broker, many to a system call, and only counts the answers. It keeps as many requests under way as the cell says.
//
// Its frames differ in nothing but their number, their queue and their messages' ids, which are patched in place.
package main

import (
	"fmt"
	"strings"

	"github.com/liftoff-mq/liftoff/bench/load"
)

func main() { load.Main(open) }

func open(s *load.Spec) (*load.Contender, error) {
	body, err := s.Body()
	if err != nil {
		return nil, err
	}
	brokers := strings.Split(s.Brokers, ",")
	var streams []*stream
	closeAll := func() error {
		for _, st := range streams {
			st.close()
		}
		return nil
	}
	for i, b := range brokers {
		name, addr, ok := strings.Cut(b, "=")
		if !ok {
			return nil, fmt.Errorf("broker %q is not name=address", b)
		}
		t, err := newTemplate(s, name, body)
		if err != nil {
			return nil, err
		}
		share := (s.InFlight + i) / len(brokers) // the shares add up to InFlight
		st, err := dial(addr, t, max(share, 1), s.Messages(), s.Mode == load.Oneway)
		if err != nil {
			_ = closeAll()
			return nil, err
		}
		streams = append(streams, st)
	}
	return &load.Contender{
		Loop: func(m *load.Meter) error {
			ended := make(chan error, len(streams))
			for _, st := range streams {
				go func() { ended <- st.run(m) }()
			}
			for range streams {
				if err := <-ended; err != nil {
					return err
				}
			}
			return nil
		},
		Counters: func() map[string]float64 {
			var w, r float64
			for _, st := range streams {
				w += float64(st.writes.Load())
				r += float64(st.reads.Load())
			}
			return map[string]float64{"writes": w, "reads": r}
		},
		Close: closeAll,
	}, nil
}
