package integration

import (
	"context"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"os/exec"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/liftoff-mq/liftoff"
	"github.com/liftoff-mq/liftoff/core"
	"github.com/liftoff-mq/liftoff/integration/realcluster"
)

// simulated are the numbers of `liftoff policy simulate --json` that are compared.
type simulated struct {
	Calls     int     `json:"calls"`
	Errors    int     `json:"errors"`
	Lost      int     `json:"lost"`
	SickShare float64 `json:"sickShare"`
	Plain     struct {
		Errors int `json:"errors"`
	} `json:"plain"`
	WithKey struct {
		Calls  int `json:"calls"`
		Errors int `json:"errors"`
	} `json:"withKey"`
}

// The traffic of both worlds: few callers, so that a slow machine is not what is measured.
const (
	simCallers  = 16
	simRate     = 100.0 // calls a second
	simOnset    = 4 * time.Second
	simDuration = 24 * time.Second
)

// What `liftoff policy simulate` says of an incident is what two real brokers show: the same errors, within five and a
// third of them, and the same share of attempts that a sick broker gets, within a tenth. A real incident lasts as long
// as the machine makes it, so it comes first, and the simulation is given its length.
func TestSimulationAgreesWithRealBrokers(t *testing.T) {
	const version = "5.3.3"
	for _, incident := range []struct {
		name  string
		keyed float64
		make  func(t *testing.T, c *cluster, sick func(broker string, is bool))
	}{
		{"dead", 0, func(t *testing.T, c *cluster, sick func(string, bool)) {
			sick("broker-a", true)
			c.Kill(t, "broker-a")
			time.Sleep(6 * time.Second)
			c.Restart(t, "broker-a")
			sick("broker-a", false)
		}},
		{"hung", 0.3, func(t *testing.T, c *cluster, sick func(string, bool)) {
			sick("broker-a", true)
			c.Pause(t, "broker-a")
			time.Sleep(8 * time.Second)
			c.Resume(t, "broker-a")
			sick("broker-a", false)
		}},
		{"rolling-restart", 0, func(t *testing.T, c *cluster, sick func(string, bool)) {
			for _, b := range []string{"broker-a", "broker-b"} {
				sick(b, true)
				c.Kill(t, b)
				c.RestartNotify(t, b, func(time.Time) { sick(b, false) })
				time.Sleep(2 * time.Second)
			}
		}},
	} {
		t.Run(incident.name, func(t *testing.T) {
			t.Parallel() // they wait most of the time
			defer count(version, time.Now())
			c := startCluster(t, realcluster.Options{Version: version, Brokers: 2})
			topic := topicFor(t, "t")
			c.CreateTopic(t, topic, 4)
			real := newIncidentTraffic(t, c, topic, incident.keyed)
			time.Sleep(simOnset)
			began := time.Now()
			incident.make(t, c, real.sick)
			length := time.Since(began)
			time.Sleep(max(simDuration-simOnset-length, 5*time.Second))
			real.end()

			sim := simulate(t, incident.name, "--brokers", "2", "--callers", fmt.Sprint(simCallers), "--rate", fmt.Sprint(simRate),
				"--keyed", fmt.Sprint(incident.keyed), "--onset", simOnset.String(), "--length", length.Round(time.Millisecond).String(),
				"--duration", max(simDuration, simOnset+length+5*time.Second).Round(time.Millisecond).String())
			toSick, during := real.shares(began, length)
			t.Logf("%s for %v: real %d calls, %d errors without and %d with a key, %d of %d attempts to the sick broker; simulated %d calls, %d and %d errors, a share of %.3f",
				incident.name, length.Round(time.Millisecond), real.calls, real.plainErrors, real.keyedErrors, toSick, during,
				sim.Calls, sim.Plain.Errors, sim.WithKey.Errors, sim.SickShare)
			near := func(what string, real, sim, margin float64) {
				t.Helper()
				if real < sim-margin || real > sim+margin {
					t.Errorf("%s: real %g, simulated %g, margin %g", what, real, sim, margin)
				}
			}
			near("errors without a key", float64(real.plainErrors), float64(sim.Plain.Errors), 5+float64(sim.Plain.Errors)/3)
			near("errors with a key", float64(real.keyedErrors), float64(sim.WithKey.Errors), 5+float64(sim.WithKey.Errors)/3)
			near("share of the sick broker", float64(toSick)/float64(max(1, during)), sim.SickShare, 0.1)
			if sim.Lost != 0 {
				t.Errorf("the simulation lost %d messages", sim.Lost)
			}
		})
	}
}

