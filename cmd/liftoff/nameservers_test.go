package main

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/liftoff-mq/liftoff/transport/embedded"
)

// The endpoint is given by its flag or by the environment, and its answer is where lines go.
func TestNameServersFromAnEndpoint(t *testing.T) {
	c := embedded.New(t, embedded.Config{})
	endpoint := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path != "/rocketmq/nsaddr" {
			http.NotFound(w, r)
			return
		}
		_, _ = w.Write([]byte(strings.Join(c.NameServers(), ";") + "\n"))
	}))
	defer endpoint.Close()
	args := []string{"send", "--topic", "orders"}
	if got := program(t, "x\n", append(args, "--namesrv-endpoint", endpoint.URL)...); got.status != exitOK {
		t.Errorf("got %+v", got)
	}
	t.Setenv("LIFTOFF_NAMESRV_ENDPOINT", strings.TrimPrefix(endpoint.URL, "http://"))
	if got := program(t, "x\n", args...); got.status != exitOK {
		t.Errorf("got %+v", got)
	}
	stored(t, c, 2)
	got := program(t, "x\n", append(args, "--namesrv-endpoint", endpoint.URL+"/other", "--timeout", "200ms")...)
	if got.status != exitFail || !strings.Contains(got.err, "no name server is known yet: endpoint "+endpoint.URL+"/other: it answered with status 404") {
		t.Errorf("got %+v", got)
	}
	t.Setenv("LIFTOFF_NAMESRV_ENDPOINT", "")
	t.Setenv("LIFTOFF_NAMESRV_SRV", "_rocketmq._tcp.invalid")
	got = program(t, "x\n", append(args, "--timeout", "200ms")...)
	if got.status != exitFail || !strings.Contains(got.err, "no name server is known yet: SRV _rocketmq._tcp.invalid") {
		t.Errorf("got %+v", got)
	}
}
