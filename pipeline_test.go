package liftoff_test

import (
	"errors"
	"flag"
	"os"
	"path/filepath"
	"testing"
	"testing/synctest"
	"time"

	"github.com/liftoff-mq/liftoff"
	"github.com/liftoff-mq/liftoff/core"
	"github.com/liftoff-mq/liftoff/core/rocketmq"
	"github.com/liftoff-mq/liftoff/strategies/retry"
	"github.com/liftoff-mq/liftoff/strategies/selector"
	"github.com/liftoff-mq/liftoff/transport/embedded"
	"github.com/liftoff-mq/liftoff/transport/remoting"
	"github.com/liftoff-mq/liftoff/transport/wire"
)

var update = flag.Bool("update", false, "write the golden files anew")

// golden compares with a file under testdata.
func golden(t *testing.T, name, got string) {
	t.Helper()
	file := filepath.Join("testdata", name)
	if *update {
		if err := os.MkdirAll("testdata", 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(file, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if got != string(want) {
		t.Errorf("got\n%s\nwant (%s; -update writes it anew)\n%s", got, file, want)
	}
}

// twoPolicies sends payments more carefully than the rest.
func twoPolicies() core.PolicySource {
	return &liftoff.PolicyTable{
		Default: &liftoff.Policy{Name: "default"},
		ByTopic: map[string]*liftoff.Policy{"Payments": {
			Name: "payments", Timeout: 10 * time.Second, AttemptTimeout: 2 * time.Second, Retry: retry.Safe(retry.Retries(4)), Selector: selector.RoundRobin(),
		}},
	}
}

// What a producer of two policies says of itself; cmd/liftoff has the files of the default one.
func TestPipelineOfTwoPolicies(t *testing.T) {
	p, err := liftoff.New(liftoff.Config{Group: "g", NameServers: []string{"127.0.0.1:9876"}, Namespace: "shop"}, liftoff.WithPolicies(twoPolicies()))
	if err != nil {
		t.Fatal(err)
	}
	golden(t, "policies.txt", p.Pipeline().String())
}

// trouble makes both brokers of a cluster have one kind of failure, by its name in a forecast.
var trouble = map[string]func(t *testing.T, c *embedded.Cluster, n *embedded.Network){
	"broker hangs": always(embedded.Hang()),
	"connection refused": func(_ *testing.T, c *embedded.Cluster, _ *embedded.Network) {
		for _, b := range c.Brokers() {
			b.Kill()
		}
	},
	"connection lost":       always(embedded.StoreThenCut()),
	"broker is busy":        always(embedded.Reply(rocketmq.CodeSystemBusy, "[OVERLOAD]")),
	"broker is unavailable": always(embedded.Reply(rocketmq.CodeServiceNotAvailable, "not now")),
	"unexplained error":     always(embedded.Reply(rocketmq.CodeSystemError, "who knows")),
	"message refused":       always(embedded.Reply(rocketmq.CodeMessageIllegal, "no")),
	"no permission":         always(embedded.Reply(rocketmq.CodeNoPermission, "the broker has no permission")),
	"wrong credentials":     always(embedded.Reply(rocketmq.CodeNoPermission, "org.apache.rocketmq.auth.authentication.exception.AuthenticationException: no")),
	"route is outdated":     always(embedded.Reply(rocketmq.CodeNotLeaderForQueue, "moved")),
}

func always(a embedded.Action) func(*testing.T, *embedded.Cluster, *embedded.Network) {
	return func(_ *testing.T, c *embedded.Cluster, _ *embedded.Network) {
		c.Control(wire.SendMessageV2, func(*embedded.Request) embedded.Action { return a })
	}
}

// What the pipeline's text says of failures is what happens, by both policies.
func TestForecastsComeTrue(t *testing.T) {
	for _, policy := range []string{"payments", "default"} {
		for name, begin := range trouble {
			t.Run(policy+"/"+name, func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					topic := map[string]string{"payments": "Payments", "default": "Orders"}[policy]
					network := embedded.NewNetwork()
					c := embedded.New(t, embedded.Config{Brokers: embedded.BrokerNames(2), Network: network})
					if err := c.CreateTopic(topic, 4); err != nil {
						t.Fatal(err)
					}
					p, err := liftoff.New(liftoff.Config{
						Group: "g", NameServers: c.NameServers(), Client: remoting.Config{Dial: c.Dial},
					}, liftoff.WithPolicies(twoPolicies()))
					if err != nil {
						t.Fatal(err)
					}
					want, seen := forecast(p, policy, name)
					if !seen {
						t.Fatal("there is no such forecast")
					}
					if err := p.Start(t.Context()); err != nil {
						t.Fatal(err)
					}
					defer p.Shutdown(t.Context())
					begin(t, c, network)
					start := time.Now()
					_, err = p.Send(t.Context(), &liftoff.Message{Topic: topic, Body: []byte("x")})
					var failed *liftoff.SendError
					if !errors.As(err, &failed) {
						t.Fatalf("got %v", err)
					}
					check(t, want, failed, time.Since(start))
				})
			})
		}
	}
}

func forecast(p *liftoff.Producer, policy, name string) (core.FailureForecast, bool) {
	for _, d := range p.Pipeline().Policies() {
		for _, f := range d.Failures {
			if d.Name == policy && f.Name == name {
				return f, true
			}
		}
	}
	return core.FailureForecast{}, false
}

func check(t *testing.T, want core.FailureForecast, got *liftoff.SendError, took time.Duration) {
	t.Helper()
	if got.Class != want.Class || got.Certainty != want.Certainty || got.Stop != want.Stop || len(got.Attempts) != want.Attempts {
		t.Errorf("%d attempts, %v, %v, stopped by %v; the forecast is %v, stopped by %v\n%v",
			len(got.Attempts), got.Class, got.Certainty, got.Stop, want, want.Stop, got)
	}
	var total time.Duration
	for i, text := range want.Times {
		d, err := time.ParseDuration(text)
		if err != nil {
			t.Fatal(err)
		}
		total += d
		if i < len(got.Attempts) && got.Attempts[i].Duration != d {
			t.Errorf("attempt %d took %v, the forecast is %v", i+1, got.Attempts[i].Duration, d)
		}
	}
	if total > 0 && took != total {
		t.Errorf("it took %v, the forecast is %v", took, total)
	}
}