func simulate(t *testing.T, incident string, args ...string) simulated {
	t.Helper()
	cmd := exec.Command(liftoffBinary(t), append([]string{"policy", "simulate", "--incident", incident, "--json"}, args...)...)
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("%v: %v", cmd, err)
	}
	var s simulated
	must(t, json.Unmarshal(out, &s))
	return s
}

// incidentTraffic is the traffic of a simulation, to real brokers.
type incidentTraffic struct {
	p       *core.Producer
	stop    chan struct{}
	callers sync.WaitGroup

	mu          sync.Mutex
	attempts    []beganAttempt
	outages     []realOutage
	calls       int
	plainErrors int
	keyedErrors int
}

// beganAttempt is an attempt that reached the transport.
type beganAttempt struct {
	broker string
	at     time.Time
}

// realOutage is a time in which a broker was sick. It has no end while it lasts.
type realOutage struct {
	broker     string
	begin, end time.Time
}

func newIncidentTraffic(t *testing.T, c *cluster, topic string, keyed float64) *incidentTraffic {
	t.Helper()
	tr := &incidentTraffic{stop: make(chan struct{})}
	p, err := liftoff.New(liftoff.Config{Group: "incident", NameServers: []string{c.NameServer()}}, liftoff.WithSteps(core.ListenerStep("incident", tr)))
	tr.p = startProducer(t, p, err)
	for i := range 32 { // connections, as the simulation has them before its traffic
		_, err := tr.p.Send(t.Context(), &core.Message{Topic: topic, Body: fmt.Appendf(nil, "warm %d", i)})
		must(t, err)
	}
	for i := range simCallers {
		rnd := rand.New(rand.NewPCG(1, uint64(i)))
		pause := simCallers / simRate * float64(time.Second)
		tr.callers.Go(func() {
			for {
				select {
				case <-tr.stop:
					return
				case <-time.After(time.Duration(rnd.ExpFloat64() * pause)):
				}
				m := &core.Message{Topic: topic, Body: []byte("x")}
				if rnd.Float64() < keyed {
					m.ShardingKey = fmt.Sprint("key-", rnd.IntN(64))
				}
				_, err := tr.p.Send(context.WithoutCancel(t.Context()), m)
				tr.called(m.ShardingKey != "", err)
			}
		})
	}
	return tr
}

func (tr *incidentTraffic) called(keyed bool, err error) {
	tr.mu.Lock()
	defer tr.mu.Unlock()
	tr.calls++
	switch {
	case err == nil:
	case keyed:
		tr.keyedErrors++
	default:
		tr.plainErrors++
	}
}

func (tr *incidentTraffic) AttemptDone(_ context.Context, r *core.AttemptReport) {
	tr.mu.Lock()
	defer tr.mu.Unlock()
	if !r.Abandoned {
		tr.attempts = append(tr.attempts, beganAttempt{r.Attempt.Broker().Name, time.Now().Add(-r.Latency)})
	}
}

func (tr *incidentTraffic) sick(broker string, is bool) {
	tr.mu.Lock()
	defer tr.mu.Unlock()
	if is {
		tr.outages = append(tr.outages, realOutage{broker: broker, begin: time.Now()})
	} else {
		tr.outages[len(tr.outages)-1].end = time.Now()
	}
}

// shares counts attempts as the simulation does, by when they began: those during the incident, and of them those to a
// broker that was sick.
func (tr *incidentTraffic) shares(began time.Time, length time.Duration) (toSick, during int) {
	tr.mu.Lock()
	defer tr.mu.Unlock()
	for _, a := range tr.attempts {
		if a.at.Before(began) || !a.at.Before(began.Add(length)) {
			continue
		}
		during++
		if slices.ContainsFunc(tr.outages, func(o realOutage) bool {
			return a.broker == o.broker && !a.at.Before(o.begin) && a.at.Before(o.end)
		}) {
			toSick++
		}
	}
	return toSick, during
}

func (tr *incidentTraffic) end() {
	close(tr.stop)
	tr.callers.Wait()
}
