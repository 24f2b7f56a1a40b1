package scale

import (
	"context"
	"encoding/json"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/liftoff-mq/liftoff/bench/report"
)

// The program starts its own binary in other roles; here that is the test's.
func TestMain(m *testing.M) {
	if done, err := Role(os.Args[1:]); done {
		if err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		os.Exit(0)
	}
	goleak.VerifyTestMain(m)
}

// tiny is a session in which everything happens and nothing is large.
func tiny(t *testing.T) *options {
	o := &options{out: t.TempDir(), rounds: 1, warm: 10 * time.Millisecond, window: 250 * time.Millisecond, curves: curves(), weights: &weights{topics: 20, brokers: 3, inFlight: 50}}
	for i := range o.curves {
		o.curves[i].Sizes = []int{1, 3}
	}
	return o
}

func TestScale(t *testing.T) {
	o := tiny(t)
	o.profile = true
	show, err := os.Create(filepath.Join(t.TempDir(), "shown"))
	if err != nil {
		t.Fatal(err)
	}
	if err := scale(t.Context(), o, show); err != nil {
		t.Fatal(err)
	}
	if err := show.Close(); err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(filepath.Join(o.out, "scale.json"))
	if err != nil {
		t.Fatal(err)
	}
	var s session
	if err := json.Unmarshal(text, &s); err != nil {
		t.Fatal(err)
	}
	if len(s.Runs) != 2*len(o.curves) || len(s.Points) != len(s.Runs) || len(s.Knees) != len(o.curves) {
		t.Errorf("%d runs, %d points, %d knees of %d curves", len(s.Runs), len(s.Points), len(s.Knees), len(o.curves))
	}
	for _, r := range s.Runs {
		if r.Messages <= 0 || r.CPU <= 0 || r.Allocs < 1 || r.Goroutines < 3 || r.Threads < 2 || r.HeapMiB <= 0 || r.StacksMiB <= 0 || r.RSSMiB < r.HeapMiB || r.Failed > 0 {
			t.Errorf("%s, %d: %+v", r.Curve, r.Size, r)
		}
	}
	m := s.Memory
	if m.Topics.N != 20 || m.Connections.N != 2 || m.InFlight.N != 50 || m.InFlight.Written < 50 || m.Topics.RefreshCPU <= 0 {
		t.Errorf("weighed %+v, %+v, %+v", m.Topics, m.Connections, m.InFlight)
	}
	if each := m.InFlight.each(); each < size {
		t.Errorf("a send under way takes %v bytes", each)
	}
	shown, err := os.ReadFile(show.Name())
	if err != nil {
		t.Fatal(err)
	}
	table, err := os.ReadFile(filepath.Join(o.out, "scale.md"))
	if err != nil || !strings.HasPrefix(string(shown), string(table)) {
		t.Errorf("the table shown is not the one written, %v", err)
	}
	for _, c := range o.curves {
		if svg, err := os.ReadFile(filepath.Join(o.out, "scale-"+c.Name+".svg")); err != nil || !strings.Contains(string(svg), "</svg>") {
			t.Errorf("%s has no plot: %v", c.Name, err)
		}
		if info, err := os.Stat(filepath.Join(o.out, "scale-"+c.Name+"-3.cpu")); err != nil || info.Size() == 0 {
			t.Errorf("%s has no profile: %v", c.Name, err)
		}
	}
}

