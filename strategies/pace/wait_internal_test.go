package pace

import (
	"testing"

	"github.com/liftoff-mq/liftoff/core"
)

// A place may become free between the moment an attempt is told to wait and the moment it
// queues. Nobody would wake it then, so it has to take the place itself.
func TestPlaceThatBecameFree(t *testing.T) {
	b := newBroker(core.Broker{}, &Config{MinWindow: 1, MaxWindow: 1})
	w := newWaiter()
	if b.queue(w) || w.ticket.seq != 1 || b.status().Waiting != 0 {
		t.Errorf("it waits though there is room: %+v, %+v", w.ticket, b.status())
	}
}
