package remoting

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/liftoff-mq/liftoff/core"
	"github.com/liftoff-mq/liftoff/internal/words"
)

const (
	// sourceTimeout bounds one question to a source (Java: DefaultTopAddressing.fetchNSAddr).
	sourceTimeout = 3 * time.Second
	// askAgain is the pause between questions that somebody waits for.
	askAgain = time.Second
	// maxFound bounds the addresses that one source can give.
	maxFound = 64
)

// nameServer is one that is known: host:port, and the DNS name with the port by which it was
// found, if it was. Its certificate has that name.
type nameServer struct{ addr, name string }

// finder asks the sources of name servers and keeps [nameServers] up to date. Its goroutine lives
// from the client's Start to its Shutdown.
type finder struct {
	c        *Client
	resolver Resolver // nil where Config.Dial gets names as they are
	interval time.Duration
	wake     chan struct{} // something of what due looks at has changed

	mu     sync.Mutex
	given  []*source     // Config.NameServers
	others []*source     // Config.Discovery
	last   time.Time     // the end of the last round
	wanted bool          // somebody wants another one
	next   chan struct{} // closed at the end of the next round to begin
}

// source is where name servers come from. The finder's lock guards its state.
type source struct {
	what     string // for people
	function string // of the program's, which ask may call
	// ask gets what was found before. Nil means that what is found stays.
	ask func(ctx context.Context, before []nameServer) ([]nameServer, error)
	// hide takes secrets out of an error. Nil means that there are none.
	hide func(error) error

	found []nameServer // the last answer that could be used
	err   error        // why the last question got none
	tried bool
	busy  bool // a question has not returned
	told  bool // the log has that it fails
}

func (f *finder) init(c *Client) {
	f.c, f.resolver, f.interval = c, c.cfg.Discovery.Resolver, c.cfg.Discovery.Interval
	f.wake, f.next = make(chan struct{}, 1), make(chan struct{})
	f.others = f.sources()
	f.give(c.cfg.NameServers)
}

// give replaces the name servers that are given one by one.
func (f *finder) give(list []string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	given := make([]*source, len(list))
	for i, addr := range list {
		if at := slices.IndexFunc(f.given, func(s *source) bool { return s.what == addr }); at >= 0 {
			given[i] = f.given[at]
			continue
		}
		given[i] = &source{what: addr}
		if f.resolves(addr) {
			given[i].function = resolverFunction
			given[i].ask = func(ctx context.Context, before []nameServer) ([]nameServer, error) {
				return f.expand(ctx, []string{addr}, before)
			}
		} else {
			given[i].found = []nameServer{{addr: addr}}
		}
	}
	f.given = given
	f.publish()
	f.poke()
}

func (f *finder) all() []*source { return slices.Concat(f.given, f.others) }

// changes reports whether there is anybody to ask.
func (f *finder) changes() bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	return slices.ContainsFunc(f.all(), func(s *source) bool { return s.ask != nil })
}

// publish makes one list of what all sources have found. It is called with f.mu held.
func (f *finder) publish() {
	var list []nameServer
	for _, s := range f.all() {
		for _, n := range s.found {
			if !slices.ContainsFunc(list, func(o nameServer) bool { return o.addr == n.addr }) {
				list = append(list, n)
			}
		}
	}
	if len(list) > 0 && f.c.names.set(list) && f.c.state.Load() == stateRunning {
		f.c.log.Info("name servers", "addrs", f.c.names.addrs())
	}
}

func (f *finder) poke() {
	select {
	case f.wake <- struct{}{}:
	default:
	}
}

// again wants all sources to be asked anew. The channel is closed when they were: soon, but for the
// pause between two rounds.
func (f *finder) again() <-chan struct{} {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.wanted = true
	f.poke()
	return f.next
}

// failure is why no name server is known: an error for each source.
func (f *finder) failure() []error {
	f.mu.Lock()
	defer f.mu.Unlock()
	var errs []error
	for _, s := range f.all() {
		switch {
		case s.err != nil && strings.HasPrefix(s.err.Error(), s.what+": "): // the look-up of a name that was given
			errs = append(errs, s.err)
		case s.err != nil:
			errs = append(errs, fmt.Errorf("%s: %w", s.what, s.err))
		case s.ask != nil && len(s.found) == 0:
			errs = append(errs, fmt.Errorf("%s: no answer yet", s.what))
		}
	}
	return errs
}

