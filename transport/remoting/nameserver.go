package remoting

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"sync"
	"time"

	"github.com/liftoff-mq/liftoff/core"
	"github.com/liftoff-mq/liftoff/core/rocketmq"
	"github.com/liftoff-mq/liftoff/internal/random"
	"github.com/liftoff-mq/liftoff/transport/remoting/internal/conn"
	"github.com/liftoff-mq/liftoff/transport/wire"
)

// nameServers is the list of name servers and the one that gave the last route.
type nameServers struct {
	mu     sync.Mutex
	list   []string // replaced, never changed
	at     int
	silent map[string]time.Time // servers that did not answer in time, and when
}

// silentTime is how long a server counts as silent.
const silentTime = 10 * time.Second

// set replaces the list. The start is random, so that many clients share the
// servers; a server that stays keeps being asked.
func (n *nameServers) set(list []string) {
	n.mu.Lock()
	defer n.mu.Unlock()
	at := random.IntN(len(list))
	if len(n.list) > 0 {
		if i := slices.Index(list, n.list[n.at]); i >= 0 {
			at = i
		}
	}
	n.list, n.at, n.silent = list, at, map[string]time.Time{}
}

// order returns the servers, the one to ask first in front and silent ones last.
func (n *nameServers) order() []*server {
	n.mu.Lock()
	defer n.mu.Unlock()
	var out, silent []*server
	for _, addr := range slices.Concat(n.list[n.at:], n.list[:n.at]) {
		if s := (&server{addr: addr}); time.Since(n.silent[addr]) < silentTime {
			s.silent = true
			silent = append(silent, s)
		} else {
			out = append(out, s)
		}
	}
	return append(out, silent...)
}

// wasSilent notes that a server did not answer in time.
func (n *nameServers) wasSilent(addr string) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if slices.Contains(n.list, addr) {
		n.silent[addr] = time.Now()
	}
}

// stick makes addr the first to ask. It reports whether that is a change.
func (n *nameServers) stick(addr string) bool {
	n.mu.Lock()
	defer n.mu.Unlock()
	i := slices.Index(n.list, addr)
	if i < 0 || i == n.at {
		return false
	}
	n.at = i
	return true
}

func (n *nameServers) has(addr string) bool {
	n.mu.Lock()
	defer n.mu.Unlock()
	return slices.Contains(n.list, addr)
}

// nameAge is how long a connection is used to a name server that is given by a DNS name. Then
// the name is resolved again: it may lead to another machine now, while the old one still
// answers with what it knew (Java asks for the addresses of its name servers as often:
// MQClientInstance.startScheduledTask).
const nameAge = 2 * time.Minute

// reopen dials the peer, which resolves its name, and uses the new connection instead of cn.
// If it cannot be had cn stays.
func (p *peer) reopen(cn *conn.Conn) {
	if p.cur.Load() != cn {
		return
	}
	var d dialing
	p.establish(&d)
	fresh := d.conn
	if fresh == nil {
		p.c.count.dialFailures.Add(1)
		p.c.log.Debug("name server not connected anew", "addr", p.addr, "err", d.err)
		return
	}
	p.c.count.dials.Add(1)
	if !p.replace(cn, fresh, conn.ErrUnneeded, false) {
		fresh.Close(conn.ErrUnneeded)
		return
	}
	if reason := fresh.Reason(); reason != nil {
		p.lost(fresh, reason, 0) // it went before it was in place
	}
}

// isName reports whether the host of an address is no IP address.
func isName(addr string) bool {
	host, _, err := net.SplitHostPort(addr)
	if err != nil {
		return false
	}
	_, err = netip.ParseAddr(host)
	return err != nil
}

// UpdateNameServers replaces the name servers, in the forms that
// [Config].NameServers allows. Questions under way end with the old ones;
// connections to servers that are gone are closed soon.
func (c *Client) UpdateNameServers(addrs ...string) error {
	list, err := parseServers(addrs)
	if err != nil {
		return err
	}
	c.names.set(list)
	c.log.Info("name servers", "addrs", list)
	return nil
}

