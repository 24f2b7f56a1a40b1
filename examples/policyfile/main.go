// Policyfile sends by the policies of a YAML file, which name a selector of the program's own, and
// changes the file while the producer runs.
//
//	go run .
//
// It is a module of its own, because its test checks the files against the JSON Schema with a
// library that programs which only send have no use for.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"

	_ "embed"

	"github.com/liftoff-mq/liftoff"
	"github.com/liftoff-mq/liftoff/core"
	"github.com/liftoff-mq/liftoff/strategies/policyfile"
	"github.com/liftoff-mq/liftoff/strategies/selector"
	"github.com/liftoff-mq/liftoff/transport/embedded"
)

func main() {
	if err := run(context.Background(), os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

// A program would read the file that it is told, and somebody else would change it.
//
//go:embed policies.yaml
var policies string

// registered are the program's own parts, by the names that the file has for them.
func registered() []policyfile.Option {
	return []policyfile.Option{policyfile.WithSelector("acme.region", region)}
}

// region prefers the brokers of a region, and with spill goes to others where those ail.
func region(o *policyfile.Options) (core.SelectorFactory, error) {
	var name string
	spill := false
	o.Text("region", &name)
	o.Bool("spill", &spill)
	if name == "" {
		return nil, errors.New("it needs a region")
	}
	zone := selector.ZoneConfig{Brokers: []string{name + "-*"}, Inner: selector.Random()}
	if spill {
		return selector.NewZone(zone)
	}
	return selector.Filter(selector.Random(), func(q core.Queue) bool { return strings.HasPrefix(q.Broker, name+"-") }), nil
}

func run(ctx context.Context, out io.Writer) (err error) {
	cluster, err := embedded.Start(ctx, embedded.Config{Brokers: []string{"eu-a", "us-a"}})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, cluster.Close()) }()
	dir, err := os.MkdirTemp("", "policies")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	file := filepath.Join(dir, "policies.yaml")
	if err := os.WriteFile(file, []byte(policies), 0o600); err != nil {
		return err
	}

	// liftoff.WithPolicyFile(file, registered()...) does the same for a program that does not
	// read the file by a call.
	watcher, err := policyfile.NewWatcher(file, registered()...)
	if err != nil {
		return err
	}
	producer, err := liftoff.New(liftoff.Config{Group: "shop", NameServers: cluster.NameServers()}, liftoff.WithPolicies(watcher))
	if err != nil {
		return err
	}
	if err := producer.Start(ctx); err != nil {
		return err
	}
	defer func() { err = errors.Join(err, producer.Shutdown(ctx)) }()

	show(out, producer)
	for range 3 {
		send(ctx, out, producer, &liftoff.Message{Topic: "Events-clicks", Body: []byte("click")})
	}
	send(ctx, out, producer, &liftoff.Message{Topic: "Payments", Body: []byte("100 EUR"), Keys: []string{"invoice-7"}})
	send(ctx, out, producer, &liftoff.Message{Topic: "Payments", Body: []byte("100 EUR")})

	fmt.Fprintln(out, "\nSomebody makes a mistake:")
	if err := os.WriteFile(file, []byte(strings.Replace(policies, "retry: none", "retry: nnoe", 1)), 0o600); err != nil {
		return err
	}
	fmt.Fprintln(out, strings.ReplaceAll(fmt.Sprint(watcher.Reload(ctx)), dir+string(filepath.Separator), ""))
	fmt.Fprintln(out, "\nand mends it, with less time for events:")
	if err := os.WriteFile(file, []byte(strings.Replace(policies, "timeout: 500ms", "timeout: 250ms", 1)), 0o600); err != nil {
		return err
	}
	if err := watcher.Reload(ctx); err != nil {
		return err
	}
	show(out, producer)
	return nil
}

// show says which topics are sent how.
func show(out io.Writer, producer *liftoff.Producer) {
	for _, p := range producer.Pipeline().Policies() {
		fmt.Fprintf(out, "%-32s %-8s %-5s %v\n", p.Topics, p.Name, p.Timeout, p.Retry)
	}
}

func send(ctx context.Context, out io.Writer, producer *liftoff.Producer, msg *liftoff.Message) {
	result, err := producer.Send(ctx, msg)
	if err != nil {
		fmt.Fprintf(out, "a message to %s: %v\n", msg.Topic, core.ClassOf(err))
		return
	}
	where := ""
	if msg.Topic == "Events-clicks" {
		where = " at " + result.Queue.Broker
	}
	fmt.Fprintf(out, "a message to %s: stored%s\n", msg.Topic, where)
}
