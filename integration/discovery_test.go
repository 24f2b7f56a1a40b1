package integration

import (
	"net/http"
	"net/http/httptest"
	"sync"
	"testing"
	"time"

	"github.com/liftoff-mq/liftoff"
	"github.com/liftoff-mq/liftoff/core"
	"github.com/liftoff-mq/liftoff/integration/realcluster"
	"github.com/liftoff-mq/liftoff/transport/remoting"
)

// An HTTP endpoint leads to real name servers. At first it knows none, then that of one cluster, then that of another,
// and at last it fails: every send succeeds within its time, and is stored where the endpoint led.
func TestNameServersFromAnEndpoint(t *testing.T) {
	t.Parallel()
	const version = "5.3.3"
	defer count(version, time.Now())
	var clusters [2]*cluster
	var started sync.WaitGroup
	for i := range clusters {
		started.Go(func() {
			launched, err := launch(t.Context(), realcluster.Options{Version: version})
			if err != nil {
				t.Error(err)
				return
			}
			clusters[i] = &cluster{launched}
		})
	}
	started.Wait()
	for _, c := range clusters {
		if c != nil {
			t.Cleanup(func() { must(t, c.Stop()) })
		}
	}
	if t.Failed() {
		return
	}
	topics := []string{topicFor(t, "first"), topicFor(t, "second"), topicFor(t, "third")}
	for _, c := range clusters {
		for _, topic := range topics {
			c.CreateTopic(t, topic, 1)
		}
	}

	var mu sync.Mutex
	status, body := http.StatusServiceUnavailable, ""
	says := func(s int, b string) {
		mu.Lock()
		defer mu.Unlock()
		status, body = s, b
	}
	endpoint := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		mu.Lock()
		defer mu.Unlock()
		if r.URL.RequestURI() != "/rocketmq/nsaddr-unit?nofix=1" {
			t.Errorf("asked for %s", r.URL)
		}
		w.WriteHeader(status)
		_, _ = w.Write([]byte(body))
	}))
	defer endpoint.Close()
	p, err := liftoff.New(liftoff.Config{Group: "discovery", Client: remoting.Config{
		UnitName: "unit", Discovery: remoting.Discovery{Endpoint: endpoint.URL, Interval: time.Second},
	}})
	startProducer(t, p, err)
	send := func(topic string) {
		t.Helper()
		began := time.Now()
		if _, err := p.Send(t.Context(), &core.Message{Topic: topic, Body: []byte("x")}); err != nil {
			t.Fatal(err)
		}
		t.Logf("%s: a send to %s took %s", version, topic, time.Since(began).Round(time.Millisecond))
	}
	stored := func(topic string, want ...int) {
		t.Helper()
		for i, c := range clusters {
			if n := c.Stored(t, topic, 1); n != want[i] {
				t.Errorf("cluster %d has %d messages of %s, want %d", i, n, topic, want[i])
			}
		}
	}

	time.AfterFunc(500*time.Millisecond, func() { says(http.StatusOK, clusters[0].NameServer()+"\n") })
	send(topics[0]) // waits for the first list
	stored(topics[0], 1, 0)

	says(http.StatusOK, clusters[1].NameServer()+";\n")
	time.Sleep(2500 * time.Millisecond)
	send(topics[1])
	stored(topics[1], 0, 1)

	says(http.StatusInternalServerError, clusters[0].NameServer())
	time.Sleep(2500 * time.Millisecond)
	send(topics[2])
	stored(topics[2], 0, 1)
}