// What was measured before an interruption is written.
func TestInterrupted(t *testing.T) {
	o := tiny(t)
	ctx, cancel := context.WithCancel(t.Context())
	o.curves = o.curves[:1]
	at := o.curves[0].at
	o.curves[0].at = func(n int) (serveSpec, sendSpec) {
		if n == 3 {
			cancel()
		}
		return at(n)
	}
	null, err := os.OpenFile(os.DevNull, os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer null.Close()
	if err := scale(ctx, o, null); err == nil {
		t.Error("an interrupted session has no error")
	}
	text, err := os.ReadFile(filepath.Join(o.out, "scale.json"))
	var s session
	if err != nil || json.Unmarshal(text, &s) != nil || len(s.Runs) != 1 {
		t.Errorf("%d runs, %v", len(s.Runs), err)
	}
}

// A run that goes wrong is told and does not end the session.
func TestBadRun(t *testing.T) {
	o := tiny(t)
	o.weights, o.curves = nil, o.curves[:1]
	o.curves[0].at = func(n int) (serveSpec, sendSpec) {
		// No cluster has so many brokers.
		return serveSpec{Brokers: 1 + (n-1)*1000, Topics: 1, Queues: 1}, sendSpec{Topics: 1, InFlight: 1}
	}
	null, err := os.OpenFile(os.DevNull, os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer null.Close()
	if err := scale(t.Context(), o, null); err == nil || !strings.Contains(err.Error(), "2001 brokers") {
		t.Errorf("got %v", err)
	}
	table, err := os.ReadFile(filepath.Join(o.out, "scale.md"))
	if err != nil || !strings.Contains(string(table), "2001 brokers") {
		t.Errorf("%v, %s", err, table)
	}
}

func TestKnees(t *testing.T) {
	curve := func(name string, cpu ...float64) []point {
		var points []point
		for i, v := range cpu {
			p := point{Curve: name, Size: int(math.Pow10(i))}
			if v > 0 {
				p.Runs, p.CPU = 1, report.Range{Median: v}
			}
			points = append(points, p)
		}
		return points
	}
	for _, tt := range []struct {
		name string
		cpu  []float64
		want string // best, worst, ratio, grown, growth
	}{
		{"flat", []float64{4, 4, 4, 4, 4}, "1 1 1.00 10 1.00"},
		{"falling", []float64{8, 4, 2, 2, 2}, "100 1 4.00 1000 1.00"},
		{"knee", []float64{8, 4, 4, 5, 6}, "10 1 2.00 10000 1.50"},
		{"best too late", []float64{8, 8, 8, 6, 3}, "1000 1 1.33 10000 0.50"},
		{"missing", []float64{0, 4, 0, 0, 6}, "10 10000 1.50 10000 1.50"},
		{"last alone", []float64{0, 0, 0, 0, 6}, "none"},
		{"first alone", []float64{6}, "1 1 1.00 1 1.00"},
		{"nothing", nil, "none"},
	} {
		got := "none"
		if all := knees(curve(tt.name, tt.cpu...)); len(all) == 1 {
			k := all[0]
			got = fmt.Sprintf("%d %d %.2f %d %.2f", k.Best, k.Worst, k.Ratio, k.Grown, k.Growth)
		}
		if got != tt.want {
			t.Errorf("%s: got %s, want %s", tt.name, got, tt.want)
		}
	}
	if all := knees(append(curve("a", 1, 2), curve("b", 2, 1)...)); len(all) != 2 || all[0].Curve != "a" || all[1].Curve != "b" {
		t.Errorf("got %+v", all)
	}
}

func TestParse(t *testing.T) {
	for _, tt := range []struct {
		args   []string
		curves int
		weighs bool
	}{
		{nil, len(curves()), true},
		{[]string{"-curves", "topics,memory"}, 1, true},
		{[]string{"-curves", "memory"}, 0, true},
		{[]string{"-quick", "-curves", "queues,inflight"}, 2, false},
	} {
		o, err := parse(tt.args)
		if err != nil || len(o.curves) != tt.curves || (o.weights != nil) != tt.weighs || (o.rounds == 1) != slices.Contains(tt.args, "-quick") {
			t.Errorf("%q: %+v, %v", tt.args, o, err)
		}
	}
	for _, args := range [][]string{{"-curves", "queue"}, {"queues"}, {"-fast"}} {
		if o, err := parse(args); err == nil {
			t.Errorf("%q: %+v", args, o)
		}
	}
}
