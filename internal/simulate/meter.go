package simulate

import (
	"context"
	"errors"
	"slices"
	"sync"
	"time"

	"github.com/liftoff-mq/liftoff/core"
)

// plain is the key of a call that has none.
const plain = -1

// meter notes calls and attempts.
type meter struct {
	cluster *cluster
	homes   [keyCount]string // the broker of each key while all are well

	mu       sync.Mutex
	running  bool // what came before is not counted
	began    time.Time
	calls    []call
	attempts []attempt
}

// call is a finished call. Times are since the traffic began.
type call struct {
	begin, end time.Duration
	key        int
	id         core.MessageID
	failed     bool
	class      core.Class
	broker     string // of the last attempt of one that failed
}

// attempt is one that reached the transport.
type attempt struct {
	begin  time.Duration
	broker string
}

func newMeter(c *cluster) *meter { return &meter{cluster: c} }

func (m *meter) begin() {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.running, m.began = true, time.Now()
}

// AttemptDone implements [core.AttemptListener].
func (m *meter) AttemptDone(_ context.Context, r *core.AttemptReport) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.running && !r.Abandoned {
		m.attempts = append(m.attempts, attempt{time.Since(m.began) - r.Latency, r.Attempt.Broker().Name})
	}
}

// called notes the end of a call.
func (m *meter) called(key int, began time.Time, res core.Result, err error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	c := call{begin: began.Sub(m.began), end: time.Since(m.began), key: key, id: res.MessageID}
	if err != nil {
		c.failed, c.class = true, core.ClassOf(err)
		if se := (*core.SendError)(nil); errors.As(err, &se) {
			c.id = se.MessageID
			if n := len(se.Attempts); n > 0 {
				c.broker = se.Attempts[n-1].Queue.Broker
			}
		}
	}
	m.calls = append(m.calls, c)
}

// explained reports whether the outage of the key's broker explains the failure of a keyed
// call. That is the broker to which the key went before the incident or, where a shorter list of
// queues has moved the key, the one that was tried last.
func (m *meter) explained(c *call) bool {
	return slices.ContainsFunc(m.cluster.outages, func(o outage) bool {
		return (o.broker == m.homes[c.key] || o.broker == c.broker) && c.end >= o.begin && c.end <= o.end+grace
	})
}
