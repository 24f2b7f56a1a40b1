package health

import (
	"errors"
	"fmt"
	"math"
	"slices"
	"time"

	"github.com/liftoff-mq/liftoff/internal/plausible"
)

// Table says for how long a broker is left alone after an answer that took a
// given time. A table without steps has those of [Java5].
type Table struct {
	// LatencyMax are the steps, ascending. The highest that is not above an
	// answer's latency counts.
	LatencyMax []time.Duration `json:"latencyMax" yaml:"latencyMax" env:"LATENCY_MAX"`
	// NotAvailable are the times to leave the broker alone, one per step.
	NotAvailable []time.Duration `json:"notAvailable" yaml:"notAvailable" env:"NOT_AVAILABLE"`
	// Isolation is the latency that a failure counts as. Zero is 10 s in a table
	// without steps. In one with steps it is no latency at all, so that a failure
	// does not count.
	Isolation time.Duration `json:"isolation" yaml:"isolation" env:"ISOLATION"`
	// Overwrite lets each outcome replace what was known, so that one quick
	// answer brings a broker back at once. Without it an outcome can only
	// prolong the time.
	Overwrite bool `json:"overwrite" yaml:"overwrite" env:"OVERWRITE"`
}

const ms = time.Millisecond

// shortest is the shortest duration of a table but for zero.
const shortest = 10 * time.Microsecond

// Java5 is the table of Java 5.x: 50 and 100 ms are good, 550 ms costs 2 s, a
// failure 10 s.
func Java5() Table {
	return Table{
		LatencyMax:   []time.Duration{50 * ms, 100 * ms, 550 * ms, 1800 * ms, 3000 * ms, 5000 * ms, 15000 * ms},
		NotAvailable: []time.Duration{0, 0, 2000 * ms, 5000 * ms, 6000 * ms, 10000 * ms, 30000 * ms},
		Isolation:    10000 * ms,
	}
}

// Java49 is the table of Java 4.9: 550 ms costs 30 s, a failure 10 minutes, and
// one quick answer ends it.
func Java49() Table {
	return Table{
		LatencyMax:   []time.Duration{50 * ms, 100 * ms, 550 * ms, 1000 * ms, 2000 * ms, 3000 * ms, 15000 * ms},
		NotAvailable: []time.Duration{0, 0, 30000 * ms, 60000 * ms, 120000 * ms, 180000 * ms, 600000 * ms},
		Isolation:    30000 * ms,
		Overwrite:    true,
	}
}

// Lookup is the time to leave a broker alone after the given latency.
func (t Table) Lookup(latency time.Duration) time.Duration {
	for i := len(t.LatencyMax) - 1; i >= 0; i-- {
		if latency >= t.LatencyMax[i] {
			return t.NotAvailable[i]
		}
	}
	return 0
}

func (t Table) check() error {
	var errs []error
	if len(t.LatencyMax) == 0 || len(t.LatencyMax) != len(t.NotAvailable) {
		errs = append(errs, fmt.Errorf("table has %d latencies and %d times, want the same number", len(t.LatencyMax), len(t.NotAvailable)))
	}
	if !slices.IsSorted(t.LatencyMax) {
		errs = append(errs, errors.New("table's latencies do not ascend"))
	}
	for _, d := range slices.Concat(t.LatencyMax, t.NotAvailable, []time.Duration{t.Isolation}) {
		switch {
		case d < 0:
			errs = append(errs, fmt.Errorf("table has a negative duration %v", d))
		case d > 0: // any time upwards may be meant: the longest one is for ever
			errs = append(errs, plausible.Named("table's duration", plausible.Time(d, shortest, math.MaxInt64)))
		}
	}
	return errors.Join(errs...)
}
