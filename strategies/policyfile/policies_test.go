package policyfile_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/liftoff-mq/liftoff/core"
	"github.com/liftoff-mq/liftoff/core/coretest"
	"github.com/liftoff-mq/liftoff/strategies/policyfile"
	"github.com/liftoff-mq/liftoff/strategies/retry"
	"github.com/liftoff-mq/liftoff/strategies/selector"
)

// whole is a file that says everything.
const whole = `
version: 1
policies:
  base:
    timeout: 4s
    attemptTimeout: 1500ms
    selector: roundRobin
    retry:
      safe:
        retries: ${RETRIES}
        busy: 5
        pause: {decorrelated: {from: 5ms, to: 100ms}}
        atMost: {timeout: 1}
    budget: {tokens: {ratio: 0.25, burst: 7}}
    health: {breaker: {openFor: 7s, probes: 2}}
    compression: {codec: {zstd: {level: 4}}, minSize: 1KiB}
    limits: {rate: {perSecond: 100}, bulkhead: {max: 32}}
    rules: {key: required, maxBody: 64KiB, modes: [sync, async]}
    require: [validate]
  payments:
    extends: base
    timeout: ${TIMEOUT}
    compression: off
    health: none
    budget: none
  orders:
    extends: payments
    limits: {}
    rules: {}
    attemptTimeout: ${EMPTY:-500ms}
    selector: {healthy: {of: hash}}
    retry: java5
    health: {worst: {of: [latency, {breaker: {openFor: 3s}}]}}
targets:
  topics:
    Payments: payments
  prefixes:
    Ord: orders
    OrdersEU: payments
  patterns:
    - {match: "*-audit", policy: base}
    - {match: "Pay?ents", policy: orders}
  default: base
`

