// Config reads the settings of a producer from a YAML file, a JSON file and environment
// variables, with the libraries that programs use for that, and shows that all three say
// the same. Then it makes the producer. Nothing is sent.
//
//	go run .
//
// It is a module of its own, so that these libraries stay out of the programs that only send.
package main

import (
	_ "embed"
	"encoding/json"
	"fmt"
	"io"
	"log"
	"os"
	"strings"

	"github.com/caarlos0/env/v11"
	"github.com/liftoff-mq/liftoff"
	"github.com/liftoff-mq/liftoff/core"
	"github.com/liftoff-mq/liftoff/hooks/accumulate"
	"github.com/liftoff-mq/liftoff/strategies/breaker"
	"go.yaml.in/yaml/v3"
)

// The same settings three times. A program would read the files that it is told.
var (
	//go:embed settings.yaml
	fromYAML string
	//go:embed settings.json
	fromJSON string
	//go:embed settings.env
	fromEnv string
)

// Settings are a part of the program's own. Liftoff's structs are named fields of it.
type Settings struct {
	Producer   liftoff.Config    `json:"producer" yaml:"producer" envPrefix:"PRODUCER_"`
	Breaker    breaker.Config    `json:"breaker" yaml:"breaker" envPrefix:"BREAKER_"`
	Accumulate accumulate.Config `json:"accumulate" yaml:"accumulate" envPrefix:"ACCUMULATE_"`
}

func main() {
	if err := run(os.Stdout); err != nil {
		log.Fatal(err)
	}
}

func run(w io.Writer) error {
	var settings Settings
	for _, source := range []struct {
		name string
		read func() (Settings, error)
	}{
		{"YAML", func() (Settings, error) { return readYAML(fromYAML) }},
		{"JSON", func() (Settings, error) { return readJSON(fromJSON) }},
		{"environment", func() (Settings, error) { return readEnv(variables(fromEnv)) }},
	} {
		s, err := source.read()
		if err != nil {
			return fmt.Errorf("%s: %w", source.name, err)
		}
		text, err := json.Marshal(s)
		if err != nil {
			return err
		}
		fmt.Fprintf(w, "%s:\n  %s\n", source.name, text)
		settings = s
	}
	producer, err := settings.producer()
	if err != nil {
		return err
	}
	pipeline := producer.Pipeline()
	policy, transport := pipeline.Policies()[0], pipeline.Transport()
	fmt.Fprintf(w, "producer %s\n  a call         %s\n  an attempt     %s\n", producer.Group(), policy.Timeout, policy.AttemptTimeout)
	fmt.Fprintf(w, "  headers        %s\n  a dial         %s\n", setting(transport, "headers"), setting(transport, "dial"))
	fmt.Fprintf(w, "  breakers open  %s\n", setting(&policy.Health, "open for"))
	return nil
}

// setting finds a value in what a part says of itself.
func setting(d *core.Description, name string) string {
	for _, s := range d.Settings {
		if s.Name == name {
			return s.Value
		}
	}
	return "?"
}

// producer makes the producer that the settings describe. What is code, such as a logger,
// would be added here.
func (s Settings) producer() (*liftoff.Producer, error) {
	breakers, err := breaker.New(s.Breaker)
	if err != nil {
		return nil, err
	}
	small, err := accumulate.New(s.Accumulate)
	if err != nil {
		return nil, err
	}
	return liftoff.New(s.Producer, liftoff.WithBreaker(breakers), liftoff.WithHooks(small))
}

func readYAML(text string) (s Settings, err error) {
	dec := yaml.NewDecoder(strings.NewReader(text))
	dec.KnownFields(true) // a misspelt setting is a mistake
	err = dec.Decode(&s)
	return s, err
}

func readJSON(text string) (s Settings, err error) {
	err = json.Unmarshal([]byte(text), &s)
	return s, err
}

// readEnv reads variables; a program leaves Environment out, which means its own.
func readEnv(vars map[string]string) (s Settings, err error) {
	err = env.ParseWithOptions(&s, env.Options{Environment: vars})
	return s, err
}

// variables reads lines of NAME=value.
func variables(text string) map[string]string {
	vars := map[string]string{}
	for line := range strings.Lines(text) {
		if name, value, ok := strings.Cut(strings.TrimSpace(line), "="); ok {
			vars[name] = value
		}
	}
	return vars
}
