package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"

	"github.com/liftoff-mq/liftoff/bench/report"
)

// sides are the two Liftoffs of a comparison. A checkout is a folder; what it is called is for the table.
type sides struct {
	checkouts [2]string
	names     [2]string
	temporary []string
}

// findSides takes each argument for a folder or, if there is none of that name, for a revision of this repository.
// A revision is unpacked into a folder of its own, so that no work tree is touched.
func findSides(ctx context.Context, repo string, args [2]string) (*sides, error) {
	s := &sides{}
	for i, arg := range args {
		if info, err := os.Stat(arg); err == nil && info.IsDir() {
			dir, err := filepath.Abs(arg)
			if err != nil {
				return nil, errors.Join(err, s.close())
			}
			s.checkouts[i], s.names[i] = dir, arg
			if rev, err := git(ctx, dir, "describe", "--always", "--dirty"); err == nil {
				s.names[i] = fmt.Sprintf("%s (%s)", filepath.Base(dir), rev)
			}
			continue
		}
		rev, err := git(ctx, repo, "rev-parse", "--short", "--verify", "--end-of-options", arg+"^{commit}")
		if err != nil {
			return nil, errors.Join(fmt.Errorf("%s is neither a folder nor a revision: %w", arg, err), s.close())
		}
		dir, err := unpack(ctx, repo, rev)
		if dir != "" {
			s.temporary = append(s.temporary, dir)
		}
		if err != nil {
			return nil, errors.Join(err, s.close())
		}
		s.checkouts[i], s.names[i] = dir, rev
	}
	return s, nil
}

func (s *sides) close() error {
	var errs []error
	for _, dir := range s.temporary {
		errs = append(errs, os.RemoveAll(dir))
	}
	return errors.Join(errs...)
}

// unpack writes a revision's files into a new folder.
func unpack(ctx context.Context, repo, rev string) (string, error) {
	dir, err := os.MkdirTemp("", "liftoff-bench-"+rev+"-")
	if err != nil {
		return "", err
	}
	archive := filepath.Join(dir, "archive.tar")
	if _, err := git(ctx, repo, "archive", "--format=tar", "--output="+archive, rev); err != nil {
		return dir, err
	}
	if out, err := exec.CommandContext(ctx, "tar", "-xf", archive, "-C", dir).CombinedOutput(); err != nil {
		return dir, fmt.Errorf("unpack %s: %w\n%s", rev, err, out)
	}
	return dir, os.Remove(archive)
}

func git(ctx context.Context, dir string, args ...string) (string, error) {
	cmd := exec.CommandContext(ctx, "git", args...)
	cmd.Dir = dir
	out, err := cmd.Output()
	if exit := (*exec.ExitError)(nil); errors.As(err, &exit) {
		err = fmt.Errorf("git %s: %w\n%s", args[0], err, exit.Stderr)
	}
	return strings.TrimSpace(string(out)), err
}

// compareCells are the cells of a comparison unless the flags say others.
const compareCells = "sync-64-1024,async-1000-128,batch-32-128,sync-1-1024"

// pairing leaves of each cell what Liftoff can do, once for each side.
func pairing(chosen []cell) ([]cell, error) {
	var out []cell
	for _, c := range chosen {
		var contenders []string
		for _, name := range c.contenders {
			if base, variant, ok := strings.Cut(name, "+"); base == "liftoff" {
				for _, side := range []string{report.SideA, report.SideB} {
					if ok {
						side += "+" + variant
					}
					contenders = append(contenders, side)
				}
			}
		}
		if len(contenders) > 0 {
			c.contenders = contenders
			out = append(out, c)
		}
	}
	if len(out) == 0 {
		return nil, errors.New("no cell is left that Liftoff is in; see -list")
	}
	return out, nil
}

// compare measures two Liftoffs against one broker.
func (r *runner) compare(ctx context.Context, repo string, chosen []cell) error {
	two, err := findSides(ctx, repo, r.opts.ab)
	if err != nil {
		return err
	}
	if r.progs, err = buildSides(ctx, repo, two.checkouts); err != nil {
		return errors.Join(err, two.close())
	}
	fmt.Fprintf(os.Stderr, "A is %s, B is %s\n", two.names[0], two.names[1])
	runs, err := r.pairs(ctx, chosen)
	err = errors.Join(err, r.close(), r.progs.close(), two.close())
	if len(runs) == 0 {
		return err
	}
	return errors.Join(err, writeComparison(r.opts.absOut, r.opts.session(chosen, runs), two.names, r.opts.runs, os.Stdout))
}

// pairs runs the cells A B A B. A pair of which one run is invalid is made again as a whole.
func (r *runner) pairs(ctx context.Context, chosen []cell) ([]report.Run, error) {
	total := 0
	for _, c := range chosen {
		total += len(c.contenders) / 2 * r.opts.runs
	}
	bar := newBar(total)
	defer func() { _ = bar.Finish() }()
	var runs []report.Run
	for i := range chosen {
		c := &chosen[i]
		for both := range slices.Chunk(c.contenders, 2) {
			missing := r.opts.runs
			for round := 1; round <= r.opts.runs+r.opts.retries && missing > 0; round++ {
				bar.Describe(fmt.Sprintf("%-16s round %d", c.name, round))
				// Both of a pair meet the same broker.
				if err := r.ready(ctx, c.servers); err != nil {
					return runs, err
				}
				valid := true
				for _, name := range both {
					run := r.one(ctx, c, name, round)
					if ctx.Err() != nil {
						return runs, context.Cause(ctx)
					}
					runs = append(runs, run)
					valid = valid && run.Invalid == ""
				}
				if valid || round > r.opts.retries {
					missing--
					_ = bar.Add(1)
				}
			}
		}
	}
	return runs, nil
}

// writeComparison writes compare.json and compare.md into a folder, and the tables to show.
func writeComparison(folder string, s report.Session, names [2]string, wanted int, show io.Writer) error {
	all := report.Compare(s.Runs, wanted)
	text, err := report.JSON(struct {
		report.Session
		Sides       [2]string           `json:"sides"`
		Comparisons []report.Comparison `json:"comparisons"`
	}{s, names, all})
	if err != nil {
		return err
	}
	tables := report.CompareMarkdown(&s, names, all)
	_, err = fmt.Fprintf(show, "%s\nwritten to %s\n", tables, folder)
	return errors.Join(
		os.WriteFile(filepath.Join(folder, "compare.json"), text, 0o644),
		os.WriteFile(filepath.Join(folder, "compare.md"), []byte(tables), 0o644),
		err,
	)
}
