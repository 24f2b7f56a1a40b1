package core

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/liftoff-mq/liftoff/internal/words"

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
		d = describer.Describe()
		return Description{Summary: words.Line(d.Summary, maxShown), Settings: fit(d.Settings)}
	}
	return Description{Summary: fmt.Sprintf("%T", part)}
}

// maxShown is the most bytes of one setting in a description or a report. Parts make them of
// what others wrote, such as the names of servers.
const maxShown = 4 << 10

// fit makes the settings that a part gave fit to be shown.
func fit(given []Setting) []Setting {
	out := slices.Clone(given)
	for i := range out {
		out[i].Name, out[i].Value = words.Line(out[i].Name, maxShown), words.Line(out[i].Value, maxShown)
	}
	return out
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
	Timeout        string            `json:"timeout"`        // of a call
	AttemptTimeout string            `json:"attemptTimeout"` // while another broker is left
	Selector       Description       `json:"selector"`
	Retry          Description       `json:"retry"`
	Budget         Description       `json:"budget"`
	Health         Description       `json:"health"`
	Steps          []PlacedStep      `json:"steps,omitempty"`    // its own, beside the producer's or in their places
	Without        []string          `json:"without,omitempty"`  // steps of the producer's that it does not run
	Requires       []string          `json:"requires,omitempty"` // steps that it has to run
	Failures       []FailureForecast `json:"failures"`
}

// Steps are the steps in order, message scope first, then attempt scope, then those that
// listen; a step that does several of these is there several times.
func (p *Pipeline) Steps() []PlacedStep {
	return p.placed(func(string) bool { return true })
}

// placed describes the steps of some names.
func (p *Pipeline) placed(wanted func(name string) bool) []PlacedStep {
	out := []PlacedStep{}
	add := func(s PlacedStep) {
		if wanted(s.Name) {
			out = append(out, s)
		}
	}
	for _, s := range p.call {
		add(PlacedStep{Name: s.name, Scope: "call", Stage: s.stage, Description: Describe(s.use)})
	}
	for _, s := range p.attempt {
		add(PlacedStep{Name: s.name, Scope: "attempt", Stage: s.stage, Description: Describe(s.use)})
	}
	for _, l := range p.listening {
		add(PlacedStep{Name: l.name, Scope: "listener", Events: l.events, Description: Describe(l.part)})
	}
	return out
}

// Transport describes the transport. It is nil for a pipeline that [Resolve] made.
func (p *Pipeline) Transport() *Description {
	if p.cfg == nil {
		return nil
	}
	d := Description{Summary: fmt.Sprintf("%T", p.cfg.Transport)}
	if t, ok := find[Describer](p.cfg.Transport); ok {
		d = Describe(t)
	}
	return &d
}

// Limits are the producer's bounds, with what happens beyond them. A pipeline that
// [Resolve] made has none.
func (p *Pipeline) Limits() []Setting {
	if p.cfg == nil {
		return nil
	}
	c := p.cfg
	out := []Setting{
		{"asynchronous sends", fmt.Sprintf("%d under way, with bodies of %s; beyond that SendAsync waits for room within the call's time "+
			"and then fails (%v, %v), and TrySendAsync fails at once", c.MaxInFlight, words.Size(c.MaxInFlightBytes), ClassInFlight, NotSent)},
		{"workers", fmt.Sprintf("%d of them are worked on at a time, and up to %d when that many are answered; the others stand in line "+
			"within their time", min(firstPlaces, c.MaxWorkers), c.MaxWorkers)},
		{"other sends", "no limit: each is worked on by the goroutine that calls"},
		{"attempts", fmt.Sprintf("%d a call, whatever the retry policy says", maxAttempts)},
		{"routes", fmt.Sprintf("looked up at the first send to a topic, within %s, again every %v, and after errors that may come of an old route; "+
			"a send without a route fails (%v) and no retry policy is asked", routeTime(c.RouteTimeout), c.RouteRefresh, NotSent)},
		{"servers' requests", handled(c.Handlers)},
	}
	if c.TransactionChecker != nil {
		out = append(out, Setting{"transactions", fmt.Sprintf("a broker that asks is answered by %s, within %v and by up to %d at a time",
			Describe(c.TransactionChecker).Summary, checkTime, inboxWorkers)})
	}
	if len(c.Topics) > 0 {
		out = append(out, Setting{"topics", fmt.Sprintf("%s: looked up at the start, with connections to their brokers", strings.Join(c.Topics, ", "))})
	}
	return out
}

// routeTime says how long a look-up may take.
func routeTime(limit time.Duration) string {
	if limit == 0 {
		return fmt.Sprintf("the call's time (the look-up itself goes on for %v at least)", DefaultRouteTimeout)
	}
	return limit.String()
}

// handled says which requests of servers have a handler.
func handled(handlers map[ServerRequestKind]ServerRequestHandler) string {
	var names []string
	for _, kind := range slices.Sorted(maps.Keys(handlers)) {
		names = append(names, kind.String())
	}
	if len(names) == 0 {
		return "refused: nothing handles them"
	}
	return fmt.Sprintf("handlers for %s; others are refused, and so is what comes while %d wait", strings.Join(names, ", "), inboxRequests)
}

// Policies are the policies of the producer that the pipeline is of, in the order in which
// topics are matched, with the failures of synchronous calls. A pipeline that [Resolve] made has
// none.
func (p *Pipeline) Policies() []PolicyDescription { return p.PoliciesIn(Sync) }

// PoliciesIn are the policies with the failures of calls of a mode. Those of one-way calls are
// the failures of which such a call can hear.
func (p *Pipeline) PoliciesIn(mode Mode) []PolicyDescription {
	out := make([]PolicyDescription, 0, len(p.policies))
	for _, pol := range p.policies {
		out = append(out, pol.describe(mode))
	}
	return out
}

const noBudget = "none: every retry is granted"

func (p *policy) describe(mode Mode) PolicyDescription {
	d := PolicyDescription{
		Name: p.Name, Topics: p.topics, Timeout: p.Timeout.String(), AttemptTimeout: p.AttemptTimeout.String(),
		Selector: Describe(p.Selector), Retry: Describe(p.Retry), Failures: p.forecast(mode),
		Without: slices.Clone(p.Without), Requires: slices.Clone(p.Require),
	}
	if len(p.Steps) > 0 {
		d.Steps = p.pipeline.placed(func(name string) bool {
			return slices.ContainsFunc(p.Steps, func(s Step) bool { return s.name == name })
		})
	}
	d.Budget, d.Health = Description{Summary: noBudget}, Description{Summary: "none: every broker counts as good"}
	if p.Budget != nil {
		d.Budget = Describe(p.Budget)
	}
	if p.Health != nil {
		d.Health = Describe(p.Health)
	}
	return d
}

// MarshalJSON gives the steps and, for a producer's pipeline, its transport, limits and
// policies, in words and with durations as text.
func (p *Pipeline) MarshalJSON() ([]byte, error) {
	return json.Marshal(struct {
		Steps     []PlacedStep        `json:"steps"`
		Transport *Description        `json:"transport,omitempty"`
		Limits    []Setting           `json:"limits,omitempty"`
		Policies  []PolicyDescription `json:"policies,omitempty"`
	}{p.Steps(), p.Transport(), p.Limits(), p.Policies()})
}
