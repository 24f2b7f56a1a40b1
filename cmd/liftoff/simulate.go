package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"time"

	"golang.org/x/term"

	"github.com/liftoff-mq/liftoff/core"
	"github.com/liftoff-mq/liftoff/internal/simulate"
	"github.com/liftoff-mq/liftoff/strategies/policyfile"
)

// simulateCmd are the flags of "liftoff policy simulate".
type simulateCmd struct {
	Policy   string            `arg:"" optional:"" default:"default" help:"A file of policies, or a built-in policy (${default}); see above."`
	Incident simulate.Incident `required:"" enum:"none,dead,hung,slow,busy,flapping,lost-answers,rolling-restart" placeholder:"NAME" help:"What happens: ${enum}."`
	Compare  string            `placeholder:"POLICY" help:"A second file or built-in policy, shown beside the first one."`
	Topic    string            `default:"Simulated" help:"Topic, by which a policy is chosen (${default})."`
	Brokers  int               `default:"3" placeholder:"N" help:"Brokers, each with 4 queues of the topic (${default})."`
	Rate     float64           `default:"500" placeholder:"R" help:"Calls a second that all callers together make while sends take no time (${default})."`
	Callers  int               `default:"64" placeholder:"N" help:"Callers, each of which sends one message after the other (${default})."`
	Keyed    float64           `default:"0" placeholder:"SHARE" help:"Share of the calls that have a sharding key, 0 to 1 (${default})."`
	Seed     uint64            `default:"1" placeholder:"N" help:"Decides all that is left to chance: the same seed gives the same numbers (${default})."`
	Duration time.Duration     `default:"60s" placeholder:"D" help:"Virtual time in which callers send (${default})."`
	Onset    time.Duration     `default:"10s" placeholder:"D" help:"When the incident begins (${default})."`
	Length   time.Duration     `default:"20s" placeholder:"D" help:"How long the incident lasts (${default})."`
	JSON     bool              `name:"json" help:"Print the numbers as a JSON object instead; with --compare a list of two."`
	Out      string            `placeholder:"FILE.svg" help:"Also draw the picture into a file, as SVG."`
}

// Help is the long help of "liftoff policy simulate".
func (simulateCmd) Help() string {
	return `Runs the real producer with a policy against the embedded cluster, in virtual time: a minute of traffic takes about a second. Nothing is sent to the network. It prints what the callers would have met, as numbers and as charts of each second.

The policy is that of --topic in a file of policies (see liftoff policy init), or a built-in one. A file's policies are simulated in a producer that has the default's steps; parts that a program registers cannot be simulated here. Every call is a synchronous send of one message: a policy whose rules refuse that cannot be simulated, and one that requires an order needs --keyed 1.

Built-in policies are default, the one of a producer without options; safe, which never stores a message twice; latency, with Java's latency table in the place of the circuit breakers; p2c, which chooses the less busy of two brokers for sends without a key; and java, what RocketMQ's Java producer does by default.

Incidents happen to the first broker:

    none             nothing happens
    dead             its process is killed; the name server drops it 4 s later
    hung             it accepts connections and answers nothing; what came is worked off at the end
    slow             it stores at once and answers 2 s later
    busy             it refuses each send with SYSTEM_BUSY
    flapping         it is killed and started again, a second each
    lost-answers     it stores a message and closes the connection instead of answering
    rolling-restart  each broker in turn is shut down for three quarters of its share of the time

Healthy brokers answer in 2 ms on average, and the network takes no time.

With --json the numbers are, among others:

    calls, errors, classes    calls, those that failed, and by what; plain and withKey have the same for either kind
    unexplained               errors with a sharding key while that key's broker was well, or later than 1 s after its return
    p50ms, p99ms, maxms       of whole calls, failed ones included
    healthyP99ms              p99 of the calls that ended before the incident
    settledP99ms              p99 of the calls that began during it, 2 s after its onset or later
    lost                      messages that were acknowledged and are not stored
    duplicates                messages that are stored more than once
    attempts, share           attempts that reached the network, and the share of each broker
    sickShare                 share of the attempts during the incident that went to a sick broker
    series                    all of it for each second

The exit status is 0 if the simulation ran, whatever it showed, and 2 for wrong usage.

Examples:

    liftoff policy simulate --incident hung
    liftoff policy simulate policies.yaml --topic Payments --incident hung --compare default
    liftoff policy simulate --incident slow --keyed 0.2 --compare java
    liftoff policy simulate safe --incident lost-answers --out lost-answers.svg
    liftoff policy simulate --incident dead --json | jq '{errors, duplicates, share}'`
}

