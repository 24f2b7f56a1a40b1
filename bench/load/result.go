package load

// Result is what a contender reports. Times are in microseconds.
type Result struct {
	Messages int64   `json:"messages"` // acknowledged in the window; one-way: written
	Seconds  float64 `json:"seconds"`  // the window
	Accepted int64   `json:"accepted"` // acknowledged from start to end
	Failed   int64   `json:"failed"`   // requests, from start to end
	Failure  string  `json:"failure,omitempty"`

	P50  float64 `json:"p50"`
	P99  float64 `json:"p99"`
	P999 float64 `json:"p999"`
	Max  float64 `json:"max"`

	// Memory taken from the heap for one message; -1 where the runtime does not count it.
	Allocs float64 `json:"allocs"`
	Bytes  float64 `json:"bytes"`
	GCs    int64   `json:"gcs"`

	// Counters are the client's own, for one message.
	Counters map[string]float64 `json:"counters,omitempty"`
}
