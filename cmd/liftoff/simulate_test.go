package main

import (
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/liftoff-mq/liftoff/internal/race"
)

// simulated runs "liftoff policy simulate" over a short time.
func simulated(t *testing.T, args ...string) output {
	t.Helper()
	short := []string{"policy", "simulate", "--duration", "8s", "--onset", "2s", "--length", "4s"}
	return program(t, "", append(short, args...)...)
}

func TestSimulateDraws(t *testing.T) {
	out := simulated(t, "--incident", "busy", "--compare", "java", "--keyed", "0.1")
	if out.status != exitOK || out.err != "" {
		t.Fatalf("status %d, %s", out.status, out.err)
	}
	for _, want := range []string{"busy from 2s to 6s: 3 brokers, 64 callers, 500 calls/s, 10% with a key, seed 1", "default", "java", "p99 ms", "to broker-c /s"} {
		if !strings.Contains(out.out, want) {
			t.Errorf("%q is missing in:\n%s", want, out.out)
		}
	}
}

// numbersOf are some of the numbers of --json.
type numbersOf struct {
	Policy     string             `json:"policy"`
	Seed       uint64             `json:"seed"`
	Calls      int                `json:"calls"`
	Errors     *int               `json:"errors"`
	Lost       *int               `json:"lost"`
	Duplicates *int               `json:"duplicates"`
	P99        float64            `json:"p99ms"`
	Share      map[string]float64 `json:"share"`
	Series     []map[string]any   `json:"series"`
}

func TestSimulateJSON(t *testing.T) {
	args := []string{"safe", "--incident", "dead", "--json", "--seed", "3", "--brokers", "2", "--rate", "200", "--callers", "8"}
	out := simulated(t, args...)
	var n numbersOf
	if err := json.Unmarshal([]byte(out.out), &n); err != nil || out.status != exitOK {
		t.Fatalf("status %d, %v: %s", out.status, err, out.err)
	}
	if n.Policy != "safe" || n.Seed != 3 || n.Calls < 1000 || n.Errors == nil || n.Duplicates == nil || n.Lost == nil || *n.Lost != 0 ||
		n.P99 <= 0 || len(n.Share) != 2 || len(n.Series) < 8 {
		t.Errorf("got %+v", n)
	}
	if again := simulated(t, args...); again.out != out.out && !race.Enabled {
		t.Error("the same seed gave other numbers")
	}
	var both []numbersOf
	out = simulated(t, append(args, "--compare", "latency")...)
	if err := json.Unmarshal([]byte(out.out), &both); err != nil || len(both) != 2 || both[0].Policy != "safe" || both[1].Policy != "latency" {
		t.Errorf("%v: %+v", err, both)
	}
}

