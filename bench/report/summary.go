package report

import "slices"

// Enough is how many valid runs a median needs.
const Enough = 5

// Range is what several runs gave.
type Range struct {
	Median float64 `json:"median"`
	Min    float64 `json:"min"`
	Max    float64 `json:"max"`
}

// Over makes the range of some numbers; of none it is zero.
func Over(values []float64) Range {
	if len(values) == 0 {
		return Range{}
	}
	s := slices.Sorted(slices.Values(values))
	n := len(s)
	return Range{Median: (s[(n-1)/2] + s[n/2]) / 2, Min: s[0], Max: s[n-1]}
}

// Summary is one contender in one cell.
type Summary struct {
	Cell      string `json:"cell"`
	Contender string `json:"contender"`
	Runs      int    `json:"runs"`
	Valid     int    `json:"valid"`
	// Doubtful is true when fewer than Enough runs were valid. Then the ranges are over all runs that have numbers,
	// valid or not, and prove nothing.
	Doubtful bool `json:"doubtful"`

	Rate           Range            `json:"rate"`
	ClientCPU      Range            `json:"clientCPU"`
	ServerCPU      Range            `json:"serverCPU"`
	BothCPU        Range            `json:"bothCPU"` // client and brokers together
	ClientSwitches Range            `json:"clientSwitches"`
	ServerSwitches Range            `json:"serverSwitches"`
	ClientPeak     Range            `json:"clientPeak"`
	Steal          Range            `json:"steal"`
	Others         Range            `json:"others"`
	Allocs         Range            `json:"allocs"`
	Bytes          Range            `json:"bytes"`
	P50            Range            `json:"p50"`
	P99            Range            `json:"p99"`
	P999           Range            `json:"p999"`
	StoredShare    Range            `json:"storedShare"`
	StoredSize     Range            `json:"storedSize"`
	Failed         int64            `json:"failed"`
	Failure        string           `json:"failure,omitempty"`
	Counters       map[string]Range `json:"counters,omitempty"`
}

// Summarize makes a summary for each cell and contender, in the order in which they first occur.
func Summarize(runs []Run) []Summary {
	type key struct{ cell, contender string }
	groups := map[key][]Run{}
	var order []key
	for _, r := range runs {
		k := key{r.Cell, r.Contender}
		if groups[k] == nil {
			order = append(order, k)
		}
		groups[k] = append(groups[k], r)
	}
	var all []Summary
	for _, k := range order {
		all = append(all, summarize(groups[k]))
	}
	return all
}

func summarize(runs []Run) Summary {
	s := Summary{Cell: runs[0].Cell, Contender: runs[0].Contender, Runs: len(runs)}
	var valid, measured []Run
	for _, r := range runs {
		s.Failed += r.Failed
		if s.Failure == "" {
			s.Failure = r.Failure + r.Error
		}
		if r.Messages > 0 {
			measured = append(measured, r)
		}
		if r.Invalid == "" {
			valid = append(valid, r)
		}
	}
	s.Valid = len(valid)
	s.Doubtful = s.Valid < Enough
	used := valid
	if s.Doubtful {
		used = measured
	}
	over := func(f func(*Run) float64) Range {
		values := make([]float64, len(used))
		for i := range used {
			values[i] = f(&used[i])
		}
		return Over(values)
	}
	s.Rate = over(func(r *Run) float64 { return r.Rate })
	s.ClientCPU = over(func(r *Run) float64 { return r.ClientCPU })
	s.ServerCPU = over(func(r *Run) float64 { return r.ServerCPU })
	s.BothCPU = over(func(r *Run) float64 { return r.ClientCPU + r.ServerCPU })
	s.ClientSwitches = over(func(r *Run) float64 { return r.ClientSwitches })
	s.ServerSwitches = over(func(r *Run) float64 { return r.ServerSwitches })
	s.ClientPeak = over(func(r *Run) float64 { return r.ClientPeak })
	s.Steal = over(func(r *Run) float64 { return r.Steal })
	s.Others = over(func(r *Run) float64 { return r.Others })
	s.Allocs = over(func(r *Run) float64 { return r.Allocs })
	s.Bytes = over(func(r *Run) float64 { return r.Bytes })
	s.P50 = over(func(r *Run) float64 { return r.P50 })
	s.P99 = over(func(r *Run) float64 { return r.P99 })
	s.P999 = over(func(r *Run) float64 { return r.P999 })
	s.StoredShare = over(func(r *Run) float64 { return r.StoredShare })
	s.StoredSize = over(func(r *Run) float64 { return r.StoredSize })
	for _, r := range used {
		for name := range r.Counters {
			if s.Counters == nil {
				s.Counters = map[string]Range{}
			}
			if _, ok := s.Counters[name]; !ok {
				s.Counters[name] = over(func(r *Run) float64 { return r.Counters[name] })
			}
		}
	}
	return s
}
