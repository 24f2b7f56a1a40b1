package core

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"github.com/liftoff-mq/liftoff/internal/logqueue"
)

// Much of what Shutdown runs is other people's code: listeners, log handlers, steps, services,
// the transport. Any of it may block. So each such part runs on a goroutine of its own, and
// Shutdown waits for it as long as there is time. A part that is late is left behind: its
// goroutine ends when the code that it waits for returns.

// ShutdownError reports what Shutdown could not wait for.
type ShutdownError struct {
	// Undelivered is the number of sends and operations that failed with [ErrAborted], and
	// of those that had no outcome yet when Shutdown returned. What is still acknowledged after
	// the abort is not among them.
	Undelivered int
	// Left names what had not ended when Shutdown returned, because code that is not the
	// producer's blocks: "service *kafka.Bridge", "2 sends: a step or a done function
	// blocks". It ends by itself when that code returns.
	Left []string
	// Cause is why Shutdown stopped waiting: the end of its context, or [ErrTimeout] where a
	// part took longer than parts may.
	Cause error
}

// Error gives the number, what was left behind, and the cause.
func (e *ShutdownError) Error() string {
	var b strings.Builder
	b.WriteString("shutdown")
	if e.Undelivered > 0 || len(e.Left) == 0 {
		fmt.Fprintf(&b, " aborted %d sends in flight", e.Undelivered)
		if len(e.Left) > 0 {
			b.WriteString(" and")
		}
	}
	if len(e.Left) > 0 {
		fmt.Fprintf(&b, " left behind %s", strings.Join(e.Left, "; "))
	}
	fmt.Fprintf(&b, ": %v", e.Cause)
	return b.String()
}

// Unwrap gives the cause.
func (e *ShutdownError) Unwrap() error { return e.Cause }

// Shutdown takes the producer out of service: it refuses new sends with
// [ErrClosed], waits until those in flight have their outcome, and when ctx ends
// first aborts the rest, which then fail with [ErrAborted]. Then it unregisters the group,
// waits for the handlers of servers' requests and for steps that are to finish something
// ([Finisher]), shuts the owned services down, and joins every goroutine.
//
// It returns when ctx ends, and no later than 50 ms after that, or after the call if ctx had
// ended before: in this time the aborted sends come back and connections are closed. The sends,
// the handlers and the steps that finish have until ctx ends. Each other part has a second at
// most, also where ctx has more. What does not end in time, because a step, a callback, a log
// handler or a service blocks, is left behind and ends when that code returns. A
// *[ShutdownError] says what was aborted and what was left.
//
// A second call does nothing. One that comes while Start, SetPolicies or another Shutdown is
// under way waits for that until ctx ends.
func (p *Producer) Shutdown(ctx context.Context) error {
	if err := take(ctx, p.lifecycle); err != nil {
		return fmt.Errorf("producer %q: shutdown: another start, shutdown or change is under way: %w", p.cfg.Group, err)
	}
	defer func() { <-p.lifecycle }()
	old := p.State()
	if old == StateShutdown {
		return nil
	}
	p.setState(StateShutdown)
	s := newEnding(ctx)
	defer s.stop()
	s.part("a state listener", func(context.Context) error {
		p.changes.tell(p.stateChanged)
		return nil
	})
	if old == StateRunning {
		p.end(s)
	}
	s.part("the log handler", func(context.Context) error { return logqueue.Flush(context.Background(), p.cfg.Logger) })
	if err := s.result(); err != nil {
		return fmt.Errorf("producer %q: %w", p.cfg.Group, err)
	}
	return nil
}

