package core

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/liftoff-mq/liftoff/internal/words"
)

// routeCache keeps the routes of the topics in use. A look-up is made by at most one
// goroutine a topic (single flight), and never by a caller's: a caller that gives up does
// not take the look-up away from the others. While a known route is looked up again the old
// one serves, and it stays when the new one cannot be had.
type routeCache struct {
	source  RouteSource
	kept    keptTopics
	refresh time.Duration
	timeout time.Duration // of a look-up; 0 for as long as its caller has
	polled  func()        // is called once a poll
	// hearers are the listeners now. Which ones hear of a change is settled with the change,
	// under mu, so that listeners that come later (see replace) miss none and hear of none twice.
	hearers func() *listeners

	mu     sync.RWMutex
	topics map[string]*topic
	closed bool
	turn   time.Time // of the next look-up that doubts ask for

	life context.Context // ends with the producer
	stop context.CancelFunc
	wg   sync.WaitGroup
}

// Look-ups that errors ask for have their bounds: brokers fail a thousand times a second.
// Where a call cannot go on by the old route, refreshGap is the least time between two
// look-ups of one topic. Where the route is only doubtful, because a broker may have moved,
// the gap doubles with each look-up that brought nothing new, up to doubtGap; a time of
// doubtCalm without such a look-up ends that. All topics of the producer together have one of
// these in doubtPace, so that a broker of a thousand topics does not cause a storm.
const (
	refreshGap = 100 * time.Millisecond
	doubtGap   = time.Second
	doubtCalm  = 10 * time.Second
	doubtPace  = 10 * time.Millisecond
)

// refreshWait is how long a call waits for a route that is looked up again before it goes on
// with the old one: a name server that hangs must not take all the call's time.
const refreshWait = time.Second

// idlePolls is how many polls a topic may go unused before it is forgotten; halfPolls where
// half messages were sent to it, about which brokers may ask for long.
const (
	idlePolls = 20
	halfPolls = 6 * idlePolls
)

// parallelPolls is how many topics one poll looks up at a time.
const parallelPolls = 8

// topic is what the producer keeps for one topic, by its name on the wire.
type topic struct {
	name  string
	route atomic.Pointer[Route]
	since atomic.Int64 // when a look-up last gave the route, in Unix nanoseconds
	used  usage
	half  atomic.Bool // half messages were sent to it
	gone  atomic.Bool // it is no longer in the cache

	mu      sync.Mutex
	look    *lookUp   // under way
	last    time.Time // when the last look-up began
	doubted time.Time // when the last one was due that a doubt asked for
	vain    int       // such look-ups in a row that brought nothing new
}

// lookUp is a look-up under way. Route and err are set before done is closed.
type lookUp struct {
	done  chan struct{}
	route *Route
	err   error
	doubt bool      // a doubt asked for it
	until time.Time // how long its caller waits for it
	due   time.Time // when it begins; the topic's lock guards it
	start *time.Timer
	met   atomic.Pointer[error] // what the source met so far
}

// lookUpKey finds the look-up in the context that its source gets.
type lookUpKey struct{}

// LookUpProgress tells what a look-up under way has met so far, such as the servers that did
// not answer. A call whose time ends before the look-up has it in its error; the last word
// counts. The context is the one that [RouteSource.Route] got, or made of it; with another
// one nothing happens. It is safe for concurrent use.
func LookUpProgress(ctx context.Context, err error) {
	if l, ok := ctx.Value(lookUpKey{}).(*lookUp); ok && err != nil {
		checkError(err)
		l.met.Store(&err)
	}
}

// unfinished is the error of a call that waits for the look-up of a topic no longer, for the
// given reason.
func (l *lookUp) unfinished(topic string, why error) error {
	if met := l.met.Load(); met != nil && ClassOf(why) == ClassTimeout {
		return fmt.Errorf("route of %s: %w: %w", words.Quote(topic), why, *met)
	}
	return fmt.Errorf("route of %s: %w", words.Quote(topic), why)
}

func newRouteCache(cfg *Config, hearers func() *listeners, polled func()) *routeCache {
	life, stop := context.WithCancel(context.Background())
	return &routeCache{
		source: cfg.Routes, refresh: cfg.RouteRefresh, timeout: cfg.RouteTimeout, hearers: hearers, polled: polled,
		topics: map[string]*topic{}, life: life, stop: stop,
	}
}

// topicOf is the entry of a topic by its name on the wire. The last one that calls to a
// served topic went to is kept there, which saves the search.
func (rc *routeCache) topicOf(s *served, wire string) *topic {
	t := s.wire.Load()
	if t == nil || t.name != wire || t.gone.Load() {
		t = rc.topic(wire)
		s.wire.Store(t)
	}
	t.used.mark()
	return t
}

