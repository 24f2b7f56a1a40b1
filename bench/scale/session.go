package scale

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"time"

	"github.com/liftoff-mq/liftoff/bench/report"
)

// session is everything that one call found out.
type session struct {
	Taken   time.Time `json:"taken"`
	Machine string    `json:"machine"`
	WindowS float64   `json:"windowSeconds"`
	Rounds  int       `json:"rounds"`
	Curves  []curve   `json:"curves"`
	Runs    []run     `json:"runs"`
	Memory  *memory   `json:"memory,omitempty"`
	// Points and Knees are filled in by write.
	Points []point `json:"points"`
	Knees  []knee  `json:"knees"`
}

// point is one size of a curve, over all its runs.
type point struct {
	Curve      string       `json:"curve"`
	Size       int          `json:"size"`
	Runs       int          `json:"runs"` // with numbers
	CPU        report.Range `json:"cpu"`
	ServerCPU  report.Range `json:"serverCPU"`
	Rate       report.Range `json:"rate"`
	Allocs     report.Range `json:"allocs"`
	Bytes      report.Range `json:"bytes"`
	Writes     report.Range `json:"writes"`
	Reads      report.Range `json:"reads"`
	Goroutines report.Range `json:"goroutines"`
	Threads    report.Range `json:"threads"`
	Heap       report.Range `json:"heapMiB"`
	Stacks     report.Range `json:"stacksMiB"`
	RSS        report.Range `json:"rssMiB"`
	Disturbed  report.Range `json:"disturbed"` // share of the machine that others had, the hypervisor included
	Failed     int64        `json:"failed"`
	Failure    string       `json:"failure,omitempty"`
}

// knee says how far a curve is from flat. Ratios are of processor time for a message.
type knee struct {
	Curve string  `json:"curve"`
	Best  int     `json:"best"`  // the cheapest size up to baseMost
	Worst int     `json:"worst"` // the dearest size of all
	Ratio float64 `json:"ratio"`
	// Grown is the dearest size beyond Best, and Growth what it costs. A curve that only falls has a Ratio and no Growth.
	Grown  int     `json:"grown"`
	Growth float64 `json:"growth"`
}

// baseMost is the largest size that a knee is measured against.
const baseMost = 1_000

// points makes the medians, in the order of the curves.
func (s *session) points() []point {
	var all []point
	for _, c := range s.Curves {
		for _, n := range c.Sizes {
			if p, ok := s.point(c.Name, n); ok {
				all = append(all, p)
			}
		}
	}
	return all
}

func (s *session) point(curve string, size int) (point, bool) {
	p := point{Curve: curve, Size: size}
	var used []run
	for _, r := range s.Runs {
		if r.Curve != curve || r.Size != size {
			continue
		}
		p.Failed += r.Failed
		if p.Failure == "" {
			p.Failure = r.Failure + r.Error
		}
		if r.Messages > 0 {
			used = append(used, r)
		}
	}
	p.Runs = len(used)
	over := func(f func(*result) float64) report.Range {
		values := make([]float64, len(used))
		for i := range used {
			values[i] = f(&used[i].result)
		}
		return report.Over(values)
	}
	p.CPU = over(func(r *result) float64 { return r.CPU })
	p.ServerCPU = over(func(r *result) float64 { return r.ServerCPU })
	p.Rate = over(func(r *result) float64 { return r.Rate })
	p.Allocs = over(func(r *result) float64 { return r.Allocs })
	p.Bytes = over(func(r *result) float64 { return r.Bytes })
	p.Writes = over(func(r *result) float64 { return r.Writes })
	p.Reads = over(func(r *result) float64 { return r.Reads })
	p.Goroutines = over(func(r *result) float64 { return r.Goroutines })
	p.Threads = over(func(r *result) float64 { return r.Threads })
	p.Heap = over(func(r *result) float64 { return r.HeapMiB })
	p.Stacks = over(func(r *result) float64 { return r.StacksMiB })
	p.RSS = over(func(r *result) float64 { return r.RSSMiB })
	p.Disturbed = over(func(r *result) float64 { return r.Steal + r.Others })
	return p, p.Runs > 0 || p.Failure != ""
}

// knees judges each curve that has a point to measure against.
func knees(points []point) []knee {
	var all []knee
	for i := 0; i < len(points); {
		end := i
		for end < len(points) && points[end].Curve == points[i].Curve {
			end++
		}
		if k, ok := kneeOf(points[i:end]); ok {
			all = append(all, k)
		}
		i = end
	}
	return all
}

func kneeOf(points []point) (knee, bool) {
	var best, worst, grown *point
	for i := range points {
		p := &points[i]
		if p.Runs > 0 && p.Size <= baseMost && (best == nil || p.CPU.Median < best.CPU.Median) {
			best = p
		}
	}
	if best == nil || best.CPU.Median <= 0 {
		return knee{}, false
	}
	worst, grown = best, best
	for i := range points {
		p := &points[i]
		if p.CPU.Median > worst.CPU.Median {
			worst = p
		}
		if p.Size > best.Size && (grown == best || p.CPU.Median > grown.CPU.Median) {
			grown = p
		}
	}
	return knee{
		Curve: best.Curve, Best: best.Size, Worst: worst.Size, Ratio: worst.CPU.Median / best.CPU.Median,
		Grown: grown.Size, Growth: grown.CPU.Median / best.CPU.Median,
	}, true
}

// write writes scale.json, scale.md and a plot of each curve into a folder, and the tables to show.
func write(folder string, s *session, show io.Writer) error {
	s.Points = s.points()
	s.Knees = knees(s.Points)
	text, err := report.JSON(s)
	if err != nil {
		return err
	}
	tables := markdown(s)
	errs := []error{
		os.WriteFile(filepath.Join(folder, "scale.json"), text, 0o644),
		os.WriteFile(filepath.Join(folder, "scale.md"), []byte(tables), 0o644),
		plots(folder, s),
	}
	_, err = fmt.Fprintf(show, "%s\nwritten to %s\n", tables, folder)
	return errors.Join(append(errs, err)...)
}
