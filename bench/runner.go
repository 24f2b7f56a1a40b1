package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"syscall"
	"time"

	"github.com/liftoff-mq/liftoff/bench/delay"
	"github.com/liftoff-mq/liftoff/bench/load"
	"github.com/liftoff-mq/liftoff/bench/procfs"
	"github.com/liftoff-mq/liftoff/bench/report"
	"github.com/liftoff-mq/liftoff/integration/realcluster"
)

const (
	queues = 8 // on each broker
	// overtime is what a contender may take besides warm-up and window: JVM start, first connection, drain.
	overtime = 45 * time.Second
	// warmServer is the load that a new broker gets before anything is measured: it compiles what it uses.
	warmServer = 8 * time.Second
)

// runner runs cells, one contender at a time, against a broker that it starts.
type runner struct {
	opts    *options
	progs   *programs
	proc    procfs.FS
	text    string // file with the body of text
	cluster *realcluster.Cluster
	servers servers // what the cluster is
}

func (r *runner) close() error {
	if r.cluster == nil {
		return nil
	}
	err := r.cluster.Stop()
	r.cluster = nil
	return err
}

// ready makes the right cluster run, with room on its disk.
func (r *runner) ready(ctx context.Context, s servers) error {
	if r.cluster != nil && r.servers == s {
		// A broker that a flood has left unable to answer is started anew as well.
		if written, err := r.cluster.Written(ctx); err == nil && written < r.opts.maxStore<<30 {
			return nil
		}
	}
	if err := r.close(); err != nil {
		return err
	}
	c, err := realcluster.Launch(ctx, realcluster.Options{
		Brokers: s.brokers, ACL: s.acl, TLS: s.tls, HeapMB: 1024,
		// A broker in service is compiled fully, and a flood needs buffers; the scripts save time and memory instead.
		Java: []string{"-XX:TieredStopAtLevel=4", "-XX:MaxDirectMemorySize=2g"},
	})
	if err != nil {
		return err
	}
	r.cluster, r.servers = c, s
	if err := c.CreateTopic(ctx, s.topic(), queues); err != nil {
		return err
	}
	if err := c.Ready(ctx); err != nil {
		return err
	}
	warm := cell{name: "warm-up", spec: load.Spec{Mode: load.Sync, InFlight: 64, Size: 512}, servers: s}
	if r.opts.quick {
		warm.spec.WarmMS = int(warmServer.Milliseconds() / 2)
	} else {
		warm.spec.WarmMS = int(warmServer.Milliseconds())
	}
	run := r.one(ctx, &warm, r.warmer(), 0)
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	if run.Error != "" {
		return fmt.Errorf("warm the broker up: %s", run.Error)
	}
	return nil
}

// warmer is the contender that warms a broker up: the limit, which can neither sign nor encrypt, or else Liftoff.
func (r *runner) warmer() string {
	switch {
	case r.servers.plain():
		return "limit"
	case r.opts.compares():
		return report.SideA
	default:
		return "liftoff"
	}
}

// one makes one run. What goes wrong is in the run's Error.
func (r *runner) one(ctx context.Context, c *cell, contender string, round int) report.Run {
	run := report.Run{Cell: c.name, Contender: contender, Round: round}
	if err := r.measure(ctx, c, &run); err != nil {
		run.Error = err.Error()
	}
	run.Judge(r.opts.limits)
	return run
}

func (r *runner) measure(ctx context.Context, c *cell, run *report.Run) (err error) {
	name, variant, _ := strings.Cut(run.Contender, "+")
	s := c.spec
	s.Topic, s.Queues, s.Variant = c.servers.topic(), queues, variant
	if c.servers.acl {
		s.Credentials = r.cluster.SenderCredentials()
	}
	if c.servers.tls {
		s.CA = r.cluster.TLSFile("ca.crt")
	}
	s.NameServer = r.cluster.NameServer()
	if c.text {
		s.BodyFile = r.text
	}
	if s.WarmMS == 0 {
		s.WarmMS = int(r.opts.warm.Milliseconds())
		if name == "java" {
			s.WarmMS *= 3 // the JVM compiles
		}
	}
	s.WindowMS = int(r.opts.window.Milliseconds())
	if (name == "liftoff" || r.opts.compares()) && r.opts.profile != "" && round(run) {
		s.Profile, s.ProfileTo = r.opts.profile, fmt.Sprintf("%s/profile-%s-%s", r.opts.absOut, c.name, run.Contender)
	}
	brokers := r.cluster.Brokers()
	var network []int
	if c.roundTrip > 0 {
		network = []int{os.Getpid()}
		closeAll, err := r.far(&s, brokers, c.roundTrip/2)
		if err != nil {
			return err
		}
		defer func() { err = errors.Join(err, closeAll()) }()
	}
	for i, b := range brokers {
		if i > 0 {
			s.Brokers += ","
		}
		s.Brokers += b.Name + "=" + b.Addr
	}

	stored, written, err := r.cluster.Settle(ctx, s.Topic, queues)
	if err != nil {
		return err
	}
	if err := r.process(ctx, name, &s, run, network); err != nil {
		return err
	}
	stored2, written2, err := r.cluster.Settle(ctx, s.Topic, queues)
	if err != nil {
		return err
	}
	run.Keep(stored2-stored, written2-written)
	return nil
}

