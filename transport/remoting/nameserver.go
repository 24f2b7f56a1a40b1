package remoting

import (
	"cmp"
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
	list   []string          // replaced, never changed; empty as long as none is known
	names  map[string]string // the names by which addresses were found
	at     int
	silent map[string]time.Time // servers that did not answer in time, and when
	news   chan struct{}        // closed when the list changes
}

// silentTime is how long a server counts as silent.
const silentTime = 10 * time.Second

func (n *nameServers) init() { n.news = make(chan struct{}) }

// set replaces the list, which is not empty, and reports whether that is a change. The start is
// random, so that many clients share the servers; a server that stays keeps being asked, and
// keeps being silent.
func (n *nameServers) set(servers []nameServer) bool {
	list, names := make([]string, len(servers)), map[string]string{}
	for i, s := range servers {
		list[i], names[s.addr] = s.addr, s.name
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	n.names = names
	if slices.Equal(n.list, list) {
		return false
	}
	at := random.IntN(len(list))
	if len(n.list) > 0 {
		if i := slices.Index(list, n.list[n.at]); i >= 0 {
			at = i
		}
	}
	silent := map[string]time.Time{}
	for _, addr := range list {
		if when, ok := n.silent[addr]; ok {
			silent[addr] = when
		}
	}
	n.list, n.at, n.silent = list, at, silent
	close(n.news)
	n.news = make(chan struct{})
	return true
}

// order returns the servers, the one to ask first in front and silent ones last, and what is
// closed when the list changes.
func (n *nameServers) order() ([]*server, <-chan struct{}) {
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
	return append(out, silent...), n.news
}

// addrs are the addresses of all servers. The list must not be changed.
func (n *nameServers) addrs() []string {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.list
}

// certified is host:port that the certificate of a server has to be for: the name by which it was
// found, or its address.
func (n *nameServers) certified(addr string) string {
	n.mu.Lock()
	defer n.mu.Unlock()
	return cmp.Or(n.names[addr], addr)
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

// nameAge is how long a connection is used to a name server whose name [Config].Dial gets as it is. Then
// the name is dialed again: it may lead to another machine now, while the old one still
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

// UpdateNameServers replaces the name servers that [Config].NameServers has given, in the forms
// that it allows. What [Config].Discovery finds stays. The addresses of DNS names are looked up
// soon; as long as none of the new ones is known the old ones serve. Questions under way may end with
// the old ones; connections to servers that are gone are closed soon.
func (c *Client) UpdateNameServers(addrs ...string) error {
	list, err := parseServers(addrs)
	if err != nil {
		return err
	}
	c.finder.give(list)
	return nil
}

// NameServers are the addresses of the name servers that are known now, host:port each. There is none
// before the first was found.
func (c *Client) NameServers() []string { return slices.Clone(c.names.addrs()) }

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
//
// Where no server has answered, the sources of name servers are asked again, once. A server that is
// found meanwhile has its turn after those that are known.
func (c *Client) lookUp(ctx context.Context, topic string) (*wire.RouteData, error) {
	l := c.newLookUp(topic)
	patience := c.cfg.NameServerTimeout
	if _, ok := ctx.Deadline(); !ok {
		// Nobody says how long: two rounds, and the time of a source.
		most := time.Duration(2*len(l.servers)+1) * patience
		if l.found {
			most += sourceTimeout
		}
		var over context.CancelFunc
		ctx, over = context.WithTimeoutCause(ctx, most, core.ErrTimeout)
		defer over()
	}
	ctx, end := context.WithCancel(ctx)
	defer end() // what is still asked ends
	defer l.remember(patience)
	tick := time.NewTicker(patience)
	defer tick.Stop()
	l.ask(ctx)
	for !l.over(patience) {
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
			if l.over(patience) {
				break
			}
			if l.ask(ctx); l.mute() {
				l.findAgain()
			}
		case <-l.news:
			l.extend(ctx)
		case <-l.again:
			l.again = nil
			l.extend(ctx)
		case <-c.life.Done():
			return nil, c.usable()
		case <-ctx.Done():
			err := core.ContextError(ctx)
			if core.ClassOf(err) == core.ClassTimeout {
				err = l.failure(err)
			}
			return nil, err
		}
	}
	return nil, l.end()
}

// routeLookUp is a look-up under way.
type routeLookUp struct {
	c        *Client
	topic    string
	servers  []*server // in the order in which they are asked
	next     int       // whose turn it is in the first round
	second   int       // and in the second one
	answers  chan routeAnswer
	open     int  // questions without an answer
	unknown  bool // a server does not know the topic
	unusable bool // a server answered what cannot be understood

	found bool            // there are sources that can be asked again
	tried bool            // they were, or are being asked
	again <-chan struct{} // closed when they have been asked; nil unless somebody waits for it
	news  <-chan struct{} // closed when the list of servers has changed
}

// server is a name server in a look-up.
type server struct {
	addr   string
	silent bool // it was a moment ago
	asked  time.Time
	open   int   // questions without an answer
	late   bool  // a question got none in its time
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
	l := &routeLookUp{c: c, topic: topic, answers: make(chan routeAnswer), found: c.finder.changes()}
	l.servers, l.news = c.names.order()
	return l
}

// ask asks the server whose turn it is: in the first round, and in the second if it is silent.
func (l *routeLookUp) ask(ctx context.Context) {
	if n := len(l.servers); l.next < n {
		for l.next < n {
			l.next++
			if l.askAt(ctx, l.servers[l.next-1], false) {
				return
			}
		}
		return
	}
	if l.second == len(l.servers) {
		return
	}
	s := l.servers[l.second]
	if s.open > 0 && time.Since(s.asked) < 2*l.c.cfg.NameServerTimeout {
		return // its turn comes
	}
	if l.second++; s.open > 0 {
		l.askAt(ctx, s, true)
	}
}

// askAt asks a server. It reports whether there will be an answer.
func (l *routeLookUp) askAt(ctx context.Context, s *server, again bool) bool {
	p, err := l.c.servers.get(s.addr)
	if err == nil {
		if again {
			s.renew(p)
		}
		s.begin(p)
		if l.c.spawn(func() {
			data, err := l.c.lookUpAt(ctx, p, l.topic)
			select {
			case l.answers <- routeAnswer{s.addr, data, err}:
			case <-ctx.Done(): // the look-up may be over
			}
		}) {
			s.open++
			l.open++
			return true
		}
		err = core.ErrClosed
	}
	s.err = err
	return false
}

// extend adds the servers that were found since, and asks the first of them unless others have
// their turn.
func (l *routeLookUp) extend(ctx context.Context) {
	var servers []*server
	servers, l.news = l.c.names.order()
	waiting := l.next < len(l.servers)
	for _, s := range servers {
		if !slices.ContainsFunc(l.servers, func(o *server) bool { return o.addr == s.addr }) {
			l.servers = append(l.servers, s)
		}
	}
	if !waiting && l.next < len(l.servers) {
		l.ask(ctx)
	}
}

// knownServers waits until a name server is known, and gives all of them in order. Without a deadline
// it waits for one question to the sources.
func (c *Client) knownServers(ctx context.Context) ([]*server, error) {
	if _, ok := ctx.Deadline(); !ok {
		var over context.CancelFunc
		ctx, over = context.WithTimeoutCause(ctx, sourceTimeout+askAgain, core.ErrTimeout)
		defer over()
	}
	for {
		servers, news := c.names.order()
		if len(servers) > 0 {
			return servers, nil
		}
		select {
		case <-news:
		case <-c.life.Done():
			return nil, c.usable()
		case <-ctx.Done():
			err := core.ContextError(ctx)
			if core.ClassOf(err) == core.ClassTimeout {
				err = &NameServerError{None: true, Errs: append(c.finder.failure(), err)}
			}
			return nil, err
		}
	}
}

// mute reports whether all servers were asked and none has answered.
func (l *routeLookUp) mute() bool {
	return l.next == len(l.servers) && !slices.ContainsFunc(l.servers, func(s *server) bool { return s.open == 0 })
}

// findAgain has the sources asked for name servers, once in a look-up. It reports whether they
// have still to answer.
func (l *routeLookUp) findAgain() bool {
	if l.found && !l.tried {
		l.tried = true
		l.again = l.c.finder.again()
	}
	return l.again != nil
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
		if (s.open > 0 || s.late) && time.Since(s.asked) >= patience {
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
			s.err, s.late = a.err, core.ClassOf(a.err) == core.ClassTimeout
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
// still to answer, or one does not know the topic and the others had their time. Where none
// could answer, the sources had theirs as well; and as long as no server is known there is
// everything to wait for.
func (l *routeLookUp) over(patience time.Duration) bool {
	switch {
	case l.next < len(l.servers) || len(l.servers) == 0:
		return false
	case l.unknown:
		return !slices.ContainsFunc(l.servers, func(s *server) bool {
			return s.open > 0 && !s.silent && time.Since(s.asked) < patience
		})
	}
	return l.open == 0 && !l.findAgain()
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
	if len(l.servers) == 0 {
		e.Errs, e.None = l.c.finder.failure(), true
		if why != nil {
			e.Errs = append(e.Errs, why)
		}
	}
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
