package remoting

import (
	"context"
	"time"

	"github.com/liftoff-mq/liftoff/core"
	"github.com/liftoff-mq/liftoff/transport/remoting/internal/conn"
)

// A broker brings replies over the connection that it has for the client's id (Java:
// ProducerManager.findChannel), so a client that waits for one has to have sent a heartbeat to
// every broker that may get it, over the connection that is in use (Java:
// DefaultMQProducerImpl.prepareSendRequest).
//
// A heartbeat gives the id its connection only if it brings a group that is new on that
// connection (registerProducer). The broker forgets the id's connection whenever any group of the
// client unregisters (unregisterProducer), and whenever any connection that brought groups ends,
// also one that is no longer in use (doChannelCloseEvent). Then the client's usual heartbeats
// change nothing. The client has to bring a group that is new: innerGroup, which it unregisters
// first. It does not use a producer's group for that, because meanwhile the broker would not ask
// the producer about transactions.

// innerGroup is the group that Java's clients have besides those of their producers (Java:
// MixAll.CLIENT_INNER_PRODUCER_GROUP).
const innerGroup = "CLIENT_INNER_PRODUCER"

// standing is what the client can know of its id at a broker.
type standing struct {
	joined time.Time // when the heartbeat was sent that gave the id its connection; zero if the id may have lost it
	shaken time.Time // when something last happened that takes the connection from the id
	until  time.Time // what happened may show its effect until then
}

// settleTime is how long the end of a connection may need to be noticed by a broker, and checkPause
// how long the client trusts meanwhile that it was noticed before the last heartbeat.
const (
	settleTime = 10 * time.Second
	checkPause = time.Second
)

// shake notes that the broker has forgotten the id's connection or will, after that time at most.
func (s *standing) shake(within time.Duration) {
	now := time.Now()
	s.joined, s.shaken = time.Time{}, now
	if until := now.Add(within); until.After(s.until) {
		s.until = until
	}
}

// join notes that a heartbeat which was sent then has given the id its connection.
func (s *standing) join(sent time.Time) {
	if !sent.Before(s.shaken) {
		s.joined = sent
	}
}

// firm reports whether the broker has the id's connection.
func (s *standing) firm() bool {
	return !s.joined.IsZero() && (!s.joined.Before(s.until) || time.Since(s.joined) < checkPause)
}

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

// knows reports whether the broker has answered a heartbeat on the connection in use, and has had
// no reason since to forget that this connection is the client's.
func (p *peer) knows() bool {
	cn := p.cur.Load()
	if cn == nil || p.beaten.Load() != cn {
		return false
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.standing.firm()
}

// greet connects if need be and sends a heartbeat that gives the client's id this connection.
func (p *peer) greet() {
	w := conn.NewWait(p.c.life, time.Now().Add(p.c.cfg.ConnectTimeout), nil)
	defer w.Stop()
	cn, err := p.connect(&w)
	if err != nil { // the dial counts and logs its failure
		return
	}
	again := p.beaten.Load() == cn
	if again && !p.rejoin(cn) {
		return
	}
	p.c.beatOn(p, again)
}

// rejoin makes innerGroup new to the broker, so that the next heartbeat on the connection joins. From
// then on all heartbeats there name it: a broker closes a connection when one of its groups is
// silent for two minutes.
func (p *peer) rejoin(cn *conn.Conn) bool {
	if err := p.c.unregister(p.c.life, p, innerGroup); err != nil {
		p.c.log.Debug("the broker may not know where this client's replies go", "addr", p.addr, "err", err)
		return false
	}
	p.rejoined.Store(cn)
	return true
}