// lookUp asks the name servers for a topic until one gives its route. That none of them knows
// it is an answer too; it gives nil.
//
// The first server is asked at once. Where it does not know the topic, because it was started
// a moment ago, or cannot be asked, the next one is. Where it is silent for
// [Config].NameServerTimeout the next one is asked as well, and the first answer counts,
// whoever gives it. A server that is still silent after twice that time is asked once more, on
// a new connection: the old one may be dead, or lead to where the name pointed before.
//
// A server that does not answer cannot keep a topic from being unknown for longer than
// that time, and not at all if it was silent a moment ago, else a dead name server would stop
// every new topic.
func (c *Client) lookUp(ctx context.Context, topic string) (*wire.RouteData, error) {
	l := c.newLookUp(topic)
	patience := c.cfg.NameServerTimeout
	if _, ok := ctx.Deadline(); !ok {
		// Nobody says how long: two rounds.
		var over context.CancelFunc
		ctx, over = context.WithTimeoutCause(ctx, time.Duration(2*len(l.servers)+1)*patience, core.ErrTimeout)
		defer over()
	}
	ctx, end := context.WithCancel(ctx)
	defer end() // what is still asked ends
	defer l.remember(patience)
	tick := time.NewTicker(patience)
	defer tick.Stop()
	l.ask(ctx)
	for {
		core.LookUpProgress(ctx, l.failure(nil))
		select {
		case a := <-l.answers:
			l.note(a)
			if a.data != nil {
				if c.names.stick(a.addr) {
					c.log.Info("name server changed", "addr", a.addr)
				}
				return a.data, nil
			}
			if l.next < len(l.servers) {
				tick.Reset(patience)
				l.ask(ctx)
			}
		case <-tick.C:
			if !l.over(patience) {
				l.ask(ctx)
			}
		case <-ctx.Done():
			err := core.ContextError(ctx)
			if core.ClassOf(err) == core.ClassTimeout {
				err = l.failure(err)
			}
			return nil, err
		}
		if l.over(patience) {
			return nil, l.end()
		}
	}
}

// routeLookUp is a look-up under way.
type routeLookUp struct {
	c        *Client
	topic    string
	servers  []*server // in the order in which they are asked
	next     int       // whose turn it is, in two rounds
	answers  chan routeAnswer
	open     int  // questions without an answer
	unknown  bool // a server does not know the topic
	unusable bool // a server answered what cannot be understood
}

// server is a name server in a look-up.
type server struct {
	addr   string
	silent bool // it was a moment ago
	asked  time.Time
	open   int   // questions without an answer
	err    error // of the last answer
	conn   *conn.Conn
	read   uint64 // the bytes that had come on conn when it was asked
}

// routeAnswer is what came of a question: data, no data for an unknown topic, or an error.
type routeAnswer struct {
	addr string
	data *wire.RouteData
	err  error
}

func (c *Client) newLookUp(topic string) *routeLookUp {
	servers := c.names.order()
	return &routeLookUp{
		c: c, topic: topic, servers: servers, answers: make(chan routeAnswer, 2*len(servers)),
	}
}

// ask asks the server whose turn it is: in the first round, and in the second if it is silent.
func (l *routeLookUp) ask(ctx context.Context) {
	n := len(l.servers)
	if l.next == 2*n {
		return
	}
	s, again := l.servers[l.next%n], l.next >= n
	if again && s.open > 0 && time.Since(s.asked) < 2*l.c.cfg.NameServerTimeout {
		return // its turn comes
	}
	l.next++
	if again && s.open == 0 {
		return
	}
	s.open++
	l.open++
	p, err := l.c.servers.get(s.addr)
	if err == nil {
		if again {
			s.renew(p)
		}
		s.begin(p)
		if l.c.spawn(func() {
			data, err := l.c.lookUpAt(ctx, p, l.topic)
			l.answers <- routeAnswer{s.addr, data, err}
		}) {
			return
		}
		err = core.ErrClosed
	}
	l.answers <- routeAnswer{addr: s.addr, err: err}
}

