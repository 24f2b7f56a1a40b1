package core

import (
	"fmt"
	"strings"
	"time"
)

// FailureForecast says what a policy does when every attempt of a call meets one kind of failure, with two brokers, no sharding key and a full budget. It is not written
// down anywhere: the retry policy is asked, failure after failure, as the engine would ask.
type FailureForecast struct {
	// Name is the failure: "broker hangs".
	Name string `json:"name"`
	// Class and Certainty are what the error says in the end.
	Class     Class     `json:"class"`
	Certainty Certainty `json:"certainty"`
	// Attempts is how many attempts the call makes. Where it pauses between them its time
	// may end before.
	Attempts int `json:"attempts"`
	// More says that the policy goes on beyond Attempts, until the call's time ends.
	More bool `json:"more,omitempty"`
	// Retries are the attempts after the first, in order.
	Retries []RetryForecast `json:"retries,omitempty"`
	// Times are what the attempts take where brokers are silent. Other failures come at once.
	Times []string `json:"times,omitempty"`
	// Stop is why there is no further attempt: the policy gives up, or the time is over.
	Stop StopReason `json:"stop"`
}

// RetryForecast are retries of one kind that follow each other.
type RetryForecast struct {
	Count int `json:"count"`
	// Untried says that the retry goes to a broker that the call has not tried. Otherwise it
	// goes to any broker or, with Same, to the same queue again.
	Untried bool `json:"untried"`
	Same    bool `json:"same,omitempty"`
	// Paused says that it comes after a pause.
	Paused bool `json:"paused"`
}

// forecastAttempts is how far ahead a forecast looks.
const forecastAttempts = 32

// forecastBrokers is how many brokers a forecast assumes.
const forecastBrokers = 2

// scenario is a failure that forecasts are made for. What an error looks like does not
// matter to a policy that looks at class, certainty and code, as policies should.
type scenario struct {
	name      string
	class     Class
	certainty Certainty
	answered  bool
	silent    bool // each attempt takes all of its time
}

var scenarios = [...]scenario{
	{name: "broker hangs", class: ClassTimeout, certainty: MaybeStored, silent: true},
	{name: "connection refused", class: ClassNetwork, certainty: NotSent},
	{name: "connection lost", class: ClassNetwork, certainty: MaybeStored},
	{name: "broker is busy", class: ClassBusy, certainty: NotStored, answered: true},
	{name: "broker is unavailable", class: ClassUnavailable, certainty: NotStored, answered: true},
	{name: "unexplained error", class: ClassBroker, certainty: MaybeStored, answered: true},
	{name: "message refused", class: ClassRejected, certainty: NotStored, answered: true},
	{name: "no permission", class: ClassForbidden, certainty: NotStored, answered: true},
	{name: "wrong credentials", class: ClassAuth, certainty: NotStored, answered: true},
	{name: "route is outdated", class: ClassStale, certainty: NotStored, answered: true},
}

// forecast asks the policy about each scenario that calls of a mode can meet. Brokers do not
// answer one-way messages, so such a call ends when its message is written.
func (p *policy) forecast(mode Mode) []FailureForecast {
	out := make([]FailureForecast, 0, len(scenarios))
	for i := range scenarios {
		if s := &scenarios[i]; mode != Oneway || !s.answered && !s.silent {
			out = append(out, p.foresee(s, mode))
		}
	}
	return out
}

// foresee goes through a call in thought.
func (p *policy) foresee(s *scenario, mode Mode) FailureForecast {
	f := FailureForecast{Name: s.name, Class: s.class, Certainty: s.certainty, Stop: StopPolicy}
	err := fmt.Errorf("%s", s.name)
	if s.answered {
		err = &BrokerError{Class: s.class, Certainty: s.certainty}
	}
	left, paused := p.Timeout, time.Duration(0)
	for tried := 1; ; f.Attempts++ {
		n, untried := f.Attempts+1, forecastBrokers-tried
		if s.silent {
			took := p.silence(mode, n, untried, left)
			left -= took
			f.Times = append(f.Times, took.String())
		}
		if mode == Oneway && s.certainty != NotSent { // see [Call.final]
			f.Attempts, f.Stop = n, StopFinal
			return f
		}
		d, broken := decide(p.Retry, &Failure{
			Mode: mode, Attempt: n, Err: err, Class: s.class, Certainty: s.certainty, Answered: s.answered,
			Message: probeMessage, Paused: paused, Elapsed: p.Timeout - left, Remaining: left, Untried: untried,
		})
		switch {
		case broken != nil || !d.Retry:
		case left <= d.After:
			f.Stop = StopTime
		case n == forecastAttempts:
			f.More, f.Stop = true, StopTime
		default:
			f.add(RetryForecast{1, untried > 0 && d.Reroute == AvoidBroker, d.Reroute == SameQueue, d.After > 0})
			tried, paused = afterReroute(tried, d.Reroute), max(0, d.After)
			continue
		}
		f.Attempts = n
		return f
	}
}

