package core

import (
	"cmp"
	"slices"
	"sync/atomic"
	"time"
)

// totals counts what a producer has done. Each counter is written at the end of something,
// once, so a send costs a few atomic additions and no lock.
type totals struct {
	_          [64]byte                  // a cache line apart from what sends only read
	calls      [Oneway + 1]atomic.Uint64 // ended, by mode
	failed     atomic.Uint64
	maybe      atomic.Uint64 // failed, and perhaps stored
	messages   atomic.Uint64
	attempts   atomic.Uint64
	retries    atomic.Uint64
	vetoed     atomic.Uint64
	operations atomic.Uint64
	opFailures atomic.Uint64
}

func (t *totals) call(c *Call, err error) {
	t.calls[c.mode].Add(1)
	if n := uint64(len(c.outs)); n > 1 {
		t.messages.Add(n - 1) // beyond one for each call
	}
	if err != nil {
		t.failed.Add(1)
		if !CertaintyOf(err).Safe() {
			t.maybe.Add(1)
		}
	}
}

func (t *totals) attempt(at *Attempt, err error) {
	t.attempts.Add(1)
	if err != nil && !at.entered {
		t.vetoed.Add(1)
	}
}

func (t *totals) operation(err error) {
	t.operations.Add(1)
	if err != nil {
		t.opFailures.Add(1)
	}
}

// Snapshot is what a producer is and has at one moment. Its parts are read one after the
// other, so under load they belong to moments close to each other. It has no secrets and no
// message bodies, and its text forms are JSON's.
type Snapshot struct {
	Group    string           `json:"group"`
	State    State            `json:"state"`
	InFlight InFlightSnapshot `json:"inFlight"`
	Workers  WorkerSnapshot   `json:"workers"`
	Topics   []TopicSnapshot  `json:"topics"`  // by name
	Brokers  []BrokerSnapshot `json:"brokers"` // by address
	Policies []string         `json:"policies"`
	Inbox    InboxSnapshot    `json:"inbox"`
	Totals   TotalsSnapshot   `json:"totals"`
	Time     time.Time        `json:"time"`
}

// InFlightSnapshot counts what is under way.
type InFlightSnapshot struct {
	Sends int `json:"sends"` // calls and operations of every mode
	// Bytes are the bodies' of asynchronous sends, MaxBytes and Max their limits.
	Bytes    int64 `json:"bytes"`
	MaxBytes int64 `json:"maxBytes"`
	Max      int   `json:"max"`
	Batches  int   `json:"batches"` // made of separate sends, on their way
}

// WorkerSnapshot counts the asynchronous sends that are worked on.
type WorkerSnapshot struct {
	Active int `json:"active"` // on a goroutine
	Queued int `json:"queued"` // waiting for one
	Idle   int `json:"idle"`   // goroutines that wait for a send
	// Places are how many may be worked on at a time now; see [Config].MaxWorkers, which is
	// Max.
	Places int `json:"places"`
	Max    int `json:"max"`
}

// TopicSnapshot is a topic in the route cache, by its name on the wire.
type TopicSnapshot struct {
	Topic string `json:"topic"`
	// Policies are the names of the policies that serve topics which go to this one.
	Policies []string      `json:"policies"`
	Queues   int           `json:"queues"` // writable; 0 without a route
	Brokers  []string      `json:"brokers"`
	Age      time.Duration `json:"ageNanoseconds"` // since the route was last confirmed
	LookUp   bool          `json:"lookUp"`         // one is under way
}

// BrokerSnapshot is a broker of a route in use.
type BrokerSnapshot struct {
	Name    string `json:"name"`
	Addr    string `json:"addr"` // empty if it is absent
	Cluster string `json:"cluster"`
	// Health is what each policy's health view says, by the policy's name.
	Health map[string]Health `json:"health"`
	// Details are what steps, strategies and the transport know of the broker, such as its
	// breaker's state and its connections ([BrokerReporter]).
	Details []Setting `json:"details"`
}

// TotalsSnapshot counts since the producer was made.
type TotalsSnapshot struct {
	Calls    map[string]uint64 `json:"calls"` // that have their outcome, by mode
	Messages uint64            `json:"messages"`
	Failed   uint64            `json:"failed"`      // calls
	Maybe    uint64            `json:"maybeStored"` // failed calls whose message may be stored
	Attempts uint64            `json:"attempts"`    // vetoed ones included
	Retries  uint64            `json:"retries"`
	Vetoed   uint64            `json:"vetoed"` // attempts for which the transport was not asked
	// Operations are requests that are no sends, such as recalls.
	Operations       uint64 `json:"operations"`
	FailedOperations uint64 `json:"failedOperations"`
}

// BrokerReporter is implemented by steps, strategies and transports that know something
// about single brokers. BrokerReport gives it in words, nil for a broker that it does not
// know. It must be quick and safe for concurrent use.
type BrokerReporter interface {
	BrokerReport(b Broker) []Setting
}