// begin notes what had come from the server when it was asked.
func (s *server) begin(p *peer) {
	s.asked, s.conn, s.read = time.Now(), p.cur.Load(), 0
	if s.conn != nil {
		s.read = s.conn.Usage().BytesIn
	}
}

// renew takes the connection out of use on which nothing has come since the server was asked.
// The question there may still have its answer.
func (s *server) renew(p *peer) {
	cn := p.cur.Load()
	if cn == nil {
		return
	}
	var before uint64
	if cn == s.conn {
		before = s.read
	}
	if cn.Usage().BytesIn == before {
		p.retire(cn, errSilent, false)
	}
}

// remember tells the next look-ups which servers did not answer in time.
func (l *routeLookUp) remember(patience time.Duration) {
	for _, s := range l.servers {
		if s.open > 0 && time.Since(s.asked) >= patience {
			l.c.names.wasSilent(s.addr)
		}
	}
}

// note takes an answer.
func (l *routeLookUp) note(a routeAnswer) {
	l.open--
	for _, s := range l.servers {
		if s.addr == a.addr {
			s.open--
			s.err = a.err
		}
	}
	var ae *AnswerError
	switch {
	case a.err == nil && a.data == nil:
		l.unknown = true
	case errors.As(a.err, &ae):
		l.unusable = true
	}
}

// over reports whether there is nothing left to wait for: every server was asked, and none has
// still to answer, or one does not know the topic and the others had their time.
func (l *routeLookUp) over(patience time.Duration) bool {
	if l.next < len(l.servers) {
		return false
	}
	return l.open == 0 || l.unknown && !slices.ContainsFunc(l.servers, func(s *server) bool {
		return s.open > 0 && !s.silent && time.Since(s.asked) < patience
	})
}

// end is the outcome of a look-up that is over and found no route.
func (l *routeLookUp) end() error {
	switch {
	case l.unknown:
		return nil
	case l.unusable:
		// Somebody answered, so the network is not to blame.
		return &RouteError{Topic: l.topic, Reason: "the route is unusable", Err: l.failure(nil)}
	}
	return l.failure(nil)
}

// failure says what is known of each server that was asked; why is the reason why silent
// ones are waited for no longer.
func (l *routeLookUp) failure(why error) error {
	e := &NameServerError{}
	for _, s := range l.servers[:min(l.next, len(l.servers))] {
		switch {
		case s.err != nil:
			e.Errs = append(e.Errs, s.err)
		case s.open > 0:
			e.Errs = append(e.Errs, noAnswer(s.addr, why))
		default:
			e.Errs = append(e.Errs, fmt.Errorf("%s: it does not know the topic", s.addr))
		}
	}
	return e
}

func noAnswer(addr string, why error) error {
	if why == nil {
		return fmt.Errorf("%s: no answer yet", addr)
	}
	return fmt.Errorf("%s: no answer: %w", addr, why)
}

// lookUpAt asks one name server. It gives nil for a topic that it does not know.
func (c *Client) lookUpAt(ctx context.Context, p *peer, topic string) (*wire.RouteData, error) {
	until, _ := ctx.Deadline()
	cmd := wire.Command{Code: wire.GetRouteInfoByTopic, Ext: wire.RouteFields(topic)}
	answer, err := c.ask(ctx, p, cmd, time.Until(until))
	switch {
	case core.ClassOf(err) == core.ClassTimeout:
		return nil, noAnswer(p.addr, core.ErrTimeout)
	case err != nil:
		return nil, err
	}
	if answer.Code == int(rocketmq.CodeTopicNotExist) {
		return nil, nil
	}
	if err := answered(p, answer); err != nil {
		return nil, err
	}
	data, err := wire.ParseRoute(answer.Body)
	if err != nil {
		return nil, &AnswerError{Addr: p.addr, Err: fmt.Errorf("route: %w", err)}
	}
	return data, nil
}