func mustParse(t *testing.T, text string, opts ...policyfile.Option) *policyfile.Policies {
	t.Helper()
	p, err := parse("test.yaml", []byte(text), opts...)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func TestPrecedence(t *testing.T) {
	p := mustParse(t, whole)
	for topic, want := range map[string]string{
		"Payments": "payments", "Payment": "base", "Ord": "orders", "Orders": "orders", "OrdersE": "orders", "OrdersEU-7": "payments",
		"Orders-audit": "orders", "Quotes-audit": "base", "Payxents": "orders", "Or": "base", "": "base",
	} {
		if got := p.Policy(topic).Name; got != want {
			t.Errorf("%q has policy %s, want %s", topic, got, want)
		}
	}
}

func TestValues(t *testing.T) {
	p := mustParse(t, whole)
	base, payments, orders := p.Policy("x"), p.Policy("Payments"), p.Policy("Orders")
	for _, tt := range []struct{ what, got, want string }{
		{"steps of orders", stepNames(orders.Steps), "breaker"},
		{"times of base", fmt.Sprint(base.Timeout, base.AttemptTimeout), "4s 1.5s"},
		{"times of payments", fmt.Sprint(payments.Timeout, payments.AttemptTimeout), "7s 1.5s"},
		{"times of orders", fmt.Sprint(orders.Timeout, orders.AttemptTimeout), "7s 500ms"},
		{"retry of base", core.Describe(base.Retry).String(), "safe (retries 3, retries of a busy broker 5, " +
			"pause random from 5ms to three times the last pause and at most 100ms, stored twice never, most retries by class of the last failure timeout:1)"},
		{"budget of base", core.Describe(base.Budget).String(), "token bucket (retries for each call that succeeds 0.25, burst 7..."},
		{"budget of payments", core.Describe(payments.Budget).String(), "none: every retry is granted"},
		{"health of payments", core.Describe(payments.Health).String(), "worst of no views: every broker counts as good"},
		{"steps of base", stepNames(base.Steps), "breaker compress.zstd limit.rate limit.bulkhead sendrules"},
		{"what base leaves out", strings.Join(base.Without, " "), "compress.zlib? compress.lz4?"},
		{"steps of payments", stepNames(payments.Steps), "limit.rate limit.bulkhead sendrules"},
		{"what payments leaves out", strings.Join(payments.Without, " "), "compress.zlib? compress.lz4? compress.zstd?"},
		{"require of orders", strings.Join(orders.Require, " "), "validate"},
	} {
		if prefix, more := strings.CutSuffix(tt.want, "..."); tt.got != tt.want && !(more && strings.HasPrefix(tt.got, prefix)) {
			t.Errorf("%s: got %s, want %s", tt.what, tt.got, tt.want)
		}
	}
	if base.Selector != payments.Selector || base.Retry != payments.Retry {
		t.Error("a policy does not share what it takes over")
	}
	if _, ok := base.Health.(policyfile.Stepper); !ok {
		t.Errorf("the breaker is a %T", base.Health)
	}
}

func stepNames(steps []core.Step) string {
	var names []string
	for i := range steps {
		names = append(names, steps[i].Name())
	}
	return strings.Join(names, " ")
}

// What String gives is the same file, understood the same way.
func TestString(t *testing.T) {
	p := mustParse(t, whole)
	golden(t, "testdata/whole.txt", p.String())
	again := mustParse(t, p.String())
	if again.String() != p.String() {
		t.Errorf("read again it is\n%s", again)
	}
	if changes := policyfile.Diff(p, again); changes != nil {
		t.Errorf("read again it differs: %v", changes)
	}
}

// Texts that look like something else stay texts, and a block of text ends where it ends.
func TestTexts(t *testing.T) {
	p := mustParse(t, "version: 1\npolicies:\n  default:\n    timeout: |\n      3s\n    attemptTimeout: 3s\n    require: ['1', '007', 5x, 'true', '60s', a b, \"q\\\"\\\\\\t\\x7f\", '1KiB']\n")
	want := []string{"1", "007", "5x", "true", "60s", "a b", "q\"\\\t\x7f", "1KiB"}
	got := p.Policy("T")
	if got.Timeout != 3*time.Second || !slices.Equal(got.Require, want) {
		t.Errorf("got %v %q", got.Timeout, got.Require)
	}
	again, err := parse("again", []byte(p.String()))
	if err != nil || !slices.Equal(again.Policy("T").Require, want) || again.String() != p.String() {
		t.Errorf("read again: %v, %v", again, err)
	}
}

func TestNoPolicies(t *testing.T) {
	p := mustParse(t, "version: 1\npolicies: {}\n")
	if got := p.Policy("T"); got.Name != "default" || got.Timeout != 0 || got.Selector != nil || len(p.Policies()) != 1 {
		t.Errorf("got %+v", got)
	}
	if again := mustParse(t, p.String()); again.String() != p.String() {
		t.Errorf("got %s", again)
	}
}

func TestNamesAndUnused(t *testing.T) {
	p := mustParse(t, "version: 1\npolicies: {b: {timeout: 1s}, a: {extends: b}, c:, default: {}}\ntargets: {topics: {T: a}}\n")
	if got := fmt.Sprint(p.Names(), p.Unused()); got != "[b a c default] [b c]" {
		t.Errorf("got %s", got)
	}
}

// A value that comes from a variable is one value, whatever is in it, and may be a number.
func TestVariables(t *testing.T) {
	p := mustParse(t, `
version: 1
policies:
  default:
    timeout: ${TIMEOUT}
    retry: {safe: {retries: "${RETRIES}"}}
    require: ["a$$b", "${DOLLAR}", "x${RETRIES}y${NOT_SET:-}z", $$]
`)
	got := p.Policy("T")
	if got.Timeout != 7*time.Second || strings.Join(got.Require, " ") != "a$b ${RETRIES} x3yz $" || !strings.Contains(core.Describe(got.Retry).String(), "retries 3") {
		t.Errorf("got %v %q %v", got.Timeout, got.Require, core.Describe(got.Retry))
	}
	if again := mustParse(t, p.String()); strings.Join(again.Policy("T").Require, " ") != "a$b ${RETRIES} x3yz $" {
		t.Errorf("got %s", again)
	}
}

func TestEnvironment(t *testing.T) {
	t.Setenv("LIFTOFF_TEST_TIMEOUT", "11s")
	p, err := policyfile.Parse("x", []byte("version: 1\npolicies: {default: {timeout: '${LIFTOFF_TEST_TIMEOUT}'}}"))
	if err != nil || p.Policy("T").Timeout != 11*time.Second {
		t.Errorf("got %v, %v", p, err)
	}
}

func TestLoad(t *testing.T) {
	file := filepath.Join(t.TempDir(), "policies.yaml")
	if _, err := policyfile.Load(file); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("got %v", err)
	}
	for text, want := range map[string]string{
		"\xef\xbb\xbfversion: 1\r\npolicies: {}\r\n":                   "",
		"version: 1\npolicies: {}\n" + strings.Repeat("#", 256<<10-24): "",
		"version: 1\npolicies: {}\n" + strings.Repeat("#", 256<<10-23): "it has more than 262144 bytes",
		strings.Repeat("x", 1<<20):                                     "it has more than 262144 bytes",
	} {
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		_, err := policyfile.Load(file)
		if (err == nil) != (want == "") || err != nil && !strings.Contains(err.Error(), want) {
			t.Errorf("got %v, want %q", err, want)
		}
	}
	if _, err := policyfile.Load(t.TempDir()); err == nil {
		t.Error("a directory was read")
	}
}