// round reports whether a run is one that is profiled: the first of its cell.
func round(run *report.Run) bool { return run.Round == 1 }

// far puts proxies between the clients and the brokers.
func (r *runner) far(s *load.Spec, brokers []realcluster.Broker, oneWay time.Duration) (func() error, error) {
	if len(brokers) != 1 {
		return nil, errors.New("a slow network is only there for one broker")
	}
	line, err := delay.Line(brokers[0].Addr, oneWay)
	if err != nil {
		return nil, err
	}
	names, err := delay.Rename(s.NameServer, brokers[0].Addr, line.Addr())
	if err != nil {
		return nil, errors.Join(err, line.Close())
	}
	s.NameServer, brokers[0].Addr = names.Addr(), line.Addr()
	return func() error { return errors.Join(names.Close(), line.Close()) }, nil
}

// process starts the contender and follows it to its end. network are the processes that play the network.
func (r *runner) process(ctx context.Context, name string, s *load.Spec, run *report.Run, network []int) error {
	pids, err := r.cluster.PIDs()
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, s.Warm()+s.Window()+overtime)
	defer cancel()
	cmd := r.progs.command(ctx, name, s.Args())
	// A contender that hangs says where before it dies.
	cmd.Cancel = func() error { return cmd.Process.Signal(syscall.SIGQUIT) }
	cmd.WaitDelay = 5 * time.Second
	var said tail
	cmd.Stderr = &said
	out, err := cmd.StdoutPipe()
	if err != nil {
		return err
	}
	hold, err := cmd.StdinPipe()
	if err != nil {
		return err
	}
	if err := cmd.Start(); err != nil {
		return err
	}
	seen, followErr := follow(out, &run.Result, func() (procfs.Sample, error) { return r.proc.Sample(cmd.Process.Pid, pids, network...) }, hold)
	if err := cmd.Wait(); err != nil || followErr != nil {
		return fmt.Errorf("%s: %w\n%s", name, errors.Join(err, followErr, context.Cause(ctx)), said.text())
	}
	run.Measure(seen[0], seen[1])
	return nil
}

// follow reads what a contender prints and takes a sample at the window's begin and end. Then the contender may end:
// hold, which keeps it, is closed.
func follow(out io.Reader, result *load.Result, sample func() (procfs.Sample, error), hold io.Closer) (seen []procfs.Sample, err error) {
	defer hold.Close()
	lines := bufio.NewScanner(out)
	done := false
	for lines.Scan() {
		line := lines.Text()
		switch {
		case line == "begin" || line == "end":
			one, err := sample()
			if err != nil {
				return nil, err
			}
			if seen = append(seen, one); line == "end" {
				if err := hold.Close(); err != nil {
					return nil, err
				}
			}
		case strings.HasPrefix(line, "{"):
			if err := json.Unmarshal([]byte(line), result); err != nil {
				return nil, fmt.Errorf("result %q: %w", line, err)
			}
			done = true
		}
	}
	if err := lines.Err(); err != nil {
		return nil, err
	}
	if !done || len(seen) != 2 {
		return nil, errors.New("the contender ended without a result")
	}
	return seen, nil
}

// tail keeps the end of what is written to it.
type tail struct{ b []byte }

func (t *tail) Write(p []byte) (int, error) {
	const most = 16 << 10
	t.b = append(t.b, p...)
	if extra := len(t.b) - most; extra > 0 {
		t.b = append(t.b[:0], t.b[extra:]...)
	}
	return len(p), nil
}

func (t *tail) text() string { return strings.TrimSpace(string(t.b)) }

// hostProc is the machine's own /proc.
func hostProc() procfs.FS { return procfs.FS{Root: os.DirFS("/proc")} }
