package remoting_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/liftoff-mq/liftoff/core"
	"github.com/liftoff-mq/liftoff/transport/remoting"
	"github.com/liftoff-mq/liftoff/transport/wire"
)

// A request of the program's arrives as it is, and its answer comes back whole, whatever its code.
func TestDo(t *testing.T) {
	b := broker(t, func(s *session, c wire.Command) {
		s.command(&wire.Command{
			Code: 206, Remark: "not online", Opaque: c.Opaque, Flag: wire.FlagResponse, Serialization: c.Serialization,
			Ext: wire.Fields{{Key: "k", Value: "answered"}}, Body: append([]byte("re: "), c.Body...),
		})
	})
	c := client(t, remoting.Config{MapAddr: func(addr string) string {
		if addr == "broker.example:10911" {
			return b.addr()
		}
		return addr
	}})
	for range 2 {
		got, err := c.Do(bg, "", "broker.example:10911", wire.Command{Code: 203, Ext: wire.Fields{{Key: "k", Value: "v"}}, Body: []byte("body"), Opaque: 7, Flag: wire.FlagOneway})
		if err != nil || got.Code != 206 || got.Remark != "not online" || got.Ext.Get("k") != "answered" || string(got.Body) != "re: body" {
			t.Fatalf("%+v, %v", got, err)
		}
	}
	asked := b.requests(203)
	if len(asked) != 2 || asked[0].Ext.Get("k") != "v" || len(asked[0].Ext) != 1 || string(asked[0].Body) != "body" || asked[0].Flag != 0 || asked[0].Language != wire.LanguageGo {
		t.Errorf("%+v", asked)
	}
	if s := c.Stats(); s.Dials != 1 {
		t.Errorf("%d dials", s.Dials)
	}
}

// A request that cannot be made is not: each reason has its class.
func TestDoIsRefused(t *testing.T) {
	c := client(t, remoting.Config{AllowedBrokers: []string{"127.0.0.1:1"}})
	for addr, want := range map[string]string{
		"":                 "it is not host:port",
		"broker":           "it is not host:port",
		"127.0.0.1:0":      "port",
		"127.0.0.2:1":      "not allowed",
		"a\x1b[2Jb:1":      "it is not host:port",
		"127.0.0.1:123456": "port",
	} {
		_, err := c.Do(bg, "", addr, wire.Command{Code: 203})
		if core.ClassOf(err) != core.ClassNetwork || !errors.Is(err, core.ErrConnect) || !strings.Contains(fmt.Sprint(err), want) || strings.Contains(fmt.Sprint(err), "\x1b") {
			t.Errorf("%q: %v, want %q", addr, err, want)
		}
	}
	over, cancel := context.WithCancel(bg)
	cancel()
	if _, err := c.Do(over, "", "127.0.0.1:1", wire.Command{Code: 203}); core.ClassOf(err) != core.ClassCanceled {
		t.Errorf("%v", err)
	}
	if err := c.Shutdown(bg); err != nil {
		t.Fatal(err)
	}
	_, do := c.Do(bg, "", "127.0.0.1:1", wire.Command{Code: 203})
	_, server := c.DoNameServer(bg, wire.Command{Code: 106})
	_, route := c.TopicRoute(bg, "T")
	for _, err := range []error{do, server, route} {
		if !errors.Is(err, core.ErrClosed) {
			t.Errorf("%v", err)
		}
	}
}

// Without a deadline of the caller's a request has the client's.
func TestDoEnds(t *testing.T) {
	b := broker(t, func(*session, wire.Command) {})
	c := client(t, remoting.Config{NameServers: []string{b.addr()}, RequestTimeout: 50 * time.Millisecond, NameServerTimeout: 50 * time.Millisecond})
	if _, err := c.Do(bg, "", b.addr(), wire.Command{Code: 203}); core.ClassOf(err) != core.ClassTimeout {
		t.Errorf("%v", err)
	}
	var all *remoting.NameServerError
	if _, err := c.DoNameServer(bg, wire.Command{Code: 106}); !errors.As(err, &all) || len(all.Errs) != 1 || core.ClassOf(all.Errs[0]) != core.ClassTimeout {
		t.Errorf("%v", err)
	}
}

// The name server that answered is asked first from then on.
func TestDoNameServerSticks(t *testing.T) {
	silent := broker(t, func(s *session, _ wire.Command) { s.reset() })
	answers := broker(t, func(s *session, c wire.Command) { s.answer(c, 0, "", 'x') })
	c := client(t, remoting.Config{NameServers: []string{silent.addr(), answers.addr()}})
	for range 5 {
		if got, err := c.DoNameServer(bg, wire.Command{Code: 106}); err != nil || string(got.Body) != "x" {
			t.Fatalf("%s, %v", got.Body, err)
		}
	}
	if n := len(silent.requests(106)); n > 1 || len(answers.requests(106)) != 5 {
		t.Errorf("%d at the one that does not answer", n)
	}
}
