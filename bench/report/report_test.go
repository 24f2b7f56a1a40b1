package report_test

import (
	"bytes"
	"encoding/json"
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/liftoff-mq/liftoff/bench/load"
	"github.com/liftoff-mq/liftoff/bench/procfs"
	"github.com/liftoff-mq/liftoff/bench/report"
)

var update = flag.Bool("update", false, "write the golden files anew")

func TestOver(t *testing.T) {
	for _, tt := range []struct {
		values []float64
		want   report.Range
	}{
		{nil, report.Range{}},
		{[]float64{7}, report.Range{Median: 7, Min: 7, Max: 7}},
		{[]float64{3, 1}, report.Range{Median: 2, Min: 1, Max: 3}},
		{[]float64{5, 1, 100, 2, 3}, report.Range{Median: 3, Min: 1, Max: 100}},
		{[]float64{4, 3, 2, 1}, report.Range{Median: 2.5, Min: 1, Max: 4}},
	} {
		before := append([]float64(nil), tt.values...)
		if got := report.Over(tt.values); got != tt.want {
			t.Errorf("%v: got %+v, want %+v", tt.values, got, tt.want)
		}
		for i := range before {
			if before[i] != tt.values[i] {
				t.Fatalf("the values were changed to %v", tt.values)
			}
		}
	}
}

func TestMeasureAndKeep(t *testing.T) {
	second := time.Second
	begin := procfs.Sample{Machine: procfs.CPU{Busy: second, Steal: second, Total: 2 * second}}
	end := procfs.Sample{
		Machine: procfs.CPU{Busy: 7 * second, Steal: 2 * second, Total: 12 * second},
		Client:  procfs.Process{CPU: second, PeakRSS: 3 << 20, Switches: 50},
		Servers: procfs.Process{CPU: 4 * second, PeakRSS: 5 << 20, Switches: 200},
	}
	r := report.Run{Result: load.Result{Messages: 100_000, Seconds: 4, Accepted: 200_000}}
	r.Measure(begin, end)
	r.Keep(150_000, 1_500_000)
	want := report.Run{
		Result: r.Result, Rate: 25_000, ClientCPU: 10, ServerCPU: 40, ClientSwitches: 0.0005, ServerSwitches: 0.002,
		ClientPeak: 3, ServerPeak: 5, Steal: 0.1, Others: 0.1, Stored: 150_000, StoredShare: 0.75, StoredSize: 10,
	}
	got, _ := json.Marshal(r)
	if text, _ := json.Marshal(want); !bytes.Equal(got, text) {
		t.Errorf("got  %s\nwant %s", got, text)
	}
}

func TestJudge(t *testing.T) {
	l := report.Limits{Steal: 0.06, Others: 0.10}
	fine := load.Result{Messages: 1}
	for _, tt := range []struct {
		run  report.Run
		want string
	}{
		{report.Run{Result: fine, Steal: 0.06, Others: 0.10}, ""},
		{report.Run{Result: fine, Steal: 0.061}, "steal 6.1 %"},
		{report.Run{Result: fine, Others: 0.25}, "other programs took 25.0 %"},
		{report.Run{Error: "killed"}, "failed: killed"},
		{report.Run{Result: load.Result{Failure: "busy"}}, "no message was acknowledged: busy"},
	} {
		if tt.run.Judge(l); tt.run.Invalid != tt.want {
			t.Errorf("got %q, want %q", tt.run.Invalid, tt.want)
		}
	}
}

// session is a made-up one: a cell with enough runs, of which some are invalid, and a cell without.
func session() report.Session {
	s := report.Session{
		Taken: time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC), Machine: "2 cores", WindowS: 4,
		Limits: report.Limits{Steal: 0.06, Others: 0.1},
		Titles: map[string]string{"sync": "sync, 64 callers", "text": "16 KiB of text"},
	}
	add := func(cell, contender string, rate, steal float64) {
		r := report.Run{
			Cell: cell, Contender: contender,
			Result: load.Result{
				Messages: int64(4 * rate), Seconds: 4, Accepted: int64(6 * rate), P50: 64e6 / rate, P99: 200e6 / rate, P999: 400e6 / rate,
				Allocs: 2.5, Bytes: 300, Counters: map[string]float64{"writes": 0.25, "reads": 0.5},
			},
			Rate: rate, ClientCPU: 4e5 / rate, ServerCPU: 1e6 / rate, ClientSwitches: 1.5, ServerSwitches: 3, ClientPeak: 12, Steal: steal,
			StoredShare: 1, StoredSize: 1224,
		}
		if contender == "java" {
			r.Allocs, r.Counters = -1, nil
		}
		r.Judge(s.Limits)
		s.Runs = append(s.Runs, r)
	}
	for i := range 6 {
		add("sync", "limit", 20_000+100*float64(i), 0.01)
		add("sync", "liftoff", 18_000+100*float64(i), 0.01)
		add("sync", "goclient", 10_000+1000*float64(i), 0.01*float64(i)) // all valid
		add("sync", "java", 1_234_567, 0.045+0.01*float64(i))            // two valid
	}
	add("text", "liftoff+zstd", 5_000, 0.01)
	s.Runs = append(s.Runs, report.Run{Cell: "text", Contender: "java", Error: "signal: killed\nby | nobody", Invalid: "failed"})
	return s
}

