package main

import (
	"bytes"
	"context"
	"os"
	"os/signal"
	"strings"
	"sync"
	"syscall"
	"testing"

	"go.uber.org/goleak"

	"github.com/liftoff-mq/liftoff/internal/simulate"
)

// asProgram in the environment makes the test's binary the program itself, which starts itself.
const asProgram = "LIFTOFF_TEST_AS_PROGRAM"

func TestMain(m *testing.M) {
	if os.Getenv(asProgram) != "" {
		ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM)
		defer stop()
		if err := run(ctx, os.Args[1:], os.Stdout, os.Stderr); err != nil {
			os.Stderr.WriteString(err.Error())
			os.Exit(1)
		}
		return
	}
	goleak.VerifyTestMain(m)
}

// locked is a writer that processes share.
type locked struct {
	mu sync.Mutex
	w  *bytes.Buffer
}

func (l *locked) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.w.Write(p)
}

func TestTable(t *testing.T) {
	report := func(incident simulate.Incident, policy string, errors int, p99 float64) *simulate.Report {
		return &simulate.Report{
			Scenario: simulate.Scenario{Incident: incident}, Policy: policy,
			Traffic:   simulate.Traffic{Calls: 20_000},
			Plain:     simulate.Traffic{Calls: 10_000, Errors: errors, SettledP99: p99},
			WithKey:   simulate.Traffic{Calls: 10_000, Errors: 2 * errors},
			SickShare: 0.25, Unexplained: 3, Duplicates: 10 * errors,
		}
	}
	reports := []*simulate.Report{
		report(simulate.Dead, "java", 100, 5), report(simulate.Dead, "java", 300, 3000), report(simulate.Dead, "java", 0, 7.25),
		report(simulate.Dead, "default", 0, 4), report(simulate.Slow, "default", 0, 5), report(simulate.Slow, "default", 1, 6),
	}
	reports[5].Lost = 2
	var b bytes.Buffer
	if err := table(&b, reports); err != nil {
		t.Fatal(err)
	}
	want := `| incident | policy | plain: errors | plain: p99 ms | worst seed | keyed: errors | elsewhere | to the sick broker | duplicates | lost |
| --- | --- | --- | --- | --- | --- | --- | --- | --- | --- |
| dead | java | 1.33% | 7.2 | 3000 | 2.67% | 9 | 25.0% | 6.67% | 0 |
|  | default | 0 | 4.0 | 4.0 | 0 | 3 | 25.0% | 0 | 0 |
| slow | default | < 0.01% | 6.0 | 6.0 | 0.01% | 6 | 25.0% | 0.03% | 2 |
`
	if b.String() != want {
		t.Errorf("got\n%s\nwant\n%s", b.String(), want)
	}
}

// The runs of all processes together are those of the table, each once.
func TestEveryRunHasOneProcess(t *testing.T) {
	runs := all(simulate.Incidents(), 3, 0.2)
	if want := 3 * len(simulate.Incidents()) * len(simulate.BuiltIn()); len(runs) != want {
		t.Errorf("%d runs, want %d", len(runs), want)
	}
	seen := map[string]bool{}
	for _, r := range runs {
		seen[string(r.scenario.Incident)+r.policy.Name+string(rune('0'+r.scenario.Seed))] = true
	}
	if len(seen) != len(runs) {
		t.Errorf("%d of %d runs differ", len(seen), len(runs))
	}
}

// The program as a whole, in two processes.
func TestProgram(t *testing.T) {
	t.Setenv(asProgram, "1")
	folder := t.TempDir()
	var out, diag bytes.Buffer
	args := []string{"-incident", "dead", "-seeds", "1", "-processes", "2", "-pictures", folder}
	if err := run(t.Context(), args, &out, &locked{w: &diag}); err != nil {
		t.Fatalf("%v: %s", err, diag.String())
	}
	if rows := strings.Count(out.String(), "\n") - 2; rows != len(simulate.BuiltIn()) {
		t.Errorf("%d rows, want one of each policy:\n%s", rows, out.String())
	}
	if pictures, err := os.ReadDir(folder); err != nil || len(pictures) != 1 || pictures[0].Name() != "incident-dead.svg" {
		t.Errorf("%v, pictures %v", err, pictures)
	}
	if !strings.Contains(diag.String(), "5 of 5 runs") {
		t.Errorf("progress: %q", diag.String())
	}
}

func TestWrongUsage(t *testing.T) {
	for _, args := range [][]string{{"-seeds", "0"}, {"-processes", "0"}, {"-part", "2", "-processes", "2"}, {"-nonsense"}, {"-incident", "fire", "-part", "0"}} {
		var b bytes.Buffer
		if err := run(t.Context(), args, &b, &b); err == nil {
			t.Errorf("%v: no error", args)
		}
	}
}

// A process that fails ends the others, and its words are told.
func TestAProcessFails(t *testing.T) {
	t.Setenv(asProgram, "1")
	var out, diag bytes.Buffer
	err := run(t.Context(), []string{"-keyed", "7", "-processes", "2"}, &out, &locked{w: &diag})
	if err == nil || !strings.Contains(diag.String(), "keyed: 7, want a share") {
		t.Errorf("%v: %s", err, diag.String())
	}
}
