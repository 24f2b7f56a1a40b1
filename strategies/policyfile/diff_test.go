package policyfile_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/liftoff-mq/liftoff/strategies/policyfile"
)

// What files mean is compared, and not how they say it.
func TestDiff(t *testing.T) {
	const base = `
version: 1
policies:
  default: {timeout: 3s, retry: safe, compression: {codec: lz4, minSize: 1MiB}}
  payments: {extends: default, timeout: 10s}
targets:
  topics: {Payments: payments, Invoices: payments}
  prefixes: {Pay: payments}
  patterns: [{match: "*-a", policy: payments}, {match: "*-b", policy: default}]
`
	for _, tt := range []struct{ what, old, now, want string }{
		{"nothing", "", "", ""},
		{"a comment", "version: 1", "version: 1 # one", ""},
		{
			"another way to write it", "{timeout: 3s, retry: safe, compression: {codec: lz4, minSize: 1MiB}}",
			"\n    compression:\n      minSize: \"1024KiB\"\n      codec: lz4\n    retry: {safe: {}}\n    timeout: 3000ms", "",
		},
		{"said and taken over", "{extends: default, timeout: 10s}", "{timeout: 10s, retry: {safe: }, compression: {codec: lz4, minSize: 1MiB}}", ""},
		{"a time, which another policy has replaced", "timeout: 3s", "timeout: 4s", "policy default, timeout: 3s becomes 4s"},
		{
			"what a policy takes over", "retry: safe", "retry: {safe: {retries: 5}}",
			"policy default, retry: safe becomes {safe: {retries: 5}}\npolicy payments, retry: safe becomes {safe: {retries: 5}}",
		},
		{"a field more", "timeout: 10s}", "timeout: 10s, selector: random}", "policy payments, selector: added random"},
		{"a field less", "{timeout: 3s, ", "{", "policy default, timeout: removed 3s"},
		{"a policy more", "targets:", "  spare: {retry: none}\ntargets:", "policy spare: added {retry: none}"},
		{"a topic", "Invoices: payments", "Invoices: default", "topic Invoices: payments becomes default"},
		{"a topic less", ", Invoices: payments", "", "topic Invoices: removed payments"},
		{"a prefix", "{Pay: payments}", "{Pa: payments}", "prefix Pa: added payments\nprefix Pay: removed payments"},
		{"a pattern", `"*-b", policy: default`, `"*-b", policy: payments`, "pattern *-b: default becomes payments"},
		{
			"the order of patterns", `{match: "*-a", policy: payments}, {match: "*-b", policy: default}`, `{match: "*-b", policy: default}, {match: "*-a", policy: payments}`,
			"order of the patterns: *-a *-b becomes *-b *-a",
		},
		{"the default", "  prefixes:", "  default: payments\n  prefixes:", "every other topic: default becomes payments"},
	} {
		after := strings.Replace(base, tt.old, tt.now, 1)
		if tt.old != tt.now && after == base {
			t.Fatalf("%s: nothing is replaced", tt.what)
		}
		var got []string
		for _, c := range policyfile.Diff(mustParse(t, base), mustParse(t, after)) {
			got = append(got, c.String())
		}
		if text := strings.Join(got, "\n"); text != tt.want {
			t.Errorf("%s: got\n%s\nwant\n%s", tt.what, text, tt.want)
		}
	}
	if c := policyfile.Diff(mustParse(t, base), mustParse(t, strings.Replace(base, "10s", "9s", 1))); fmt.Sprintf("%+v", c) != "[policy payments, timeout: 10s becomes 9s]" ||
		c[0] != (policyfile.Change{What: "policy payments", Field: "timeout", Old: "10s", New: "9s"}) {
		t.Errorf("got %+v", c)
	}
}

func TestTarget(t *testing.T) {
	p := mustParse(t, whole)
	for topic, want := range map[string]string{
		"Payments": "topic Payments", "Orders": "prefix Ord", "OrdersEU1": "prefix OrdersEU", "Quotes-audit": "pattern *-audit", "Payxents": "pattern Pay?ents", "X": "default",
	} {
		for range 20 { // maps have no order
			if got := p.Target(topic); got != want {
				t.Errorf("%s: got %s, want %s", topic, got, want)
			}
		}
	}
}
