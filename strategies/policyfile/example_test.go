package policyfile_test

import (
	"context"
	"errors"
	"fmt"
	"log"
	"os"
	"path/filepath"
	"strings"

	"github.com/liftoff-mq/liftoff/core"
	"github.com/liftoff-mq/liftoff/core/coretest"
	"github.com/liftoff-mq/liftoff/strategies/policyfile"
	"github.com/liftoff-mq/liftoff/strategies/retry"
	"github.com/liftoff-mq/liftoff/strategies/selector"
)

func ExampleParse() {
	policies, err := policyfile.Parse("policies.yaml", []byte(`
version: 1
policies:
  default: {timeout: 3s}
  payments: {extends: default, retry: safe}
targets:
  prefixes: {Payments: payments}
`))
	if err != nil {
		log.Fatal(err)
	}
	for _, topic := range []string{"PaymentsEU", "Orders"} {
		p := policies.Policy(topic)
		fmt.Println(topic, p.Name, p.Timeout)
	}
	// Output:
	// PaymentsEU payments 3s
	// Orders default 3s
}

// All mistakes are told at once, each with its place.
func ExampleParse_mistakes() {
	_, err := policyfile.Parse("policies.yaml", []byte(`
version: 1
policies:
  default: {timeout: 3, retry: save}
  payments: {extend: default}
`))
	fmt.Println(err)
	// Output:
	// policies.yaml:4:22: policies.default.timeout: 3 has no unit; was 3ms or 3s meant?
	// policies.yaml:4:32: policies.default.retry: there is no retry policy "save"; did you mean "safe"?
	// policies.yaml:5:14: policies.payments.extend: unknown key; did you mean "extends"?
}

func ExampleLoad() {
	_, err := policyfile.Load("no-such-file.yaml")
	fmt.Println(errors.Is(err, os.ErrNotExist))
	// Output: true
}

// A selector of the program's own gets its options from the file.
func ExampleWithSelector() {
	zone := policyfile.WithSelector("acme.zone", func(o *policyfile.Options) (core.SelectorFactory, error) {
		var name string
		o.Text("name", &name)
		if name == "" {
			return nil, errors.New("it needs a name")
		}
		return selector.NewZone(selector.ZoneConfig{Brokers: []string{name + "-*"}})
	})
	for _, options := range []string{"{name: eu}", "{nam: eu}", "{}"} {
		text := "version: 1\npolicies: {default: {selector: {acme.zone: " + options + "}}}"
		p, err := policyfile.Parse("f", []byte(text), zone)
		if err != nil {
			fmt.Println(err)
			continue
		}
		fmt.Println(core.Describe(p.Policy("T").Selector).Settings[0])
	}
	// Output:
	// {zone eu-*}
	// f:2:45: policies.default.selector.acme.zone.nam: unknown key; did you mean "name"?
	// f:2:33: policies.default.selector.acme.zone: it needs a name
}

// register are the other kinds of parts that a program can register.
func register() []policyfile.Option {
	return []policyfile.Option{
		policyfile.WithRetry("acme.once", func(*policyfile.Options) (core.RetryPolicy, error) { return retry.None(), nil }),
		policyfile.WithBackoff("acme.none", func(*policyfile.Options) (retry.Backoff, error) { return retry.Exponential(0, 0, 0), nil }),
		policyfile.WithStep("acme.audit", func(*policyfile.Options) (policyfile.Stepper, error) { return audit{}, nil }),
		policyfile.WithLimit("acme.quota", func(*policyfile.Options) (policyfile.Stepper, error) { return audit{}, nil }),
	}
}

func ExampleSchema() {
	schema, err := policyfile.Schema(register()...)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(strings.Contains(schema, `"acme.once"`), strings.Contains(schema, `"acme.none"`), strings.Contains(schema, `"acme.audit"`), strings.Contains(schema, `"acme.quota"`))
	// Output: true true true true
}

func ExampleStarter() {
	p, err := policyfile.Parse("starter.yaml", []byte(policyfile.Starter()))
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(p.Names())
	// Output: [default payments]
}

// A file that changes while the producer runs. The program reads it by a call here; by itself the
// watcher looks once a second.
func ExampleNewWatcher() {
	dir, err := os.MkdirTemp("", "policies")
	if err != nil {
		log.Fatal(err)
	}
	defer os.RemoveAll(dir)
	path := filepath.Join(dir, "policies.yaml")
	write := func(text string) {
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			log.Fatal(err)
		}
	}
	write("version: 1\npolicies: {default: {timeout: 3s}}")
	w, err := policyfile.NewWatcher(path, policyfile.WithInterval(0))
	if err != nil {
		log.Fatal(err)
	}
	cfg := coretest.Config(&coretest.Transport{})
	cfg.Policies = w
	p, err := core.NewProducer(cfg)
	if err != nil {
		log.Fatal(err)
	}
	write("version: 1\npolicies: {default: {timeout: 5}}")
	fmt.Println(strings.Contains(w.Reload(context.Background()).Error(), "5 has no unit"), p.Pipeline().Policies()[0].Timeout)
	write("version: 1\npolicies: {default: {timeout: 5s}}")
	fmt.Println(w.Reload(context.Background()), p.Pipeline().Policies()[0].Timeout, w.Status().Changes)
	// Output:
	// true 3s
	// <nil> 5s 1
}

func ExampleDiff() {
	parse := func(text string) *policyfile.Policies {
		p, err := policyfile.Parse("f", []byte(text))
		if err != nil {
			log.Fatal(err)
		}
		return p
	}
	old := parse("version: 1\npolicies: {default: {timeout: 3s, retry: safe}}")
	now := parse("version: 1\npolicies: {default: {retry: {safe: {}}, timeout: 4s}}")
	for _, change := range policyfile.Diff(old, now) {
		fmt.Println(change)
	}
	// Output: policy default, timeout: 3s becomes 4s
}
