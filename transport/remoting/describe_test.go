package remoting_test

import (
	"strings"
	"testing"

	"github.com/liftoff-mq/liftoff/core"
	"github.com/liftoff-mq/liftoff/core/coretest"
	"github.com/liftoff-mq/liftoff/transport/remoting"
)

func TestDescribe(t *testing.T) {
	c := client(t, remoting.Config{NameServers: []string{"ns-1:9876;ns-2"}, Serialization: remoting.JSON, Signer: &signer{}})
	s := core.Describe(c).String()
	for _, want := range []string{"ns-1:9876", "ns-2:9876", "headers JSON", "dial at most 3s", "requests signed"} {
		if !strings.Contains(s, want) {
			t.Errorf("%q does not say %q", s, want)
		}
	}
}

// TestDescribeSigner: a signer that describes itself is asked what it does.
func TestDescribeSigner(t *testing.T) {
	s := core.Describe(client(t, remoting.Config{Signer: aclSigner(t)})).String()
	if want := "requests signed, fixed credentials (access key orders)"; !strings.Contains(s, want) {
		t.Errorf("%q does not say %q", s, want)
	}
}

// TestBrokerReport: a producer's snapshot tells of the client's connections.
func TestBrokerReport(t *testing.T) {
	b := broker(t, nil)
	c := client(t, remoting.Config{})
	p := producer(t, c, b.addr(), "127.0.0.1:1")
	for range 2 { // one to each broker, or neither
		_, _ = p.Send(bg, coretest.Message("x"))
	}
	q := core.Queue{Broker: "broker-b"}
	_, err := p.Send(bg, &core.Message{Topic: "T", Body: []byte("x"), Queue: &q})
	wantFailure(t, err, core.ClassNetwork, core.NotSent)
	report := func(addr string) string {
		var out []string
		for _, s := range c.BrokerReport(core.Broker{Addr: addr}) {
			out = append(out, s.Name+"="+s.Value)
		}
		return strings.Join(out, " ")
	}
	if got := report(b.addr()); !strings.HasPrefix(got, "connections=1 requests in flight=0 bytes queued=0") {
		t.Error(got)
	}
	if got := report("127.0.0.1:1"); !strings.Contains(got, "connections=0") || !strings.Contains(got, "last dial=") {
		t.Error(got)
	}
	if got := report("nowhere:1"); got != "connections=0" {
		t.Error(got)
	}
}
