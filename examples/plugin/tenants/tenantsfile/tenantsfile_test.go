package tenantsfile_test

import (
	"fmt"
	"log"
	"strings"
	"testing"

	"go.uber.org/goleak"

	"github.com/liftoff-mq/liftoff/core"
	"github.com/liftoff-mq/liftoff/core/coretest"
	"github.com/liftoff-mq/liftoff/examples/plugin/tenants"
	"github.com/liftoff-mq/liftoff/examples/plugin/tenants/tenantsfile"
	"github.com/liftoff-mq/liftoff/strategies/policyfile"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const file = `
version: 1
policies:
  default: {retry: none}
  shop:
    selector: tenants.brokers
    retry: {tenants.brokers: {otherwise: safe}}
    steps: {tenants.guard: {}}
targets:
  topics: {Orders: shop}
  default: default
`

func acme() (*tenants.Tenants, error) {
	return tenants.New(tenants.Config{Tenants: map[string]tenants.Tenant{"acme": {Brokers: []string{"broker-b"}}}})
}

// The tenants count for the topic of the policy, and for no other one.
func TestPolicyFile(t *testing.T) {
	all, err := acme()
	if err != nil {
		t.Fatal(err)
	}
	policies, err := policyfile.Parse("policies.yaml", []byte(file), tenantsfile.Options(all)...)
	if err != nil {
		t.Fatal(err)
	}
	cfg := coretest.Config(&coretest.Transport{})
	cfg.Policies = policies
	producer := coretest.Start(t, cfg)
	for topic, want := range map[string]string{"Orders": "broker-b", "Quotes": "broker-a"} {
		res, err := producer.Send(t.Context(), &core.Message{
			Topic: topic, Body: []byte("3 books"), Properties: map[string]string{tenants.Property: "acme"},
		})
		if err != nil || res.Queue.Broker != want {
			t.Errorf("%s: %+v, %v, want %s", topic, res, err, want)
		}
	}
	_, err = producer.Send(t.Context(), &core.Message{
		Topic: "Orders", Body: []byte("3 books"), Properties: map[string]string{tenants.Property: "acme"}, Queue: &core.Queue{Broker: "broker-a"},
	})
	if core.ClassOf(err) != core.ClassForbidden {
		t.Errorf("a message at another broker's queue: %v", err)
	}
}

func TestMistakes(t *testing.T) {
	all, err := acme()
	if err != nil {
		t.Fatal(err)
	}
	wrong := strings.Replace(file, "otherwise: safe", "otherwise: save", 1)
	_, err = policyfile.Parse("policies.yaml", []byte(wrong), tenantsfile.Options(all)...)
	if err == nil || !strings.Contains(err.Error(), `policies.yaml:7:42`) || !strings.Contains(err.Error(), "safe") {
		t.Errorf("got %v", err)
	}
}

func ExampleOptions() {
	all, err := acme()
	if err != nil {
		log.Fatal(err)
	}
	policies, err := policyfile.Parse("policies.yaml", []byte(file), tenantsfile.Options(all)...)
	if err != nil {
		log.Fatal(err)
	}
	shop := policies.Policy("Orders")
	fmt.Println(core.Describe(shop.Selector))
	fmt.Println(core.Describe(shop.Retry).Summary)
	// Output:
	// in turn over the tenant's brokers (acme broker-b)
	// safe
}
