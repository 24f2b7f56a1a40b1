package faulttest_test

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/liftoff-mq/liftoff"
	"github.com/liftoff-mq/liftoff/core"
	"github.com/liftoff-mq/liftoff/strategies/breaker"
	"github.com/liftoff-mq/liftoff/transport/embedded"
	"github.com/liftoff-mq/liftoff/transport/remoting"
	"github.com/liftoff-mq/liftoff/transport/remoting/acl"
	"github.com/liftoff-mq/liftoff/transport/wire"
)

// Three producers of one process, two clusters whose brokers have the same names and addresses: each message, signature,
// client id, group, policy and breaker is its own producer's. One cluster that is down is nothing to those of the other,
// and neither is a producer that ends to those that stay.
func TestTenantsOfOneProcess(t *testing.T) {
	virtual(t, func(t *testing.T) {
		down, up := newWorldFor(t, "ns-a%T"), newWorldFor(t, "T")
		a := newTenant(t, down, "a", liftoff.Config{Namespace: "ns-a"})
		b := newTenant(t, up, "b", liftoff.Config{Client: remoting.Config{NamespaceV2: "ns-b", UnitName: "unit-b"}})
		c := newTenant(t, up, "c", liftoff.Config{Client: remoting.Config{NamespaceV2: "ns-c", UnitMode: true}})
		tenants := []*tenant{a, b, c}
		everyone := func() map[*tenant]int { return map[*tenant]int{a: a.stored(), b: b.stored(), c: c.stored()} }

		before := everyone()
		failed := load(tenants...)
		for x, n := range everyone() {
			if n-before[x] != x.messages || failed[x] != 0 {
				t.Errorf("%s: %d of %d messages are stored, %d sends failed", x.name, n-before[x], x.messages, failed[x])
			}
		}

		for _, node := range down.Brokers() {
			node.Kill()
		}
		before = everyone()
		failed = load(tenants...)
		for x, n := range everyone() {
			x.closed = x != a
			if x == a {
				want(t, "sends of a that failed", failed[a] > 0, true)
				want(t, "messages of a that are stored", n-before[x], 0)
				continue
			}
			if n-before[x] != x.messages || failed[x] != 0 {
				t.Errorf("%s: %d of %d messages are stored, %d sends failed", x.name, n-before[x], x.messages, failed[x])
			}
		}
		for _, x := range tenants {
			for _, s := range x.breakers.States() {
				if closed := s.State == breaker.Closed; closed != x.closed {
					t.Errorf("the breaker of %s for %s is %v", x.name, s.Broker, s.State)
				}
			}
			if x != a {
				x.onlyFirstAttempts(t)
			}
		}

		for _, node := range down.Brokers() {
			if err := node.Start(bg); err != nil {
				t.Fatal(err)
			}
		}
		time.Sleep(2 * time.Minute)
		for range 20 {
			_, _ = a.Send(bg, msg("a-again")) // closes the breakers
		}
		if failed = load(tenants...); failed[a]+failed[b]+failed[c] != 0 {
			t.Errorf("after the cluster is back these failed: %v", failed)
		}
		time.Sleep(time.Minute) // heartbeats
		want(t, "groups of the first cluster", fmt.Sprint(groups(down)), "[ns-a%group-a]")
		want(t, "groups of the second cluster", fmt.Sprint(groups(up)), "[group-b group-c]")
		for i, x := range tenants {
			x.end(t)
			synctest.Wait()
			want(t, "groups of both clusters", fmt.Sprint(groups(down), groups(up)), []string{"[] [group-b group-c]", "[] [group-c]", "[] []"}[i])
			before = everyone()
			failed = load(tenants[i+1:]...)
			for _, other := range tenants[i+1:] {
				if n := other.stored() - before[other]; n != other.messages || failed[other] != 0 {
					t.Errorf("%s after the end of %s: %d of %d messages are stored, %d sends failed", other.name, x.name, n, other.messages, failed[other])
				}
			}
		}

		for _, w := range []*world{down, up} {
			for _, m := range slices.Concat(w.Stored("T"), w.Stored("ns-a%T")) {
				if owner := string(m.Body[0]); (owner == "a") != (w == down) || (m.Topic == "ns-a%T") != (owner == "a") {
					t.Errorf("%s has the message %q", m.Topic, m.Body)
				}
			}
		}
		ids := map[string]bool{}
		for _, x := range tenants {
			x.checkRequests(t)
			ids[x.client.ClientID()] = true
			if policies := slices.Collect(maps.Keys(x.met.names)); !slices.Equal(policies, []string{"policy-" + x.name}) {
				t.Errorf("%s was sent by the policies %v", x.name, policies)
			}
		}
		want(t, "client ids", len(ids), 3)
	})
}