// end ends a running producer, from the calls down to the services.
func (p *Producer) end(s *ending) {
	for _, d := range p.drainers {
		s.part("Drain of step "+d.name, func(context.Context) error {
			p.drainStep(d)
			return nil
		})
	}
	stuck := p.endCalls(s)
	if r, ok := p.registrar(); ok {
		s.part("the group's unregistering", func(ctx context.Context) error { return r.UnregisterGroup(ctx, p.cfg.Group) })
	}
	p.endInbox(s)
	if p.engine.life.Err() != nil { // something was aborted; handlers make operations too
		s.aborted += int(p.undelivered.Load())
	}
	p.finishSteps(s)
	p.engine.abort()
	s.part("look-ups: the route source or a route listener blocks", func(context.Context) error {
		p.engine.routes.end()
		return nil
	})
	p.workers.stop()
	if stuck == 0 { // else it is said already which workers are left
		s.part("workers", func(context.Context) error {
			p.workers.join()
			return nil
		})
	}
	s.part("services of replaced policies", func(context.Context) error {
		p.retired.wg.Wait()
		return nil
	})
	s.shutDown(slices.Concat(p.services, p.retired.left()))
}

// drainStep tells a step to let go of the calls that it holds back. A panic in it is logged: the
// calls still have their deadlines.
func (p *Producer) drainStep(d namedPart) {
	defer func() {
		if v := recover(); v != nil {
			p.cfg.Logger.Error("drain panicked", "group", p.cfg.Group, "step", d.name, "panic", v)
		}
	}()
	d.part.(Drainer).Drain()
}

// endCalls waits for the calls in flight, and aborts them when the context ends. It gives the
// number of calls and batches that did not return even then.
func (p *Producer) endCalls(s *ending) (stuck int) {
	if p.inflight.drain(s.user) != nil {
		close(p.engine.aborted)
		p.engine.abort()
		undecided := 0
		if s.drain(&p.inflight) != nil {
			stuck = p.inflight.len()
			undecided = max(stuck-int(p.decided.Load()), 0)
			s.left = append(s.left, fmt.Sprintf("%d sends: a step, a done function or a local transaction blocks", stuck))
		}
		s.aborted = undecided
	}
	// No call waits any more for the batches that are left, so they were told to end.
	if s.drain(&p.batching) != nil && stuck == 0 {
		stuck = p.batching.len()
		s.left = append(s.left, fmt.Sprintf("%d batches: a step blocks", stuck))
	}
	return stuck
}

// endInbox waits for the handlers. Their context ends when the user's does.
func (p *Producer) endInbox(s *ending) {
	p.inbox.close()
	ended := apart("handlers of servers' requests", func() error {
		p.inbox.wg.Wait()
		return nil
	})
	s.whole("a handler of a server's request", p.engine.abort, ended)
}

// finishSteps lets the steps finish what they have left, all at a time.
func (p *Producer) finishSteps(s *ending) {
	ended := make([]<-chan error, len(p.finishers))
	for i, f := range p.finishers {
		ended[i] = apart("Finish of step "+f.name, func() error {
			f.part.(Finisher).Finish(s.user)
			return nil
		})
	}
	for i, f := range p.finishers {
		s.whole("Finish of step "+f.name, func() {}, ended[i])
	}
}

const (
	// endGrace is how long after the end of its context an ending returns at the latest.
	endGrace = 50 * time.Millisecond
	// partTime is the longest that one part of an ending takes.
	partTime = time.Second
)

// ending takes things out of service, one part after the other, within a context.
type ending struct {
	user context.Context // of the user
	// last ends endGrace later. The end of a part's work needs a moment even when the time is
	// over.
	last  context.Context
	stop  func()
	until atomic.Pointer[time.Time] // when last ends, if user has ended

	aborted int // calls
	errs    []error
	left    []string
	late    []<-chan error // of what is left: have something when it has ended
}

// newEnding begins an ending. Its stop has to be called.
func newEnding(ctx context.Context) *ending {
	s := &ending{user: ctx}
	var cancel context.CancelFunc
	s.last, cancel = context.WithCancel(context.WithoutCancel(ctx))
	stop := context.AfterFunc(ctx, func() {
		until := time.Now().Add(endGrace)
		s.until.Store(&until)
		time.AfterFunc(endGrace, cancel)
	})
	s.stop = func() {
		stop()
		cancel()
	}
	return s
}

