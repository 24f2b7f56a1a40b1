package scale

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"

	"github.com/schollz/progressbar/v3"
)

// runner makes the runs of a session, one after the other.
type runner struct {
	opts *options
	out  string
	bar  *progressbar.ProgressBar
}

// run is one run of one point.
type run struct {
	Curve string `json:"curve"`
	Size  int    `json:"size"`
	Round int    `json:"round"`
	// Error says why there are no numbers.
	Error string `json:"error,omitempty"`
	result
}

// total is the number of steps of the progress bar.
func total(o *options) int {
	n := 0
	for _, c := range o.curves {
		n += len(c.Sizes) * o.rounds
	}
	if o.weights != nil {
		n += 3
	}
	return n
}

// all makes all runs, those of a curve in turn: 1 10 100, 1 10 100, so that whatever else the machine does hits all points. A run
// that goes wrong is part of the session, and of the error.
func (r *runner) all(ctx context.Context, s *session) error {
	var errs []error
	for i := range r.opts.curves {
		c := &r.opts.curves[i]
		for round := 1; round <= r.opts.rounds; round++ {
			for _, n := range c.Sizes {
				r.bar.Describe(fmt.Sprintf("%-10s %7d", c.Name, n))
				one := run{Curve: c.Name, Size: n, Round: round}
				err := r.one(ctx, c, &one)
				if ctx.Err() != nil {
					return errors.Join(append(errs, context.Cause(ctx))...)
				}
				if err != nil {
					one.Error = err.Error()
					errs = append(errs, fmt.Errorf("%s, %d: %w", c.Name, n, err))
				}
				s.Runs = append(s.Runs, one)
				_ = r.bar.Add(1)
			}
		}
	}
	if r.opts.weights != nil {
		s.Memory = &memory{}
		errs = append(errs, r.weigh(ctx, s.Memory))
	}
	return errors.Join(errs...)
}

// one makes a run: a new cluster, a new producer.
func (r *runner) one(ctx context.Context, c *curve, to *run) error {
	cluster, load := c.at(to.Size)
	load.Warm, load.Window = r.opts.warm, r.opts.window
	if r.opts.profile && to.Round == 1 {
		load.Profile = filepath.Join(r.out, fmt.Sprintf("scale-%s-%d.cpu", c.Name, to.Size))
	}
	return with(ctx, cluster, func(at served) error {
		load.Served = at
		return ask(ctx, roleSend, load, &to.result)
	})
}

// with has a cluster run during f.
func with(ctx context.Context, cluster serveSpec, f func(served) error) error {
	p, err := begin(ctx, roleServe, cluster)
	if err != nil {
		return err
	}
	var at served
	if err := p.answer(&at); err != nil {
		return errors.Join(err, p.end())
	}
	return errors.Join(f(at), p.end())
}

func (r *runner) weigh(ctx context.Context, to *memory) error {
	w := r.opts.weights
	var errs []error
	for _, one := range []struct {
		what    string
		n       int
		cluster serveSpec
		to      **weighed
	}{
		{weighTopics, w.topics, serveSpec{Brokers: 1, Topics: w.topics, Queues: usualQueues}, &to.Topics},
		{weighConnections, w.brokers, serveSpec{Brokers: w.brokers, Topics: 1, Queues: usualQueues}, &to.Connections},
		{weighInFlight, w.inFlight, serveSpec{Brokers: 1, Topics: 1, Queues: usualQueues, Hang: true}, &to.InFlight},
	} {
		r.bar.Describe(fmt.Sprintf("%-18s", memoryName+" "+one.what))
		var got weighed
		err := with(ctx, one.cluster, func(at served) error {
			return ask(ctx, roleWeigh, weighSpec{Served: at, What: one.what, N: one.n}, &got)
		})
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		if err != nil {
			errs = append(errs, fmt.Errorf("weigh %s: %w", one.what, err))
		} else {
			*one.to = &got
		}
		_ = r.bar.Add(1)
	}
	return errors.Join(errs...)
}