// newWorldFor is a cluster of two brokers that remembers every request.
func newWorldFor(t *testing.T, topic string) *world {
	t.Helper()
	w := newWorldOf(t, embedded.Config{Brokers: embedded.BrokerNames(2), Network: embedded.NewNetwork(), RecordedRequests: 100_000})
	if err := w.CreateTopic(topic, 4); err != nil {
		t.Fatal(err)
	}
	return w
}

// tenant is a producer with settings and parts of its own.
type tenant struct {
	*sender
	name     string
	w        *world
	keys     acl.Credentials
	ns       string // version 2
	topic    string // on the wire
	messages int    // of one load
	closed   bool   // its breakers should be
	ended    bool
	met      *metPolicies
}

// metPolicies are the policies of a producer's calls, as a step of them.
type metPolicies struct {
	mu    sync.Mutex
	names map[string]bool
}

// Intercept notes the policy of a call.
func (m *metPolicies) Intercept(ctx context.Context, call *core.Call, next core.Handler) (*core.Result, error) {
	m.mu.Lock()
	m.names[call.Policy().Name] = true
	m.mu.Unlock()
	return next(ctx, call)
}

func newTenant(t *testing.T, w *world, name string, cfg liftoff.Config) *tenant {
	t.Helper()
	x := &tenant{
		name: name, w: w, keys: acl.Credentials{AccessKey: "key-" + name, SecretKey: acl.NewSecret("secret-" + name)},
		ns: cfg.Client.NamespaceV2, topic: "T", closed: true, met: &metPolicies{names: map[string]bool{}},
	}
	if cfg.Namespace != "" {
		x.topic = cfg.Namespace + "%T"
	}
	cfg.Group = "group-" + name
	cfg.ACL = acl.Config{AccessKey: x.keys.AccessKey, SecretKey: x.keys.SecretKey}
	x.sender = w.make(t, cfg, liftoff.WithPolicies(only{&core.Policy{Name: "policy-" + name, Timeout: 2 * time.Second}}),
		liftoff.WithSteps(core.CallStep("which", core.StageGuard, x.met)))
	if err := x.Start(bg); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { x.end(t) })
	return x
}

func (x *tenant) end(t *testing.T) {
	if x.ended {
		return
	}
	x.ended = true
	if err := x.Shutdown(bg); err != nil {
		t.Errorf("the end of %s: %v", x.name, err)
	}
}

// stored is how many messages of this tenant's its cluster has.
func (x *tenant) stored() int {
	synctest.Wait()
	n := 0
	for _, m := range x.w.Stored(x.topic) {
		if strings.HasPrefix(string(m.Body), x.name+"-") {
			n++
		}
	}
	return n
}

// load sends for all of them at once, in every mode, and tells how many sends of each have failed.
func load(tenants ...*tenant) map[*tenant]int {
	const goroutines, sends = 4, 40
	failed := map[*tenant]int{}
	var mu sync.Mutex
	var wg sync.WaitGroup
	for _, x := range tenants {
		failed[x] = 0
		x.messages = goroutines * sends * 5 / 4 // every fourth send is a batch of two
		for g := range goroutines {
			wg.Go(func() {
				for i := range sends {
					if err := x.send(i%4, fmt.Sprintf("%s-%d-%d", x.name, g, i)); err != nil {
						mu.Lock()
						failed[x]++
						mu.Unlock()
					}
				}
			})
		}
	}
	wg.Wait()
	synctest.Wait()
	return failed
}

