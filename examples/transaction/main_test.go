package main

import (
	"bufio"
	"encoding/json"
	"strings"
	"testing"

	"go.uber.org/goleak"

	"github.com/liftoff-mq/liftoff/transport/embedded"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const golden = `Orders that nothing happens to:
  order-1 of a book: commit
  order-2 of a unicorn: rollback
Orders under which the service dies:
  order-3: its row is written, the broker was not told
  order-4: nothing is written, the broker was not told
The service starts again, and the broker asks it:
  order-3: commit
  order-4: unknown
  order-4: rollback
Consumers see: order-1, order-3
`

func TestDemo(t *testing.T) {
	var out strings.Builder
	if err := demo(t.Context(), &out); err != nil {
		t.Fatalf("%v\n%s", err, out.String())
	}
	if out.String() != golden {
		t.Errorf("got\n%s\nwant\n%s", out.String(), golden)
	}
}

// Every order of a book is visible, no order of a unicorn is, and each line has the message's id.
func TestPlace(t *testing.T) {
	cluster := embedded.New(t, embedded.Config{})
	var out strings.Builder
	if err := place(t.Context(), &out, cluster.NameServers()[0], "Orders", 7); err != nil {
		t.Fatal(err)
	}
	committed := map[string]bool{}
	lines := 0
	for s := bufio.NewScanner(strings.NewReader(out.String())); s.Scan(); lines++ {
		var l line
		if err := json.Unmarshal(s.Bytes(), &l); err != nil || len(l.ID) != 32 || l.Error != "" {
			t.Errorf("%s: %v", s.Text(), err)
		}
		committed[l.ID] = l.Decision.String() == "commit"
	}
	if lines != 7 || len(committed) != 7 {
		t.Errorf("%d lines, %d ids", lines, len(committed))
	}
	stored := cluster.Stored("Orders")
	for _, m := range stored {
		if !committed[m.UniqueID()] {
			t.Errorf("%s is visible", m.Body)
		}
	}
	if len(stored) != 5 {
		t.Errorf("%d are visible, want 5", len(stored))
	}
}
