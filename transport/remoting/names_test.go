package remoting_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"slices"
	"strings"
	"sync"
	"testing"
	"unicode"

	"github.com/liftoff-mq/liftoff/core"
	"github.com/liftoff-mq/liftoff/core/coretest"
	"github.com/liftoff-mq/liftoff/transport/remoting"
	"github.com/liftoff-mq/liftoff/transport/wire"
)

// showable fails the test if text is no line that a terminal can take.
func showable(t *testing.T, what, text string) {
	t.Helper()
	const most = 16 << 10
	if len(text) > most || strings.ContainsFunc(text, unicode.IsControl) {
		t.Errorf("%s has %d bytes or control characters: %.300q", what, len(text), text)
	}
}

// rawHandler prints what it gets, as some handlers for terminals do.
type rawHandler struct{ log *rawLog }

type rawLog struct {
	mu  sync.Mutex
	out strings.Builder
}

func (l *rawLog) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.out.String()
}

func (h rawHandler) Enabled(context.Context, slog.Level) bool { return true }
func (h rawHandler) WithAttrs([]slog.Attr) slog.Handler       { return h }
func (h rawHandler) WithGroup(string) slog.Handler            { return h }

func (h rawHandler) Handle(_ context.Context, r slog.Record) error {
	h.log.mu.Lock()
	defer h.log.mu.Unlock()
	h.log.out.WriteString(r.Message + " ")
	r.Attrs(func(a slog.Attr) bool {
		fmt.Fprintf(&h.log.out, " %s=%v", a.Key, a.Value.Any())
		return true
	})
	return nil
}

// A name server's route has a broker whose name clears the terminal of whoever reads the error,
// or fills the log with 300 KiB.
func TestNamesOfRoutes(t *testing.T) {
	long := strings.Repeat("x", 300<<10)
	for name, change := range map[string]func(b *wire.BrokerData){
		"escape in the name":    func(b *wire.BrokerData) { b.BrokerName = "\x1b[2Jbroker" },
		"escape in the address": func(b *wire.BrokerData) { b.Addrs[0] = "\x1b]0;title\x07:10911" },
		"escape in the cluster": func(b *wire.BrokerData) { b.Cluster = "\u009b31mC" },
		"long name":             func(b *wire.BrokerData) { b.BrokerName = long },
		"long address":          func(b *wire.BrokerData) { b.Addrs[0] = long + ":10911" },
		"long port":             func(b *wire.BrokerData) { b.Addrs[0] = "h:" + long },
		"long cluster":          func(b *wire.BrokerData) { b.Cluster = long },
	} {
		t.Run(name, func(t *testing.T) {
			good := broker(t, nil)
			route := routeTo(1, "h:1")
			change(&route.Brokers[0])
			route.Queues[0].BrokerName = route.Brokers[0].BrokerName
			ns := nameServer(t, func(topic string) *wire.RouteData {
				if topic != "both" {
					return route
				}
				other := routeTo(1, "h:1", good.addr())
				return &wire.RouteData{Brokers: append(slices.Clone(route.Brokers), other.Brokers[1]), Queues: append(slices.Clone(route.Queues), other.Queues[1])}
			})
			var log rawLog
			c := client(t, remoting.Config{NameServers: []string{ns.addr()}, Logger: slog.New(rawHandler{&log})})
			_, err := c.Route(bg, "T")
			if !errors.Is(err, core.ErrNoRoute) {
				t.Fatalf("got %.300q", err)
			}
			showable(t, "the error", err.Error())
			// The other broker of a route can be used all the same.
			cfg := coretest.Config(unregistered{c})
			cfg.Routes = c
			p := coretest.Start(t, cfg)
			m := coretest.Message("x")
			m.Topic = "both"
			if res, err := p.Send(bg, m); err != nil || res.Queue.Broker != "broker-b" {
				t.Errorf("got %+v, %v", res, err)
			}
			showable(t, "the log", log.String())
		})
	}
}

// A topic that a program takes from its own users is as long as they like.
func TestLongTopicInErrors(t *testing.T) {
	ns := nameServer(t, func(string) *wire.RouteData { return nil })
	c := client(t, remoting.Config{NameServers: []string{ns.addr()}})
	_, err := c.Route(bg, "\x1b[2J"+strings.Repeat("x", 20<<10))
	showable(t, "the error", err.Error())
}

// What a dial fails with may have a stranger's words, such as the names of a certificate.
func TestWordsOfDials(t *testing.T) {
	var log rawLog
	c := client(t, remoting.Config{
		Dial: func(ctx context.Context, network, addr string) (net.Conn, error) {
			return nil, errors.New("x509: certificate is valid for \x1b[31m" + strings.Repeat("x", 300<<10))
		},
		Logger: slog.New(rawHandler{&log}),
	})
	p := producer(t, c, "h:1")
	_, err := p.Send(bg, coretest.Message("x"))
	if err == nil {
		t.Fatal("no error")
	}
	showable(t, "the error", err.Error())
	showable(t, "the log", log.String())
	for _, b := range p.Snapshot().Brokers {
		for _, d := range b.Details {
			showable(t, "the snapshot", d.Value)
		}
	}
}

// A name server that is given as a URL with a password must not be echoed with it.
func TestPasswordsAreNotEchoed(t *testing.T) {
	for _, list := range []string{
		"http://admin:secret@host:9876", "http://admin:se;secret@host:9876", "ns:1;admin:secret,x@host", "admin:secret@host:9876/path",
		"http://host/addr?token=secret", "admin:secret@other@host", "admin@corp:secret@host",
	} {
		_, err := remoting.NewClient(remoting.Config{NameServers: []string{list}})
		if err == nil || strings.Contains(err.Error(), "secret") || !strings.Contains(err.Error(), "host") {
			t.Errorf("%q: %v", list, err)
		}
	}
}
