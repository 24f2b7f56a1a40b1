package scale

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"runtime"
	"time"

	"github.com/liftoff-mq/liftoff/core"
)

// memoryName selects the weighings among the curves.
const memoryName = "memory"

// weights are the sizes at which a producer is weighed.
type weights struct{ topics, brokers, inFlight int }

var weigh = weights{topics: 10_000, brokers: 100, inFlight: 100_000}

// The things that are weighed.
const (
	weighTopics      = "topics"
	weighConnections = "connections"
	weighInFlight    = "inflight"
)

// weighSpec is one weighing: a producer that knows one topic of one broker, and then N of What.
type weighSpec struct {
	Served served
	What   string
	N      int
}

// weighed is a producer's memory before and after.
type weighed struct {
	N      int    `json:"n"` // things that came in between
	Before weight `json:"before"`
	After  weight `json:"after"`
	// FirstCPU and FirstBeats are what the first sends to a topic took: µs of processor time and heartbeats, for one
	// topic. RefreshCPU is µs for one later look-up of a route. Of topics only.
	FirstCPU   float64 `json:"firstCPU,omitempty"`
	FirstBeats float64 `json:"firstBeats,omitempty"`
	RefreshCPU float64 `json:"refreshCPU,omitempty"`
	// Written is how many of the sends under way the broker has. Of sends only.
	Written int `json:"written,omitempty"`
}

// each is the growth of heap and stacks for one thing, heap that of the heap alone.
func (w *weighed) each() float64 { return float64(w.After.both()-w.Before.both()) / float64(w.N) }
func (w *weighed) heap() float64 { return float64(w.After.Heap-w.Before.Heap) / float64(w.N) }

// memory is all weighings.
type memory struct {
	Topics      *weighed `json:"topics,omitempty"`
	Connections *weighed `json:"connections,omitempty"`
	InFlight    *weighed `json:"inFlight,omitempty"`
}

// weighOne is the role of a producer that is weighed.
func weighOne(text []byte, out io.Writer) error {
	var s weighSpec
	if err := json.Unmarshal(text, &s); err != nil {
		return err
	}
	ctx := context.Background()
	refresh, inFlight := time.Duration(0), 0
	switch s.What {
	case weighTopics:
		refresh = refreshPeriod
	case weighInFlight:
		inFlight = s.N
	}
	c, err := newClient(ctx, s.Served.NameServer, inFlight, refresh)
	if err != nil {
		return err
	}
	// What grows with use and not with number - pools, buffers, stacks - is there before.
	if err := c.touch(ctx, []string{smallTopic}, 20*touchers); err != nil {
		return err
	}
	w := weighed{N: s.N}
	if w.Before, err = weighNow(); err != nil {
		return err
	}
	switch s.What {
	case weighTopics:
		err = w.topics(ctx, c)
	case weighConnections:
		// All queues are met, so all brokers are. The first one was there before.
		w.N = s.N - 1
		if err = c.touch(ctx, []string{topicName(0)}, 4*s.N*usualQueues); err == nil {
			w.After, err = weighNow()
		}
		if n := c.remoting.Stats().Connections; err == nil && n < s.N {
			err = fmt.Errorf("%d connections of %d", n, s.N)
		}
	case weighInFlight:
		err = w.inFlight(ctx, c)
	default:
		err = fmt.Errorf("%q cannot be weighed", s.What)
	}
	wait := limit
	if s.What == weighInFlight {
		wait = time.Millisecond // nobody answers
	}
	if err := errors.Join(err, c.stop(ctx, wait)); err != nil {
		return err
	}
	return json.NewEncoder(out).Encode(w)
}

// refreshPeriod is how often routes are looked up again while that is measured.
const refreshPeriod = time.Second

// topics makes N topics known, and then leaves the producer alone with the refreshing of their routes.
func (w *weighed) topics(ctx context.Context, c *client) error {
	cpu, stats := processor(), c.remoting.Stats()
	if err := c.touch(ctx, topicNames(w.N), 1); err != nil {
		return err
	}
	n := float64(w.N)
	w.FirstCPU = float64((processor() - cpu).Nanoseconds()) / 1000 / n
	w.FirstBeats = float64(c.remoting.Stats().Heartbeats-stats.Heartbeats) / n
	var err error
	if w.After, err = weighNow(); err != nil {
		return err
	}
	cpu, stats = processor(), c.remoting.Stats()
	time.Sleep(3 * refreshPeriod)
	w.RefreshCPU = float64((processor() - cpu).Nanoseconds()) / 1000 / float64(max(c.remoting.Stats().FramesOut-stats.FramesOut, 1))
	return nil
}

// inFlight sends N messages to a cluster that does not answer. Those that have a worker are on their way to the broker, the
// others stand in line; all of them are the producer's.
func (w *weighed) inFlight(ctx context.Context, c *client) error {
	failed := make(chan error, 1)
	for range w.N {
		c.SendAsync(ctx, c.message(topicName(0)), func(_ core.Result, err error) {
			select {
			case failed <- err:
			default:
			}
		})
	}
	written := min(w.N, core.DefaultMaxWorkers)
	for deadline := time.Now().Add(limit / 2); ; time.Sleep(20 * time.Millisecond) {
		s := c.remoting.Stats()
		if s.InFlight >= written && s.QueuedBytes == 0 {
			w.Written = s.InFlight
			break
		}
		if time.Now().After(deadline) {
			return fmt.Errorf("%d requests are written, %d are wanted", s.InFlight, written)
		}
	}
	var err error
	w.After, err = weighNow()
	runtime.KeepAlive(c)
	select {
	case early := <-failed:
		return fmt.Errorf("a send ended that nobody answered: %w", early)
	default:
	}
	return err
}
