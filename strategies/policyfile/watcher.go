package policyfile

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"sync"
	"time"

	"github.com/liftoff-mq/liftoff/core"
	"github.com/liftoff-mq/liftoff/internal/filewatch"
	"github.com/liftoff-mq/liftoff/internal/logqueue"
)

// DefaultInterval is how often a [Watcher] looks at its file.
const DefaultInterval = filewatch.DefaultInterval

// WithInterval sets how often a [Watcher] looks at its file, 10 ms to a day, [DefaultInterval]
// by default. A change is taken when two looks in a row have seen it. With 0 the watcher does
// not look by itself: there is [Watcher.Reload].
func WithInterval(d time.Duration) Option {
	return func(c *config) {
		if err := filewatch.Interval(d); d != 0 && err != nil {
			c.errs = append(c.errs, fmt.Errorf("WithInterval: %w, and not 0", err))
			return
		}
		c.every = d
	}
}

// WithLogger sets what a [Watcher] and the parts of the file log to: each change of the policies,
// and once for each text that has mistakes why it was not taken. Nil, the default, means silence.
func WithLogger(l *slog.Logger) Option { return func(c *config) { c.logger = l } }

// Watcher gives producers the policies of a file, and new ones when the file changes while they
// run.
//
// It is a [core.PolicyFeed] and a [core.Service], which a producer that is given it starts and
// shuts down. Producers that are given the same watcher share the parts of the file: a rate or a
// budget is that of all of them. While one of them runs the watcher reads the file again and again, whole, so
// that it does not matter how the file is replaced: written anew, by another file's being renamed,
// or by a change of symbolic links, as Kubernetes does with a ConfigMap.
//
// A change is taken as a whole: a call goes by the policies of one text of the file from its
// beginning to its end. A part that the new text has in the same words at the same place, such as
// a breaker, a limit or a budget, is used on, with all that it has learned. A text with mistakes
// changes nothing; the log and [Watcher.Status] say why.
//
// It is safe for concurrent use.
type Watcher struct {
	path   string
	config config
	log    *slog.Logger

	loop filewatch.Loop // runs while a producer does

	busy    chan struct{}                                    // holds a token during a change, and guards what follows
	follow  []func(context.Context, core.PolicySource) error // of the producers
	seen    filewatch.Sight                                  // by the last look
	refused filewatch.Sight                                  // the last one that was not taken, so that why is told once

	mu     sync.Mutex // guards what follows; nothing is called with it held
	now    *Policies
	taken  filewatch.Sight // what now was made of
	status Status
}

var (
	_ core.PolicyFeed = (*Watcher)(nil)
	_ core.Service    = (*Watcher)(nil)
)

// Status says what became of the file.
type Status struct {
	// Path is the file's.
	Path string
	// Taken is when the policies in use were read.
	Taken time.Time
	// Changes is how often the policies were replaced since the first ones.
	Changes int
	// Err says why the file as it is now is not in use: it cannot be read, it has mistakes, or
	// the producer refused it. Nil means that the file and the policies in use are the same.
	Err error
}

// NewWatcher reads the file for the first time. Its errors are those of [Load].
func NewWatcher(path string, opts ...Option) (*Watcher, error) {
	c := newConfig(opts)
	if err := errors.Join(c.errs...); err != nil {
		return nil, fmt.Errorf("policyfile: %w", err)
	}
	w := &Watcher{path: path, config: c, busy: make(chan struct{}, 1)}
	w.config.logger = logqueue.New(c.logger) // one queue with the parts of the file
	w.log = w.config.logger.With("component", "rocketmq.policyfile", "file", path)
	data, err := filewatch.Read(path, MaxSize)
	if err != nil {
		return nil, err
	}
	if w.now, err = w.config.parse(path, data, nil); err != nil {
		return nil, err
	}
	w.taken, w.status = filewatch.Sight{Text: string(data)}, Status{Path: path, Taken: time.Now()}
	return w, nil
}

// Begin implements [core.PolicyFeed]: it gives the policies that are in use now.
func (w *Watcher) Begin() core.PolicySource { return w.Current() }

// Follow implements [core.PolicyFeed].
func (w *Watcher) Follow(set func(context.Context, core.PolicySource) error) error {
	w.busy <- struct{}{}
	defer func() { <-w.busy }()
	w.follow = append(w.follow, set)
	return nil
}

