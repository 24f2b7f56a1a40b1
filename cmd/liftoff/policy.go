package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/liftoff-mq/liftoff"
	"github.com/liftoff-mq/liftoff/core"
	"github.com/liftoff-mq/liftoff/hooks/sendrules"
	"github.com/liftoff-mq/liftoff/strategies/policyfile"
)

// policyCmd are the commands of "liftoff policy".
type policyCmd struct {
	Init    policyInitCmd    `cmd:"" help:"Print a file of policies to start from, with comments."`
	Check   policyCheckCmd   `cmd:"" help:"Say everything that is wrong with a file of policies."`
	Explain policyExplainCmd `cmd:"" help:"Say what happens to the sends to a topic."`
	Diff    policyDiffCmd    `cmd:"" help:"Say what changes from one file of policies to another."`
	Schema  policySchemaCmd  `cmd:"" help:"Print the JSON Schema of the file."`

	Simulate simulateCmd `cmd:"" help:"Show what a policy does in an incident."`
}

// policyInitCmd are the arguments of "liftoff policy init".
type policyInitCmd struct {
	File string `arg:"" optional:"" help:"Write it to this file, which must not be there yet; without one, to standard output."`
}

// Run prints the starter.
func (c *policyInitCmd) Run(con console) error {
	if c.File == "" {
		_, err := fmt.Fprint(con.out, policyfile.Starter())
		return err
	}
	f, err := os.OpenFile(filepath.Clean(c.File), os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o666)
	if err != nil {
		return err
	}
	_, err = f.WriteString(policyfile.Starter())
	return errors.Join(err, f.Close())
}

// policySchemaCmd is "liftoff policy schema".
type policySchemaCmd struct{}

// Run prints the schema.
func (policySchemaCmd) Run(con console) error {
	schema, err := policyfile.Schema()
	if err != nil {
		return err
	}
	_, err = fmt.Fprint(con.out, schema)
	return err
}

// policyCheckCmd are the arguments of "liftoff policy check".
type policyCheckCmd struct {
	File string `arg:"" help:"The file."`
}

// Help is the long help of "liftoff policy check".
func (policyCheckCmd) Help() string {
	return `Each mistake is told with file, line and column and, where it can be guessed, with what was meant. Environment variables that the file names must be set or have a default. Parts that a program registers, whose names have a dot, are taken as they are: the program checks them. The exit status is 1 if anything is wrong.`
}

// Run checks the file, and that a producer takes its policies.
func (c *policyCheckCmd) Run(con console) error {
	policies, _, err := loadPolicies(c.File)
	if err != nil {
		return told(con, exitFail, err)
	}
	fmt.Fprintf(con.out, "%s: no mistakes; %s\n", c.File, plural(len(policies.Names()), "policy", "policies"))
	for _, tp := range policies.Policies() {
		fmt.Fprintf(con.out, "  %s: %s\n", tp.Topics, tp.Policy.Name)
	}
	for _, name := range policies.Unused() {
		fmt.Fprintf(con.out, "note: no target names policy %s\n", name)
	}
	for _, name := range unordered(policies) {
		fmt.Fprintf(con.out, "note: policy %s requires an order that its selector does not keep: messages pass only if they name their queue\n", name)
	}
	for _, part := range policies.Unregistered() {
		fmt.Fprintf(con.out, "note: %s is the program's own and was not checked\n", part)
	}
	return nil
}

// unordered are the policies that require an order of messages whose selector does not keep a
// sharding key in its queue. A selector of the program's own is unknown to the command, so it gives
// none then.
func unordered(policies *policyfile.Policies) (names []string) {
	if slices.ContainsFunc(policies.Unregistered(), func(part string) bool { return strings.HasPrefix(part, "selector ") }) {
		return nil
	}
	for _, tp := range policies.Policies() {
		p := tp.Policy
		if p.Selector == nil || slices.Contains(names, p.Name) || !slices.ContainsFunc(p.Steps, requiresOrder) {
			continue
		}
		s, ok := p.Selector.ForTopic("T").(core.ConsistentSelector)
		if !ok || !s.RequiresConsistency(&core.Message{Topic: "T", ShardingKey: "k"}) {
			names = append(names, p.Name)
		}
	}
	return names
}

// requiresOrder reports whether a step has the rule "ordered".
func requiresOrder(step core.Step) bool {
	return slices.ContainsFunc(step.Parts(), func(part any) bool {
		rules, ok := part.(*sendrules.Rules)
		return ok && slices.ContainsFunc(rules.Describe().Settings, func(s core.Setting) bool { return s.Name == "order" })
	})
}

// told tells mistakes, each on a line that begins with its place, and gives what ends the command.
func told(con console, status int, err error) error {
	fmt.Fprintln(con.err, err)
	return statusError(status)
}

func plural(n int, one, many string) string {
	if n == 1 {
		return "1 " + one
	}
	return fmt.Sprintf("%d %s", n, many)
}

// loadPolicies reads a file, and makes the producer that would send by it. Steps that the policies
// require are taken to be there: a program has more of them than the default producer.
func loadPolicies(file string) (*policyfile.Policies, *core.Producer, error) {
	policies, err := policyfile.Load(file, policyfile.AcceptUnregistered())
	if err != nil {
		return nil, nil, err
	}
	cfg := liftoff.Config{Group: "liftoff_policy", NameServers: []string{"127.0.0.1:9876"}}
	plain, err := liftoff.New(cfg)
	if err != nil {
		return nil, nil, err
	}
	var known []string
	for _, s := range plain.Pipeline().Steps() {
		known = append(known, s.Name)
	}
	options := []liftoff.Option{liftoff.WithPolicies(policies)}
	for _, tp := range policies.Policies() {
		for i := range tp.Policy.Steps {
			known = append(known, tp.Policy.Steps[i].Name())
		}
		for _, name := range tp.Policy.Require {
			if !slices.Contains(known, name) {
				known = append(known, name)
				options = append(options, liftoff.WithSteps(core.CallStep(name, core.StageObserve, required{})))
			}
		}
	}
	producer, err := liftoff.New(cfg, options...)
	if err != nil {
		return nil, nil, fmt.Errorf("%s: %w", file, err)
	}
	return policies, producer, nil
}

