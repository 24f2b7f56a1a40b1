// Package report turns the runs of the bench into medians, a table and plots.
package report

import (
	"fmt"

	"github.com/liftoff-mq/liftoff/bench/load"
	"github.com/liftoff-mq/liftoff/bench/procfs"
)

// Run is one run of one contender in one cell.
type Run struct {
	Cell      string `json:"cell"`
	Contender string `json:"contender"`
	Round     int    `json:"round"`
	// Invalid says why the run does not count, "" if it does.
	Invalid string `json:"invalid,omitempty"`
	// Error says why there are no numbers.
	Error string `json:"error,omitempty"`

	load.Result

	Rate           float64 `json:"rate"`           // messages a second
	ClientCPU      float64 `json:"clientCPU"`      // seconds for a million messages
	ServerCPU      float64 `json:"serverCPU"`      // the same, of all brokers
	ClientSwitches float64 `json:"clientSwitches"` // times that a thread of the client went to sleep, for one message
	ServerSwitches float64 `json:"serverSwitches"` // the same, of the brokers
	ClientPeak     float64 `json:"clientPeak"`     // MiB of resident memory
	ServerPeak     float64 `json:"serverPeak"`     // the same, since the brokers' start
	Steal          float64 `json:"steal"`          // share of the machine
	Others         float64 `json:"others"`         // share of the machine that other programs took
	Stored         int64   `json:"stored"`         // messages that the topic has more than before
	StoredShare    float64 `json:"storedShare"`    // of Accepted
	StoredSize     float64 `json:"storedSize"`     // bytes in the commit log for one message
}

// Measure fills in what the samples at the window's begin and end say.
func (r *Run) Measure(begin, end procfs.Sample) {
	const million = 1e6
	n := float64(max(r.Messages, 1))
	r.Rate = float64(r.Messages) / max(r.Seconds, 1e-9)
	r.ClientCPU = (end.Client.CPU - begin.Client.CPU).Seconds() / n * million
	r.ServerCPU = (end.Servers.CPU - begin.Servers.CPU).Seconds() / n * million
	r.ClientSwitches = float64(end.Client.Switches-begin.Client.Switches) / n
	r.ServerSwitches = float64(end.Servers.Switches-begin.Servers.Switches) / n
	r.ClientPeak, r.ServerPeak = mib(end.Client.PeakRSS), mib(end.Servers.PeakRSS)
	r.Steal, r.Others = procfs.Steal(begin, end), procfs.Others(begin, end)
}

// Keep fills in what the brokers' counts before and after say.
func (r *Run) Keep(messages, bytes int64) {
	r.Stored = messages
	r.StoredShare = float64(messages) / float64(max(r.Accepted, 1))
	r.StoredSize = float64(bytes) / float64(max(messages, 1))
}

// Limits say when a run does not count.
type Limits struct {
	Steal  float64 `json:"steal"`
	Others float64 `json:"others"`
}

// Judge fills in Invalid.
func (r *Run) Judge(l Limits) {
	switch {
	case r.Error != "":
		r.Invalid = "failed: " + r.Error
	case r.Steal > l.Steal:
		r.Invalid = fmt.Sprintf("steal %.1f %%", 100*r.Steal)
	case r.Others > l.Others:
		r.Invalid = fmt.Sprintf("other programs took %.1f %%", 100*r.Others)
	case r.Messages == 0:
		r.Invalid = "no message was acknowledged: " + r.Failure
	}
}

func mib(n int64) float64 { return float64(n) / (1 << 20) }
