package simulate

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/liftoff-mq/liftoff/internal/plausible"
)

// Defaults of a [Scenario].
const (
	DefaultBrokers  = 3
	DefaultRate     = 500
	DefaultCallers  = 64
	DefaultDuration = time.Minute
	DefaultOnset    = 10 * time.Second
	DefaultLength   = 20 * time.Second
	DefaultService  = 2 * time.Millisecond
	DefaultTopic    = "Simulated"
)

const (
	queues   = 4   // of the topic on each broker
	keyCount = 128 // sharding keys that keyed sends have
	// settle is how long after the onset a policy may take until its latencies count.
	settle = 2 * time.Second
	// grace is how long after a broker's return errors at it still count as the incident's.
	grace = time.Second

	maxBrokers = 64
	maxCallers = 10_000
	maxCalls   = 5_000_000
)

// Incident is what happens to the brokers.
type Incident string

// The incidents. All but the last one happen to one broker, the first one.
const (
	// None happens to nobody.
	None Incident = "none"
	// Dead is a process that is killed: connections end, dials are refused. The name server
	// drops the broker 4 s later, as measured with a real one.
	Dead Incident = "dead"
	// Hung is a process that is stopped: it accepts connections and answers nothing. At the end
	// it works off what has come meanwhile.
	Hung Incident = "hung"
	// Slow is a broker that stores at once and answers 2 s later.
	Slow Incident = "slow"
	// Busy is a broker that answers each send with SYSTEM_BUSY.
	Busy Incident = "busy"
	// Flapping is a process that is killed and started again, a second each.
	Flapping Incident = "flapping"
	// LostAnswers is a broker that stores a message and then closes the connection instead of
	// answering.
	LostAnswers Incident = "lost-answers"
	// RollingRestart shuts each broker down in order, one after the other, for three quarters of
	// its share of the incident's time. The name server knows of it.
	RollingRestart Incident = "rolling-restart"
)

// Incidents are all incidents, [None] aside.
func Incidents() []Incident {
	return []Incident{Dead, Hung, Slow, Busy, Flapping, LostAnswers, RollingRestart}
}

// Scenario is the traffic and what happens to it. Its zero value is the traffic of the defaults
// without an incident.
type Scenario struct {
	Incident Incident `json:"incident"`
	// Seed decides all that is left to chance. Any number is as good as another.
	Seed uint64 `json:"seed"`
	// Brokers is the number of brokers, each with four queues of the topic. 3 by default.
	Brokers int `json:"brokers"`
	// Callers is how many goroutines send, each one message after the other and with a random
	// pause between them, so that all together send Rate messages a second as long as sends
	// take no time. 64 callers and 500 a second by default.
	Callers int     `json:"callers"`
	Rate    float64 `json:"rate"`
	// Keyed is the share of sends that have a sharding key, 0 to 1.
	Keyed float64 `json:"keyed"`
	// Duration is how long callers send, 60 s by default. Onset and Length say when the incident
	// begins and how long it lasts, 10 s and 20 s by default.
	Duration time.Duration `json:"-"`
	Onset    time.Duration `json:"-"`
	Length   time.Duration `json:"-"`
	// Service is how long a healthy broker takes for a send on average, 2 ms by default. 60% of
	// it are fixed, the rest is exponentially distributed.
	Service time.Duration `json:"-"`
	// Topic is the name by which the policy is chosen, "Simulated" by default.
	Topic string `json:"topic"`
}

// WithDefaults fills the zero values.
func (s Scenario) WithDefaults() Scenario {
	fill(&s.Incident, None)
	fill(&s.Brokers, DefaultBrokers)
	fill(&s.Rate, DefaultRate)
	fill(&s.Callers, DefaultCallers)
	fill(&s.Duration, DefaultDuration)
	fill(&s.Onset, DefaultOnset)
	fill(&s.Length, DefaultLength)
	fill(&s.Service, DefaultService)
	fill(&s.Topic, DefaultTopic)
	return s
}

// Check reports everything that is wrong. Here a zero value is what it is.
func (s Scenario) Check() error {
	var errs []error
	wrong := func(format string, args ...any) { errs = append(errs, fmt.Errorf(format, args...)) }
	if s.Incident != None && !slices.Contains(Incidents(), s.Incident) {
		wrong("incident %q is not known; there are %s", s.Incident, join(Incidents()))
	}
	if s.Brokers < 1 || s.Brokers > maxBrokers {
		wrong("brokers: %d, want 1 to %d", s.Brokers, maxBrokers)
	}
	if s.Callers < 1 || s.Callers > maxCallers {
		wrong("callers: %d, want 1 to %d", s.Callers, maxCallers)
	}
	if !(s.Rate > 0) || s.Rate*s.Duration.Seconds() > maxCalls {
		wrong("rate: %v a second for %v, want more than 0 and at most %d sends in all", s.Rate, s.Duration, maxCalls)
	}
	if !(s.Keyed >= 0 && s.Keyed <= 1) {
		wrong("keyed: %v, want a share from 0 to 1", s.Keyed)
	}
	for _, d := range []struct {
		name        string
		d           time.Duration
		least, most time.Duration
	}{
		{"duration", s.Duration, time.Second, plausible.Day},
		{"onset", s.Onset, time.Second, plausible.Day},
		{"length", s.Length, time.Second, plausible.Day},
		{"service time", s.Service, 10 * time.Microsecond, time.Minute},
	} {
		errs = append(errs, plausible.Named(d.name, plausible.Time(d.d, d.least, d.most)))
	}
	if s.Incident != None && s.Onset+s.Length > s.Duration {
		wrong("the incident ends after %v, later than the traffic, which ends after %v", s.Onset+s.Length, s.Duration)
	}
	if s.Topic == "" {
		wrong("the topic is empty")
	}
	return errors.Join(errs...)
}

// fill gives a zero value its default.
func fill[T comparable](v *T, def T) {
	if zero := *new(T); *v == zero {
		*v = def
	}
}

func join(incidents []Incident) string {
	names := make([]string, 0, len(incidents))
	for _, i := range incidents {
		names = append(names, string(i))
	}
	return strings.Join(names, ", ")
}

// outage is a time in which a broker was sick, from the begin of the traffic.
type outage struct {
	broker     string
	begin, end time.Duration
}

// outages are the times in which brokers are sick. One that flaps is sick all the time.
func (s *Scenario) outages(brokers []string) []outage {
	switch s.Incident {
	case None:
		return nil
	case RollingRestart:
		var out []outage
		share := s.Length / time.Duration(len(brokers))
		for i, b := range brokers {
			begin := s.Onset + time.Duration(i)*share
			out = append(out, outage{b, begin, begin + share*3/4})
		}
		return out
	default:
		return []outage{{brokers[0], s.Onset, s.Onset + s.Length}}
	}
}
