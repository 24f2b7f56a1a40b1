package simulate

import (
	"fmt"
	"math"
	"slices"
	"strconv"
)

// band is one row of the drawings: a number for each second, of each report.
type band struct {
	name   string
	log    bool // the scale is logarithmic
	rows   int  // of characters, in the terminal
	values [][]float64
	top    float64 // of the scale, which all reports share
}

// shownBrokers is how many brokers have a band of their own.
const shownBrokers = 4

// leastMS is where the scale of milliseconds begins.
const leastMS = 0.5

// bands are what both drawings show of reports of one kind of cluster.
func bands(reports []*Report) []band {
	of := func(name string, rows int, log bool, value func(*Second) float64) band {
		b := band{name: name, rows: rows, log: log}
		for _, r := range reports {
			values := make([]float64, 0, len(r.Series))
			for i := range r.Series {
				values = append(values, value(&r.Series[i]))
			}
			b.values = append(b.values, values)
			b.top = max(b.top, slices.Max(append(values, 0)))
		}
		return b
	}
	out := []band{
		of("errors/s", 3, false, func(s *Second) float64 { return float64(s.Errors) }),
		of("p99 ms", 4, true, func(s *Second) float64 { return s.P99 }),
		of("p50 ms", 2, true, func(s *Second) float64 { return s.P50 }),
		of("duplicates/s", 2, false, func(s *Second) float64 { return float64(s.Duplicates) }),
	}
	first := len(out)
	brokers := reports[0].brokers()
	for _, name := range brokers[:min(shownBrokers, len(brokers))] {
		out = append(out, of("to "+name+" /s", 2, false, func(s *Second) float64 { return float64(s.Attempts[name]) }))
	}
	var most float64 // brokers are compared with each other
	for _, b := range out[first:] {
		most = max(most, b.top)
	}
	for i := range out[first:] {
		out[first+i].top = most
	}
	for i := range out[1:3] {
		out[1+i].top = max(out[1].top, out[2].top)
	}
	return out
}

// share is how high a value stands in the band, 0 to 1.
func (d *band) share(v float64) float64 {
	switch {
	case v <= 0 || d.top <= 0:
		return 0
	case d.log:
		return max(0, math.Log(v/leastMS)/math.Log(max(d.top, 2*leastMS)/leastMS))
	}
	return v / d.top
}

// scale is what stands at the top of the band.
func (d *band) scale() string { return number(d.top) }

// brokers are the names of all brokers, in order.
func (r *Report) brokers() []string {
	names := make([]string, 0, len(r.Share))
	for name := range r.Share {
		names = append(names, name)
	}
	slices.SortFunc(names, func(a, b string) int {
		if len(a) != len(b) {
			return len(a) - len(b) // broker-z comes before broker-aa
		}
		if a < b {
			return -1
		}
		return 1
	})
	return names
}

// row is a row of the table of numbers.
type row struct {
	name string
	of   func(*Report) string
}

// numbers are the rows of the table. Those of keyed calls are there if any report has some.
func numbers(reports []*Report) []row {
	out := []row{
		{"calls", func(r *Report) string { return strconv.Itoa(r.Calls) }},
		{"errors", func(r *Report) string { return strconv.Itoa(r.Errors) }},
	}
	var classes []string
	for _, r := range reports {
		for class := range r.Classes {
			if !slices.Contains(classes, class) {
				classes = append(classes, class)
			}
		}
	}
	slices.Sort(classes)
	for _, class := range classes {
		out = append(out, row{"  " + class, func(r *Report) string { return strconv.Itoa(r.Classes[class]) }})
	}
	if slices.ContainsFunc(reports, func(r *Report) bool { return r.WithKey.Calls > 0 && r.Plain.Calls > 0 }) {
		out = append(out,
			row{"  without a key", func(r *Report) string { return strconv.Itoa(r.Plain.Errors) }},
			row{"  with a key", func(r *Report) string { return strconv.Itoa(r.WithKey.Errors) }},
		)
	}
	if slices.ContainsFunc(reports, func(r *Report) bool { return r.WithKey.Calls > 0 }) {
		out = append(out, row{"  of keys elsewhere", func(r *Report) string { return strconv.Itoa(r.Unexplained) }})
	}
	return append(out,
		row{"last error", (*Report).lastError},
		row{"lost", func(r *Report) string { return strconv.Itoa(r.Lost) }},
		row{"duplicates", func(r *Report) string { return strconv.Itoa(r.Duplicates) }},
		row{"attempts a call", func(r *Report) string { return strconv.FormatFloat(r.AttemptsPerCall, 'f', 3, 64) }},
		row{"to the sick broker", func(r *Report) string { return fmt.Sprintf("%.1f%%", 100*r.SickShare) }},
		row{"p50 ms", func(r *Report) string { return number(r.P50) }},
		row{"p99 ms", func(r *Report) string { return number(r.P99) }},
		row{"  before", func(r *Report) string { return number(r.HealthyP99) }},
		row{"  2s after onset", func(r *Report) string { return number(r.SettledP99) }},
		row{"max ms", func(r *Report) string { return number(r.Max) }},
	)
}

// lastError says when the last error came.
func (r *Report) lastError() string {
	switch late := r.LastError; {
	case late == nil:
		return "-"
	case r.Incident == None:
		return fmt.Sprintf("at %.1fs", *late/1000)
	case *late <= 0:
		return fmt.Sprintf("%.1fs before end", -*late/1000)
	default:
		return fmt.Sprintf("%.1fs after end", *late/1000)
	}
}

// number is a number with three digits that count, or all of a large one.
func number(v float64) string {
	switch {
	case v == math.Trunc(v), v >= 100:
		return strconv.FormatFloat(v, 'f', 0, 64)
	case v >= 10:
		return strconv.FormatFloat(v, 'f', 1, 64)
	}
	return strconv.FormatFloat(v, 'f', 2, 64)
}

// headline says what was simulated.
func (r *Report) headline() string {
	s := fmt.Sprintf("%d brokers, %d callers, %s calls/s, %.0f%% with a key, seed %d", r.Brokers, r.Callers, number(r.Rate), 100*r.Keyed, r.Seed)
	if r.Brokers == 1 {
		s = "1 broker" + s[len("1 brokers"):]
	}
	return r.incidentText() + ": " + s
}

func (r *Report) incidentText() string {
	if r.Incident == None {
		return "no incident"
	}
	return fmt.Sprintf("%s from %ss to %ss", r.Incident, number(r.Onset), number(r.End))
}

// times are those that the axis names, in seconds.
func (r *Report) times() []float64 {
	if r.Incident == None {
		return []float64{0, r.Seconds}
	}
	return []float64{0, r.Onset, r.End, r.Seconds}
}
