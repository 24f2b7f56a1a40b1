package remoting_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/liftoff-mq/liftoff/core"
	"github.com/liftoff-mq/liftoff/transport/embedded"
	"github.com/liftoff-mq/liftoff/transport/remoting"
	"github.com/liftoff-mq/liftoff/transport/wire"
)

// The client starts before anything exists. What waits in a send is answered as soon as the endpoint
// is there, and the list follows the endpoint's.
func TestEndpointThatComesAndChanges(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := newPipes()
		ns(t, n, "10.0.0.1:9876")
		ns(t, n, "10.0.0.2:9876")
		d := discover(t, n, remoting.Config{
			UnitName:  "unit",
			Discovery: remoting.Discovery{Endpoint: "conf.example", HTTPClient: overPipes(n)},
		})
		// Nobody is there: the error says what was asked, and why there was no answer.
		start := time.Now()
		err := d.send()
		wantFailure(t, err, core.ClassNetwork, core.NotSent)
		for _, want := range []string{"no name server is known yet", "http://conf.example:8080/rocketmq/nsaddr-unit", "connection refused"} {
			if !strings.Contains(err.Error(), want) {
				t.Errorf("%q is missing in: %v", want, err)
			}
		}
		if d := time.Since(start); d != 3*time.Second {
			t.Errorf("the send took %v", d)
		}
		var none *remoting.NameServerError
		if _, err := d.c.Route(timed(t, time.Second), "T"); !errors.As(err, &none) || !none.None || core.ClassOf(err) != core.ClassNetwork || !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("got %v", err)
		}

		cmd := wire.Command{Code: wire.GetRouteInfoByTopic, Ext: wire.RouteFields("T")}
		if _, err := d.c.DoNameServer(timed(t, time.Second), cmd); !errors.As(err, &none) || !none.None || core.ClassOf(err) != core.ClassNetwork {
			t.Errorf("got %v", err)
		}

		var list page
		list.set("10.0.0.1:9876\n")
		time.AfterFunc(1500*time.Millisecond, func() { endpoint(t, n, "conf.example:8080", list.ServeHTTP) })
		d.wantSend(2600 * time.Millisecond)
		d.wantServers("10.0.0.1:9876")
		if got := list.requests(); len(got) != 1 || got[0] != "conf.example:8080/rocketmq/nsaddr-unit?nofix=1" {
			t.Errorf("asked %q", got)
		}

		if _, err := d.c.DoNameServer(timed(t, time.Second), cmd); err != nil {
			t.Error(err)
		}

		// Two minutes later it is asked again.
		list.set("10.0.0.2:9876;10.0.0.1:9876\r\nwhat follows does not count")
		time.Sleep(remoting.DefaultDiscoveryInterval)
		synctest.Wait()
		d.wantServers("10.0.0.2:9876", "10.0.0.1:9876")
		list.set(" http://10.0.0.2:9876/ ; 10.0.0.2:9876;;")
		time.Sleep(remoting.DefaultDiscoveryInterval)
		synctest.Wait()
		d.wantServers("10.0.0.2:9876")
		d.wantSend(0)
		if got := list.requests(); len(got) != 3 {
			t.Errorf("asked %d times", len(got))
		}
		showable(t, "the log", d.log.String())
		if s := d.log.String(); strings.Count(s, "name servers not found") != 1 || strings.Count(s, "found again") != 1 {
			t.Errorf("the log says %s", s)
		}
	})
}

// The endpoint hangs when the client starts. The question has an end, and the next one has its answer.
func TestEndpointThatHangsAtFirst(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := newPipes()
		ns(t, n, "10.0.0.1:9876")
		var works atomic.Bool
		endpoint(t, n, "conf.example:8080", func(w http.ResponseWriter, r *http.Request) {
			if !works.Load() {
				<-r.Context().Done()
				return
			}
			_, _ = w.Write([]byte("10.0.0.1:9876"))
		})
		d := discover(t, n, remoting.Config{Discovery: remoting.Discovery{Endpoint: "conf.example", HTTPClient: overPipes(n)}})
		time.Sleep(1500 * time.Millisecond)
		err := d.send()
		wantFailure(t, err, core.ClassNetwork, core.NotSent)
		if !strings.Contains(err.Error(), "nsaddr: rocketmq: timeout: no answer after 3s") {
			t.Error(err)
		}
		works.Store(true)
		time.Sleep(3 * time.Second) // a question has begun before
		d.wantSend(time.Second)
	})
}

