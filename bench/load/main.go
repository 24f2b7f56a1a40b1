package load

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"runtime"
	"time"
)

// Main is the main function of a Go contender: it opens the client, runs the cell of the arguments, and prints.
func Main(open func(*Spec) (*Contender, error)) {
	s, err := Parse(os.Args[1:])
	if err == nil {
		err = Run(&s, open, os.Stdout)
		// A process that has ended has no processor time any more: wait until the bench has looked.
		_, _ = io.Copy(io.Discard, os.Stdin)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

// Run runs one cell and writes the protocol to out.
func Run(s *Spec, open func(*Spec) (*Contender, error), out io.Writer) error {
	c, err := open(s)
	if err != nil {
		return err
	}
	m := NewMeter()
	ended := make(chan error, 1)
	go func() { ended <- c.run(s, m) }()

	prof := newProfiles(s)
	if err := wait(s.Warm(), ended); err != nil {
		return errors.Join(err, c.Close())
	}
	if err := prof.begin(); err != nil {
		return err
	}
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	fmt.Fprintln(out, "begin")
	m.reset()
	counters := c.counters()
	start, first := time.Now(), m.accepted.Load()

	if err := wait(s.Window(), ended); err != nil {
		return errors.Join(err, c.Close())
	}
	r := Result{Messages: m.accepted.Load() - first, Seconds: time.Since(start).Seconds()}
	fmt.Fprintln(out, "end")
	took := m.reset()
	runtime.ReadMemStats(&after)
	r.Counters = c.counters()
	if err := prof.end(); err != nil {
		return err
	}

	m.Stop()
	if err := <-ended; err != nil {
		return errors.Join(err, c.Close())
	}
	if err := c.Close(); err != nil {
		return err
	}
	r.Accepted, r.Failed = m.accepted.Load(), m.failed.Load()
	if m.first != nil {
		r.Failure = m.first.Error()
	}
	r.P50, r.P99 = float64(took.ValueAtQuantile(50)), float64(took.ValueAtQuantile(99))
	r.P999, r.Max = float64(took.ValueAtQuantile(99.9)), float64(took.Max())
	n := float64(max(r.Messages, 1))
	r.Allocs = float64(after.Mallocs-before.Mallocs) / n
	r.Bytes = float64(after.TotalAlloc-before.TotalAlloc) / n
	r.GCs = int64(after.NumGC - before.NumGC)
	for name, v := range counters {
		r.Counters[name] = (r.Counters[name] - v) / n
	}
	return json.NewEncoder(out).Encode(r)
}

func (c *Contender) counters() map[string]float64 {
	if c.Counters == nil {
		return nil
	}
	return c.Counters()
}

// wait sleeps unless the load ends first, which is a failure.
func wait(d time.Duration, ended <-chan error) error {
	select {
	case <-time.After(d):
		return nil
	case err := <-ended:
		return fmt.Errorf("the load ended too early: %w", err)
	}
}
