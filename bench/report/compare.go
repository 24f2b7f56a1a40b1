package report

import (
	"fmt"
	"maps"
	"slices"
	"strings"
)

// The two sides of a comparison, as the contenders of its runs are called. A variant follows after a plus sign.
const (
	SideA = "A"
	SideB = "B"
)

// Metric is one number of both sides in one cell.
type Metric struct {
	Name string `json:"name"`
	A    Range  `json:"a"`
	B    Range  `json:"b"`
	// Ratio is B's median divided by A's.
	Ratio float64 `json:"ratio"`
	// Pairs are the ratios within the pairs. How far they lie apart is the noise, and their median is the better figure
	// where the machine changes from pair to pair.
	Pairs Range `json:"pairs"`
}

// Comparison is what the pairs of one cell and variant gave.
type Comparison struct {
	Cell    string `json:"cell"`
	Variant string `json:"variant,omitempty"`
	Pairs   int    `json:"pairs"`
	Valid   int    `json:"valid"`
	// Doubtful is true when fewer pairs than wanted were valid. Then the metrics are over all pairs that have numbers.
	Doubtful bool     `json:"doubtful"`
	Metrics  []Metric `json:"metrics,omitempty"`
	// Failed are the requests that failed, Failure is the first reason of each side.
	Failed  [2]int64  `json:"failed"`
	Failure [2]string `json:"failure"`
	// Least are the least shares of the accepted messages that the brokers had after a run.
	Least [2]float64 `json:"least"`
}

// pair is a run of A and the run of B that followed it.
type pair struct{ a, b *Run }

// Compare pairs the runs of both sides by their round. wanted are the valid pairs that a cell needs.
func Compare(runs []Run, wanted int) []Comparison {
	type key struct{ cell, variant string }
	groups := map[key][]pair{}
	var order []key
	for i := range runs {
		side, variant, _ := strings.Cut(runs[i].Contender, "+")
		k := key{runs[i].Cell, variant}
		if _, known := groups[k]; !known {
			order = append(order, k)
		}
		switch last := len(groups[k]) - 1; {
		case side == SideA:
			groups[k] = append(groups[k], pair{a: &runs[i]})
		case last >= 0 && groups[k][last].a.Round == runs[i].Round:
			groups[k][last].b = &runs[i]
		}
	}
	var all []Comparison
	for _, k := range order {
		c := compare(groups[k], wanted)
		c.Cell, c.Variant = k.cell, k.variant
		all = append(all, c)
	}
	return all
}

func compare(pairs []pair, wanted int) Comparison {
	c := Comparison{Least: [2]float64{1, 1}}
	var valid, measured []pair
	for _, p := range pairs {
		if p.b == nil {
			continue // interrupted
		}
		c.Pairs++
		for side, r := range []*Run{p.a, p.b} {
			c.Failed[side] += r.Failed
			if c.Failure[side] == "" {
				c.Failure[side] = r.Failure + r.Error
			}
			if r.Error == "" {
				c.Least[side] = min(c.Least[side], r.StoredShare)
			}
		}
		if p.a.Messages > 0 && p.b.Messages > 0 {
			measured = append(measured, p)
		}
		if p.a.Invalid == "" && p.b.Invalid == "" {
			valid = append(valid, p)
		}
	}
	c.Valid = len(valid)
	c.Doubtful = c.Valid < wanted
	used := valid
	if c.Doubtful {
		used = measured
	}
	if len(used) == 0 {
		return c
	}
	add := func(name string, of func(*Run) float64) { c.Metrics = append(c.Metrics, metric(name, used, of)) }
	// A second for a million messages is a microsecond for one.
	add("messages/s", func(r *Run) float64 { return r.Rate })
	add("client CPU µs", func(r *Run) float64 { return r.ClientCPU })
	add("broker CPU µs", func(r *Run) float64 { return r.ServerCPU })
	add("both CPU µs", func(r *Run) float64 { return r.ClientCPU + r.ServerCPU })
	add("p50 µs", func(r *Run) float64 { return r.P50 })
	add("p99 µs", func(r *Run) float64 { return r.P99 })
	add("allocations", func(r *Run) float64 { return r.Allocs })
	add("bytes", func(r *Run) float64 { return r.Bytes })
	counters := map[string]bool{}
	for _, p := range used {
		for _, r := range []*Run{p.a, p.b} {
			for name := range r.Counters {
				counters[name] = true
			}
		}
	}
	for _, name := range slices.Backward(slices.Sorted(maps.Keys(counters))) {
		add(name, func(r *Run) float64 { return r.Counters[name] })
	}
	add("client sleeps", func(r *Run) float64 { return r.ClientSwitches })
	return c
}

func metric(name string, pairs []pair, of func(*Run) float64) Metric {
	var as, bs, ratios []float64
	for _, p := range pairs {
		a, b := of(p.a), of(p.b)
		as, bs = append(as, a), append(bs, b)
		if a > 0 {
			ratios = append(ratios, b/a)
		}
	}
	m := Metric{Name: name, A: Over(as), B: Over(bs), Pairs: Over(ratios)}
	if m.A.Median > 0 {
		m.Ratio = m.B.Median / m.A.Median
	}
	return m
}

// CompareMarkdown is a comparison as tables, one for each cell.
func CompareMarkdown(s *Session, sides [2]string, all []Comparison) string {
	var b strings.Builder
	fmt.Fprintf(&b, "A is %s, B is %s. Taken %s on %s. Windows of %g s, A and B in turn. Medians of valid pairs: steal at most %.0f %%, other programs at most %.0f %%.\n",
		sides[0], sides[1], s.Taken.Format("2006-01-02 15:04 MST"), s.Machine, s.WindowS, 100*s.Limits.Steal, 100*s.Limits.Others)
	for i := range all {
		c := &all[i]
		title := s.Titles[c.Cell]
		if c.Variant != "" {
			title += ", " + c.Variant
		}
		fmt.Fprintf(&b, "\n## %s\n\n%s: %d of %d pairs are valid.", c.Cell, title, c.Valid, c.Pairs)
		if c.Doubtful {
			b.WriteString(" **These are too few**: the table is over all pairs and shows an order of magnitude.")
		}
		b.WriteString("\n\n")
		row(&b, []string{"for one message", "A", "min to max", "B", "min to max", "B/A", "within the pairs"})
		row(&b, slices.Repeat([]string{"---"}, 7))
		for _, m := range c.Metrics {
			row(&b, []string{
				m.Name, number(m.A.Median), number(m.A.Min) + " to " + number(m.A.Max),
				number(m.B.Median), number(m.B.Min) + " to " + number(m.B.Max),
				fmt.Sprintf("%.3f", m.Ratio), spread(m.Pairs, "%.3f"),
			})
		}
		for side, name := range []string{SideA, SideB} {
			if c.Failed[side] > 0 || c.Failure[side] != "" || c.Least[side] < 1 {
				fmt.Fprintf(&b, "\n%s: %d requests failed, at least %.4f of what was accepted is stored. %s\n",
					name, c.Failed[side], c.Least[side], clip(c.Failure[side], 400))
			}
		}
	}
	return b.String()
}

// number writes three significant digits at least, and no fraction of what is large.
func number(v float64) string {
	switch {
	case v >= 1000:
		return count(v)
	case v >= 100:
		return fmt.Sprintf("%.0f", v)
	case v >= 10:
		return fmt.Sprintf("%.1f", v)
	case v >= 1:
		return fmt.Sprintf("%.2f", v)
	default:
		return fmt.Sprintf("%.3f", v)
	}
}