// Policy implements [core.PolicySource] by the policies that are in use now.
func (w *Watcher) Policy(topic string) *core.Policy { return w.Current().Policy(topic) }

// Policies implements [core.PolicySource] likewise.
func (w *Watcher) Policies() []core.TopicPolicy { return w.Current().Policies() }

// Current are the policies that are in use now.
func (w *Watcher) Current() *Policies {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.now
}

// Status says what became of the file, by what was seen last.
func (w *Watcher) Status() Status {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.status
}

// Reload reads the file now and gives the producer its policies, unless they are in use already.
// The error has everything that is wrong; then nothing has changed.
func (w *Watcher) Reload(ctx context.Context) error {
	select {
	case w.busy <- struct{}{}:
	case <-ctx.Done():
		return fmt.Errorf("%s: another change is under way: %w", w.path, core.ContextError(ctx))
	}
	defer func() { <-w.busy }()
	if len(w.follow) == 0 {
		return fmt.Errorf("%s: no producer has these policies", w.path)
	}
	now := filewatch.Look(w.path, MaxSize)
	if w.isTaken(now) {
		w.refused = filewatch.Sight{}
		w.report(nil)
		return nil
	}
	return w.change(ctx, now)
}

// look is one look at the file. What it sees for the first time may be half of what somebody is
// writing, so it is taken when it is still there at the next look.
func (w *Watcher) look(ctx context.Context) {
	select {
	case w.busy <- struct{}{}:
	default:
		return // a change is under way
	}
	defer func() { <-w.busy }()
	now := filewatch.Look(w.path, MaxSize)
	settled := now == w.seen
	w.seen = now
	switch {
	case w.isTaken(now):
		w.refused = filewatch.Sight{}
		w.report(nil)
	case len(w.follow) > 0 && settled && now != w.refused:
		_ = w.change(ctx, now) // it is logged, and the status has it
	}
}

// isTaken reports whether a text is the one in use.
func (w *Watcher) isTaken(now filewatch.Sight) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	return now == w.taken
}

// change gives the producer the policies of a text.
func (w *Watcher) change(ctx context.Context, now filewatch.Sight) error {
	next, err := w.parse(now)
	if err == nil {
		err = w.give(ctx, next)
	}
	if err != nil {
		w.refused = now
		w.report(err)
		w.log.Warn("policies not replaced: the old ones stay", "err", err)
		return err
	}
	w.refused = filewatch.Sight{}
	w.mu.Lock()
	w.now, w.taken = next, now
	w.status.Taken, w.status.Err = time.Now(), nil
	w.status.Changes++
	w.mu.Unlock()
	w.log.Info("policies replaced")
	return nil
}

// give replaces the policies of all producers. One that refuses them keeps its own, and the error
// names it; one that was shut down is forgotten.
func (w *Watcher) give(ctx context.Context, next *Policies) error {
	var errs []error
	w.follow = slices.DeleteFunc(w.follow, func(set func(context.Context, core.PolicySource) error) bool {
		err := set(ctx, next)
		if errors.Is(err, core.ErrClosed) {
			return true
		}
		errs = append(errs, err)
		return false
	})
	return errors.Join(errs...)
}

func (w *Watcher) parse(now filewatch.Sight) (*Policies, error) {
	if now.Err != "" {
		return nil, fmt.Errorf("%s: %s", w.path, now.Err)
	}
	return w.config.parse(w.path, []byte(now.Text), w.Current())
}

// report notes whether the file as it is now is in use.
func (w *Watcher) report(err error) {
	w.mu.Lock()
	w.status.Err = err
	w.mu.Unlock()
}

// Start implements [core.Service]: the first one makes the watcher look at the file.
func (w *Watcher) Start(context.Context) error {
	w.loop.Start(w.config.every, w.look)
	return nil
}

// Shutdown implements [core.Service]: the last one waits until the watcher looks no more.
func (w *Watcher) Shutdown(ctx context.Context) error {
	if w.loop.Shutdown(ctx) != nil {
		return fmt.Errorf("%s: a change of the policies is under way: %w", w.path, core.ContextError(ctx))
	}
	return nil
}
