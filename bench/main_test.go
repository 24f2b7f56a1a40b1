package main

import (
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/liftoff-mq/liftoff/bench/load"
	"github.com/liftoff-mq/liftoff/bench/procfs"
)

func TestCells(t *testing.T) {
	seen := map[string]bool{}
	quick := 0
	for _, c := range cells() {
		if seen[c.name] || c.name == "" || c.title == "" || len(c.contenders) == 0 {
			t.Errorf("cell %+v", c)
		}
		seen[c.name] = true
		if c.quick {
			quick++
		}
		s := c.spec
		s.Topic, s.Queues, s.WindowMS = c.servers.topic(), queues, 1
		if _, err := load.Parse(s.Args()); err != nil {
			t.Errorf("%s: %v", c.name, err)
		}
	}
	if quick != 3 {
		t.Errorf("%d quick cells take more or less than two minutes", quick)
	}
}

func TestChoose(t *testing.T) {
	names := func(o *options) (cells []string, contenders int) {
		chosen, err := choose(o)
		if err != nil {
			t.Fatal(err)
		}
		for _, c := range chosen {
			cells = append(cells, c.name)
			contenders += len(c.contenders)
		}
		return cells, contenders
	}
	if got, _ := names(&options{cells: "sync-64,oneway"}); !slices.Equal(got, []string{"sync-64-1024", "sync-64-128", "oneway-128"}) {
		t.Errorf("by name: %v", got)
	}
	if got, n := names(&options{cells: "text", contenders: "liftoff,limit"}); len(got) != 1 || n != 3 {
		t.Errorf("liftoff in both variants and the limit: %v with %d contenders", got, n)
	}
	if got, n := names(&options{quick: true}); len(got) != 3 || n != 12 {
		t.Errorf("quick: %v with %d contenders", got, n)
	}
	for _, o := range []options{{cells: "nothing"}, {contenders: "nobody"}} {
		if chosen, err := choose(&o); err == nil {
			t.Errorf("%+v chose %d cells", o, len(chosen))
		}
	}
}

func TestParse(t *testing.T) {
	if o, err := parse([]string{"--quick"}); err != nil || o.runs != 2 || o.window.Seconds() != 1.5 {
		t.Errorf("quick: %+v, %v", o, err)
	}
	if o, err := parse([]string{"-quick", "-runs", "7"}); err != nil || o.runs != 7 {
		t.Errorf("quick with seven runs: %+v, %v", o, err)
	}
	for _, args := range [][]string{{"-profile", "speed"}, {"cells"}, {"-nothing"}} {
		if o, err := parse(args); err == nil {
			t.Errorf("%v: %+v", args, o)
		}
	}
}

// holder counts how often it was closed.
type holder int

func (h *holder) Close() error { *h++; return nil }

func TestFollow(t *testing.T) {
	var held holder
	samples := 0
	sample := func() (procfs.Sample, error) {
		samples++
		return procfs.Sample{Client: procfs.Process{Switches: int64(samples)}}, nil
	}
	var r load.Result
	seen, err := follow(strings.NewReader("some log\nbegin\nmore\nend\n{\"messages\":7}\nlast words\n"), &r, sample, &held)
	if err != nil || held == 0 || len(seen) != 2 || seen[1].Client.Switches != 2 || r.Messages != 7 {
		t.Errorf("got %v, %+v, %v", seen, r, err)
	}
	for _, out := range []string{"", "begin\nend\n", "begin\n{}\n", "begin\nend\n{broken\n"} {
		if _, err := follow(strings.NewReader(out), &r, sample, &held); err == nil {
			t.Errorf("%q was taken for a run", out)
		}
	}
	gone := errors.New("the process has gone")
	if _, err := follow(strings.NewReader("begin\n"), &r, func() (procfs.Sample, error) { return procfs.Sample{}, gone }, &held); !errors.Is(err, gone) {
		t.Errorf("got %v", err)
	}
}

// The body is the same on every run and as long as it says; see the table for what it compresses to.
func TestText(t *testing.T) {
	a, b := filepath.Join(t.TempDir(), "a"), filepath.Join(t.TempDir(), "b")
	for _, file := range []string{a, b} {
		if err := writeText(file); err != nil {
			t.Fatal(err)
		}
	}
	x, _ := os.ReadFile(a)
	y, _ := os.ReadFile(b)
	if len(x) != textSize || string(x) != string(y) {
		t.Errorf("%d and %d bytes", len(x), len(y))
	}
}
