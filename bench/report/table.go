package report

import (
	"fmt"
	"maps"
	"slices"
	"strings"
)

// Markdown is the session as tables.
func Markdown(s *Session) string {
	var b strings.Builder
	fmt.Fprintf(&b, "Taken %s on %s. Windows of %g s. Medians of valid runs: steal at most %.0f %%, other programs at most %.0f %%.\n",
		s.Taken.Format("2006-01-02 15:04 MST"), s.Machine, s.WindowS, 100*s.Limits.Steal, 100*s.Limits.Others)
	doubtful := 0
	for _, sum := range s.Summaries {
		if sum.Doubtful {
			doubtful++
		}
	}
	if doubtful > 0 {
		fmt.Fprintf(&b, "\n**%d of %d lines have fewer than %d valid runs.** They are marked `~` and taken over all their runs, valid or not: they show an order of magnitude and prove nothing.\n",
			doubtful, len(s.Summaries), Enough)
	}
	rates(&b, s)
	costs(&b, s)
	stores(&b, s)
	return b.String()
}

// rivals are the contenders that the others are compared with.
var rivals = []string{"limit", "java", "goclient", "liftoff"}

func rates(b *strings.Builder, s *Session) {
	table(b, "Rates", []string{
		"cell", "contender", "messages/s", "min to max", "of limit", "x Java", "x Go client", "x Liftoff", "p50 ms", "p99 ms", "p99.9 ms", "valid runs", "steal", "others",
	})
	for i := range s.Summaries {
		sum := &s.Summaries[i]
		cols := []string{s.Titles[sum.Cell], sum.name(), count(sum.Rate.Median), count(sum.Rate.Min) + " to " + count(sum.Rate.Max)}
		for _, rival := range rivals {
			cols = append(cols, s.times(sum, rival, rate))
		}
		row(b, append(cols, ms(sum.P50), ms(sum.P99), ms(sum.P999), fmt.Sprintf("%d of %d", sum.Valid, sum.Runs),
			percent(sum.Steal.Median), percent(sum.Others.Median)))
	}
}

func costs(b *strings.Builder, s *Session) {
	table(b, "Cost of a message", []string{
		"cell", "contender", "client CPU s/million", "x limit", "broker CPU s/million", "x limit", "both", "x limit", "client sleeps", "broker sleeps", "system calls", "allocations", "bytes", "peak MiB",
	})
	for i := range s.Summaries {
		sum := &s.Summaries[i]
		var calls []string
		for _, name := range slices.Backward(slices.Sorted(maps.Keys(sum.Counters))) {
			calls = append(calls, fmt.Sprintf("%.3f %s", sum.Counters[name].Median, name))
		}
		row(b, []string{
			s.Titles[sum.Cell], sum.name(), spread(sum.ClientCPU, "%.1f"), s.times(sum, "limit", clientCPU),
			spread(sum.ServerCPU, "%.1f"), s.times(sum, "limit", serverCPU),
			fmt.Sprintf("%.1f", sum.BothCPU.Median), s.times(sum, "limit", bothCPU), fmt.Sprintf("%.2f", sum.ClientSwitches.Median), fmt.Sprintf("%.2f", sum.ServerSwitches.Median), strings.Join(calls, ", "),
			known(sum.Allocs.Median, "%.1f"), known(sum.Bytes.Median, "%.0f"), fmt.Sprintf("%.0f", sum.ClientPeak.Median),
		})
	}
}

func stores(b *strings.Builder, s *Session) {
	table(b, "What the broker stored", []string{"cell", "contender", "stored share", "stored bytes a message", "failed requests"})
	for i := range s.Summaries {
		sum := &s.Summaries[i]
		failed := fmt.Sprint(sum.Failed)
		if sum.Failure != "" {
			failed += ": " + clip(sum.Failure, 120)
		}
		row(b, []string{s.Titles[sum.Cell], sum.name(), spread(sum.StoredShare, "%.4f"), fmt.Sprintf("%.0f", sum.StoredSize.Median), failed})
	}
}

func (s *Summary) name() string {
	if s.Doubtful {
		return s.Contender + " ~"
	}
	return s.Contender
}

func rate(s *Summary) float64      { return s.Rate.Median }
func clientCPU(s *Summary) float64 { return s.ClientCPU.Median }
func serverCPU(s *Summary) float64 { return s.ServerCPU.Median }
func bothCPU(s *Summary) float64   { return s.BothCPU.Median }

// times compares a contender with a rival in the same cell.
func (s *Session) times(sum *Summary, rival string, of func(*Summary) float64) string {
	for i := range s.Summaries {
		if o := &s.Summaries[i]; o.Cell == sum.Cell && o.Contender == rival && of(o) > 0 {
			return fmt.Sprintf("%.2f", of(sum)/of(o))
		}
	}
	return ""
}

func table(b *strings.Builder, title string, heads []string) {
	fmt.Fprintf(b, "\n## %s\n\n", title)
	row(b, heads)
	row(b, slices.Repeat([]string{"---"}, len(heads)))
}

func row(b *strings.Builder, cols []string) {
	for _, c := range cols {
		c = strings.NewReplacer("|", `\|`, "\n", " ").Replace(c)
		b.WriteString("| " + c + " ")
	}
	b.WriteString("|\n")
}

func spread(r Range, format string) string {
	return fmt.Sprintf(format+" ("+format+" to "+format+")", r.Median, r.Min, r.Max)
}

func known(v float64, format string) string {
	if v < 0 {
		return ""
	}
	return fmt.Sprintf(format, v)
}

func ms(r Range) string { return fmt.Sprintf("%.2f", r.Median/1000) }

func percent(share float64) string { return fmt.Sprintf("%.1f %%", 100*share) }

// count writes a number with commas between the thousands.
func count(v float64) string {
	s := fmt.Sprintf("%.0f", v)
	for i := len(s) - 3; i > 0; i -= 3 {
		s = s[:i] + "," + s[i:]
	}
	return s
}

func clip(s string, n int) string {
	if len(s) <= n {
		return s
	}
	return s[:n] + "..."
}
