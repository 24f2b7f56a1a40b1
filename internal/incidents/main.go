// Incidents simulates every incident with every built-in policy and prints the table that
// docs/strategies.md has. Its pictures go into a folder.
//
//	go run ./internal/incidents -pictures docs/pictures
//
// It takes a few minutes: 20 seeds of 7 incidents of each policy. A simulation uses one processor, and a
// process runs one at a time, so it starts itself once for each processor.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"path/filepath"
	"runtime"

	"github.com/liftoff-mq/liftoff/internal/simulate"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if err := run(ctx, os.Args[1:], os.Stdout, os.Stderr); err != nil {
		fmt.Fprintln(os.Stderr, "incidents:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, args []string, out, diag io.Writer) error {
	flags := flag.NewFlagSet("incidents", flag.ContinueOnError)
	flags.SetOutput(diag)
	seeds := flags.Int("seeds", 20, "how many seeds each incident and policy is simulated with")
	only := flags.String("incident", "", "simulate this incident alone")
	keyed := flags.Float64("keyed", 0.2, "share of the calls that have a sharding key")
	pictures := flags.String("pictures", "", "folder for a picture of each incident, of the first seed")
	processes := flags.Int("processes", runtime.NumCPU(), "how many processes simulate")
	part := flags.Int("part", -1, "simulate the part of one of these processes and print its reports as JSON")
	if err := flags.Parse(args); err != nil {
		return err
	}
	if *seeds < 1 || *processes < 1 || *part >= *processes {
		return errors.New("-seeds and -processes have to be 1 or more, and -part less than -processes")
	}
	incidents := simulate.Incidents()
	if *only != "" {
		incidents = []simulate.Incident{simulate.Incident(*only)}
	}
	runs := all(incidents, *seeds, *keyed)
	if *part >= 0 {
		return simulatePart(ctx, runs, *part, *processes, out)
	}
	reports, err := inProcesses(ctx, args, runs, *processes, diag)
	if err != nil {
		return err
	}
	if *pictures != "" {
		if err := draw(*pictures, incidents, reports); err != nil {
			return err
		}
	}
	return table(out, reports)
}

// job is a run that is to be made.
type job struct {
	scenario simulate.Scenario
	policy   simulate.Policy
}

// all are the runs of the table, in its order.
func all(incidents []simulate.Incident, seeds int, keyed float64) []job {
	var out []job
	for _, incident := range incidents {
		for _, p := range simulate.BuiltIn() {
			for seed := range seeds {
				out = append(out, job{simulate.Scenario{Incident: incident, Seed: uint64(seed + 1), Keyed: keyed}, p})
			}
		}
	}
	return out
}

// draw makes a picture of each incident with all policies side by side.
func draw(folder string, incidents []simulate.Incident, reports []*simulate.Report) error {
	for _, incident := range incidents {
		var beside []*simulate.Report
		for _, r := range reports {
			if r.Incident == incident && r.Seed == 1 {
				beside = append(beside, r)
			}
		}
		if err := drawOne(filepath.Join(folder, "incident-"+string(incident)+".svg"), beside); err != nil {
			return err
		}
	}
	return nil
}

func drawOne(file string, reports []*simulate.Report) error {
	f, err := os.Create(file)
	if err != nil {
		return err
	}
	return errors.Join(simulate.SVG(f, reports...), f.Close())
}
