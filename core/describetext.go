package core

import (
	"fmt"
	"reflect"
	"slices"
	"strings"
)

// Here a pipeline becomes text for people: one who knows nothing else should be able to say
// what happens to a message.

// textWidth is where lines are broken, if they can be.
const textWidth = 110

// page collects the text.
type page struct {
	strings.Builder
	pipeline *Pipeline
	width    int // of the column of names
}

// String shows the chain, outermost first, a step with its settings; below it the limits
// and each policy with what becomes of a message under each kind of failure.
func (p *Pipeline) String() string {
	out := page{pipeline: p, width: len("transport")}
	for _, s := range p.steps {
		out.width = max(out.width, len(s.name))
	}
	for _, s := range p.call {
		out.step("call", s.stage, s.name, s.use)
	}
	out.line("core", "", "engine", "message id, route, queue selection, retry")
	for _, s := range p.attempt {
		out.step("attempt", s.stage, s.name, s.use)
	}
	if t := p.Transport(); t != nil {
		out.line("attempt", "", "transport", t.Summary)
		out.settings(4, t.Settings)
	} else {
		out.line("attempt", "", "transport", "")
	}
	for _, l := range p.listening {
		out.listener(l)
	}
	if limits := p.Limits(); len(limits) > 0 {
		out.WriteString("\nlimits\n")
		out.settings(2, limits)
	}
	for i := range p.policies {
		out.WriteByte('\n')
		out.policy(p.policies[:i], p.policies[i])
	}
	return out.String()
}

func (out *page) line(scope, stage, name, more string) {
	out.WriteString(strings.TrimRight(fmt.Sprintf("%-8s %-8s %-*s  %s", scope, stage, out.width, name, more), " "))
	out.WriteByte('\n')
}

// step writes a step with its description. A step of both scopes is described once.
func (out *page) step(scope, stage, name string, use any) {
	d, ok := find[Describer](use)
	twice := scope == "attempt" && slices.ContainsFunc(out.pipeline.call, func(s placed[Interceptor]) bool { return same(s.use, use) })
	switch {
	case ok && twice:
		out.line(scope, stage, name, "see above")
	case ok:
		about := Describe(d)
		out.line(scope, stage, name, about.Summary)
		out.settings(4, about.Settings)
	default:
		out.line(scope, stage, name, "")
	}
}

// listener writes a step that hears of events. One that is an interceptor too is described.
func (out *page) listener(l listening) {
	more := "is told of: " + strings.Join(l.events, ", ")
	_, call := l.part.(Interceptor)
	_, attempt := l.part.(AttemptInterceptor)
	d, ok := find[Describer](l.part)
	if call || attempt || !ok {
		out.line("listener", "", l.name, more)
		return
	}
	about := Describe(d)
	out.line("listener", "", l.name, about.Summary+"; "+more)
	out.settings(4, about.Settings)
}

// settings writes a setting a line.
func (out *page) settings(indent int, list []Setting) {
	width := 0
	for _, s := range list {
		width = max(width, len(s.Name))
	}
	for _, s := range list {
		out.row(indent, width, s.Name, s.Value)
	}
}

// row writes a name and a text beside it, which goes on below itself where it is long.
func (out *page) row(indent, width int, name, text string) {
	lead := fmt.Sprintf("%*s%-*s  ", indent, "", width, name)
	lines := wrap(text, max(textWidth-len(lead), textWidth/2))
	for i, l := range lines {
		if i > 0 {
			lead = strings.Repeat(" ", len(lead))
		}
		out.WriteString(strings.TrimRight(lead+l, " "))
		out.WriteByte('\n')
	}
}

// wrap breaks text at blanks, into at least one line.
func wrap(text string, width int) []string {
	lines := []string{""}
	for word := range strings.SplitSeq(text, " ") {
		last := &lines[len(lines)-1]
		switch {
		case *last == "":
			*last = word
		case len(*last)+1+len(word) > width:
			lines = append(lines, word)
		default:
			*last += " " + word
		}
	}
	return lines
}

// policy writes a policy. What it shares with one of those before it is not written again.
func (out *page) policy(before []*policy, p *policy) {
	d := p.describe(Sync)
	d.Budget.Summary += "; a retry that it does not grant is not made"
	if p.Budget == nil {
		d.Budget.Summary = noBudget
	}
	fmt.Fprintf(out, "policy %q, for %s\n", d.Name, d.Topics)
	out.field("time", Description{Summary: fmt.Sprintf("%s a call with all its attempts; %s an attempt, as long as another broker may take "+
		"the message and the retry policy would go on to it", d.Timeout, d.AttemptTimeout)})
	out.ownSteps(d)
	out.field("selector", out.shared(before, d.Selector, p, func(o *policy) any { return o.Selector }))
	out.field("retry", out.shared(before, d.Retry, p, func(o *policy) any { return o.Retry }))
	out.field("budget", out.shared(before, d.Budget, p, func(o *policy) any { return o.Budget }))
	out.field("health", out.shared(before, d.Health, p, func(o *policy) any { return o.Health }))
	out.field("failures", Description{Summary: "with two brokers, no sharding key and a full budget, a synchronous send that meets the same failure " +
		"at every attempt ends with"})
	for _, o := range before {
		if reflect.DeepEqual(o.forecast(Sync), d.Failures) {
			fmt.Fprintf(out, "    as in policy %q\n", o.Name)
			return
		}
	}
	out.failures(d.Failures)
}

func (out *page) field(name string, d Description) {
	const width = len("selector")
	out.row(2, width, name, d.Summary)
	out.settings(2+width+4, d.Settings)
}

// ownSteps writes what the policy's pipeline has that the producer's has not, and the reverse.
func (out *page) ownSteps(d PolicyDescription) {
	if len(d.Steps) > 0 {
		var list []Setting
		for _, s := range d.Steps {
			list = append(list, Setting{s.Name, strings.TrimSpace(s.Scope+" "+s.Stage) + ": " + s.Description.String()})
		}
		out.field("steps", Description{Summary: "its own, beside the producer's or in the place of one of the same name", Settings: list})
	}
	if len(d.Without) > 0 {
		out.field("without", Description{Summary: "steps of the producer's that are left out: " + strings.Join(d.Without, ", ")})
	}
	if len(d.Requires) > 0 {
		out.field("requires", Description{Summary: "steps that have to be there: " + strings.Join(d.Requires, ", ")})
	}
}

// shared is d, or where the strategy stands already: in a policy before, or as a step.
func (out *page) shared(before []*policy, d Description, p *policy, of func(*policy) any) Description {
	for _, o := range before {
		if same(of(o), of(p)) {
			return Description{Summary: fmt.Sprintf("shared with policy %q", o.Name)}
		}
	}
	for _, s := range slices.Concat(out.pipeline.steps, p.Steps) {
		if slices.ContainsFunc(s.Parts(), func(part any) bool { return same(part, of(p)) }) {
			return Description{Summary: "step " + s.name + ", above"}
		}
	}
	return d
}

// failures writes a table of three columns.
func (out *page) failures(list []FailureForecast) {
	names, ends := 0, 0
	for _, f := range list {
		names, ends = max(names, len(f.Name)), max(ends, len(f.end()))
	}
	for _, f := range list {
		fmt.Fprintf(out, "    %-*s  %-*s  %s\n", names, f.Name, ends, f.end(), f.Course())
	}
}