// run asks the sources until life ends.
func (f *finder) run(life context.Context) {
	for {
		wait := f.due()
		if wait <= 0 {
			f.round(life)
			continue
		}
		timer := time.NewTimer(wait)
		select {
		case <-life.Done():
			timer.Stop()
			return
		case <-f.wake:
			timer.Stop()
		case <-timer.C:
		}
	}
}

// due is how long the next round has to wait.
func (f *finder) due() time.Duration {
	none := len(f.c.names.addrs()) == 0
	f.mu.Lock()
	defer f.mu.Unlock()
	if slices.ContainsFunc(f.all(), func(s *source) bool { return s.ask != nil && !s.tried }) {
		return 0
	}
	pause := f.interval
	if none || f.wanted {
		pause = askAgain
	}
	return time.Until(f.last.Add(pause))
}

// errSourceSilent is of a source whose time is over. It may still answer.
var errSourceSilent = fmt.Errorf("%w: no answer after %v", core.ErrTimeout, sourceTimeout)

// round asks each source, all at a time. What one gives is used at once. One that does not
// return holds up the round for sourceTimeout, and is passed over until it has returned.
func (f *finder) round(life context.Context) {
	f.mu.Lock()
	f.wanted = false
	end := f.next
	f.next = make(chan struct{})
	sources := f.all()
	f.mu.Unlock()

	ctx, cancel := context.WithTimeout(life, sourceTimeout)
	asked := map[*source]<-chan struct{}{}
	for _, s := range sources {
		if answered := f.ask(life, s); answered != nil {
			asked[s] = answered
		}
	}
	for s, answered := range asked {
		select {
		case <-answered:
		case <-ctx.Done():
			f.silent(s)
		}
	}
	cancel()

	f.mu.Lock()
	f.last = time.Now()
	f.mu.Unlock()
	close(end)
}

// ask begins a question. The channel is closed when it has returned; it is nil where none could
// begin.
func (f *finder) ask(life context.Context, s *source) <-chan struct{} {
	f.mu.Lock()
	s.tried = true
	before, free := s.found, s.ask != nil && !s.busy
	s.busy = s.busy || free
	f.mu.Unlock()
	if !free {
		return nil
	}
	answered := make(chan struct{})
	if !f.c.spawn(func() {
		defer close(answered)
		ctx, cancel := context.WithTimeout(life, sourceTimeout)
		defer cancel()
		var found []nameServer
		var err error
		defer func() { f.note(s, found, err) }()
		returned := false
		defer containUser(s.function, &returned, &err)
		if found, err = s.ask(ctx, before); err != nil && ctx.Err() != nil {
			err = errSourceSilent
		}
		returned = true
	}) {
		return nil
	}
	return answered
}

// note takes what came of a question.
func (f *finder) note(s *source, found []nameServer, err error) {
	if s.hide != nil {
		err = s.hide(err)
	}
	switch {
	case err != nil:
	case len(found) == 0:
		err = errors.New("it gave no name server")
	case len(found) > maxFound:
		err = fmt.Errorf("it gave %d addresses, at most %d are taken", len(found), maxFound)
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	s.busy = false
	if err == nil {
		s.found = found
		f.publish()
	}
	f.tell(s, err)
}

// silent notes that a source has not answered in time.
func (f *finder) silent(s *source) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if s.busy {
		f.tell(s, errSourceSilent)
	}
}

// tell notes how a source fares, and logs where that changes. It is called with f.mu held.
func (f *finder) tell(s *source, err error) {
	s.err = err
	if f.c.life.Err() != nil || s.told == (err != nil) {
		return
	}
	if s.told = err != nil; s.told {
		f.c.log.Warn("name servers not found", "source", s.what, "err", err, "in use", len(s.found))
	} else {
		f.c.log.Info("name servers found again", "source", s.what)
	}
}

// summary tells what a person wants to know of the sources.
func (f *finder) summary() string {
	f.mu.Lock()
	defer f.mu.Unlock()
	var from []string
	asked := false
	for _, s := range f.all() {
		from = append(from, s.what)
		asked = asked || s.ask != nil
	}
	text := strings.Join(from, " ")
	if asked {
		text += ", asked every " + words.Time(f.interval)
	}
	return text
}