// topic finds or makes the entry of a topic.
func (rc *routeCache) topic(name string) *topic {
	rc.mu.RLock()
	t := rc.topics[name]
	rc.mu.RUnlock()
	if t == nil {
		rc.mu.Lock()
		defer rc.mu.Unlock()
		if t = rc.topics[name]; t == nil {
			t = &topic{name: strings.Clone(name)} // it may be part of something large
			rc.topics[t.name] = t
		}
	}
	return t
}

// lookUp gives the look-up of t that is under way, or begins one. It begins when gap has
// passed since the last one began, also where it was to begin later. The caller waits for it
// until the given time, the zero time if it does not wait.
func (rc *routeCache) lookUp(t *topic, gap time.Duration, until time.Time) *lookUp {
	t.mu.Lock()
	defer t.mu.Unlock()
	due := t.last.Add(gap)
	if l := t.look; l != nil {
		if due.Before(l.due) {
			l.due = due
			l.start.Reset(time.Until(due))
		}
		return l
	}
	return rc.begins(t, &lookUp{due: due, until: until})
}

// doubt looks t up because its route may be outdated; nobody waits for it.
func (rc *routeCache) doubt(t *topic) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.look != nil {
		return
	}
	now := time.Now()
	if now.Sub(t.doubted) > doubtCalm {
		t.vain = 0
	}
	t.doubted = latest(t.last.Add(min(refreshGap<<min(max(t.vain-1, 0), 8), doubtGap)), rc.nextTurn(now))
	rc.begins(t, &lookUp{due: t.doubted, doubt: true})
}

// nextTurn is when the next look-up may begin that a doubt asks for.
func (rc *routeCache) nextTurn(now time.Time) time.Time {
	rc.mu.Lock()
	defer rc.mu.Unlock()
	turn := latest(rc.turn, now)
	rc.turn = turn.Add(doubtPace)
	return turn
}

func latest(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}

// begins makes l the look-up of t, which has none, and whose lock is held.
func (rc *routeCache) begins(t *topic, l *lookUp) *lookUp {
	l.done = make(chan struct{})
	if !rc.reserve() {
		l.err = ErrClosed
		close(l.done)
		return l
	}
	l.start = time.NewTimer(time.Until(l.due))
	t.look = l
	go rc.run(t, l)
	return l
}

func (rc *routeCache) run(t *topic, l *lookUp) {
	defer rc.wg.Done()
	select {
	case <-l.start.C:
	case <-rc.life.Done():
		l.start.Stop()
	}
	old, to := rc.renew(t, l)
	if l.route != old && rc.keeps(t.name) {
		rc.announce()
	}
	if to != nil {
		to.routeChanged(&RouteReport{Topic: t.name, Old: old, New: l.route})
	}
}

// renew asks for t's route and ends the look-up, also if the source ends the goroutine. Where
// the route is another one, it gives the listeners that are to hear of that.
func (rc *routeCache) renew(t *topic, l *lookUp) (old *Route, to *listeners) {
	changed := false
	l.err = fmt.Errorf("%w: the route source ended its goroutine", ErrContract)
	defer func() {
		t.mu.Lock()
		t.look = nil
		if changed {
			t.vain = 0
		} else if l.doubt {
			t.vain++
		}
		t.mu.Unlock()
		close(l.done)
	}()
	t.mu.Lock()
	t.last = time.Now()
	t.mu.Unlock()
	l.route, l.err = rc.ask(l, t.name)
	if l.err != nil && !errors.Is(l.err, ErrNotWritable) {
		return nil, nil
	}
	// A topic that was forgotten meanwhile serves the sends that still have it, but
	// listeners do not hear of its routes: their end was reported.
	rc.mu.RLock()
	defer rc.mu.RUnlock()
	t.since.Store(time.Now().UnixNano())
	if old = t.route.Load(); old.Equal(l.route) {
		l.route = old // keep the identity of an unchanged route
		return old, nil
	}
	t.route.Store(l.route)
	if changed = !t.gone.Load(); changed {
		to = rc.hearers()
	}
	return old, to
}

// limit is how long a look-up may take: what is configured, else what its caller has, and not
// less than the default, because a late answer serves the next call.
func (rc *routeCache) limit(l *lookUp) time.Duration {
	if rc.timeout > 0 {
		return rc.timeout
	}
	return max(DefaultRouteTimeout, time.Until(l.until))
}

