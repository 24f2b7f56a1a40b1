package remoting_test

import (
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/liftoff-mq/liftoff/core"
	"github.com/liftoff-mq/liftoff/transport/remoting"
)

// The query of the endpoint may hold a token. Whatever the endpoint or the program's client says,
// neither is in an error, the log or a description; what is wrong is said all the same.
func TestQueryOfEndpointIsNotShown(t *testing.T) {
	const query = `token=s3cret%22value&empty=&short=abc&se%20cret+pair`
	u, err := url.Parse("http://conf.example/list?" + query)
	if err != nil {
		t.Fatal(err)
	}
	secrets := []string{`s3cret`, `value`, `se%20cret`, `se cret`, `cret+pair`}
	raw := func(answer string) string { return "raw " + answer }
	for name, tt := range map[string]struct {
		answer string // a body, or after "raw " all of it
		says   string
	}{
		"a page":                  {"no page /list?" + query, "its answer is not host:port;host:port, and is not shown"},
		"a value as it is meant":  {`no token s3cret"value here`, "its answer is not host:port"},
		"as HTML":                 {`<p>s3cret&#34;value</p>`, "its answer is not host:port"},
		"in capitals":             {`TOKEN S3CRET%22VALUE`, "its answer is not host:port"},
		"a pair":                  {"no se cret pair", "its answer is not host:port"},
		"cut within":              {strings.Repeat("x", 120) + query, "its answer is not host:port"},
		"another page":            {"maintenance, abc", `but "maintenance, abc"`},
		"a host":                  {"s3cret%22value.example:99999", "its answer is not host:port"},
		"a redirect to nonsense":  {raw("HTTP/1.1 302 Found\r\nLocation: http://bad host/list?" + query + "\r\nContent-Length: 0\r\n\r\n"), "what went wrong is not shown"},
		"a redirect, another way": {raw("HTTP/1.1 302 Found\r\nLocation: http://%zz/list?" + u.Query().Encode() + "\r\nContent-Length: 0\r\n\r\n"), "what went wrong is not shown"},
		"a value in quotes":       {raw("HTTP/1.1 302 Found\r\nLocation: http://bad host/s3cret\"value\r\nContent-Length: 0\r\n\r\n"), "what went wrong is not shown"},
		"an echo":                 {raw("GET /list?" + query + " HTTP/1.1\r\n\r\n"), "what went wrong is not shown"},
		"a header":                {raw("HTTP/1.1 200 OK\r\nno colon " + query + "\r\n\r\n"), "what went wrong is not shown"},
		"a length":                {raw("HTTP/1.1 200 OK\r\nContent-Length: " + query + "\r\n\r\n"), "what went wrong is not shown"},
		"no HTTP":                 {raw("SSH-2.0-OpenSSH_9.2\r\n"), "SSH-2.0"},
		"another redirect":        {raw("HTTP/1.1 302 Found\r\nLocation: http://bad host/\r\nContent-Length: 0\r\n\r\n"), "bad host"},
		"an error of the client":  {"error", "what went wrong is not shown"},
		"a panic of the client":   {"panic", "what went wrong is not shown"},
		"nobody":                  {"", "connection refused"},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				n := newPipes()
				own := overPipes(n)
				answer, isRaw := strings.CutPrefix(tt.answer, "raw ")
				switch {
				case answer == "error" || answer == "panic":
					own.Transport = roundTrip(func(r *http.Request) (*http.Response, error) {
						if answer == "panic" {
							panic("asked for " + r.URL.String())
						}
						return nil, fmt.Errorf("no answer from %s", r.URL)
					})
				case isRaw:
					serveRaw(t, n.listen("conf.example:80"), answer)
				case answer != "":
					endpoint(t, n, "conf.example:80", func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, answer) })
				}
				d := discover(t, n, remoting.Config{Discovery: remoting.Discovery{Endpoint: u.String(), HTTPClient: own}})
				time.Sleep(time.Second)
				_, err := d.c.Route(timed(t, 100*time.Millisecond), "T")
				if err == nil || !strings.Contains(err.Error(), tt.says) || !strings.Contains(err.Error(), "http://conf.example/list: ") {
					t.Errorf("%v, want %q", err, tt.says)
				}
				if answer == "panic" && !errors.As(err, new(*core.PanicError)) {
					t.Errorf("no panic is in %v", err)
				}
				text := fmt.Sprintf("%v %+v %s %+v %+v %+v %v", err, err, d.log, core.Describe(d.c), d.c, d.p.Snapshot(), d.p.Pipeline())
				for chain := err; chain != nil; chain = errors.Unwrap(chain) {
					text += fmt.Sprintf(" %+v", chain)
				}
				for _, secret := range secrets {
					if strings.Contains(strings.ToLower(text), secret) {
						t.Errorf("%q is in %s", secret, text)
					}
				}
			})
		})
	}
}