func TestSummarize(t *testing.T) {
	got := map[string]report.Summary{}
	for _, s := range report.Summarize(session().Runs) {
		got[s.Cell+"/"+s.Contender] = s
	}
	if len(got) != 6 {
		t.Fatalf("got %d summaries", len(got))
	}
	if s := got["sync/liftoff"]; s.Doubtful || s.Valid != 6 || s.Rate != (report.Range{Median: 18_250, Min: 18_000, Max: 18_500}) || s.Counters["writes"].Median != 0.25 {
		t.Errorf("liftoff: %+v", s)
	}
	if s := got["sync/java"]; !s.Doubtful || s.Valid != 2 || s.Runs != 6 || s.Counters != nil {
		t.Errorf("java: %+v", s)
	}
	if s := got["text/java"]; !s.Doubtful || s.Valid != 0 || s.Rate.Median != 0 || !strings.Contains(s.Failure, "killed") {
		t.Errorf("a contender that only failed: %+v", s)
	}
}

func TestMarkdown(t *testing.T) {
	s := session()
	s.Summaries = report.Summarize(s.Runs)
	got := report.Markdown(&s)
	const file = "testdata/table.md"
	if *update {
		if err := os.WriteFile(file, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if got != string(want) {
		t.Errorf("the table is not that of %s; -update writes it anew. Got:\n%s", file, got)
	}
}

func TestWrite(t *testing.T) {
	dir := t.TempDir()
	var shown bytes.Buffer
	if err := report.Write(dir, session(), &shown); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"bench.json", "bench.md", "of-limit.svg", "rate.svg", "client-cpu.svg", "broker-cpu.svg", "latency.svg"} {
		b, err := os.ReadFile(filepath.Join(dir, name))
		if err != nil || len(b) < 500 {
			t.Errorf("%s: %d bytes, %v", name, len(b), err)
		}
		if strings.HasSuffix(name, ".svg") && (!bytes.Contains(b, []byte("</svg>")) || !bytes.Contains(b, []byte("liftoff"))) {
			t.Errorf("%s is no plot of the contenders", name)
		}
	}
	var back report.Session
	b, _ := os.ReadFile(filepath.Join(dir, "bench.json"))
	if err := json.Unmarshal(b, &back); err != nil || len(back.Runs) != len(session().Runs) || len(back.Summaries) != 6 {
		t.Errorf("%d runs and %d summaries came back: %v", len(back.Runs), len(back.Summaries), err)
	}
	if !strings.Contains(shown.String(), "x Go client") {
		t.Errorf("shown: %q", shown.String())
	}
}

// Every entry of a list has a line of its own, whatever the strings in it hold, and the value is the same.
func TestJSON(t *testing.T) {
	s := report.Session{
		Titles: map[string]string{"c": `},{"`},
		Runs:   []report.Run{{Cell: `a},{"b`, Error: `:[{"`}, {Cell: "c"}, {Cell: "d"}},
	}
	text, err := report.JSON(s)
	if err != nil {
		t.Fatal(err)
	}
	var got report.Session
	if err := json.Unmarshal(text, &got); err != nil || got.Runs[0].Cell != s.Runs[0].Cell || got.Runs[0].Error != s.Runs[0].Error || got.Titles["c"] != s.Titles["c"] {
		t.Errorf("%v: %s", err, text)
	}
	if n := bytes.Count(text, []byte("\n")); n != 4 {
		t.Errorf("%d lines for three runs:\n%s", n, text)
	}
}