// Nobody reads more than a hundred mistakes.
func TestManyMistakes(t *testing.T) {
	var b strings.Builder
	b.WriteString("version: 1\npolicies:\n  default:\n")
	for i := range 150 {
		fmt.Fprintf(&b, "    key%d: 1\n", i)
	}
	_, err := parse("f", []byte(b.String()))
	lines := strings.Split(err.Error(), "\n")
	if len(lines) != 101 || lines[100] != "f: and 50 mistakes more" {
		t.Errorf("%d lines, the last is %s", len(lines), lines[len(lines)-1])
	}
}

// A program's parts are named like Liftoff's.
func TestPlugins(t *testing.T) {
	type numbers struct {
		Zone string        `json:"zone"`
		Wait time.Duration `json:"wait"`
	}
	var got numbers
	zone := policyfile.WithSelector("acme.zone", func(o *policyfile.Options) (core.SelectorFactory, error) {
		got = numbers{}
		o.Into(&got)
		if got.Zone == "" {
			return nil, errors.New("zone is missing")
		}
		return selector.Random(), nil
	})
	vip := policyfile.WithRetry("acme.vip", func(o *policyfile.Options) (core.RetryPolicy, error) {
		var inner core.RetryPolicy
		mode, tags := "fast", []string(nil)
		o.Retry("of", &inner)
		o.Choice("mode", &mode, "fast", "slow")
		o.Texts("tags", &tags)
		if !o.Has("of") {
			return nil, errors.New("it needs of")
		}
		return retry.Limit(inner, map[core.Class]int{core.ClassBusy: len(tags)}), nil
	})
	step := policyfile.WithStep("acme.audit", func(*policyfile.Options) (policyfile.Stepper, error) { return audit{}, nil })
	limit := policyfile.WithLimit("acme.quota", func(*policyfile.Options) (policyfile.Stepper, error) { return audit{}, nil })
	boom := policyfile.WithBudget("acme.boom", func(*policyfile.Options) (core.RetryBudget, error) { panic("boom") })
	none := policyfile.WithHealth("acme.none", func(*policyfile.Options) (core.HealthView, error) { return nil, nil })
	all := []policyfile.Option{zone, vip, step, boom, none, limit}
	text := "version: 1\npolicies:\n  default:\n    %s\n"
	for _, tt := range []struct{ in, want string }{
		{"selector: {acme.zone: {zone: a, wait: 3s}}", ""},
		{"selector: acme.zone", `f:4:15: policies.default.selector: zone is missing`},
		{"selector: {acme.zone: {zone: [a]}}", `f:4:34: policies.default.selector.acme.zone.zone: it is a list, want a text`},
		{"selector: {acme.zone: {zon: a, zone: b}}", `f:4:28: policies.default.selector.acme.zone.zon: unknown key; did you mean "zone"?`},
		{"selector: {acme.zone: {zone: , wait: 1s}}", `f:4:28: policies.default.selector.acme.zone.zone: it has no value`},
		{"retry: {acme.vip: {of: safe, mode: slow, tags: [a, b]}}", ""},
		{"retry: {acme.vip: {off: safe}}", `f:4:24: policies.default.retry.acme.vip.off: unknown key; did you mean "of"?`},
		{"retry: {acme.vip: {of: safe, mode: slw, tags: [{}]}}", "f:4:40: policies.default.retry.acme.vip.mode: \"slw\" is not known; did you mean \"slow\"?\n" +
			"f:4:52: policies.default.retry.acme.vip.tags[0]: it is a mapping, want a text"},
		{"steps: {acme.audit: }", ""},
		{"steps: {acme.audti: }", `f:4:13: policies.default.steps.acme.audti: this program has no step "acme.audti", which it would have to register; did you mean "acme.audit"?`},
		{"limits: {acme.quota: {}}", ""},
		{"budget: acme.boom", `f:4:13: policies.default.budget: the program's function panicked: boom`},
		{"budget: {acme.boom: {x: 1}}", `f:4:14: policies.default.budget.acme.boom: the program's function panicked: boom`},
		{"health: acme.none", `f:4:13: policies.default.health: the program made nothing of it`},
	} {
		p, err := parse("f", fmt.Appendf(nil, text, tt.in), all...)
		if tt.want == "" && err != nil || tt.want != "" && (err == nil || err.Error() != tt.want) {
			t.Errorf("%s: got\n%v\nwant\n%s", tt.in, err, tt.want)
		}
		if err == nil && strings.HasPrefix(tt.in, "selector") && (got != numbers{"a", 3 * time.Second}) {
			t.Errorf("got %+v", got)
		}
		if err == nil && strings.HasPrefix(tt.in, "steps") && stepNames(p.Policy("T").Steps) != "audit" {
			t.Errorf("the policy has the steps %s", stepNames(p.Policy("T").Steps))
		}
	}
}