// What the endpoint's shown part has, and what the client has added to the query, is no secret.
func TestPartsOfQueryThatAreNoSecrets(t *testing.T) {
	for _, tt := range []struct{ endpoint, unit, answer, says string }{
		{"http://conf.example/list?from=conf.example", "", "ask conf.example in an hour", `but "ask conf.example in an hour"`},
		{"http://conf.example/list", "unit", "nofix=1 unknown", `but "nofix=1 unknown"`},
		{"http://conf.example/list?token=s3cret", "unit", "nofix=1&token=s3cret unknown", "is not shown"},
		{"http://conf.example/list?a=b;token=s3cret", "", "no s3cret", "is not shown"},
		{"http://conf.example/list?token=s3;cr;et", "", "no s3;cr;et", "is not shown"},
		{"http://conf.example/list?token=ab/cd%2Bef", "", "no ab%2fcd%2bef", "is not shown"},
		{"http://conf.example/list?token=ab/cd+ef", "", "no ab%2Fcd%20ef", "is not shown"},
		{"http://conf.example/list?s3cret", "", "no S3CRET", "is not shown"},
	} {
		synctest.Test(t, func(t *testing.T) {
			n := newPipes()
			endpoint(t, n, "conf.example:80", func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, tt.answer) })
			d := discover(t, n, remoting.Config{UnitName: tt.unit, Discovery: remoting.Discovery{Endpoint: tt.endpoint, HTTPClient: overPipes(n)}})
			time.Sleep(time.Second)
			if _, err := d.c.Route(timed(t, 100*time.Millisecond), "T"); err == nil || !strings.Contains(err.Error(), tt.says) {
				t.Errorf("%s: %v, want %q", tt.endpoint, err, tt.says)
			}
		})
	}
}

// serveRaw answers each connection with the same bytes.
func serveRaw(t *testing.T, ln net.Listener, answer string) {
	done := make(chan struct{})
	go func() {
		defer close(done)
		for {
			nc, err := ln.Accept()
			if err != nil {
				return
			}
			_, _ = nc.Read(make([]byte, 4096))
			_, _ = io.WriteString(nc, answer)
			nc.Close()
		}
	}()
	t.Cleanup(func() { ln.Close(); <-done })
}

// A configuration that is printed has no query of its endpoint, and no password where none may be.
func TestEndpointOfPrintedConfig(t *testing.T) {
	for endpoint, want := range map[string]string{
		"":                                "",
		"conf.example":                    "conf.example",
		"http://conf.example:81/list":     "http://conf.example:81/list",
		"conf.example/list?token=secret":  "conf.example/list?[hidden]",
		"http://user:secret@conf.example": "[hidden]",
		"http://a:sec/ret@conf.example":   "[hidden]",
		"http://conf.example/#secret":     "[hidden]",
	} {
		cfg := remoting.Config{Discovery: remoting.Discovery{Endpoint: endpoint, Interval: time.Minute}}
		for verb, field := range map[string]string{"%v": "{" + want + " [] 1m0s", "%+v": "{Endpoint:" + want + " SRV:[] Interval:1m0s", "%#v": fmt.Sprintf("Endpoint:%q", want)} {
			for _, text := range []string{fmt.Sprintf(verb, cfg), fmt.Sprintf(verb, &cfg), fmt.Sprintf(verb, cfg.Discovery)} {
				if !strings.Contains(text, field) || strings.Contains(text, "secret") {
					t.Errorf("%s of %q: %s, want %q in it", verb, endpoint, text, field)
				}
			}
		}
		if cfg.Discovery.Endpoint != endpoint {
			t.Errorf("printing changed %q to %q", endpoint, cfg.Discovery.Endpoint)
		}
	}
}
