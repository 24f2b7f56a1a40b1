package main

import (
	"fmt"
	"slices"
	"strings"

	"github.com/liftoff-mq/liftoff/core"
)

// situations say what the failures of forecasts look like from outside, and by which words people
// look for them.
var situations = map[string]struct{ word, what string }{
	"broker hangs":          {"time-out", "a broker takes the message and never answers"},
	"connection refused":    {"no connection", "the brokers are down: no connection comes about"},
	"connection lost":       {"lost connection", "the connection breaks after the message was written, before the answer"},
	"broker is busy":        {"busy", "the brokers say that they are busy"},
	"broker is unavailable": {"unavailable", "the brokers say that they cannot store now, such as without their slave or while they start"},
	"unexplained error":     {"unexplained", "the brokers answer with an error that says nothing of the message"},
	"message refused":       {"refused", "the brokers refuse the message, such as one that is too large"},
	"no permission":         {"no permission", "the brokers or the topic may not be written to"},
	"wrong credentials":     {"auth", "the brokers refuse the credentials"},
	"route is outdated":     {"stale route", "the brokers no longer have the queue; the route is looked up again first"},
}

// words says what becomes of a send.
func (e *explanation) words() string {
	var b strings.Builder
	if allowed := e.rule("sent"); allowed != "" && !slices.Contains(strings.Split(allowed, ", "), e.Mode.String()) {
		return fmt.Sprintf("A send to %s (%v) is refused before any attempt: the rules allow %s. The error says %v, %v. --mode explains another way to send.\n",
			e.Topic, e.Mode, allowed, core.ClassInvalid, core.NotSent)
	}
	fmt.Fprintf(&b, "What happens to a send to %s (%v), if every attempt meets the same:\n", e.Topic, e.Mode)
	if e.rule("order") != "" {
		e.situation(&b, "no sharding key", "and no queue in the message, but the rules require one of them",
			fmt.Sprintf("The send is refused before any attempt. The error says %v, %v.", core.ClassInvalid, core.NotSent))
		e.situation(&b, "a sharding key", "which keeps the message at one broker, and so does a queue",
			"The send never goes to the other broker: read that as the same one, if the retry policy tries such a send again. A broker that hangs has all of the call's time. liftoff policy simulate --keyed 1 shows it.")
	}
	for i := range e.Policy.Failures {
		f := &e.Policy.Failures[i]
		s, ok := situations[f.Name]
		if !ok {
			s.word, s.what = f.Name, f.Name
		}
		e.situation(&b, s.word, s.what, fmt.Sprintf("The send fails %s. %s", f.Course(), ending(f.Class, f.Certainty)))
	}
	e.situation(&b, "no route", "no name server knows the topic, or none can be asked",
		fmt.Sprintf("The send fails without an attempt: at once, or after %s where the name servers do not answer. No retry policy is asked. %s",
			e.Policy.Timeout, ending(core.ClassNoRoute, core.NotSent)))
	if e.Mode == core.Oneway {
		b.WriteString("\nA one-way send ends when the message is written. The producer does not hear what the broker makes of it: busy, refused, no permission.\n")
	}
	return b.String()
}

// rule is a rule of the team's for messages, in words; empty without it.
func (e *explanation) rule(name string) string {
	for _, step := range e.Pipeline.Steps() {
		if step.Name != "sendrules" {
			continue
		}
		for _, s := range step.Description.Settings {
			if s.Name == name {
				return s.Value
			}
		}
	}
	return ""
}

// situation writes one failure.
func (e *explanation) situation(b *strings.Builder, word, what, course string) {
	const width = 84
	fmt.Fprintf(b, "\n  %-17s%s\n", word, what)
	line := ""
	for _, w := range strings.Fields(course) {
		if len(line)+1+len(w) > width && line != "" {
			fmt.Fprintf(b, "  %-17s%s\n", "", line)
			line = ""
		}
		line = strings.TrimSpace(line + " " + w)
	}
	fmt.Fprintf(b, "  %-17s%s\n", "", line)
}

// ending says what the error says.
func ending(class core.Class, certainty core.Certainty) string {
	switch certainty {
	case core.NotSent:
		return fmt.Sprintf("The error says %v, %v: nothing has left the process, so the message can be sent again.", class, certainty)
	case core.NotStored:
		return fmt.Sprintf("The error says %v, %v: no broker has the message, so it can be sent again.", class, certainty)
	default:
		return fmt.Sprintf("The error says %v, %v: a broker may have the message, and to send it again may store it twice.", class, certainty)
	}
}