// The topic's policy of a file is what is simulated.
func TestSimulateAFile(t *testing.T) {
	file := filepath.Join(t.TempDir(), "policies.yaml")
	if out := program(t, "", "policy", "init", file); out.status != exitOK {
		t.Fatal(out.err)
	}
	results := map[string]numbersOf{}
	for topic, policy := range map[string]string{"Payments": "payments", "Anything": "default"} {
		out := simulated(t, file, "--incident", "hung", "--topic", topic, "--json")
		var n numbersOf
		if err := json.Unmarshal([]byte(out.out), &n); err != nil || n.Policy != policy+" of "+file {
			t.Fatalf("status %d, %v: %s", out.status, err, out.err)
		}
		results[topic] = n
	}
	if *results["Payments"].Duplicates != 0 || *results["Anything"].Duplicates == 0 {
		t.Errorf("%d duplicates of payments and %d of others, want some of others alone",
			*results["Payments"].Duplicates, *results["Anything"].Duplicates)
	}
	if err := os.WriteFile(file, []byte("version: 1\npolicies: {default: {retri: {}}}\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if out := simulated(t, file, "--incident", "hung"); out.status != exitUsage || !strings.Contains(out.err, file+":2:") {
		t.Errorf("a wrong file: status %d, %s", out.status, out.err)
	}
}

// What cannot be simulated is told with the reason.
func TestSimulateWhatItCannot(t *testing.T) {
	for _, tt := range []struct {
		name, policy, want string
		status             int
	}{
		{"one-way only", "rules: {modes: [oneway]}", "every call here is a synchronous send", exitFail},
		{"an order", "rules: {ordered: required}", "--keyed", exitFail},
		{"a program's part", "selector: acme.vip", "parts that a program registers cannot be simulated here", exitUsage},
	} {
		t.Run(tt.name, func(t *testing.T) {
			file := policyFile(t, "policies.yaml", "version: 1\npolicies: {default: {"+tt.policy+"}}\n")
			if out := simulated(t, file, "--incident", "none"); out.status != tt.status || !strings.Contains(out.err, tt.want) {
				t.Errorf("status %d, %s", out.status, out.err)
			}
		})
	}
}

func TestSimulateWritesAPicture(t *testing.T) {
	file := filepath.Join(t.TempDir(), "picture.svg")
	if out := simulated(t, "--incident", "slow", "--out", file); out.status != exitOK || !strings.Contains(out.out, "slow from") {
		t.Fatalf("status %d: %s", out.status, out.err)
	}
	svg, err := os.ReadFile(file)
	if err != nil || !strings.HasPrefix(string(svg), "<svg ") || !strings.HasSuffix(string(svg), "</svg>\n") {
		t.Errorf("%v: %.100s", err, svg)
	}
	if names, err := filepath.Glob(filepath.Join(filepath.Dir(file), "*")); err != nil || len(names) != 1 {
		t.Errorf("%v, the folder has %v", err, names)
	}
	if out := simulated(t, "--incident", "slow", "--out", filepath.Join(file, "in-a-file.svg")); out.status != exitFail || out.err == "" {
		t.Errorf("a folder that is none: status %d, %q", out.status, out.err)
	}
}

func TestSimulateWrongUsage(t *testing.T) {
	for _, tt := range []struct {
		name string
		args []string
		want []string
	}{
		{"no incident", nil, []string{"--incident"}},
		{"unknown incident", []string{"--incident", "fire"}, []string{"must be one of", "rolling-restart"}},
		{"unknown policies", []string{"--incident", "dead", "best", "--compare", "worst"}, []string{`policy "best" is not known`, `policy "worst"`, "java"}},
		{"a PNG", []string{"--incident", "dead", "--out", "a.png"}, []string{"--out a.png", "has to end in .svg"}},
		{"all at once", []string{"--incident", "dead", "--brokers", "0", "--rate", "0", "--keyed", "2", "--length", "9s"}, []string{"brokers: 0", "rate: 0", "keyed: 2", "the incident ends after 11s"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			out := simulated(t, tt.args...)
			if out.status != exitUsage || out.out != "" {
				t.Errorf("status %d, output %q", out.status, out.out)
			}
			for _, want := range tt.want {
				if !strings.Contains(out.err, want) {
					t.Errorf("%q is missing in: %s", want, out.err)
				}
			}
		})
	}
}

// Package testing, which the simulation uses, shows nowhere: there are no flags of tests, and
// nothing says PASS or FAIL.
func TestSimulateLooksLikeNoTest(t *testing.T) {
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), self, "policy", "simulate", "--incident", "none", "--duration", "2s", "--json")
	cmd.Env = append(os.Environ(), asProgram+"=1")
	both, err := cmd.CombinedOutput()
	if err != nil || !json.Valid(both) {
		t.Errorf("%v, the output is more than a JSON object: %.200s", err, both)
	}
	help := program(t, "", "policy", "simulate", "--help")
	if strings.Contains(help.out, "test.") {
		t.Errorf("flags of tests in the help:\n%s", help.out)
	}
}

// lines of a terminal cannot be had here; what would be written there can.
func TestProgressOfASimulation(t *testing.T) {
	var b lockedBuffer
	if show := showProgress(&b, "default", time.Minute); show != nil {
		t.Error("progress for a writer that is no terminal")
	}
	show := progressLine(&b, "default", time.Minute)
	show(3 * time.Second)
	if got, want := b.String(), "\r\x1b[Ksimulating default: 3s of 1m0s"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
	show(time.Minute)
	if got := b.String(); !strings.HasSuffix(got, "\r\x1b[K") {
		t.Errorf("the line stays at the end: %q", got)
	}
}