// silence is how long attempt n waits for the answer of a broker that gives none; see
// [engine.limit].
func (p *policy) silence(mode Mode, n, untried int, left time.Duration) time.Duration {
	if untried > 0 && p.capped.of(mode, n).unanswered {
		return min(left, p.AttemptTimeout)
	}
	return left
}

// afterReroute is how many brokers are tried after the next attempt.
func afterReroute(tried int, r Reroute) int {
	switch r {
	case SameQueue:
		return tried
	case AnyQueue:
		return 1
	default:
		return min(tried+1, forecastBrokers)
	}
}

// add puts a retry behind the others.
func (f *FailureForecast) add(r RetryForecast) {
	if n := len(f.Retries); n > 0 {
		last := &f.Retries[n-1]
		if r.Count = last.Count; r == *last {
			last.Count++
			return
		}
		r.Count = 1
	}
	f.Retries = append(f.Retries, r)
}

// String gives "timeout, maybe-stored after 2 attempts: 1s at one broker, 2s at the other".
func (f FailureForecast) String() string { return f.end() + " " + f.Course() }

// end is what the error says.
func (f *FailureForecast) end() string { return fmt.Sprintf("%v, %v", f.Class, f.Certainty) }

// Course says which attempts there are before the end: "after 2 attempts: the other broker at once".
func (f *FailureForecast) Course() string {
	var course string
	if len(f.Times) > 0 && !f.More {
		course = f.timed()
	} else {
		course = f.grouped()
	}
	switch {
	case f.More:
		return "when the time is over: " + course
	case f.Attempts == 1 && course == "":
		return "after 1 attempt"
	case f.Attempts == 1:
		return "after 1 attempt: " + course
	case f.pauses() > 0:
		return fmt.Sprintf("after up to %d attempts: %s", f.Attempts, course)
	default:
		return fmt.Sprintf("after %d attempts: %s", f.Attempts, course)
	}
}

// pauses is how many retries come after a pause.
func (f *FailureForecast) pauses() (n int) {
	for _, r := range f.Retries {
		if r.Paused {
			n += r.Count
		}
	}
	return n
}

// timed has every attempt with its time.
func (f *FailureForecast) timed() string {
	list := []string{f.Times[0] + " at one broker"}
	for _, r := range f.Retries {
		for range r.Count {
			text := f.Times[len(list)] + " at " + r.where()
			if r.Paused {
				text += " after a pause"
			}
			list = append(list, text)
		}
	}
	return strings.Join(list, ", ")
}

// grouped has the retries, those of one kind together.
func (f *FailureForecast) grouped() string {
	all := f.pauses() == f.Attempts-1 && f.Attempts > 2 // then the pause is said once
	var list []string
	for i, r := range f.Retries {
		endless := f.More && i == len(f.Retries)-1
		var what string
		switch {
		case r.Untried:
			what = r.where()
		case endless:
			what = "more at " + r.where()
		default:
			what = fmt.Sprintf("%d more at %s", r.Count, r.where())
		}
		switch {
		case all:
		case !r.Paused:
			what += " at once"
		case r.Count > 1 || endless:
			what += ", each after a pause"
		default:
			what += " after a pause"
		}
		list = append(list, what)
	}
	text := strings.Join(list, ", ")
	if all {
		text += "; a pause before each"
	}
	return text
}

func (r *RetryForecast) where() string {
	switch {
	case r.Untried:
		return "the other broker"
	case r.Same:
		return "the same queue"
	default:
		return "either"
	}
}
