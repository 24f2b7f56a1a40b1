package report_test

import (
	"strings"
	"testing"

	"github.com/liftoff-mq/liftoff/bench/load"
	"github.com/liftoff-mq/liftoff/bench/report"
)

// measured is a run of a side with a rate of so many and all the rest derived from it.
func measured(contender string, round int, rate float64, invalid string) report.Run {
	return report.Run{
		Cell: "c", Contender: contender, Round: round, Invalid: invalid,
		Result: load.Result{Messages: 100, Allocs: 2, Counters: map[string]float64{"writes": 0.5}},
		Rate:   rate, ClientCPU: 1000 / rate, ServerCPU: 30, StoredShare: 1,
	}
}

func find(t *testing.T, c report.Comparison, name string) report.Metric {
	t.Helper()
	for _, m := range c.Metrics {
		if m.Name == name {
			return m
		}
	}
	t.Fatalf("no metric %s in %+v", name, c.Metrics)
	return report.Metric{}
}

func TestCompare(t *testing.T) {
	runs := []report.Run{
		measured("A", 1, 100, ""), measured("B", 1, 110, ""),
		measured("A", 2, 100, ""), measured("B", 2, 10, "steal 50 %"), // the pair does not count
		measured("A", 3, 200, ""), measured("B", 3, 180, ""),
		measured("A+zstd", 1, 50, ""), measured("B+zstd", 1, 50, ""),
		measured("A", 4, 999, ""), // interrupted
	}
	all := report.Compare(runs, 2)
	if len(all) != 2 || all[0].Variant != "" || all[1].Variant != "zstd" {
		t.Fatalf("got %+v", all)
	}
	c := all[0]
	if c.Pairs != 3 || c.Valid != 2 || c.Doubtful {
		t.Errorf("%d of %d pairs, doubtful %t", c.Valid, c.Pairs, c.Doubtful)
	}
	want := report.Metric{
		Name: "messages/s", A: report.Range{Median: 150, Min: 100, Max: 200}, B: report.Range{Median: 145, Min: 110, Max: 180},
		Ratio: 145.0 / 150, Pairs: report.Range{Median: 1, Min: 0.9, Max: 1.1},
	}
	got := find(t, c, "messages/s")
	if diff := got.Pairs.Median - 1; diff > 1e-9 || diff < -1e-9 {
		t.Errorf("the pairs' median is %v", got.Pairs.Median)
	}
	if got.A != want.A || got.B != want.B || got.Ratio != want.Ratio {
		t.Errorf("got %+v, want %+v", got, want)
	}
	if m := find(t, c, "writes"); m.Ratio != 1 || m.A.Median != 0.5 {
		t.Errorf("writes: %+v", m)
	}
	// Too few pairs: what there is, and it says so.
	if c := all[1]; !c.Doubtful || c.Valid != 1 || find(t, c, "messages/s").Ratio != 1 {
		t.Errorf("got %+v", c)
	}
	if c := report.Compare(runs, 3)[0]; !c.Doubtful || find(t, c, "messages/s").B.Min != 10 {
		t.Errorf("got %+v", c)
	}
}

// A side that fails or loses messages is named, and a cell without numbers is no crash.
func TestCompareMarkdown(t *testing.T) {
	lost := measured("B", 1, 90, "")
	lost.StoredShare, lost.Failed, lost.Failure = 0.5, 3, "timeout"
	broken := report.Run{Cell: "d", Contender: "B", Round: 1, Error: "no such variant", Invalid: "failed"}
	runs := []report.Run{measured("A", 1, 100, ""), lost, {Cell: "d", Contender: "A", Round: 1, Error: "gone", Invalid: "failed"}, broken}
	s := report.Session{Titles: map[string]string{"c": "cell c", "d": "cell d"}}
	text := report.CompareMarkdown(&s, [2]string{"old", "new"}, report.Compare(runs, 1))
	for _, want := range []string{
		"A is old, B is new", "| messages/s | 100 | 100 to 100 | 90.0 | 90.0 to 90.0 | 0.900 |",
		"B: 3 requests failed, at least 0.5000 of what was accepted is stored. timeout",
		"cell d: 0 of 1 pairs are valid. **These are too few**", "B: 0 requests failed", "no such variant",
	} {
		if !strings.Contains(text, want) {
			t.Errorf("missing %q in\n%s", want, text)
		}
	}
	if strings.Contains(text, "\nA: 0 requests failed, at least 1.0000 of what was accepted is stored. \n\n## d") {
		t.Errorf("A is blamed for nothing:\n%s", text)
	}
}
