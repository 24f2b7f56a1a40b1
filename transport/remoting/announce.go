package remoting

import (
	"context"
	"time"

	"github.com/liftoff-mq/liftoff/core"
	"github.com/liftoff-mq/liftoff/transport/remoting/internal/conn"
)

// A broker brings replies over the connection of the client's last heartbeat (Java:
// ProducerManager.findChannel), so a client that waits for one has to have sent a heartbeat to
// every broker that may get it, over the connection that is in use (Java:
// DefaultMQProducerImpl.prepareSendRequest).

// introduction is a heartbeat that somebody waits for.
type introduction struct {
	began    time.Time
	done     chan struct{}
	answered bool // set before done is closed
}

// worthwhile reports whether another one may be of use now: this one has ended, and either the
// broker had answered, so that its connection was lost since, or its pause is over.
func (i *introduction) worthwhile() bool {
	select {
	case <-i.done:
		return i.answered || time.Since(i.began) >= introPause
	default:
		return false
	}
}

const (
	// introPatience is how long a broker that does not answer is waited for, introPause how
	// long it is left alone after that.
	introPatience = time.Second
	introPause    = 5 * time.Second
)

// Announce implements [core.Announcer] with heartbeats: to the brokers that have answered none
// on their present connection.
func (c *Client) Announce(ctx context.Context, route *core.Route) error {
	if err := c.usable(); err != nil {
		return err
	}
	var waits []<-chan struct{}
	for _, b := range route.Brokers() {
		if b.Absent() {
			continue
		}
		p, err := c.brokers.get(b.Addr)
		if err != nil {
			return err
		}
		if done := p.introduce(); done != nil {
			waits = append(waits, done)
		}
	}
	for _, done := range waits {
		select {
		case <-done:
		case <-ctx.Done():
			return core.ContextError(ctx)
		}
	}
	return nil
}

// introduce makes sure that the broker gets a heartbeat, and gives a channel that is closed
// when it has answered or has failed. It is nil where there is nothing to wait for.
func (p *peer) introduce() <-chan struct{} {
	if p.knows() {
		return nil
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if i := p.intro; i != nil && !i.worthwhile() {
		if time.Since(i.began) < introPatience {
			return i.done
		}
		return nil
	}
	i := &introduction{began: time.Now(), done: make(chan struct{})}
	if !p.c.spawn(func() {
		defer close(i.done)
		p.greet()
		i.answered = p.knows()
	}) {
		return nil
	}
	p.intro = i
	return i.done
}

// knows reports whether the broker has answered a heartbeat on the connection in use.
func (p *peer) knows() bool {
	cn := p.cur.Load()
	return cn != nil && p.beaten.Load() == cn
}

// greet connects if need be and sends a heartbeat.
func (p *peer) greet() {
	w := conn.NewWait(p.c.life, time.Now().Add(p.c.cfg.ConnectTimeout), nil)
	defer w.Stop()
	if _, err := p.connect(&w); err == nil { // the dial counts and logs its failure
		p.c.beatOn(p)
	}
}
