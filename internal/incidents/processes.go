package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strconv"
	"sync"

	"github.com/liftoff-mq/liftoff/internal/simulate"
)

// numbered is a report with the place of its run.
type numbered struct {
	Run    int
	Report *simulate.Report
}

// simulatePart makes every n-th run and writes a JSON object for each.
func simulatePart(ctx context.Context, runs []job, part, n int, out io.Writer) error {
	enc := json.NewEncoder(out)
	for i := part; i < len(runs); i += n {
		r, err := simulate.Run(ctx, runs[i].scenario, runs[i].policy, nil)
		if err != nil {
			return err
		}
		if err := enc.Encode(numbered{i, r}); err != nil {
			return err
		}
	}
	return nil
}

// inProcesses makes the runs in n processes of this program and returns the reports in their order.
func inProcesses(ctx context.Context, args []string, runs []job, n int, diag io.Writer) ([]*simulate.Report, error) {
	program, err := os.Executable()
	if err != nil {
		return nil, err
	}
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	c := collector{reports: make([]*simulate.Report, len(runs)), diag: diag}
	errs := make([]error, n)
	var wg sync.WaitGroup
	for part := range n {
		wg.Go(func() {
			cmd := exec.CommandContext(ctx, program, append(args, "-processes", strconv.Itoa(n), "-part", strconv.Itoa(part))...)
			cmd.Stderr = diag
			if errs[part] = c.follow(cmd); errs[part] != nil {
				stop() // the others are of no use
			}
		})
	}
	wg.Wait()
	fmt.Fprintln(diag)
	return c.reports, errors.Join(errs...)
}

// collector takes the reports of all processes.
type collector struct {
	diag io.Writer

	mu      sync.Mutex
	done    int
	reports []*simulate.Report
}

// follow runs one process to its end.
func (c *collector) follow(cmd *exec.Cmd) error {
	lines, err := cmd.StdoutPipe()
	if err != nil {
		return err
	}
	if err := cmd.Start(); err != nil {
		return err
	}
	dec := json.NewDecoder(lines)
	for err == nil {
		var r numbered
		if err = dec.Decode(&r); err == nil {
			c.add(r)
		}
	}
	if err == io.EOF {
		err = nil
	}
	return errors.Join(err, cmd.Wait())
}

func (c *collector) add(r numbered) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.done++
	c.reports[r.Run] = r.Report
	fmt.Fprintf(c.diag, "\r%d of %d runs", c.done, len(c.reports))
}
