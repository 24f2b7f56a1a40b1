// Package scale measures how the cost of a send grows with the size of things: queues, brokers, topics, callers, sends
// under way. It says what an idle topic, a connection and a send under way take of memory as well. It is the bench's
// command "scale"; README.md, one folder up, says how to run it and how to read what it writes.
package scale

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/schollz/progressbar/v3"

	"github.com/liftoff-mq/liftoff/bench/report"
)

// options are what a session does.
type options struct {
	out     string
	rounds  int
	warm    time.Duration
	window  time.Duration
	profile bool
	curves  []curve
	weights *weights // nil weighs nothing
}

// Run runs the session that the arguments ask for. The program that calls it calls [Role] first.
func Run(ctx context.Context, args []string) error {
	o, err := parse(args)
	if err != nil {
		return err
	}
	return scale(ctx, o, os.Stdout)
}

func parse(args []string) (*options, error) {
	o := &options{rounds: 3, warm: 500 * time.Millisecond, window: 1500 * time.Millisecond, curves: curves(), weights: &weigh}
	f := flag.NewFlagSet("scale", flag.ContinueOnError)
	f.StringVar(&o.out, "out", report.Folder, "folder for the results")
	quick := f.Bool("quick", false, "one short run of each point, under a minute: shows that everything works, proves nothing")
	names := f.String("curves", "", "only these, separated by commas: "+strings.Join(curveNames(), ","))
	f.BoolVar(&o.profile, "profile", false, "profile the processor in the first run of each point (this disturbs the numbers)")
	if err := f.Parse(args); err != nil {
		return nil, err
	}
	if f.NArg() > 0 {
		return nil, fmt.Errorf("argument %q is not known", f.Arg(0))
	}
	if *quick {
		o.rounds, o.warm, o.window = 1, 150*time.Millisecond, 400*time.Millisecond
	}
	if *names == "" {
		return o, nil
	}
	wanted := strings.Split(*names, ",")
	for _, name := range wanted {
		if !slices.Contains(curveNames(), name) {
			return nil, fmt.Errorf("curve %q is none of %v", name, curveNames())
		}
	}
	o.curves = slices.DeleteFunc(o.curves, func(c curve) bool { return !slices.Contains(wanted, c.Name) })
	if !slices.Contains(wanted, memoryName) {
		o.weights = nil
	}
	return o, nil
}

func curveNames() []string {
	var names []string
	for _, c := range curves() {
		names = append(names, c.Name)
	}
	return append(names, memoryName)
}

// scale runs a session and writes it. When it is interrupted it writes what there is.
func scale(ctx context.Context, o *options, show *os.File) error {
	out, err := filepath.Abs(o.out)
	if err != nil {
		return err
	}
	if err := os.MkdirAll(out, 0o755); err != nil {
		return err
	}
	s := session{Taken: time.Now().UTC(), Machine: report.Machine(), WindowS: o.window.Seconds(), Rounds: o.rounds, Curves: o.curves}
	r := runner{opts: o, out: out, bar: progressbar.NewOptions(total(o), progressbar.OptionSetWriter(os.Stderr),
		progressbar.OptionShowCount(), progressbar.OptionSetPredictTime(true), progressbar.OptionSetWidth(20), progressbar.OptionClearOnFinish())}
	err = r.all(ctx, &s)
	_ = r.bar.Finish()
	if len(s.Runs) == 0 && s.Memory == nil {
		return err
	}
	return errors.Join(err, write(out, &s, show))
}