// Snapshot describes the producer as it is now. It takes no lock that a send holds for
// longer than a moment, so it can be called at any time, also often.
func (p *Producer) Snapshot() Snapshot {
	e := p.engine
	policies := e.policies.Load()
	s := Snapshot{
		Group: p.cfg.Group, State: p.State(), Time: time.Now(), Inbox: p.inbox.snapshot(),
		InFlight: InFlightSnapshot{
			Sends: p.inflight.len(), Bytes: p.held.Load(), MaxBytes: p.cfg.MaxInFlightBytes,
			Max: p.cfg.MaxInFlight, Batches: p.batching.len(),
		},
		Workers: WorkerSnapshot{
			Active: int(p.workers.active.Load()), Queued: int(p.workers.queued.Load()),
			Idle: int(p.workers.idle.Load()), Places: int(p.workers.places.Load()), Max: p.cfg.MaxWorkers,
		},
		Totals: e.totals.snapshot(),
	}
	for _, pol := range policies.order {
		s.Policies = append(s.Policies, pol.Name)
	}
	s.Topics, s.Brokers = p.snapshotRoutes(policies)
	return s
}

func (t *totals) snapshot() TotalsSnapshot {
	s := TotalsSnapshot{
		Calls: map[string]uint64{}, Messages: t.messages.Load(), Failed: t.failed.Load(), Maybe: t.maybe.Load(),
		Attempts: t.attempts.Load(), Retries: t.retries.Load(), Vetoed: t.vetoed.Load(),
		Operations: t.operations.Load(), FailedOperations: t.opFailures.Load(),
	}
	for m := range t.calls {
		n := t.calls[m].Load()
		s.Calls[Mode(m).String()] = n
		s.Messages += n
	}
	return s
}

// snapshotRoutes describes the topics in the route cache and the brokers of their routes.
func (p *Producer) snapshotRoutes(policies *policySet) ([]TopicSnapshot, []BrokerSnapshot) {
	served := policies.servedBy()
	brokers := map[string]Broker{}
	topics := []TopicSnapshot{}
	for _, t := range p.engine.routes.all() {
		ts := TopicSnapshot{Topic: t.name, Policies: append([]string{}, served[t.name]...), Brokers: []string{}}
		t.mu.Lock()
		ts.LookUp = t.look != nil
		t.mu.Unlock()
		if r := t.route.Load(); r != nil {
			ts.Queues = r.Len()
			ts.Age = time.Since(time.Unix(0, t.since.Load()))
			for _, b := range r.brokers {
				ts.Brokers = append(ts.Brokers, b.Name)
				brokers[cmp.Or(b.Addr, b.Name)] = b
			}
		}
		topics = append(topics, ts)
	}
	slices.SortFunc(topics, func(a, b TopicSnapshot) int { return cmp.Compare(a.Topic, b.Topic) })
	out := []BrokerSnapshot{}
	for _, b := range brokers {
		out = append(out, p.snapshotBroker(policies, b))
	}
	slices.SortFunc(out, func(a, b BrokerSnapshot) int { return cmp.Or(cmp.Compare(a.Addr, b.Addr), cmp.Compare(a.Name, b.Name)) })
	return topics, out
}

func (p *Producer) snapshotBroker(policies *policySet, b Broker) BrokerSnapshot {
	s := BrokerSnapshot{Name: b.Name, Addr: b.Addr, Cluster: b.Cluster, Health: map[string]Health{}, Details: []Setting{}}
	if b.Absent() {
		return s // nobody knows it
	}
	for _, pol := range policies.order {
		if pol.Health != nil {
			s.Health[pol.Name] = healthOf(pol.Health, b)
		}
	}
	parts := append(p.parts(policies), namedPart{"transport", p.cfg.Transport})
	for _, part := range parts {
		if r, ok := find[BrokerReporter](part.part); ok {
			s.Details = append(s.Details, brokerReport(r, b)...)
		}
	}
	return s
}

// healthOf asks a view, and takes a panic for the worst.
func healthOf(v HealthView, b Broker) (h Health) {
	defer func() {
		if recover() != nil {
			h = HealthDown
		}
	}()
	return v.Health(b)
}

func brokerReport(r BrokerReporter, b Broker) (report []Setting) {
	defer func() {
		if recover() != nil {
			report = nil
		}
	}()
	return fit(r.BrokerReport(b))
}

// servedBy lists the names of the policies of the topics on the wire that are in use.
func (s *policySet) servedBy() map[string][]string {
	s.mu.RLock()
	defer s.mu.RUnlock()
	out := map[string][]string{}
	for _, t := range s.topics {
		if w := t.wire.Load(); w != nil && !slices.Contains(out[w.name], t.policy.Name) {
			out[w.name] = append(out[w.name], t.policy.Name)
		}
	}
	for _, names := range out {
		slices.Sort(names)
	}
	return out
}
