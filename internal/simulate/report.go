package simulate

import (
	"math"
	"slices"
	"time"
)

// Report is what a run showed. Times are in milliseconds, shares from 0 to 1.
type Report struct {
	Policy string `json:"policy"`
	Scenario
	// Seconds is how long callers sent, Onset and End when the incident began and ended.
	Seconds float64 `json:"seconds"`
	Onset   float64 `json:"onset"`
	End     float64 `json:"end"`

	// Traffic is all calls, Plain those without a sharding key, WithKey the others.
	Traffic
	Plain   Traffic `json:"plain"`
	WithKey Traffic `json:"withKey"`
	// Classes are the errors by their class.
	Classes map[string]int `json:"classes"`
	// Unexplained are the errors of keyed calls that ended while the broker of their key was not
	// sick, or later than 1 s after its return.
	Unexplained int `json:"unexplained"`
	// LastError is when the last error came, in milliseconds after the end of the incident:
	// negative before it. Nil without an error.
	LastError *float64 `json:"lastErrorMs"`
	// Lost are the messages that were acknowledged and are not stored, Duplicates those that are
	// stored more than once.
	Lost       int `json:"lost"`
	Duplicates int `json:"duplicates"`
	// Attempts are those that reached the transport; Share is that of each broker.
	Attempts        int                `json:"attempts"`
	AttemptsPerCall float64            `json:"attemptsPerCall"`
	Share           map[string]float64 `json:"share"`
	// SickShare is the share of the attempts during the incident that went to a broker that was
	// sick at that time.
	SickShare float64  `json:"sickShare"`
	Series    []Second `json:"series"`
}

// Traffic is what calls of a kind met. Latencies are those of whole calls, failed ones included.
type Traffic struct {
	Calls  int     `json:"calls"`
	Errors int     `json:"errors"`
	P50    float64 `json:"p50ms"`
	P99    float64 `json:"p99ms"`
	Max    float64 `json:"maxms"`
	// HealthyP99 is that of the calls that ended before the incident, SettledP99 that of those
	// that began during it, 2 s after its onset or later. Zero if there are none.
	HealthyP99 float64 `json:"healthyP99ms"`
	SettledP99 float64 `json:"settledP99ms"`
}

// Second is one second of a run. Calls stand in the second in which they ended, attempts and
// duplicates in that in which they began.
type Second struct {
	Calls      int            `json:"calls"`
	Errors     int            `json:"errors"`
	P50        float64        `json:"p50ms"`
	P99        float64        `json:"p99ms"`
	Max        float64        `json:"maxms"`
	Duplicates int            `json:"duplicates"`
	Attempts   map[string]int `json:"attempts"` // by broker
}

// report counts everything, once nothing happens any more.
func (m *meter) report(policy string) *Report {
	m.mu.Lock()
	defer m.mu.Unlock()
	s := m.cluster.scenario
	r := &Report{
		Policy: policy, Scenario: *s, Seconds: s.Duration.Seconds(),
		Classes: map[string]int{}, Share: map[string]float64{}, Attempts: len(m.attempts),
	}
	if s.Incident != None {
		r.Onset, r.End = s.Onset.Seconds(), (s.Onset + s.Length).Seconds()
	}
	r.countCalls(m)
	r.countAttempts(m)
	r.Traffic = m.traffic(func(*call) bool { return true })
	r.Plain = m.traffic(func(c *call) bool { return c.key == plain })
	r.WithKey = m.traffic(func(c *call) bool { return c.key != plain })
	r.AttemptsPerCall = ratio(r.Attempts, r.Calls)
	return r
}

func (r *Report) countCalls(m *meter) {
	copies := m.cluster.copies()
	latencies := map[int][]time.Duration{}
	for i := range m.calls {
		c := &m.calls[i]
		at := int(c.end / time.Second)
		latencies[at] = append(latencies[at], c.end-c.begin)
		stored := copies[c.id.String()]
		if stored > 1 {
			r.Duplicates++
			r.second(int(c.begin/time.Second)).Duplicates++
		}
		switch {
		case c.failed:
			r.countError(m, c)
		case stored == 0:
			r.Lost++
		}
	}
	for at, all := range latencies {
		slices.Sort(all)
		sec := r.second(at)
		sec.Calls, sec.P50, sec.P99, sec.Max = len(all), percentile(all, 50), percentile(all, 99), percentile(all, 100)
	}
}

func (r *Report) countError(m *meter, c *call) {
	r.Classes[c.class.String()]++
	r.second(int(c.end/time.Second)).Errors++
	if c.key != plain && !m.explained(c) {
		r.Unexplained++
	}
	late := ms(c.end) - 1000*r.End
	if r.LastError == nil || *r.LastError < late {
		r.LastError = &late
	}
}

func (r *Report) countAttempts(m *meter) {
	s, during, sick := m.cluster.scenario, 0, 0
	byBroker := map[string]int{}
	for _, a := range m.attempts {
		byBroker[a.broker]++
		r.second(int(a.begin / time.Second)).Attempts[a.broker]++
		if s.Incident != None && a.begin >= s.Onset && a.begin < s.Onset+s.Length {
			during++
			if m.cluster.sick(a.broker, a.begin) {
				sick++
			}
		}
	}
	for _, b := range m.cluster.names {
		r.Share[b] = ratio(byBroker[b], len(m.attempts))
	}
	r.SickShare = ratio(sick, during)
}

// second is a row of the series, which gets as long as it has to.
func (r *Report) second(at int) *Second {
	for len(r.Series) <= at {
		r.Series = append(r.Series, Second{Attempts: map[string]int{}})
	}
	return &r.Series[at]
}

// traffic sums up the calls of a kind.
func (m *meter) traffic(of func(*call) bool) (t Traffic) {
	s := m.cluster.scenario
	var all, healthy, settled []time.Duration
	for i := range m.calls {
		c := &m.calls[i]
		if !of(c) {
			continue
		}
		t.Calls++
		if c.failed {
			t.Errors++
		}
		took := c.end - c.begin
		all = append(all, took)
		switch {
		case s.Incident == None || c.end < s.Onset:
			healthy = append(healthy, took)
		case c.begin >= s.Onset+settle && c.begin < s.Onset+s.Length:
			settled = append(settled, took)
		}
	}
	for _, l := range [][]time.Duration{all, healthy, settled} {
		slices.Sort(l)
	}
	t.P50, t.P99, t.Max = percentile(all, 50), percentile(all, 99), percentile(all, 100)
	t.HealthyP99, t.SettledP99 = percentile(healthy, 99), percentile(settled, 99)
	return t
}

// percentile is the smallest of the sorted durations that p percent of them do not exceed, in
// milliseconds; zero if there are none.
func percentile(sorted []time.Duration, p int) float64 {
	if len(sorted) == 0 {
		return 0
	}
	return ms(sorted[(len(sorted)*p+99)/100-1])
}

// ms is a duration in milliseconds, to the microsecond.
func ms(d time.Duration) float64 { return math.Round(float64(d)/1e3) / 1e3 }

func ratio(a, b int) float64 {
	if b == 0 {
		return 0
	}
	return math.Round(1e4*float64(a)/float64(b)) / 1e4
}
