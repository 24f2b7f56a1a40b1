package core

import (
	"fmt"
	"strings"
	"time"

	"github.com/liftoff-mq/liftoff/internal/absent"
)

// Setting is a named value, in words for people: {"opens after", "5 failures in a row"}.
type Setting struct {
	Name  string `json:"name"`
	Value string `json:"value"`
}

// Description says what a step or strategy does and with which numbers.
type Description struct {
	// Summary says in a few words what it is: "round-robin over brokers".
	Summary string `json:"summary"`
	// Settings are its numbers and choices, most telling first.
	Settings []Setting `json:"settings,omitempty"`
}

// String gives "summary (name value, name value)".
func (d Description) String() string {
	if len(d.Settings) == 0 {
		return d.Summary
	}
	var b strings.Builder
	b.WriteString(d.Summary)
	for i, s := range d.Settings {
		if i == 0 {
			b.WriteString(" (")
		} else {
			b.WriteString(", ")
		}
		b.WriteString(s.Name)
		if s.Value != "" {
			b.WriteString(" ")
			b.WriteString(s.Value)
		}
	}
	b.WriteString(")")
	return b.String()
}

// Describer is implemented by steps, strategies, transports and compressors that describe
// themselves. What is described must not change while the value is in use.
type Describer interface {
	Describe() Description
}

// Describe asks part for its description. A part that is no [Describer], or panics, is
// described by its type.
func Describe(part any) (d Description) {
	defer func() {
		if recover() != nil {
			d = Description{Summary: fmt.Sprintf("%T", part)}
		}
	}()
	if describer, ok := part.(Describer); ok && !absent.Is(part) {
		return describer.Describe()
	}
	return Description{Summary: fmt.Sprintf("%T", part)}
}

// PlacedStep is a step at its place in a pipeline.
type PlacedStep struct {
	Name        string      `json:"name"`
	Scope       string      `json:"scope"`           // "call", "attempt" or "listener"
	Stage       string      `json:"stage,omitempty"` // in its scope
	Events      []string    `json:"events,omitempty"`
	Description Description `json:"description"`
}

// PolicyDescription is a policy in words.
type PolicyDescription struct {
	Name           string            `json:"name"`
	Topics         string            `json:"topics"`
	Timeout        time.Duration     `json:"timeout"`
	AttemptTimeout time.Duration     `json:"attemptTimeout"`
	Selector       Description       `json:"selector"`
	Retry          Description       `json:"retry"`
	Budget         Description       `json:"budget"`
	Health         Description       `json:"health"`
	Failures       []FailureForecast `json:"failures"`
}

// Steps are the steps in order, message scope first, then attempt scope, then those that
// listen; a step that does several of these is there several times.
func (p *Pipeline) Steps() []PlacedStep {
	var out []PlacedStep
	for _, s := range p.call {
		out = append(out, PlacedStep{Name: s.name, Scope: "call", Stage: s.stage, Description: Describe(s.use)})
	}
	for _, s := range p.attempt {
		out = append(out, PlacedStep{Name: s.name, Scope: "attempt", Stage: s.stage, Description: Describe(s.use)})
	}
	for _, l := range p.listening {
		out = append(out, PlacedStep{Name: l.name, Scope: "listener", Events: l.events, Description: Describe(l.part)})
	}
	return out
}

// Policies are the policies of the producer that the pipeline is of, in the order in which
// topics are matched. A pipeline that [Resolve] made has none.
func (p *Pipeline) Policies() []PolicyDescription {
	out := make([]PolicyDescription, 0, len(p.policies))
	for _, pol := range p.policies {
		out = append(out, pol.describe())
	}
	return out
}

func (p *policy) describe() PolicyDescription {
	d := PolicyDescription{
		Name: p.Name, Topics: p.topics, Timeout: p.Timeout, AttemptTimeout: p.AttemptTimeout,
		Selector: Describe(p.Selector), Retry: Describe(p.Retry), Failures: p.forecast(),
	}
	d.Budget, d.Health = Description{Summary: "none: every retry is granted"}, Description{Summary: "none: every broker counts as good"}
	if p.Budget != nil {
		d.Budget = Describe(p.Budget)
	}
	if p.Health != nil {
		d.Health = Describe(p.Health)
	}
	return d
}

// String shows the chain, outermost first, one step a line, and below it each policy with
// what becomes of a message under each kind of failure.
func (p *Pipeline) String() string {
	var b strings.Builder
	line := func(scope, stage, name, more string) {
		text := fmt.Sprintf("%-8s %-8s %-24s %s", scope, stage, name, more)
		b.WriteString(strings.TrimRight(text, " "))
		b.WriteByte('\n')
	}
	for _, s := range p.call {
		line("call", s.stage, s.name, describePlaced(s.use))
	}
	line("core", "", "engine", "message id, route, queue selection, retry")
	for _, s := range p.attempt {
		line("attempt", s.stage, s.name, describePlaced(s.use))
	}
	more := ""
	if p.transport != nil {
		more = describePlaced(p.transport)
	}
	line("attempt", "", "transport", more)
	for _, l := range p.listening {
		line("listener", "", l.name, strings.Join(l.events, ", "))
	}
	for _, d := range p.Policies() {
		b.WriteByte('\n')
		d.write(&b)
	}
	return b.String()
}

// describePlaced is a part's description, "" where it has none of its own.
func describePlaced(part any) string {
	if d, ok := find[Describer](part); ok {
		return Describe(d).String()
	}
	return ""
}

func (d PolicyDescription) write(b *strings.Builder) {
	fmt.Fprintf(b, "policy %q, for %s\n", d.Name, d.Topics)
	for _, row := range [...]struct{ name, value string }{
		{"time", fmt.Sprintf("%v a call with all its attempts; %v an attempt while another broker is left that the retry policy would use", d.Timeout, d.AttemptTimeout)},
		{"selector", d.Selector.String()},
		{"retry", d.Retry.String()},
		{"budget", d.Budget.String()},
		{"health", d.Health.String()},
	} {
		fmt.Fprintf(b, "  %-10s %s\n", row.name, row.value)
	}
	b.WriteString("  when every attempt of a synchronous send meets the same failure, with two brokers:\n")
	for _, f := range d.Failures {
		fmt.Fprintf(b, "    %-24s %s\n", f.Name, f.String())
	}
}