// ask calls the source and keeps its panic and its nonsense.
func (rc *routeCache) ask(l *lookUp, name string) (r *Route, err error) {
	limit := rc.limit(l)
	ctx, cancel := context.WithTimeoutCause(context.WithValue(rc.life, lookUpKey{}, l), limit, ErrTimeout)
	defer cancel()
	defer func() {
		if v := recover(); v != nil {
			r, err = nil, panicError("route source", v)
		}
	}()
	r, err = rc.source.Route(ctx, name)
	checkError(err)
	switch {
	case rc.life.Err() != nil:
		return nil, ErrClosed
	case err != nil && ctx.Err() != nil && ClassOf(err) == ClassTimeout:
		return nil, l.unfinished(name, fmt.Errorf("%w after %v", err, limit))
	case err != nil:
		return nil, err
	case r == nil || r.Len() == 0:
		return nil, fmt.Errorf("%w: %s has no writable queue", ErrNoRoute, words.Quote(name))
	}
	return r, nil
}

// poll looks the topics in use up again and again until the producer ends, and
// forgets those that nobody used for long.
func (rc *routeCache) poll() {
	defer rc.wg.Done()
	ticker := time.NewTicker(rc.refresh)
	defer ticker.Stop()
	for {
		select {
		case <-ticker.C:
		case <-rc.life.Done():
			return
		}
		rc.polled()
		var looks []*lookUp
		for _, t := range rc.inUse() {
			if len(looks) == parallelPolls {
				rc.wait(looks[0])
				looks = looks[1:]
			}
			looks = append(looks, rc.lookUp(t, 0, time.Time{}))
		}
		for _, l := range looks {
			rc.wait(l)
		}
	}
}

func (rc *routeCache) wait(l *lookUp) {
	select {
	case <-l.done:
	case <-rc.life.Done():
	}
}

// inUse lists the topics to poll and forgets the others.
func (rc *routeCache) inUse() []*topic {
	var (
		used      []*topic
		forgotten []RouteReport
	)
	rc.mu.Lock()
	for name, t := range rc.topics {
		route := t.route.Load() // without one the next send asks
		most := idlePolls
		if t.half.Load() {
			most = halfPolls
		}
		if idle := t.used.age(); !rc.keeps(name) && (idle > 0 && route == nil || idle >= most) {
			delete(rc.topics, name)
			t.gone.Store(true)
			if route != nil {
				forgotten = append(forgotten, RouteReport{Topic: t.name, Old: route})
			}
			continue
		}
		if route != nil {
			used = append(used, t)
		}
	}
	to := rc.hearers()
	rc.mu.Unlock()
	if len(forgotten) > 0 {
		rc.wg.Add(1)
		go rc.tell(to, forgotten)
	}
	return used
}

// tell tells listeners on a goroutine of its own. A listener that blocks or ends the goroutine
// must end neither the poll nor a change of policies.
func (rc *routeCache) tell(to *listeners, reports []RouteReport) {
	defer rc.wg.Done()
	next := 0
	defer func() { // also after a listener ended the goroutine
		if next < len(reports) {
			rc.wg.Add(1)
			go rc.tell(to, reports[next:])
		}
	}()
	for next < len(reports) {
		next++
		to.routeChanged(&reports[next-1])
	}
}

// replace makes a change of the listeners, and tells those that are new of the routes that are
// known by then.
func (rc *routeCache) replace(change func() (added *listeners)) {
	rc.mu.Lock()
	defer rc.mu.Unlock()
	added := change()
	if rc.closed || len(added.route) == 0 {
		return
	}
	var known []RouteReport
	for _, t := range rc.topics {
		if route := t.route.Load(); route != nil {
			known = append(known, RouteReport{Topic: t.name, New: route})
		}
	}
	rc.wg.Add(1)
	go rc.tell(added, known)
}

// begin starts the poller. end stops it and every look-up, and waits for them.
func (rc *routeCache) begin() {
	rc.wg.Add(1)
	go rc.poll()
	if len(rc.kept.names) > 0 {
		rc.wg.Add(1)
		go rc.warm()
	}
}

func (rc *routeCache) end() {
	rc.mu.Lock()
	rc.closed = true // no look-up can begin now
	rc.mu.Unlock()
	rc.stop()
	rc.wg.Wait()
}

// all are the topics in the cache.
func (rc *routeCache) all() []*topic {
	rc.mu.RLock()
	defer rc.mu.RUnlock()
	return slices.Collect(maps.Values(rc.topics))
}

// reserve reserves a place for one more goroutine, unless the cache has ended.
func (rc *routeCache) reserve() bool {
	rc.mu.RLock()
	defer rc.mu.RUnlock()
	if !rc.closed {
		rc.wg.Add(1)
	}
	return !rc.closed
}
