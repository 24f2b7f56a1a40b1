// Command bench measures Liftoff beside the Java client, the Go client and the limit of the wire, all against one real
// broker that it starts; two Liftoffs beside each other (ab); and how the cost of a send grows (scale). README.md says
// how to run it and how to read what it writes.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/schollz/progressbar/v3"

	"github.com/liftoff-mq/liftoff/bench/load"
	"github.com/liftoff-mq/liftoff/bench/report"
	"github.com/liftoff-mq/liftoff/bench/scale"
	"github.com/liftoff-mq/liftoff/integration/realcluster"
)

type options struct {
	quick             bool
	runs, retries     int
	warm, window      time.Duration
	limits            report.Limits
	cells, contenders string
	profile           string
	out, absOut       string
	maxStore          int64
	list              bool
	ab                [2]string // folders or revisions to compare, none for the usual bench
}

func (o *options) compares() bool { return o.ab[0] != "" }

func main() {
	if done, err := scale.Role(os.Args[1:]); done {
		exit(err)
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err := command(ctx, os.Args[1:])
	stop()
	exit(err)
}

func exit(err error) {
	if err != nil && !errors.Is(err, flag.ErrHelp) {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
	os.Exit(0)
}

func command(ctx context.Context, args []string) error {
	if len(args) > 0 && args[0] == "scale" {
		return scale.Run(ctx, args[1:])
	}
	o, err := parse(args)
	if err != nil {
		return err
	}
	return bench(ctx, o)
}

func parse(args []string) (*options, error) {
	o := &options{}
	f := flag.NewFlagSet("bench", flag.ContinueOnError)
	f.Usage = func() {
		fmt.Fprintln(f.Output(), "usage: bench [FLAGS]           Liftoff and the others\n       bench ab [FLAGS] A B    two Liftoffs, each a folder or a revision\n       bench scale [FLAGS]     how the cost of a send grows with the size of things; has flags of its own\nflags:")
		f.PrintDefaults()
	}
	ab := len(args) > 0 && args[0] == "ab"
	if ab {
		args = args[1:]
	}
	f.BoolVar(&o.quick, "quick", false, "about two minutes: three cells, two short runs; shows that everything works, proves nothing")
	f.IntVar(&o.runs, "runs", report.Enough, "valid runs wanted of each contender in each cell; ab: valid pairs in each cell")
	f.IntVar(&o.retries, "retries", report.Enough, "more runs that may be made for invalid ones, of each contender in each cell")
	f.DurationVar(&o.warm, "warm", 2*time.Second, "warm-up of a run; Java gets three times as much")
	f.DurationVar(&o.window, "window", 4*time.Second, "measured time of a run")
	f.Float64Var(&o.limits.Steal, "max-steal", 0.06, "share of the machine that the hypervisor may take in a valid run")
	f.Float64Var(&o.limits.Others, "max-others", 0.10, "share of the machine that other programs may take in a valid run")
	f.StringVar(&o.cells, "cells", "", "only cells whose name contains one of these, separated by commas")
	f.StringVar(&o.contenders, "contenders", "", "only these contenders, separated by commas")
	f.StringVar(&o.profile, "profile", "", "profile Liftoff in the first run of each cell: "+strings.Join(load.Profiles, ",")+" (these disturb the numbers)")
	f.StringVar(&o.out, "out", report.Folder, "folder for the results")
	f.Int64Var(&o.maxStore, "max-store", 12, "GiB in the broker's store after which it is started anew")
	f.BoolVar(&o.list, "list", false, "list the cells")
	if err := f.Parse(args); err != nil {
		return nil, err
	}
	switch {
	case ab && !o.list:
		if f.NArg() != 2 {
			return nil, fmt.Errorf("ab compares two folders or revisions, not %d", f.NArg())
		}
		if o.contenders != "" {
			return nil, errors.New("ab compares Liftoff with itself: -contenders has no place there")
		}
		o.ab = [2]string{f.Arg(0), f.Arg(1)}
		if o.cells == "" {
			o.cells = compareCells
		}
	case f.NArg() > 0:
		return nil, fmt.Errorf("argument %q is not known", f.Arg(0))
	}
	if o.quick {
		set := map[string]bool{}
		f.Visit(func(fl *flag.Flag) { set[fl.Name] = true })
		if !set["runs"] {
			o.runs = 2
		}
		if !set["retries"] {
			o.retries = 0
		}
		if !set["warm"] {
			o.warm = time.Second
		}
		if !set["window"] {
			o.window = 1500 * time.Millisecond
		}
	}
	for kind := range strings.SplitSeq(o.profile, ",") {
		if kind != "" && !slices.Contains(load.Profiles, kind) {
			return nil, fmt.Errorf("profile %q is none of %v", kind, load.Profiles)
		}
	}
	return o, nil
}

func bench(ctx context.Context, o *options) error {
	if o.list {
		for _, c := range cells() {
			fmt.Printf("%-16s %s\n", c.name, c.title)
		}
		return nil
	}
	chosen, err := choose(o)
	if err == nil && o.compares() {
		chosen, err = pairing(chosen)
	}
	if err != nil {
		return err
	}
	repo, err := realcluster.Root()
	if err != nil {
		return err
	}
	r := &runner{opts: o, proc: hostProc()}
	if o.absOut, err = filepath.Abs(o.out); err != nil {
		return err
	}
	if err := os.MkdirAll(o.absOut, 0o755); err != nil {
		return err
	}
	r.text = filepath.Join(o.absOut, "text.body")
	if err := writeText(r.text); err != nil {
		return err
	}
	if o.compares() {
		return r.compare(ctx, repo, chosen)
	}
	var names []string
	for _, c := range chosen {
		names = append(names, c.contenders...)
	}
	if r.progs, err = build(ctx, repo, names); err != nil {
		return err
	}
	runs, err := r.all(ctx, chosen)
	err = errors.Join(err, r.close(), r.progs.close())
	if len(runs) == 0 {
		return err
	}
	return errors.Join(err, report.Write(o.absOut, o.session(chosen, runs), os.Stdout))
}

// all runs the cells. When it is interrupted it returns what there is, and why.
func (r *runner) all(ctx context.Context, chosen []cell) ([]report.Run, error) {
	total := 0
	for _, c := range chosen {
		total += len(c.contenders) * r.opts.runs
	}
	bar := newBar(total)
	defer func() { _ = bar.Finish() }()
	var runs []report.Run
	for i := range chosen {
		c := &chosen[i]
		missing := map[string]int{}
		for _, name := range c.contenders {
			missing[name] = r.opts.runs
		}
		// A round is one run of each contender that has not enough valid ones: A B C A B C.
		for round := 1; round <= r.opts.runs+r.opts.retries && len(missing) > 0; round++ {
			for _, name := range c.contenders {
				if missing[name] == 0 {
					continue
				}
				bar.Describe(fmt.Sprintf("%-16s %-12s", c.name, name))
				if err := r.ready(ctx, c.servers); err != nil {
					return runs, err
				}
				run := r.one(ctx, c, name, round)
				if ctx.Err() != nil {
					return runs, context.Cause(ctx)
				}
				runs = append(runs, run)
				if run.Invalid == "" || round > r.opts.retries {
					if missing[name]--; missing[name] == 0 {
						delete(missing, name)
					}
					_ = bar.Add(1)
				}
			}
		}
	}
	return runs, nil
}

func newBar(total int) *progressbar.ProgressBar {
	return progressbar.NewOptions(total, progressbar.OptionSetWriter(os.Stderr), progressbar.OptionShowCount(),
		progressbar.OptionSetPredictTime(true), progressbar.OptionSetWidth(20), progressbar.OptionClearOnFinish())
}

// session is what all results have in common.
func (o *options) session(chosen []cell, runs []report.Run) report.Session {
	titles := map[string]string{}
	for _, c := range chosen {
		titles[c.name] = c.title
	}
	return report.Session{
		Taken: time.Now().UTC(), Machine: report.Machine(), Limits: o.limits, WindowS: o.window.Seconds(), Titles: titles, Runs: runs,
	}
}

// choose applies the filters.
func choose(o *options) ([]cell, error) {
	var chosen []cell
	for _, c := range cells() {
		if o.cells != "" && !slices.ContainsFunc(strings.Split(o.cells, ","), func(part string) bool { return strings.Contains(c.name, part) }) {
			continue
		}
		if o.cells == "" && o.quick && !c.quick {
			continue
		}
		if o.contenders != "" {
			c.contenders = slices.DeleteFunc(slices.Clone(c.contenders), func(name string) bool {
				base, _, _ := strings.Cut(name, "+")
				return !slices.Contains(strings.Split(o.contenders, ","), base)
			})
		}
		if len(c.contenders) > 0 {
			chosen = append(chosen, c)
		}
	}
	if len(chosen) == 0 {
		return nil, errors.New("no cell is left; see -list")
	}
	return chosen, nil
}
