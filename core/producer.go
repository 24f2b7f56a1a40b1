package core

// State is a producer's service state (Java: ServiceState).
type State uint8

// The states. A producer goes from created to running to shut down, and no way
// back; a failed start ends it too, except for a group that is taken: that
// leaves it created, so that it can be started once the group is free.
const (
	StateCreated State = iota
	StateRunning
	StateStartFailed
	StateShutdown
)

// String gives "created", "running", "start failed" or "shut down".
func (s State) String() string {
	return nameOf([]string{"created", "running", "start failed", "shut down"}, int(s))
}

// Producer sends messages through a pipeline. It is safe for concurrent use.
type Producer struct {
	cfg     Config
	aborted chan struct{}
}
