package remoting

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
)

// Package net/http goes on with a dial when its request is over. An endpoint that takes connections
// and says nothing in the handshake of TLS must not keep any.
func TestEndpointThatHangsInTheHandshake(t *testing.T) {
	for _, tt := range []struct {
		name  string
		limit time.Duration // of the question
		took  time.Duration
		says  string
	}{
		{"the question ends first", time.Second, time.Second, "context deadline exceeded"},
		{"the handshake's time ends first", time.Hour, sourceTimeout, "TLS handshake timeout"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var open atomic.Int32
				e := newEndpoint(&finder{}, &url.URL{Scheme: "https", Host: "127.0.0.1", Path: "/list"}, nil)
				e.transport.DialContext = func(context.Context, string, string) (net.Conn, error) {
					near, far := net.Pipe()
					open.Add(1)
					go func() {
						_, _ = io.Copy(io.Discard, far)
						open.Add(-1)
					}()
					return near, nil
				}
				for range 3 {
					ctx, cancel := context.WithTimeout(t.Context(), tt.limit)
					start := time.Now()
					_, err := e.ask(ctx, nil)
					cancel()
					if took := time.Since(start); err == nil || !strings.Contains(err.Error(), tt.says) || took != tt.took {
						t.Errorf("after %v: %v, want %q after %v", took, err, tt.says, tt.took)
					}
					synctest.Wait()
					if n := open.Load(); n != 0 {
						t.Errorf("%d connections are open after the question", n)
					}
				}
			})
		})
	}
}

// A dial whose question is over ends with it. The program's client is the program's.
func TestDialsOfTheEndpoint(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		for _, own := range []bool{false, true} {
			var dialing atomic.Int32
			transport := &http.Transport{}
			var client *http.Client
			if own {
				client = &http.Client{Transport: transport}
			}
			e := newEndpoint(&finder{}, &url.URL{Scheme: "http", Host: "127.0.0.1", Path: "/list"}, client)
			if !own {
				transport = e.transport
			}
			transport.DialContext = func(ctx context.Context, _, _ string) (net.Conn, error) {
				dialing.Add(1)
				defer dialing.Add(-1)
				<-ctx.Done()
				return nil, ctx.Err()
			}
			ctx, cancel := context.WithTimeout(t.Context(), time.Second)
			if _, err := e.ask(ctx, nil); err == nil {
				t.Error("no error")
			}
			cancel()
			synctest.Wait()
			if n := dialing.Load(); n != 0 != own {
				t.Errorf("%d dials are under way after the question; the program's client: %v", n, own)
			}
			transport.CloseIdleConnections()
		}
	})
}

// The client's own transport speaks HTTP/2 where the endpoint does, and keeps no such connection.
func TestEndpointOfHTTP2(t *testing.T) {
	protocols := make(chan string, 1)
	server := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		protocols <- r.Proto
		_, _ = io.WriteString(w, "10.0.0.1:9876")
	}))
	server.EnableHTTP2 = true
	server.StartTLS()
	defer server.Close()
	u, err := url.Parse(server.URL)
	if err != nil {
		t.Fatal(err)
	}
	e := newEndpoint(&finder{}, u, nil)
	e.transport.TLSClientConfig = &tls.Config{RootCAs: x509.NewCertPool()}
	e.transport.TLSClientConfig.RootCAs.AddCert(server.Certificate())
	found, err := e.ask(t.Context(), nil)
	if protocol := <-protocols; err != nil || len(found) != 1 || protocol != "HTTP/2.0" {
		t.Errorf("%v, %v by %s", found, err, protocol)
	}
}