// An endpoint that takes a connection and says nothing, neither in TLS nor in HTTP: Shutdown leaves nothing of it.
func TestShutdownWithQuestionAtEndpoint(t *testing.T) {
	for _, scheme := range []string{"http", "https"} {
		var taken, open atomic.Int32
		ln := listen(t, "127.0.0.1:0")
		go func() {
			for {
				nc, err := ln.Accept()
				if err != nil {
					return
				}
				taken.Add(1)
				open.Add(1)
				go func() {
					_, _ = io.Copy(io.Discard, nc)
					nc.Close()
					open.Add(-1)
				}()
			}
		}()
		c := client(t, remoting.Config{NameServers: []string{}, Discovery: remoting.Discovery{Endpoint: scheme + "://" + ln.Addr().String() + "/list"}})
		eventually(t, "the endpoint is asked", func() bool { return taken.Load() > 0 })
		if err := c.Shutdown(bg); err != nil {
			t.Error(err)
		}
		eventually(t, "the connection is closed", func() bool { return open.Load() == 0 })
		ln.Close()
	}
}

// What is not a list changes nothing, and is one warning that a terminal can take.
func TestEndpointThatFails(t *testing.T) {
	many := strings.Repeat("10.0.0.1:9876;", 10)
	for i := range 65 {
		many += fmt.Sprintf("10.0.1.%d:9876;", i)
	}
	answer := func(status int, body string) http.HandlerFunc {
		return func(w http.ResponseWriter, _ *http.Request) {
			w.WriteHeader(status)
			_, _ = w.Write([]byte(body))
		}
	}
	for name, tt := range map[string]struct {
		h    http.HandlerFunc
		says string
	}{
		"refuses":          {answer(503, "10.0.0.9:9876"), "status 503"},
		"no content":       {answer(204, ""), "status 204"},
		"empty":            {answer(200, "\n"), "no name server"},
		"separators":       {answer(200, ";;;"), "no name server"},
		"words":            {answer(200, "maintenance"), `"maintenance"`},
		"a sentence":       {answer(200, "down until 10:30"), "host:port"},
		"HTML":             {answer(200, "<html>\n<body>10.0.0.9:9876"), `"<html>"`},
		"control":          {answer(200, "\x1b[2J10.0.0.9:9876"), "host:port"},
		"half good":        {answer(200, "10.0.0.9:9876;10.0.0.8:0"), "host:port"},
		"too many":         {answer(200, many), "at most 64"},
		"endless":          {answer(200, strings.Repeat("10.0.0.9:9876;", 1<<16)), "more than 65536 bytes"},
		"redirects":        {func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, "/again", http.StatusFound) }, "more than 3 times"},
		"names of nowhere": {answer(200, "nowhere.example:9876"), "no such host"},
		"cut": {func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Length", "99")
			_, _ = w.Write([]byte("10.0.0.9:9876"))
		}, "EOF"},
		"hangs": {func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() }, ""},
		"hangs in the body": {func(w http.ResponseWriter, r *http.Request) {
			_, _ = w.Write([]byte("10.0.0.9:9876;"))
			w.(http.Flusher).Flush()
			<-r.Context().Done()
		}, ""},
		"panics": {func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) }, "EOF"},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				n := newPipes()
				ns(t, n, "10.0.0.1:9876")
				var bad atomic.Bool
				endpoint(t, n, "conf.example:80", func(w http.ResponseWriter, r *http.Request) {
					if bad.Load() {
						tt.h(w, r)
						return
					}
					_, _ = w.Write([]byte("10.0.0.1:9876"))
				})
				d := discover(t, n, remoting.Config{Discovery: remoting.Discovery{
					Endpoint: "http://conf.example/list?token=secret", Interval: 10 * time.Second, HTTPClient: overPipes(n), Resolver: &dns{},
				}})
				d.wantSend(0)
				bad.Store(true)
				time.Sleep(30 * time.Second)
				synctest.Wait()
				d.wantServers("10.0.0.1:9876")
				d.wantSend(0)
				log := d.log.String()
				showable(t, "the log", log)
				if strings.Count(log, "name servers not found") != 1 || !strings.Contains(log, tt.says) || strings.Contains(log, "secret") {
					t.Errorf("the log says %s", log)
				}
				bad.Store(false)
				time.Sleep(10 * time.Second)
				synctest.Wait()
				if !strings.Contains(d.log.String(), "found again") {
					t.Errorf("the log says %s", d.log.String())
				}
			})
		})
	}
}

