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
	refresh time.Duration
	timeout time.Duration
	changed func(*RouteReport) // tells the listeners
	polled  func()             // is called once a poll

	mu     sync.RWMutex
	topics map[string]*topic
	closed bool

	life context.Context // ends with the producer
	stop context.CancelFunc
	wg   sync.WaitGroup
}

// refreshGap is the least time between two look-ups of one topic that errors
// asked for: a broker that refuses a thousand sends causes ten look-ups a
// second, not a thousand.
const refreshGap = 100 * time.Millisecond

// idlePolls is how many polls a topic may go unused before it is forgotten.
const idlePolls = 20

// parallelPolls is how many topics one poll looks up at a time.
const parallelPolls = 8

// topic is what the producer keeps for one topic, by its name on the wire.
type topic struct {
	name  string
	route atomic.Pointer[Route]
	since atomic.Int64 // when a look-up last gave the route, in Unix nanoseconds
	used  usage
	gone  atomic.Bool // it is no longer in the cache

	mu   sync.Mutex
	look *lookUp   // under way
	last time.Time // when the last look-up began
}

// lookUp is a look-up under way. Route and err are set before done is closed.
type lookUp struct {
	done  chan struct{}
	route *Route
	err   error
}

func newRouteCache(cfg *Config, changed func(*RouteReport), polled func()) *routeCache {
	life, stop := context.WithCancel(context.Background())
	return &routeCache{
		source: cfg.Routes, refresh: cfg.RouteRefresh, timeout: cfg.RouteTimeout, changed: changed, polled: polled,
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

// lookUp gives the look-up of t that is under way, or begins one. A new one waits first
// until gap has passed since the last one began.
func (rc *routeCache) lookUp(t *topic, gap time.Duration) *lookUp {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.look != nil {
		return t.look
	}
	l := &lookUp{done: make(chan struct{})}
	if !rc.reserve() {
		l.err = ErrClosed
		close(l.done)
		return l
	}
	var pause time.Duration
	if gap > 0 && !t.last.IsZero() {
		pause = gap - time.Since(t.last)
	}
	t.look = l
	go rc.run(t, l, pause)
	return l
}

func (rc *routeCache) run(t *topic, l *lookUp, pause time.Duration) {
	defer rc.wg.Done()
	if pause > 0 {
		timer := time.NewTimer(pause)
		defer timer.Stop()
		select {
		case <-timer.C:
		case <-rc.life.Done():
		}
	}
	if old, changed := rc.renew(t, l); changed {
		rc.changed(&RouteReport{Topic: t.name, Old: old, New: l.route})
	}
}

// renew asks for t's route and ends the look-up, also if the source ends the goroutine.
func (rc *routeCache) renew(t *topic, l *lookUp) (old *Route, changed bool) {
	l.err = fmt.Errorf("%w: the route source ended its goroutine", ErrContract)
	defer func() {
		t.mu.Lock()
		t.look = nil
		t.mu.Unlock()
		close(l.done)
	}()
	t.mu.Lock()
	t.last = time.Now()
	t.mu.Unlock()
	ctx, cancel := context.WithTimeoutCause(rc.life, rc.timeout, ErrTimeout)
	defer cancel()
	l.route, l.err = rc.ask(ctx, t.name)
	if l.err != nil && !errors.Is(l.err, ErrNotWritable) {
		return nil, false
	}
	// A topic that was forgotten meanwhile serves the sends that still have it, but
	// listeners do not hear of its routes: their end was reported.
	rc.mu.RLock()
	defer rc.mu.RUnlock()
	t.since.Store(time.Now().UnixNano())
	if old = t.route.Load(); old.Equal(l.route) {
		l.route = old // keep the identity of an unchanged route
		return old, false
	}
	t.route.Store(l.route)
	return old, !t.gone.Load()
}

// ask calls the source and keeps its panic and its nonsense.
func (rc *routeCache) ask(ctx context.Context, name string) (r *Route, err error) {
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
			looks = append(looks, rc.lookUp(t, 0))
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
		if idle := t.used.age(); idle > 0 && route == nil || idle >= idlePolls {
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
	rc.mu.Unlock()
	for i := range forgotten {
		rc.changed(&forgotten[i])
	}
	return used
}

// begin starts the poller. end stops it and every look-up, and waits for them until
// ctx ends.
func (rc *routeCache) begin() {
	rc.wg.Add(1)
	go rc.poll()
}

func (rc *routeCache) end(ctx context.Context) error {
	rc.mu.Lock()
	rc.closed = true // no look-up can begin now
	rc.mu.Unlock()
	rc.stop()
	ended := make(chan struct{})
	go func() {
		rc.wg.Wait()
		close(ended)
	}()
	return join(ctx, ended, "a look-up did not return: the route source or a route listener blocks")
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
