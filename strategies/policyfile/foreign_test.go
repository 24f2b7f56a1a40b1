package policyfile_test

import (
	"strings"
	"testing"

	"github.com/liftoff-mq/liftoff/core"
	"github.com/liftoff-mq/liftoff/core/coretest"
	"github.com/liftoff-mq/liftoff/strategies/policyfile"
)

// A file that names parts of some program's can be looked at without that program: plain parts
// stand in, which send, and which say what they are.
func TestAcceptUnregistered(t *testing.T) {
	const text = `
version: 1
policies:
  default:
    selector: {acme.zone: {any: [1, {x: y}]}}
    retry: {safe: {pause: acme.pause}}
    budget: acme.budget
    health: {worst: {of: [acme.health, latency]}}
    compression: {codec: acme.codec}
    limits: {acme.quota: {}}
    steps: {acme.audit: {}}
  other: {retry: acme.retry}
targets:
  topics: {Other: other}
`
	if _, err := parse("f", []byte(text)); err == nil {
		t.Error("nobody has registered them")
	}
	p := mustParse(t, text, policyfile.AcceptUnregistered())
	want := "selector acme.zone, back-off acme.pause, budget acme.budget, health view acme.health, codec acme.codec, limit acme.quota, step acme.audit, retry policy acme.retry"
	if got := strings.Join(p.Unregistered(), ", "); got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
	for _, part := range []any{p.Policy("T").Selector, p.Policy("T").Budget, p.Policy("Other").Retry} {
		if got := core.Describe(part).Summary; !strings.HasPrefix(got, "acme.") || !strings.HasSuffix(got, "stands here for it") {
			t.Errorf("it says %q", got)
		}
	}
	cfg := coretest.Config(&coretest.Transport{})
	cfg.Policies = p
	producer := coretest.Start(t, cfg)
	for _, topic := range []string{"T", "Other"} {
		if _, err := producer.Send(t.Context(), &core.Message{Topic: topic, Body: []byte(strings.Repeat("x", 8<<10))}); err != nil {
			t.Errorf("%s: %v", topic, err)
		}
	}
	// A name without a dot can be Liftoff's alone.
	if _, err := parse("f", []byte(strings.Replace(text, "acme.budget", "budgt", 1)), policyfile.AcceptUnregistered()); err == nil {
		t.Error("a name without a dot is accepted")
	}
}

// The first pause may be the longest.
func TestConstantPause(t *testing.T) {
	p := mustParse(t, "version: 1\npolicies: {default: {retry: {safe: {pause: {exponential: {from: 1s, to: 1s, jitter: 0}}}}}}")
	if got := core.Describe(p.Policy("T").Retry).String(); !strings.Contains(got, "pause 1s") {
		t.Errorf("got %s", got)
	}
}