// The program's source may do anything. It is asked one question at a time.
func TestSourceOfTheProgram(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := newPipes()
		ns(t, n, "10.0.0.1:9876")
		var mu sync.Mutex
		var list []string
		var does func()
		asked, inside, most := 0, 0, 0
		source := remoting.NameServerFunc(func(ctx context.Context) ([]string, error) {
			mu.Lock()
			asked++
			inside++
			most = max(most, inside)
			do, out := does, list
			mu.Unlock()
			defer func() { mu.Lock(); inside--; mu.Unlock() }()
			if do != nil {
				do()
			}
			if len(out) == 0 {
				return nil, errors.New("not configured\x1b[2J")
			}
			return out, nil
		})
		set := func(do func(), servers ...string) {
			mu.Lock()
			list, does = servers, do
			mu.Unlock()
			time.Sleep(time.Minute)
			synctest.Wait()
		}
		d := discover(t, n, remoting.Config{Discovery: remoting.Discovery{Source: source, Interval: time.Minute}})
		err := d.send()
		wantFailure(t, err, core.ClassNetwork, core.NotSent)
		if !strings.Contains(err.Error(), "Discovery.Source: not configured") {
			t.Error(err)
		}
		showable(t, "the error", err.Error())
		set(nil, "10.0.0.1;10.0.0.2:9876")
		d.wantServers("10.0.0.1:9876", "10.0.0.2:9876")
		set(func() { panic("in the source") }, "10.0.0.3:9876")
		set(nil, "10.0.0.1:9876")
		d.wantServers("10.0.0.1:9876")
		set(nil, strings.Split(strings.Repeat("10.0.0.3:1 ", 65), " ")...)
		set(nil, "10.0.0.1:9876")
		set(nil, "not a host!:9876")
		d.wantServers("10.0.0.1:9876")
		// A source that blocks, whatever its context says, holds up nothing but itself.
		set(nil, "10.0.0.1:9876")
		release := make(chan struct{})
		set(func() { <-release }, "10.0.0.1:9876", "10.0.0.4:9876")
		questions := func() int { mu.Lock(); defer mu.Unlock(); return asked }
		time.Sleep(3 * time.Second)
		before := questions()
		time.Sleep(10 * time.Minute)
		d.wantSend(0)
		if n := questions() - before; n != 0 {
			t.Errorf("asked %d times while a question was open", n)
		}
		close(release)
		synctest.Wait()
		d.wantServers("10.0.0.1:9876", "10.0.0.4:9876") // its answer counts all the same
		if most != 1 {
			t.Errorf("%d questions at a time", most)
		}
		for _, want := range []string{"in the source", "no answer after 3s", "at most 64", `"host!:9876"`} {
			if !strings.Contains(d.log.String(), want) {
				t.Errorf("%q is missing in %s", want, d.log)
			}
		}
		showable(t, "the log", d.log.String())
	})
}

// All sources count together, and one that hangs does not keep back what the others have found.
func TestSourcesTogether(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := newPipes()
		ns(t, n, "10.0.0.1:9876")
		names := &dns{}
		names.hang(true)
		var list page
		list.set("10.0.0.1:9876;10.0.0.2:9876")
		endpoint(t, n, "conf.example:8080", list.ServeHTTP)
		d := discover(t, n, remoting.Config{NameServers: []string{"ns.example", "10.0.0.2:9876"}, Discovery: remoting.Discovery{
			Endpoint: "conf.example", Resolver: names, HTTPClient: overPipes(n),
			Source: remoting.NameServerFunc(func(context.Context) ([]string, error) { panic("no") }),
		}})
		d.wantSend(time.Second)
		d.wantServers("10.0.0.2:9876", "10.0.0.1:9876")
		if err := d.c.UpdateNameServers("10.0.0.7:9876"); err != nil {
			t.Fatal(err)
		}
		d.wantServers("10.0.0.7:9876", "10.0.0.1:9876", "10.0.0.2:9876")
	})
}

// Three servers are known; one does not know the topic, is slow, or hangs. Every send is in time.
func TestOneOfThreeServers(t *testing.T) {
	for name, script := range map[string]func(s *session, c wire.Command){
		"ignorant": answering(unknown, 0),
		"slow":     answering(func(string) *wire.RouteData { return routeTo(2, "10.1.0.1:10911") }, 1500*time.Millisecond),
		"hung":     func(*session, wire.Command) {},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				for range 6 { // the first to ask is a random one
					n := newPipes()
					run(t, n.listen("10.0.0.1:9876"), script)
					ns(t, n, "10.0.0.2:9876")
					ns(t, n, "10.0.0.3:9876")
					var list page
					list.set("10.0.0.1:9876;10.0.0.2:9876;10.0.0.3:9876\n")
					endpoint(t, n, "conf.example:8080", list.ServeHTTP)
					d := discover(t, n, remoting.Config{Discovery: remoting.Discovery{Endpoint: "conf.example:8080", HTTPClient: overPipes(n)}})
					for range 10 {
						d.wantSend(1100 * time.Millisecond)
						time.Sleep(time.Second)
					}
					time.Sleep(time.Minute) // the slow answer
				}
			})
		})
	}
}