// Run simulates and shows it.
func (c *simulateCmd) Run(ctx context.Context, con console) error {
	names := []string{c.Policy}
	if c.Compare != "" {
		names = append(names, c.Compare)
	}
	var policies []simulate.Policy
	var errs []error
	for _, name := range names {
		p, err := policyOf(name, c.Topic)
		policies, errs = append(policies, p), append(errs, err)
	}
	scenario := simulate.Scenario{
		Incident: c.Incident, Seed: c.Seed, Brokers: c.Brokers, Callers: c.Callers, Rate: c.Rate, Keyed: c.Keyed,
		Duration: c.Duration, Onset: c.Onset, Length: c.Length, Topic: c.Topic,
		Service: simulate.DefaultService,
	}
	if err := errors.Join(append(errs, scenario.Check(), c.checkOut())...); err != nil {
		return usage(err)
	}
	var reports []*simulate.Report
	for _, p := range policies {
		report, err := simulate.Run(ctx, scenario, p, showProgress(con.terminal, p.Name, c.Duration))
		if errors.Is(err, core.ErrInvalidMessage) {
			return fmt.Errorf("%w; every call here is a synchronous send, and --keyed says how many have a sharding key", err)
		}
		if err != nil {
			return err
		}
		reports = append(reports, report)
	}
	if err := c.show(con.out, reports); err != nil {
		return err
	}
	if c.Out == "" {
		return nil
	}
	return writeFile(c.Out, func(w io.Writer) error { return simulate.SVG(w, reports...) })
}

// policyOf is the policy that an argument names: a built-in one, or a topic's in a file.
func policyOf(name, topic string) (simulate.Policy, error) {
	p, err := simulate.Named(name)
	if err == nil {
		return p, nil
	}
	if _, missing := os.Stat(name); missing != nil {
		return p, fmt.Errorf("%w, or a file of policies: %w", err, missing)
	}
	// Here the file's mistakes are told at once. The simulation loads it again, because
	// strategies are made in its time.
	policies, err := policyfile.Load(name)
	if err != nil {
		if _, other := policyfile.Load(name, policyfile.AcceptUnregistered()); other == nil {
			err = fmt.Errorf("%w\nparts that a program registers cannot be simulated here", err)
		}
		return p, err
	}
	return simulate.FromSource(fmt.Sprintf("%s of %s", policies.Policy(topic).Name, name), func() (core.PolicySource, error) { return policyfile.Load(name) }), nil
}

func (c *simulateCmd) checkOut() error {
	if ext := filepath.Ext(c.Out); c.Out != "" && ext != ".svg" {
		return fmt.Errorf("--out %s: pictures are SVG, so the name has to end in .svg", c.Out)
	}
	return nil
}

func (c *simulateCmd) show(w io.Writer, reports []*simulate.Report) error {
	if !c.JSON {
		return simulate.Draw(w, widthOf(w), reports...)
	}
	enc := json.NewEncoder(w)
	enc.SetIndent("", "  ")
	if c.Compare == "" {
		return enc.Encode(reports[0])
	}
	return enc.Encode(reports)
}

// defaultWidth is what is written to something that has no width, such as a file.
const defaultWidth = 100

// widthOf is how many characters a line of w has.
func widthOf(w io.Writer) int {
	if f, ok := w.(*os.File); ok {
		if width, _, err := term.GetSize(int(f.Fd())); err == nil && width > 0 {
			return width
		}
	}
	return defaultWidth
}

// showProgress writes how far a run has come, if w is a terminal. The bar of other commands
// would ask for the time, and inside a simulation it is another one.
func showProgress(w io.Writer, policy string, all time.Duration) func(time.Duration) {
	if !isTerminal(w) {
		return nil
	}
	return progressLine(w, policy, all)
}

func progressLine(w io.Writer, policy string, all time.Duration) func(time.Duration) {
	return func(done time.Duration) {
		const clear = "\r\x1b[K"
		if done >= all {
			fmt.Fprint(w, clear)
			return
		}
		fmt.Fprintf(w, clear+"simulating %s: %v of %v", policy, done.Truncate(time.Second), all)
	}
}

// writeFile makes a file of what write writes, or changes nothing.
func writeFile(name string, write func(io.Writer) error) (err error) {
	f, err := os.CreateTemp(filepath.Dir(name), filepath.Base(name)+".*")
	if err != nil {
		return err
	}
	err = errors.Join(write(f), f.Close())
	if err == nil {
		err = os.Rename(f.Name(), name)
	}
	if err != nil {
		_ = os.Remove(f.Name()) // the first error says it
	}
	return err
}
