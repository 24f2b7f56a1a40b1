package main

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/liftoff-mq/liftoff/core"
	"github.com/liftoff-mq/liftoff/strategies/policyfile"
)

// policies is a file for these tests. It names a part and a step of some program's.
const policies = `
version: 1
policies:
  default:
    timeout: 3s
    retry: {atLeastOnce: {retries: 1}}
    require: [validate, otel.trace]
  payments:
    extends: default
    timeout: 10s
    retry: safe
    selector: {acme.vip: {lanes: 2}}
    compression: off
  spare: {extends: payments}
targets:
  topics: {Payments: payments}
  prefixes: {Pay: payments}
`

func policyFile(t *testing.T, name, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// What the commands print, with the file's folder left out.
func TestPolicyCommands(t *testing.T) {
	file := policyFile(t, "policies.yaml", policies)
	other := policyFile(t, "other.yaml", strings.NewReplacer("timeout: 10s", "timeout: 4s", "retries: 1", "retries: 2", "Pay: payments", "Pay: spare").Replace(policies))
	same := policyFile(t, "same.yaml", "# a comment\n"+strings.Replace(policies, "timeout: 10s", "timeout: 10000ms", 1))
	wrong := policyFile(t, "wrong.yaml", strings.NewReplacer("timeout: 10s", "timeout: 10", "retry: safe", "retry: save").Replace(policies))
	ordered := policyFile(t, "ordered.yaml", `version: 1
policies:
  payments: {rules: {ordered: required, modes: [sync]}}
  audit: {rules: {modes: [oneway, batch]}}
targets: {topics: {Payments: payments, Audit: audit}}
`)
	for _, tt := range []struct {
		golden string
		status int
		args   []string
	}{
		{"policy-init.txt", 0, []string{"init"}},
		{"policy-schema.txt", 0, []string{"schema"}},
		{"policy-check.txt", 0, []string{"check", file}},
		{"policy-check-wrong.txt", 1, []string{"check", wrong}},
		{"policy-explain.txt", 0, []string{"explain", file, "--topic", "Payments"}},
		{"policy-explain-async.txt", 0, []string{"explain", file, "--topic", "Orders", "--mode", "async"}},
		{"policy-explain-oneway.txt", 0, []string{"explain", file, "--topic", "Payday", "--mode", "oneway"}},
		{"policy-explain-ordered.txt", 0, []string{"explain", ordered, "--topic", "Payments"}},
		{"policy-explain-refused.txt", 0, []string{"explain", ordered, "--topic", "Audit"}},
		{"policy-explain-wrong.txt", 1, []string{"explain", wrong, "--topic", "Payday"}},
		{"policy-diff.txt", 1, []string{"diff", file, other}},
		{"policy-diff-same.txt", 0, []string{"diff", file, same}},
		{"policy-diff-wrong.txt", 2, []string{"diff", file, wrong}},
	} {
		t.Run(tt.golden, func(t *testing.T) {
			got := program(t, "", append([]string{"policy"}, tt.args...)...)
			if got.status != tt.status {
				t.Errorf("status %d, want %d", got.status, tt.status)
			}
			text := got.out + got.err
			for _, path := range []string{file, other, same, wrong, ordered} {
				text = strings.ReplaceAll(text, filepath.Dir(path)+string(filepath.Separator), "")
			}
			switch tt.golden {
			case "policy-init.txt":
				if text != policyfile.Starter() {
					t.Errorf("got %s", text)
				}
				return
			case "policy-schema.txt":
				if want, err := policyfile.Schema(); err != nil || text != want {
					t.Errorf("got %s, %v", text, err)
				}
				return
			}
			compare(t, tt.golden, text)
		})
	}
}

// The starter is written to a file that is not there yet, and passes the check.
func TestPolicyInitFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "policies.yaml")
	if got := program(t, "", "policy", "init", path); got.status != exitOK || got.out+got.err != "" {
		t.Fatalf("got %+v", got)
	}
	if got := program(t, "", "policy", "check", path); got.status != exitOK {
		t.Errorf("got %+v", got)
	}
	if got := program(t, "", "policy", "init", path); got.status != exitFail || !strings.Contains(got.err, "exists") {
		t.Errorf("written twice: %+v", got)
	}
}

// A policy whose selector breaks the order that its rules require is noted.
func TestPolicyCheckNotesLostOrder(t *testing.T) {
	for selector, noted := range map[string]bool{
		"roundRobin": true, "{zone: {brokers: [a], of: random}}": true, "hash": false, "{avoidTried: {of: hash}}": false, "acme.vip": false,
	} {
		file := policyFile(t, "policies.yaml", "version: 1\npolicies: {default: {selector: "+selector+", rules: {ordered: required}}}\n")
		got := program(t, "", "policy", "check", file)
		if got.status != exitOK || strings.Contains(got.out, "note: policy default requires an order that its selector does not keep") != noted {
			t.Errorf("%s: got %+v", selector, got)
		}
	}
}

func TestPolicyExplainNoTopic(t *testing.T) {
	file := policyFile(t, "policies.yaml", policies)
	if got := program(t, "", "policy", "explain", file, "--topic", ""); got.status != exitUsage || !strings.Contains(got.err, "--topic") {
		t.Errorf("got %+v", got)
	}
}

func TestPolicyExplainAsJSON(t *testing.T) {
	file := policyFile(t, "policies.yaml", policies)
	got := program(t, "", "policy", "explain", file, "--topic", "Payments", "--mode", "oneway", "--json")
	var e struct {
		Topic, Mode, Target string
		Policy              core.PolicyDescription
		Pipeline            map[string]any
	}
	if err := json.Unmarshal([]byte(got.out), &e); err != nil {
		t.Fatal(err, got)
	}
	if e.Topic != "Payments" || e.Mode != "oneway" || e.Target != "topic Payments" || e.Policy.Name != "payments" || e.Policy.Timeout != "10s" ||
		len(e.Policy.Failures) != 2 || e.Pipeline["steps"] == nil {
		t.Errorf("got %+v", e)
	}
}
