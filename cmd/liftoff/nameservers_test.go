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

// NAMESRV_ADDR counts where nothing else says where name servers are, as in the library.
func TestVariableOfNameServersIsTheLastResort(t *testing.T) {
	c := embedded.New(t, embedded.Config{})
	endpoint := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		_, _ = w.Write([]byte(strings.Join(c.NameServers(), ";")))
	}))
	defer endpoint.Close()
	good, bad := strings.Join(c.NameServers(), ";"), "127.0.0.1:high"
	for _, tt := range []struct {
		name, namesrv, endpoint string // variables
		flags                   []string
		status                  int
		says                    string
	}{
		{"alone", good, "", nil, exitOK, ""},
		{"alone and wrong", bad, "", nil, exitUsage, "--namesrv: "},
		{"beside the flag of an endpoint", bad, "", []string{"--namesrv-endpoint", endpoint.URL}, exitOK, ""},
		{"beside the variable of an endpoint", bad, endpoint.URL, nil, exitOK, ""},
		{"beside SRV records", good, "", []string{"--namesrv-srv", "_rocketmq._tcp.invalid", "--timeout", "200ms"}, exitFail, "no name server is known yet: SRV"},
		{"beside its flag", bad, "", []string{"--namesrv", good}, exitOK, ""},
		{"a flag beside an endpoint", good, "", []string{"--namesrv", bad, "--namesrv-endpoint", endpoint.URL}, exitUsage, "liftoff: --namesrv: name server "},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Setenv("NAMESRV_ADDR", tt.namesrv)
			t.Setenv("LIFTOFF_NAMESRV_ENDPOINT", tt.endpoint)
			got := program(t, "x\n", append([]string{"send", "--topic", "orders"}, tt.flags...)...)
			if got.status != tt.status || !strings.Contains(got.err, tt.says) {
				t.Errorf("%+v, want %d and %q", got, tt.status, tt.says)
			}
		})
	}
	t.Setenv("NAMESRV_ADDR", bad)
	if got := program(t, "", "topic", "route", "orders", "--namesrv-endpoint", endpoint.URL); got.status != exitOK {
		t.Errorf("%+v", got)
	}
}
