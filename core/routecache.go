package core

import (
	"context"
	"errors"
	"fmt"
	"runtime/debug"
	"sync"
	"sync/atomic"
	"time"
)

// routeCache keeps the routes of the topics in use. A look-up is made by at most
// one goroutine a topic and by no caller's: a caller that gives up does not take
// it away from the others. While a known route is looked up again the old one
// serves, and it stays when the new one cannot be had.
type routeCache struct {
	source    RouteSource
	selectors SelectorFactory
	refresh   time.Duration
	timeout   time.Duration
	listeners *listeners

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

// topic is what the producer keeps for one topic.
type topic struct {
	name     string
	route    atomic.Pointer[Route]
	used     atomic.Bool // since the last poll
	idle     int         // polls without use; the poller's own
	selector func() (QueueSelector, error)

	mu     sync.Mutex
	flight *flight
	last   time.Time // when the last look-up began
}

// flight is a look-up under way.
type flight struct {
	done  chan struct{}
	route *Route
	err   error
}

func newRouteCache(cfg *Config, ls *listeners) *routeCache {
	life, stop := context.WithCancel(context.Background())
	return &routeCache{
		source: cfg.Routes, selectors: cfg.Selector,
		refresh: cfg.RouteRefresh, timeout: cfg.RouteTimeout, listeners: ls,
		topics: map[string]*topic{}, life: life, stop: stop,
	}
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
			t = &topic{name: name}
			t.selector = onceSelector(rc.selectors, name)
			rc.topics[name] = t
		}
	}
	if !t.used.Load() {
		t.used.Store(true)
	}
	return t
}

// onceSelector makes a selector once. A factory that ends the goroutine, which
// sync.OnceValues would turn into a panic of every send, gives an error.
func onceSelector(f SelectorFactory, topic string) func() (QueueSelector, error) {
	var (
		once sync.Once
		s    QueueSelector
		err  = fmt.Errorf("%w: the selector factory ended its goroutine", ErrContract)
	)
	return func() (QueueSelector, error) {
		once.Do(func() { s, err = makeSelector(f, topic) })
		return s, err
	}
}

// makeSelector calls the user's factory and keeps its panic.
func makeSelector(f SelectorFactory, topic string) (s QueueSelector, err error) {
	defer func() {
		if v := recover(); v != nil {
			s, err = nil, &PanicError{Step: "selector factory", Value: v, Stack: debug.Stack()}
		}
	}()
	if s = f.ForTopic(topic); isNil(s) {
		return nil, fmt.Errorf("%w: selector factory gave no selector for topic %q", ErrContract, topic)
	}
	return s, nil
}

// lookUp returns the flight that looks t up, a new one if none is under way.
// The flight waits first until gap has passed since the last one began.
func (rc *routeCache) lookUp(t *topic, gap time.Duration) *flight {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.flight != nil {
		return t.flight
	}
	f := &flight{done: make(chan struct{})}
	if !rc.open() {
		f.err = ErrClosed
		close(f.done)
		return f
	}
	var wait time.Duration
	if gap > 0 && !t.last.IsZero() {
		wait = gap - time.Since(t.last)
	}
	t.flight = f
	go rc.fly(t, f, wait)
	return f
}

func (rc *routeCache) fly(t *topic, f *flight, wait time.Duration) {
	defer rc.wg.Done()
	if wait > 0 {
		timer := time.NewTimer(wait)
		defer timer.Stop()
		select {
		case <-timer.C:
		case <-rc.life.Done():
		}
	}
	if old, changed := rc.look(t, f); changed {
		rc.listeners.routeChanged(&RouteReport{Topic: t.name, Old: old, New: f.route})
	}
}

// look asks for t's route and ends the flight, also if the source ends the goroutine.
func (rc *routeCache) look(t *topic, f *flight) (old *Route, changed bool) {
	f.err = fmt.Errorf("%w: the route source ended its goroutine", ErrContract)
	defer func() {
		t.mu.Lock()
		t.flight = nil
		t.mu.Unlock()
		close(f.done)
	}()
	t.mu.Lock()
	t.last = time.Now()
	t.mu.Unlock()
	ctx, cancel := context.WithTimeoutCause(rc.life, rc.timeout, ErrTimeout)
	defer cancel()
	f.route, f.err = rc.ask(ctx, t.name)
	if f.err != nil && !errors.Is(f.err, ErrNotWritable) {
		return nil, false
	}
	// A topic that was forgotten meanwhile serves the sends that still have it, but
	// nobody may hear of its routes: their end was reported.
	rc.mu.RLock()
	defer rc.mu.RUnlock()
	if old = t.route.Load(); old.Equal(f.route) {
		f.route = old // keep the identity of an unchanged route
		return old, false
	}
	t.route.Store(f.route)
	return old, rc.topics[t.name] == t
}

// ask calls the source and keeps its panic and its nonsense.
func (rc *routeCache) ask(ctx context.Context, name string) (r *Route, err error) {
	defer func() {
		if v := recover(); v != nil {
			r, err = nil, &PanicError{Step: "route source", Value: v, Stack: debug.Stack()}
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
		return nil, fmt.Errorf("%w: %q has no writable queue", ErrNoRoute, name)
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
		var flights []*flight
		for _, t := range rc.inUse() {
			if len(flights) == parallelPolls {
				rc.wait(flights[0])
				flights = flights[1:]
			}
			flights = append(flights, rc.lookUp(t, 0))
		}
		for _, f := range flights {
			rc.wait(f)
		}
	}
}

func (rc *routeCache) wait(f *flight) {
	select {
	case <-f.done:
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
		if t.used.Swap(false) {
			t.idle = 0
		} else if t.idle++; route == nil || t.idle >= idlePolls {
			delete(rc.topics, name)
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
		rc.listeners.routeChanged(&forgotten[i])
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
	over := make(chan struct{})
	go func() {
		rc.wg.Wait()
		close(over)
	}()
	select {
	case <-over:
		return nil
	case <-ctx.Done():
		return errors.New("a look-up did not return: the route source or a route listener blocks")
	}
}

// open reserves a place for one more goroutine, unless the cache has ended.
func (rc *routeCache) open() bool {
	rc.mu.RLock()
	defer rc.mu.RUnlock()
	if !rc.closed {
		rc.wg.Add(1)
	}
	return !rc.closed
}
