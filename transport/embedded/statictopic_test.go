package embedded_test

import (
	"context"
	"fmt"
	"strings"
	"testing"

	"github.com/liftoff-mq/liftoff/transport/embedded"
	"github.com/liftoff-mq/liftoff/transport/wire"
)

// A broker takes sends to the logical queues that it leads, and refuses those to others as a real one does.
func TestStaticTopic(t *testing.T) {
	c := inMemory(t, embedded.Config{Brokers: embedded.BrokerNames(3)})
	if err := c.CreateStaticTopic("t", "broker-a", "broker-b", "broker-a"); err != nil {
		t.Fatal(err)
	}
	peers := map[string]*peer{}
	for _, b := range c.Brokers() {
		peers[b.Name()] = connect(t, c, b.Addr(), wire.JSON)
	}
	send := func(broker string, queue int) string {
		a := peers[broker].send("t", queue, "x")
		if a.Code != 0 {
			if len(a.Ext) > 0 {
				t.Errorf("%s, queue %d: a refusal with %v", broker, queue, a.Ext)
			}
			return fmt.Sprint(a.Code, " ", a.Remark)
		}
		return a.Ext.Get("queueId") + " at " + a.Ext.Get("queueOffset")
	}
	for _, tt := range []struct {
		broker string
		queue  int
		want   string
	}{
		{"broker-a", 0, "0 at 0"},
		{"broker-a", 2, "2 at 0"},
		{"broker-b", 1, "1 at 0"},
		{"broker-b", 1, "1 at 1"},
		{"broker-b", -1, "1 at 2"},
		{"broker-a", 1, "501 t-1 does not exit in request process of current broker broker-a"},
		{"broker-b", 0, "501 t-0 does not exit in request process of current broker broker-b"},
		{"broker-a", 3, "501 t-3 does not exit in request process of current broker broker-a"},
		{"broker-c", 0, "501 t-0 does not exit in request process of current broker broker-c"},
		{"broker-c", -1, "501 t-0 does not exit in request process of current broker broker-c"},
	} {
		if got := send(tt.broker, tt.queue); got != tt.want {
			t.Errorf("%s, queue %d: got %s, want %s", tt.broker, tt.queue, got, tt.want)
		}
	}
	epoch := int64(0)
	route := func() string {
		r := routeOf(t, connect(t, c, c.NameServers()[0], wire.JSON), "t")
		queues, err := wire.PublishQueues(r)
		if err != nil || !r.Static() {
			t.Fatalf("%+v, %v", r, err)
		}
		if r.Mappings[0].Epoch <= epoch {
			t.Errorf("epoch %d after %d", r.Mappings[0].Epoch, epoch)
		}
		epoch = r.Mappings[0].Epoch
		var s []string
		for _, q := range queues {
			s = append(s, q.BrokerName)
		}
		return strings.Join(s, " ")
	}
	if got := route(); got != "broker-a broker-b broker-a" {
		t.Errorf("led by %s", got)
	}
	if err := c.RemapQueue("t", 1, "broker-a"); err != nil {
		t.Fatal(err)
	}
	if got := route(); got != "broker-a broker-a broker-a" {
		t.Errorf("after the change led by %s", got)
	}
	for broker, want := range map[string]string{
		"broker-a": "1 at 3", "broker-b": "501 t-1 does not exit in request process of current broker broker-b",
	} {
		if got := send(broker, 1); got != want {
			t.Errorf("%s after the change: got %s, want %s", broker, got, want)
		}
	}
	// Its offsets go on wherever it is, as those of the others do.
	if err := c.RemapQueue("t", 1, "broker-c"); err != nil {
		t.Fatal(err)
	}
	if got := route() + ", " + send("broker-c", 1) + ", " + send("broker-a", 0); got != "broker-a broker-c broker-a, 1 at 4, 0 at 1" {
		t.Errorf("after another change: %s", got)
	}
	if got := c.StoredCount("t"); got != 8 {
		t.Errorf("%d stored, want 8", got)
	}
	if a := peers["broker-a"].call(wire.Command{Code: wire.GetMaxOffset, Ext: wire.Fields{prop("topic", "t"), prop("queueId", "0")}}); a.Code != 1 || !strings.Contains(a.Remark, "static topic") {
		t.Errorf("a consumer's request: code %d %s", a.Code, a.Remark)
	}
}

func TestStaticTopicErrors(t *testing.T) {
	c := inMemory(t, embedded.Config{})
	for _, err := range []error{
		c.CreateTopic("plain", 1), c.CreateStaticTopic("t", "broker-a"), c.RemapQueue("t", 0, "broker-a"),
	} {
		if err != nil {
			t.Fatal(err)
		}
	}
	for want, err := range map[string]error{
		"1 to 65536 queues":     c.CreateStaticTopic("none"),
		`no broker "z"`:         c.CreateStaticTopic("none", "z"),
		"illegal characters":    c.CreateStaticTopic("no topic", "broker-a"),
		"static topic t exists": c.CreateStaticTopic("t", "broker-a"),
		"topic plain exists":    c.CreateStaticTopic("plain", "broker-a"),
		`embedded: no broker "`: c.RemapQueue("t", 0, "z"),
		"no queue 1":            c.RemapQueue("t", 1, "broker-a"),
		"no queue -1":           c.RemapQueue("t", -1, "broker-a"),
		"static topic plain":    c.RemapQueue("plain", 0, "broker-a"),
	} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("got %v, want %q in it", err, want)
		}
	}
}

// A static topic over two brokers, and a queue that moves from one to the other.
func ExampleCluster_CreateStaticTopic() {
	cluster, err := embedded.Start(context.Background(), embedded.Config{Brokers: embedded.BrokerNames(2), Network: embedded.NewNetwork()})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer cluster.Close()
	fmt.Println(cluster.CreateStaticTopic("orders", "broker-a", "broker-b", "broker-a"))
	fmt.Println(cluster.RemapQueue("orders", 2, "broker-b"))
	fmt.Println(cluster.RemapQueue("orders", 3, "broker-b"))
	// Output:
	// <nil>
	// <nil>
	// embedded: no queue 3 of a static topic orders
}
