package selector

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"time"

	"github.com/liftoff-mq/liftoff/core"
	"github.com/liftoff-mq/liftoff/internal/absent"
	"github.com/liftoff-mq/liftoff/internal/confjson"
	"github.com/liftoff-mq/liftoff/internal/plausible"
)

// maxStickyMessages is the longest stay in messages: a longer one was meant as "for good".
const maxStickyMessages = 1_000_000_000

// StickyConfig configures a selector that stays on a queue. Messages or For is needed.
//
// What is data in it can be decoded from YAML, JSON and environment variables; the tags
// have the names. Durations are text there, such as "1.5s".
type StickyConfig struct {
	// Messages is how many attempts in a row go to one queue; 0 for as many as come.
	Messages int `json:"messages" yaml:"messages" env:"MESSAGES"`
	// For is how long attempts go to one queue, from 1 ms to a day; 0 for any time. With both
	// the earlier end counts.
	For time.Duration `json:"for" yaml:"for" env:"FOR"`
	// Inner chooses the next queue, [RoundRobin] by default. It listens, if it is a listener,
	// as it would by itself.
	Inner core.SelectorFactory `json:"-" yaml:"-"`
}

// UnmarshalJSON takes durations as text, such as "1.5s", and refuses unknown members.
func (c *StickyConfig) UnmarshalJSON(data []byte) error { return confjson.Unmarshal(data, c) }

// MarshalJSON gives what is data and not zero, with durations as text.
func (c StickyConfig) MarshalJSON() ([]byte, error) { return confjson.Marshal(c) }

// withDefaults fills the zero values and reports everything that is wrong.
func (c StickyConfig) withDefaults() (StickyConfig, error) {
	var errs []error
	if c.Messages == 0 && c.For == 0 {
		errs = append(errs, plausible.Named("Messages", errors.New("and For are 0: how long is a queue stayed on?")))
	}
	errs = append(errs, plausible.Named("Messages", plausible.Number(c.Messages, 0, maxStickyMessages, "leave it out and set For")))
	if c.For != 0 {
		errs = append(errs, plausible.Named("For", plausible.Time(c.For, plausible.Moment, plausible.Day)))
	}
	switch {
	case c.Inner == nil:
		c.Inner = RoundRobin()
	case absent.Is(c.Inner):
		errs = append(errs, plausible.Named("Inner", fmt.Errorf("is a nil %T", c.Inner)))
	}
	return c, errors.Join(errs...)
}

// NewSticky makes a selector that stays on a queue for some messages or some time, for each
// topic, and then goes to the next one. It reports all mistakes in cfg at once.
//
// So messages that are sent in a row lie in a row in one queue, where a consumer reads them
// together, and a producer with little to say uses few connections at a time. In exchange
// one broker has all the load of the producer meanwhile; many producers together are even.
// With [RoundRobin] inside, and without For, no queue is ahead of another by more than
// Messages.
//
// It leaves a queue early whose broker is tried by the call or not healthy, for all calls.
// Where no better one is found it chooses again at each attempt. Goroutines that choose at the
// end of a stay meanwhile use the old queue, so that a stay may be longer by as many attempts.
// A pick costs a short lock.
//
// Messages whose choice inner requires to be consistent go where inner says and count for
// no stay.
func NewSticky(cfg StickyConfig) (core.SelectorFactory, error) {
	cfg, err := cfg.withDefaults()
	if err != nil {
		return nil, fmt.Errorf("selector sticky: %w", err)
	}
	var stays []string
	if cfg.Messages > 0 {
		stays = append(stays, fmt.Sprintf("%d messages", cfg.Messages))
	}
	if cfg.For > 0 {
		stays = append(stays, cfg.For.String())
	}
	o := outer{
		inner: []core.SelectorFactory{cfg.Inner},
		say: func(inner []core.Description) core.Description {
			return core.Description{Summary: "one queue for " + strings.Join(stays, " or ") + ", then the next", Settings: []core.Setting{
				{Name: "next", Value: inner[0].String()},
				{Name: "leaves", Value: "a broker that is not healthy or was tried"},
			}}
		},
		around: func(inner []core.QueueSelector) (core.QueueSelector, requirer) {
			consistent := consistencyOf(inner[0])
			return &sticky{messages: cfg.Messages, time: cfg.For, inner: inner[0], consistent: consistent}, consistent
		},
	}
	return o.factory(), nil
}

type sticky struct {
	messages   int
	time       time.Duration
	inner      core.QueueSelector
	consistent requirer

	mu       sync.Mutex
	route    *core.Route // nil before the first stay
	queue    int
	left     int       // attempts, where messages are counted
	until    time.Time // where time is
	choosing bool      // a goroutine looks for the next queue
}

// Select implements [core.QueueSelector].
func (s *sticky) Select(ctx context.Context, sel *core.Selection) (int, error) {
	if requires(s.consistent, sel.Message()) {
		return s.inner.Select(ctx, sel)
	}
	if i, ok := s.stay(sel.Route()); ok && rankOf(sel, i) == fresh {
		return i, nil
	}
	defer s.chosen()
	i, err := s.inner.Select(ctx, sel)
	if err == nil && !outside(i, sel) {
		s.begin(sel.Route(), i)
	}
	return i, err
}

// stay gives the queue that is stayed on, also at the end of the stay if another goroutine
// looks for the next one. Otherwise the caller has to.
func (s *sticky) stay(r *core.Route) (index int, ok bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.route != r {
		return 0, false
	}
	if over := s.messages > 0 && s.left == 0 || s.time > 0 && !time.Now().Before(s.until); over && !s.choosing {
		s.choosing = true
		return 0, false
	}
	s.left = max(0, s.left-1)
	return s.queue, true
}

// begin stays on a queue, where the attempt at hand is the first.
func (s *sticky) begin(r *core.Route, index int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.route, s.queue, s.left = r, index, max(0, s.messages-1)
	if s.time > 0 {
		s.until = time.Now().Add(s.time)
	}
}

// chosen ends the search, whatever came of it.
func (s *sticky) chosen() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.choosing = false
}