func (x *tenant) send(mode int, body string) (err error) {
	switch mode {
	case 0:
		_, err = x.Send(bg, msg(body))
	case 1:
		done := make(chan error, 1)
		x.SendAsync(bg, msg(body), func(_ core.Result, err error) { done <- err })
		err = <-done
	case 2:
		_, err = x.SendBatch(bg, []*core.Message{msg(body), msg(body)})
	default:
		err = x.SendOneway(bg, msg(body))
	}
	return err
}

// onlyFirstAttempts looks whether none had to be made again.
func (x *tenant) onlyFirstAttempts(t *testing.T) {
	t.Helper()
	for _, a := range x.log.take() {
		if a.err != nil {
			t.Errorf("an attempt of %s at %s failed: %v", x.name, a.broker, a.err)
		}
	}
}

// checkRequests looks whether the requests with the key of this tenant are signed with its secret key and name its
// tenant, group and client, and whether no other ones do.
func (x *tenant) checkRequests(t *testing.T) {
	t.Helper()
	provider, err := acl.Static(x.keys)
	if err != nil {
		t.Fatal(err)
	}
	s, err := acl.NewSigner(provider)
	if err != nil {
		t.Fatal(err)
	}
	group := "group-" + x.name
	if x.topic != "T" {
		group = strings.TrimSuffix(x.topic, "T") + group
	}
	for _, code := range []int{wire.GetRouteInfoByTopic, wire.SendMessageV2, wire.SendBatchMessage, wire.HeartBeat, wire.UnregisterClient} {
		own := 0
		for _, r := range x.w.Requests(code) {
			f := r.Command.Ext
			mine := f.Get("AccessKey") == x.keys.AccessKey
			said := []string{f.Get("a"), f.Get("producerGroup"), f.Get("clientID")}
			if code == wire.HeartBeat {
				beat, err := wire.ParseHeartbeat(r.Command.Body)
				if err != nil {
					t.Fatal(err)
				}
				said = append(beat.ProducerGroups, beat.ClientID)
			}
			for _, name := range said {
				if name != "" && mine != (name == group || name == x.client.ClientID()) {
					t.Errorf("request %d of %s says %q; it is %s's: %t", code, f.Get("AccessKey"), name, x.name, mine)
				}
			}
			if !mine {
				continue
			}
			own++
			rest := slices.DeleteFunc(slices.Clone(f), func(f wire.Field) bool { return f.Key == "AccessKey" || f.Key == "Signature" })
			added, err := s.Sign(remoting.SignRequest{Fields: rest, Body: r.Command.Body})
			if err != nil || added.Get("Signature") != f.Get("Signature") {
				t.Errorf("request %d of %s has another signature, %v", code, x.name, err)
			}
			if f.Get("ns") != x.ns || f.Get("nsd") != map[bool]string{true: "true"}[x.ns != ""] {
				t.Errorf("request %d of %s has the namespace %q, want %q", code, x.name, f.Get("ns"), x.ns)
			}
		}
		if own == 0 {
			t.Errorf("%s has sent no request %d", x.name, code)
		}
	}
}

// groups are the producer groups that the brokers of a cluster know.
func groups(w *world) []string {
	all := map[string]bool{}
	for _, b := range w.Brokers() {
		for _, g := range b.ProducerGroups() {
			all[g] = true
		}
	}
	return slices.Sorted(maps.Keys(all))
}

// only is one policy for every topic.
type only struct{ policy *core.Policy }

func (o only) Policy(string) *core.Policy { return o.policy }

func (o only) Policies() []core.TopicPolicy {
	return []core.TopicPolicy{{Topics: "every topic", Policy: o.policy}}
}