// required stands for a step that a policy requires and that the program has to bring along.
type required struct{}

// Intercept goes on.
func (required) Intercept(ctx context.Context, call *core.Call, next core.Handler) (*core.Result, error) {
	return next(ctx, call)
}

// Describe says that it is not the step itself.
func (required) Describe() core.Description {
	return core.Description{Summary: "required by a policy; the program has to bring it along"}
}

// policyExplainCmd are the arguments of "liftoff policy explain".
type policyExplainCmd struct {
	File  string `arg:"" help:"The file."`
	Topic string `required:"" help:"The topic, by the name that the program uses."`
	Mode  string `default:"sync" enum:"sync,async,oneway" help:"How the messages are sent: sync, async or oneway."`
	JSON  bool   `name:"json" help:"Print one JSON object instead of text."`
}

// Help is the long help of "liftoff policy explain".
func (policyExplainCmd) Help() string {
	return `Prints which policy serves the topic and why, the steps that a message runs through with the policy's numbers, and then in words what becomes of a send when every attempt meets the same failure. The numbers are not written down anywhere: the policies are asked what they would do, with two brokers, no sharding key and a full retry budget. Nothing is sent or connected.

With --json the object has topic, mode, target, policy (with failures) and pipeline.

Examples:

    liftoff policy explain policies.yaml --topic Payments
    liftoff policy explain policies.yaml --topic Payments --mode oneway
    liftoff policy explain policies.yaml --topic Payments --json | jq .policy.failures`
}

// explanation is what is said of a topic.
type explanation struct {
	Topic    string                 `json:"topic"`
	Mode     core.Mode              `json:"mode"`
	Target   string                 `json:"target"`
	Policy   core.PolicyDescription `json:"policy"`
	Pipeline *core.Pipeline         `json:"pipeline"`
}

// Run explains.
func (c *policyExplainCmd) Run(con console) error {
	if c.Topic == "" {
		return usage(errors.New("--topic: it is empty"))
	}
	policies, producer, err := loadPolicies(c.File)
	if err != nil {
		return told(con, exitFail, err)
	}
	e := explanation{Topic: c.Topic, Target: policies.Target(c.Topic)}
	if err := e.Mode.UnmarshalText([]byte(c.Mode)); err != nil {
		return usage(fmt.Errorf("--mode: %w", err))
	}
	if e.Pipeline, err = producer.PipelineFor(c.Topic); err != nil {
		return err
	}
	e.Policy = e.Pipeline.PoliciesIn(e.Mode)[0]
	if c.JSON {
		enc := json.NewEncoder(con.out)
		enc.SetIndent("", "  ")
		enc.SetEscapeHTML(false)
		return enc.Encode(e)
	}
	fmt.Fprintf(con.out, "Topic %s has policy %q: target %s of %s.\n\n%s\n", c.Topic, e.Policy.Name, e.Target, c.File, e.Pipeline)
	_, err = fmt.Fprint(con.out, e.words())
	return err
}

// policyDiffCmd are the arguments of "liftoff policy diff".
type policyDiffCmd struct {
	Old string `arg:"" help:"The file that is in use."`
	New string `arg:"" help:"The file that will be."`
}

// Help is the long help of "liftoff policy diff".
func (policyDiffCmd) Help() string {
	return `Compares what the files mean, policy by policy and target by target, and what becomes of sends under each kind of failure. Comments, the order of keys and ways to write the same do not count.

The exit status is 0 if nothing changes, 1 if something does, and 2 if a file has mistakes, as diff has it.`
}

// Run compares.
func (c *policyDiffCmd) Run(con console) error {
	old, before, errOld := loadPolicies(c.Old)
	now, after, errNow := loadPolicies(c.New)
	if err := errors.Join(errOld, errNow); err != nil {
		return told(con, exitUsage, err)
	}
	changes := policyfile.Diff(old, now)
	for _, change := range changes {
		fmt.Fprintln(con.out, change)
	}
	for _, line := range courses(before, after) {
		fmt.Fprintln(con.out, line)
	}
	if len(changes) > 0 {
		return errReported
	}
	return nil
}

// courses says which failures end differently under policies that both producers have.
func courses(before, after *core.Producer) []string {
	failures := map[string]string{}
	for _, p := range before.Pipeline().Policies() {
		for i := range p.Failures {
			failures[p.Name+"\x00"+p.Failures[i].Name] = p.Failures[i].String()
		}
	}
	var out []string
	for _, p := range after.Pipeline().Policies() {
		for i := range p.Failures {
			f := &p.Failures[i]
			if old, ok := failures[p.Name+"\x00"+f.Name]; ok && old != f.String() {
				out = append(out, fmt.Sprintf("policy %s, when %s: %s becomes %s", p.Name, withArticle(f.Name), old, f))
			}
		}
	}
	return out
}

// withArticle makes "broker hangs" a clause.
func withArticle(failure string) string {
	switch failure {
	case "connection refused", "connection lost", "message refused":
		noun, verb, _ := strings.Cut(failure, " ")
		return "the " + noun + " is " + verb
	case "unexplained error":
		return "the broker fails without a reason"
	case "no permission":
		return "the broker gives no permission"
	case "wrong credentials":
		return "the credentials are wrong"
	}
	return "the " + failure
}