// share is the time that one part has: a second, but no more than half of what is left, so
// that a part that blocks leaves time for those that follow.
func (s *ending) share() time.Duration {
	most := partTime
	if s.user.Err() != nil { // perhaps long before the ending began: its deadline says nothing
		most = endGrace / 2
	} else if d, ok := s.user.Deadline(); ok {
		most = min(most, time.Until(d.Add(endGrace))/2)
	}
	if until := s.until.Load(); until != nil {
		most = min(most, time.Until(*until)/2)
	}
	return most
}

// part runs f on a goroutine of its own and waits for it as long as its share. The context
// that f gets ends a little earlier, so that code which obeys it is not left behind.
func (s *ending) part(name string, f func(ctx context.Context) error) {
	most := s.share()
	ctx, stop := context.WithTimeout(s.last, most*7/8)
	ended := apart(name, func() error {
		defer stop()
		return f(ctx)
	})
	s.wait(name, most, stop, ended)
}

// whole waits for a part that has all the time there is: until the user's context ends, when stop
// is called, and a moment longer.
func (s *ending) whole(name string, stop func(), ended <-chan error) {
	select {
	case err := <-ended:
		s.errs = append(s.errs, err)
	case <-s.user.Done():
		stop()
		s.wait(name, s.share(), stop, ended)
	}
}

// wait waits for a part. If the user's context ends meanwhile the part has a new, smaller
// share.
func (s *ending) wait(name string, most time.Duration, stop func(), ended <-chan error) {
	over := time.NewTimer(most)
	defer over.Stop()
	userEnds := s.user.Done()
	if s.user.Err() != nil {
		userEnds = nil
	}
	for {
		select {
		case err := <-ended:
			s.errs = append(s.errs, err)
			return
		case <-userEnds:
			userEnds = nil
			most = s.share()
			over.Reset(most)
			early := time.AfterFunc(most*7/8, stop)
			defer early.Stop()
		case <-over.C:
			stop()
			s.left, s.late = append(s.left, name), append(s.late, ended)
			return
		}
	}
}

// drain is the wait for calls or batches, as a part.
func (s *ending) drain(f *inflight) error {
	ctx, cancel := context.WithTimeout(s.last, s.share())
	defer cancel()
	return f.drain(ctx)
}

// shutDown shuts services down, the last one first. One that fails keeps no other running.
func (s *ending) shutDown(services []Service) {
	for _, svc := range slices.Backward(services) {
		s.part(fmt.Sprintf("service %T", svc), svc.Shutdown)
	}
}

// result is the error of the ending.
func (s *ending) result() error {
	if s.aborted > 0 || len(s.left) > 0 {
		cause := ErrTimeout
		if s.user.Err() != nil {
			cause = context.Cause(s.user)
		}
		s.errs = append([]error{&ShutdownError{Undelivered: s.aborted, Left: s.left, Cause: cause}}, s.errs...)
	}
	return errors.Join(s.errs...)
}

// join waits for what is left behind.
func (s *ending) join() {
	for _, ended := range s.late {
		<-ended
	}
}

// shutDown shuts services down, within ctx and the moment that an ending has beyond it.
func shutDown(ctx context.Context, services []Service) error {
	s := newEnding(ctx)
	defer s.stop()
	s.shutDown(services)
	return s.result()
}

// apart runs f on a goroutine of its own and gives its error, also if f panics or ends the
// goroutine.
func apart(plugin string, f func() error) <-chan error {
	ended := make(chan error, 1)
	go func() {
		err := fmt.Errorf("%w: %s ended its goroutine", ErrContract, plugin)
		defer func() { ended <- err }()
		func() {
			defer containPanic(plugin, &err)
			err = f()
		}()
	}()
	return ended
}
