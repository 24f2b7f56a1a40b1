package remoting

import (
	"context"
	"io"
	"net"
	"net/http"
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
				e := newEndpoint(&finder{}, "https://127.0.0.1/list", nil)
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
			e := newEndpoint(&finder{}, "http://127.0.0.1/list", client)
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