func TestDiscoveryConfig(t *testing.T) {
	for endpoint, want := range map[string]string{
		"conf":                              "conf:8080/rocketmq/nsaddr",
		"conf.example:81":                   "conf.example:81/rocketmq/nsaddr",
		"conf.example/rocketmq/other":       "conf.example:8080/rocketmq/other",
		"http://conf.example":               "conf.example/rocketmq/nsaddr",
		"http://conf.example:8080/list?a=b": "conf.example:8080/list?a=b",
		"http://[fd00::1]:8080/":            "[fd00::1]:8080/rocketmq/nsaddr",
		"conf.example?token=abc":            "conf.example:8080/rocketmq/nsaddr?token=abc",
		"conf.example:81?a=b:1":             "conf.example:81/rocketmq/nsaddr?a=b:1",
		"conf.example/list?at=http://x":     "conf.example:8080/list?at=http://x",
		"conf.example/?token=abc":           "conf.example:8080/rocketmq/nsaddr?token=abc",
		"[fd00::1]":                         "[fd00::1]:8080/rocketmq/nsaddr",
		"[fd00::1]?a=b":                     "[fd00::1]:8080/rocketmq/nsaddr?a=b",
		"[fd00::1]:81/list":                 "[fd00::1]:81/list",
		"10.0.0.1":                          "10.0.0.1:8080/rocketmq/nsaddr",
		"HTTP://conf.example:81":            "conf.example:81/rocketmq/nsaddr",
		"conf.example:":                     "conf.example:8080/rocketmq/nsaddr",
		"fd00::1":                           "",
		"conf.example#secret":               "",
		"http://user:secret@conf.example":   "",
		"user:secret@conf.example":          "",
		"ftp://conf.example/secret":         "",
		"http://conf.example/#secret":       "",
		"http:///secret":                    "",
		"http://a b/secret":                 "",
		"conf.example:x/secret":             "",
		"http://conf.example/%zz?secret":    "",
		"jmenv\x1b[2J.example":              "",
	} {
		synctest.Test(t, func(t *testing.T) {
			got := ""
			asks := roundTrip(func(r *http.Request) (*http.Response, error) {
				got = r.URL.Host + r.URL.RequestURI()
				return nil, errors.New("no")
			})
			c, err := remoting.NewClient(remoting.Config{Discovery: remoting.Discovery{Endpoint: endpoint, HTTPClient: &http.Client{Transport: asks}}})
			if want == "" {
				if err == nil || strings.Contains(err.Error(), "secret") || !strings.Contains(err.Error(), "Discovery.Endpoint") {
					t.Errorf("%q: %v", endpoint, err)
				}
				return
			}
			if err != nil {
				t.Fatalf("%q: %v", endpoint, err)
			}
			if err := c.Start(bg); err != nil {
				t.Fatal(err)
			}
			synctest.Wait()
			if err := c.Shutdown(bg); err != nil {
				t.Fatal(err)
			}
			if got != want {
				t.Errorf("%q: asked %q, want %q", endpoint, got, want)
			}
		})
	}

	_, err := remoting.NewClient(remoting.Config{
		UnitName: "a/b",
		Discovery: remoting.Discovery{
			Endpoint: "conf", SRV: []string{"not a name"}, Interval: time.Millisecond,
			Source: remoting.NameServerFunc(nil), Resolver: (*dns)(nil),
		},
	})
	for _, want := range []string{`unit name "a/b"`, `SRV: "not a name"`, "Interval is 1ms", "Source is a nil", "Resolver is a nil"} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q is missing in: %v", want, err)
		}
	}
	_, err = remoting.NewClient(remoting.Config{NameServers: []string{"a:1"}, Discovery: remoting.Discovery{HTTPClient: http.DefaultClient}})
	if err == nil || !strings.Contains(err.Error(), "HTTPClient is set without") {
		t.Errorf("got %v", err)
	}
}

// A name server that was found by a name has a certificate with that name, whichever of its addresses
// is dialed.
func TestCertificatesOfNameServersHaveTheirNames(t *testing.T) {
	a := newAuthority(t)
	n := embedded.NewNetwork()
	server := tlsBroker(t, n, a.issue(t, "ns.example").server(t))
	host, port, err := net.SplitHostPort(server.addr())
	if err != nil {
		t.Fatal(err)
	}
	names := &dns{}
	names.set("ns.example", host)
	names.set("other.example", host)
	server.script = func(s *session, c wire.Command) { answerRoute(s, c, one) }
	settings := trusting(t, a)
	for name, want := range map[string]string{"ns.example": "", "other.example": "certificate is valid for ns.example, not other.example"} {
		c := client(t, remoting.Config{
			NameServers: []string{net.JoinHostPort(name, port)}, TLS: settings, Dial: n.DialContext, Discovery: remoting.Discovery{Resolver: names},
		})
		_, err := c.Route(bg, "T")
		if want == "" && err != nil || want != "" && (err == nil || !strings.Contains(err.Error(), want)) {
			t.Errorf("%s: %v", name, err)
		}
	}
}
