package texttransport

import (
	"context"
	"fmt"
	"strconv"
	"strings"

	"github.com/liftoff-mq/liftoff/core"
)

// Route implements [core.RouteSource]: it asks the directory.
func (t *Transport) Route(ctx context.Context, topic string) (*core.Route, error) {
	ctx, cancel := t.living(ctx)
	defer cancel()
	conn, err := t.open(ctx, t.directory)
	if err != nil {
		return nil, err
	}
	answer, err := exchange(ctx, conn, fmt.Appendf(nil, "ROUTE %q\n", topic), 1)
	if err != nil {
		return nil, err
	}
	switch words := strings.Fields(answer[0]); {
	case len(words) > 3 && words[0] == "QUEUES":
		return route(words[1:])
	case len(words) == 1 && words[0] == "READONLY":
		return nil, fmt.Errorf("topic %q: %w", topic, core.ErrNotWritable)
	case len(words) == 1 && words[0] == "UNKNOWN":
		return nil, fmt.Errorf("topic %q: %w", topic, core.ErrNoRoute)
	default:
		return nil, fmt.Errorf("topic %q: the directory says %q", topic, clean(answer[0]))
	}
}

// route reads brokers and their queues: name, address and number of queues of each.
func route(words []string) (*core.Route, error) {
	var queues []core.Queue
	var brokers []core.Broker
	for ; len(words) >= 3; words = words[3:] {
		n, err := strconv.Atoi(words[2])
		if err != nil {
			return nil, fmt.Errorf("route: %w", err)
		}
		brokers = append(brokers, core.Broker{Name: words[0], Addr: words[1]})
		for id := range n {
			queues = append(queues, core.Queue{Broker: words[0], ID: id})
		}
	}
	return core.NewRoute(queues, brokers)
}
