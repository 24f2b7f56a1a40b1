package scale

import (
	"fmt"
	"slices"
	"strings"

	"github.com/liftoff-mq/liftoff/bench/report"
	"github.com/liftoff-mq/liftoff/core"
)

// markdown is the session as tables.
func markdown(s *session) string {
	var b strings.Builder
	fmt.Fprintf(&b, "Taken %s on %s. Bodies of %d bytes, windows of %g s, medians of %d.\n",
		s.Taken.Format("2006-01-02 15:04 MST"), s.Machine, size, s.WindowS, s.Rounds)
	summary(&b, s)
	for i := range s.Curves {
		costs(&b, s, &s.Curves[i])
	}
	if s.Memory != nil {
		s.Memory.table(&b)
	}
	return b.String()
}

// summary has the knees.
func summary(b *strings.Builder, s *session) {
	if len(s.Knees) == 0 {
		return
	}
	heading(b, "Knees", "curve", "cheapest up to 1,000", "dearest", "dearest / cheapest", "dearest beyond the cheapest", "knee")
	for _, k := range s.Knees {
		knee, grown := "none", "none"
		if k.Grown > k.Best {
			knee, grown = fmt.Sprintf("%.2f", k.Growth), count(float64(k.Grown))
		}
		row(b, k.Curve, count(float64(k.Best)), count(float64(k.Worst)), fmt.Sprintf("%.2f", k.Ratio), grown, knee)
	}
}

// costs has the points of one curve.
func costs(b *strings.Builder, s *session, c *curve) {
	if !slices.ContainsFunc(s.Points, func(p point) bool { return p.Curve == c.Name }) {
		return
	}
	heading(b, c.Title, c.Of, "CPU µs", "min to max", "messages/s", "cluster's CPU µs", "allocations", "bytes", "writes", "reads",
		"goroutines", "threads", "heap MiB", "stacks MiB", "resident MiB", "others", "failed")
	for i := range s.Points {
		p := &s.Points[i]
		if p.Curve != c.Name {
			continue
		}
		if p.Runs == 0 {
			row(b, count(float64(p.Size)), p.Failure)
			continue
		}
		failed := ""
		if p.Failed > 0 {
			failed = fmt.Sprintf("%d: %s", p.Failed, p.Failure)
		}
		row(b, count(float64(p.Size)), digits(p.CPU.Median), digits(p.CPU.Min)+" to "+digits(p.CPU.Max), count(p.Rate.Median),
			digits(p.ServerCPU.Median), digits(p.Allocs.Median), count(p.Bytes.Median), digits(p.Writes.Median), digits(p.Reads.Median),
			count(p.Goroutines.Median), count(p.Threads.Median), mibs(p.Heap), mibs(p.Stacks), mibs(p.RSS), fmt.Sprintf("%.0f %%", 100*p.Disturbed.Median), failed)
	}
}

// table has what things weigh.
func (m *memory) table(b *strings.Builder) {
	heading(b, "Memory", "what", "bytes each", "of them heap", "together MiB")
	line := func(what string, w *weighed) {
		if w != nil {
			row(b, fmt.Sprintf(what, count(float64(w.N))), count(w.each()), count(w.heap()), fmt.Sprintf("%.1f", mib(w.After.both()-w.Before.both())))
		}
	}
	line("idle topic, %s of them", m.Topics)
	line("connection, %s of them", m.Connections)
	line("send under way, %s of them", m.InFlight)
	if m.InFlight != nil {
		fmt.Fprintf(b, "\nWith %s sends under way, %s of them written to the broker, the process has %.0f MiB of resident memory.\n",
			count(float64(m.InFlight.N)), count(float64(m.InFlight.Written)), mib(m.InFlight.After.RSS))
	}
	if t := m.Topics; t != nil {
		share := t.RefreshCPU * float64(t.N) / float64(core.DefaultRouteRefresh.Microseconds())
		fmt.Fprintf(b, "\nThe first send to a topic takes %s µs of processor time and %s heartbeats, a later look-up of its route %s µs: %.1f %% of a core for %s topics, every %s.\n",
			digits(t.FirstCPU), digits(t.FirstBeats), digits(t.RefreshCPU), 100*share, count(float64(t.N)), core.DefaultRouteRefresh)
	}
}

func heading(b *strings.Builder, title string, heads ...string) {
	fmt.Fprintf(b, "\n## %s\n\n", title)
	row(b, heads...)
	row(b, slices.Repeat([]string{"---"}, len(heads))...)
}

func row(b *strings.Builder, cols ...string) {
	for _, c := range cols {
		b.WriteString("| " + strings.NewReplacer("|", `\|`, "\n", " ").Replace(c) + " ")
	}
	b.WriteString("|\n")
}

func mibs(r report.Range) string { return fmt.Sprintf("%.1f", r.Median) }

// digits writes a number with as many decimals as mean something.
func digits(v float64) string {
	switch {
	case v >= 100:
		return count(v)
	case v >= 10:
		return fmt.Sprintf("%.1f", v)
	default:
		return fmt.Sprintf("%.2f", v)
	}
}

// count writes a number with commas between the thousands.
func count(v float64) string {
	s := fmt.Sprintf("%.0f", v)
	for i := len(s) - 3; i > 0; i -= 3 {
		s = s[:i] + "," + s[i:]
	}
	return s
}
