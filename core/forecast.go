package core

import (
	"fmt"
	"strings"
	"time"
)

// FailureForecast says what a policy does when every attempt of a call meets one kind of
// failure. It is not written down anywhere: the retry policy is asked, failure after
// failure, as the engine would ask it.
type FailureForecast struct {
	// Name is the failure: "hung broker".
	Name  string `json:"name"`
	Class Class  `json:"class"`
	// Attempts is how many attempts the call makes, at most forecastAttempts.
	Attempts int `json:"attempts"`
	// Elsewhere is how many of them go to a broker that the call has not tried, and Paused
	// how many come after a pause.
	Elsewhere int `json:"elsewhere"`
	Paused    int `json:"paused"`
	// More says that the policy goes on beyond Attempts, until the call's time ends.
	More bool `json:"more,omitempty"`
	// Certainty is what the error says of the message at the end.
	Certainty Certainty `json:"certainty"`
}

// forecastAttempts is how far ahead a forecast looks.
const forecastAttempts = 32

// forecastBrokers is how many brokers a forecast assumes.
const forecastBrokers = 2

// scenarios are the failures that forecasts are made for. What an error looks like does not
// matter to a policy that looks at class, certainty and code, as policies should.
var scenarios = [...]struct {
	name      string
	class     Class
	certainty Certainty
	answered  bool
}{
	{"broker hangs", ClassTimeout, MaybeStored, false},
	{"broker cannot be reached", ClassNetwork, NotSent, false},
	{"connection lost", ClassNetwork, MaybeStored, false},
	{"broker is busy", ClassBusy, NotStored, true},
	{"broker is unavailable", ClassUnavailable, NotStored, true},
	{"broker refuses", ClassRejected, NotStored, true},
	{"no permission", ClassForbidden, NotStored, true},
	{"wrong credentials", ClassAuth, NotStored, true},
	{"route is outdated", ClassStale, NotStored, true},
}

// forecast asks the policy about each scenario.
func (p *policy) forecast() []FailureForecast {
	out := make([]FailureForecast, 0, len(scenarios))
	for _, s := range scenarios {
		f := FailureForecast{Name: s.name, Class: s.class, Certainty: s.certainty}
		err := fmt.Errorf("%s", s.name)
		if s.answered {
			err = &BrokerError{Class: s.class, Certainty: s.certainty}
		}
		for f.Attempts = 1; ; f.Attempts++ {
			untried := max(0, forecastBrokers-f.Attempts)
			d, broken := decide(p.Retry, &Failure{
				Attempt: f.Attempts, Err: err, Class: s.class, Certainty: s.certainty, Answered: s.answered,
				Message: probeMessage, Remaining: time.Hour, Untried: untried,
			})
			if broken != nil || !d.Retry {
				break
			}
			if f.Attempts == forecastAttempts {
				f.More = true
				break
			}
			if untried > 0 && d.Reroute != SameQueue {
				f.Elsewhere++
			}
			if d.After > 0 {
				f.Paused++
			}
		}
		out = append(out, f)
	}
	return out
}

// String gives "up to 3 attempts, at the other broker first, 1 of them after a pause; then the
// error says maybe-stored".
func (f FailureForecast) String() string {
	var b strings.Builder
	switch {
	case f.Attempts == 1:
		b.WriteString("1 attempt, no retry")
	case f.More:
		b.WriteString("attempts until the call's time ends")
	default:
		fmt.Fprintf(&b, "up to %d attempts", f.Attempts)
	}
	retries := f.Attempts - 1
	switch {
	case retries == 0:
	case f.Elsewhere == 0:
		b.WriteString(", none at another broker")
	case f.Elsewhere == retries:
		b.WriteString(", at the other broker")
	default:
		b.WriteString(", at the other broker first")
	}
	switch {
	case retries == 0:
	case f.Paused == 0:
		b.WriteString(", at once")
	case f.Paused == retries:
		b.WriteString(", each after a pause")
	default:
		fmt.Fprintf(&b, ", %d of them after a pause", f.Paused)
	}
	fmt.Fprintf(&b, "; then the error says %v", f.Certainty)
	return b.String()
}