type audit struct{}

func (audit) Step() core.Step {
	return core.CallStep("audit", core.StageGuard, core.InterceptorFunc(
		func(ctx context.Context, call *core.Call, next core.Handler) (*core.Result, error) {
			return next(ctx, call)
		}))
}

func TestWrongOptions(t *testing.T) {
	fine := func(*policyfile.Options) (core.SelectorFactory, error) { return selector.Random(), nil }
	for _, tt := range []struct {
		want string
		opts []policyfile.Option
	}{
		{`policyfile: option 0 is nil`, []policyfile.Option{nil}},
		{`policyfile: WithSelector("random"): the name is registered twice`, []policyfile.Option{policyfile.WithSelector("random", fine)}},
		{`policyfile: WithSelector("acme"): the name of a program's part has a dot and no blanks, such as "acme.vip"`, []policyfile.Option{policyfile.WithSelector("acme", fine)}},
		{`policyfile: WithSelector("a..b"): the name of a program's part has a dot and no blanks, such as "acme.vip"`, []policyfile.Option{policyfile.WithSelector("a..b", fine)}},
		{
			`policyfile: WithSelector("a.b"): the function is nil` + "\n" + `WithVariables: the function is nil` + "\n" + `WithInterval: 1ns is not between 10ms and 24h0m0s, and not 0`,
			[]policyfile.Option{policyfile.WithSelector("a.b", nil), policyfile.WithVariables(nil), policyfile.WithInterval(1)},
		},
		{`policyfile: WithSelector("a.b"): the name is registered twice`, []policyfile.Option{policyfile.WithSelector("a.b", fine), policyfile.WithSelector("a.b", fine)}},
	} {
		if _, err := policyfile.Parse("f", nil, tt.opts...); err == nil || err.Error() != tt.want {
			t.Errorf("got %v, want %s", err, tt.want)
		}
		if _, err := policyfile.Schema(tt.opts...); err == nil || err.Error() != tt.want {
			t.Errorf("Schema: got %v, want %s", err, tt.want)
		}
		if _, err := policyfile.NewWatcher("f", tt.opts...); err == nil || err.Error() != tt.want {
			t.Errorf("NewWatcher: got %v, want %s", err, tt.want)
		}
	}
}

// The starter is a file without mistakes that a default producer takes.
func TestStarter(t *testing.T) {
	p := mustParse(t, policyfile.Starter())
	cfg := coretest.Config(&coretest.Transport{})
	cfg.Policies = p
	if _, err := core.NewProducer(cfg); err != nil {
		t.Error(err)
	}
	if got := p.Policy("Payments"); got.Name != "payments" || got.Timeout != 10*time.Second || len(p.Unused()) != 0 {
		t.Errorf("got %+v", got)
	}
}

// The published schema is the one of this code.
func TestSchema(t *testing.T) {
	s, err := policyfile.Schema()
	if err != nil {
		t.Fatal(err)
	}
	golden(t, "schema.json", s)
}
