package liftoff_test

import (
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"go.opentelemetry.io/otel/sdk/metric"
	"go.opentelemetry.io/otel/sdk/metric/metricdata"
	"go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"

	"github.com/liftoff-mq/liftoff"
	"github.com/liftoff-mq/liftoff/core"
	"github.com/liftoff-mq/liftoff/core/coretest"
	"github.com/liftoff-mq/liftoff/core/rocketmq"
	"github.com/liftoff-mq/liftoff/hooks/metrics"
	"github.com/liftoff-mq/liftoff/hooks/tracing"
	"github.com/liftoff-mq/liftoff/strategies/breaker"
	"github.com/liftoff-mq/liftoff/transport/embedded"
	"github.com/liftoff-mq/liftoff/transport/remoting"
	"github.com/liftoff-mq/liftoff/transport/remoting/acl"
	"github.com/liftoff-mq/liftoff/transport/wire"
)

// Credentials of the configuration and of a provider sign each request of the producer, and a
// file of them is watched while the producer runs.
func TestCredentials(t *testing.T) {
	const secret = "my-secret-key"
	path := filepath.Join(t.TempDir(), "keys")
	if err := os.WriteFile(path, []byte("accessKey=orders\nsecretKey="+secret+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	keys := acl.Credentials{AccessKey: "orders", SecretKey: acl.NewSecret(secret)}
	for name, tt := range map[string]struct {
		acl     acl.Config
		options []liftoff.Option
		says    string
	}{
		"keys":     {acl.Config{AccessKey: "orders", SecretKey: acl.NewSecret(secret)}, nil, "signed, fixed credentials"},
		"file":     {acl.Config{CredentialsFile: path}, nil, "signed, credentials of a file"},
		"provider": {acl.Config{}, []liftoff.Option{liftoff.WithCredentials(must(acl.Static(keys)))}, "signed, fixed credentials"},
	} {
		t.Run(name, func(t *testing.T) {
			c := embedded.New(t, embedded.Config{})
			p := must(liftoff.New(liftoff.Config{Group: "g", NameServers: c.NameServers(), ACL: tt.acl}, tt.options...))
			if err := p.Start(t.Context()); err != nil {
				t.Fatal(err)
			}
			if _, err := p.Send(t.Context(), coretest.Message("x")); err != nil {
				t.Error(err)
			}
			// The first heartbeat comes beside the send, and only who sent one has anything to unregister.
			for began := time.Now(); len(c.Requests(wire.HeartBeat)) == 0 && time.Since(began) < time.Minute; {
				time.Sleep(time.Millisecond)
			}
			if err := p.Shutdown(t.Context()); err != nil {
				t.Error(err)
			}
			shown := fmt.Sprintf("%v %+v %#v", p.Pipeline(), p.Snapshot(), p.Snapshot())
			if !strings.Contains(shown, tt.says) || strings.Contains(shown, secret) {
				t.Errorf("it says of itself:\n%s\nwant %q and not %q", shown, tt.says, secret)
			}
			for _, code := range []int{wire.GetRouteInfoByTopic, wire.SendMessageV2, wire.HeartBeat, wire.UnregisterClient} {
				checkSigned(t, c.Requests(code), keys)
			}
		})
	}
}

// checkSigned looks whether each of some requests has the signature of keys.
func checkSigned(t *testing.T, requests []embedded.Request, keys acl.Credentials) {
	t.Helper()
	s := must(acl.NewSigner(must(acl.Static(keys))))
	if len(requests) == 0 {
		t.Error("there is no such request")
	}
	for _, request := range requests {
		r := request.Command
		unsigned := slices.DeleteFunc(slices.Clone(r.Ext), func(f wire.Field) bool { return f.Key == "AccessKey" || f.Key == "Signature" })
		want := must(s.Sign(remoting.SignRequest{Fields: unsigned, Body: r.Body}))
		if got := r.Ext[len(unsigned):]; !slices.Equal(got, want) {
			t.Errorf("request %d ends with %v, want %v", r.Code, got, want)
		}
	}
}

// TestCredentialsAreShownNowhere: neither secrets nor signatures are in what a producer logs, returns, traces,
// measures or says of itself, whether its requests are taken, refused or cannot be signed.
func TestCredentialsAreShownNowhere(t *testing.T) {
	const secret, token = "s3cr3t-key-of-the-test", "s3cr3t-token-of-the-test"
	keys := acl.Credentials{AccessKey: "orders", SecretKey: acl.NewSecret(secret), SecurityToken: acl.NewSecret(token)}
	static := must(acl.Static(keys))
	for name, tt := range map[string]struct {
		refuse   bool
		provider acl.ProviderFunc
		class    core.Class
		attempts int // without a signature no route is known
	}{
		"taken":   {false, static.Credentials, core.ClassNone, 0},
		"refused": {true, static.Credentials, core.ClassAuth, 1},
		"failing": {false, func() (acl.Credentials, error) { return keys, errors.New("the vault is sealed") }, core.ClassAuth, 0},
		"panic":   {false, func() (acl.Credentials, error) { panic(fmt.Sprint(secret, token)) }, core.ClassAuth, 0},
		"invalid": {false, func() (acl.Credentials, error) {
			return acl.Credentials{AccessKey: "orders", SecretKey: acl.NewSecret(secret + "\n")}, nil
		}, core.ClassAuth, 0},
	} {
		t.Run(name, func(t *testing.T) {
			c := embedded.New(t, embedded.Config{})
			if tt.refuse {
				for _, code := range []int{wire.SendMessageV2, wire.SendBatchMessage, wire.HeartBeat, wire.UnregisterClient} {
					c.Control(code, func(*embedded.Request) embedded.Action {
						return embedded.Reply(rocketmq.CodeNoPermission, "AuthenticationException: check signature failed")
					})
				}
			}
			var said said
			spans, numbers := tracetest.NewInMemoryExporter(), metric.NewManualReader()
			breakers := must(breaker.New(breaker.Config{}))
			p := must(liftoff.New(liftoff.Config{
				Group: "g", NameServers: c.NameServers(), Client: remoting.Config{HeartbeatInterval: time.Hour},
				Logger: slog.New(slog.NewJSONHandler(&said, &slog.HandlerOptions{Level: slog.LevelDebug})),
			}, liftoff.WithCredentials(tt.provider), liftoff.WithBreaker(breakers), liftoff.WithHooks(
				must(tracing.New(tracing.WithTracerProvider(trace.NewTracerProvider(trace.WithSyncer(spans))))),
				must(metrics.New(metrics.WithMeterProvider(metric.NewMeterProvider(metric.WithReader(numbers))))),
			)))
			if err := p.Start(t.Context()); err != nil {
				t.Fatal(err)
			}
			ended := func(err error) {
				t.Helper()
				fmt.Fprintf(&said, "%v %+v %#v\n", err, err, err)
				if core.ClassOf(err) != tt.class {
					t.Errorf("class %v, want %v: %v", core.ClassOf(err), tt.class, err)
				}
				if failed := (*core.SendError)(nil); errors.As(err, &failed) && len(failed.Attempts) != tt.attempts {
					t.Errorf("%d attempts: %v", len(failed.Attempts), err)
				}
			}
			for range 6 {
				_, err := p.Send(t.Context(), coretest.Message("x"))
				ended(err)
			}
			_, err := p.SendBatch(t.Context(), []*core.Message{coretest.Message("x"), coretest.Message("y")})
			ended(err)
			for _, s := range breakers.States() {
				if s.State != breaker.Closed {
					t.Errorf("the breaker is %v", s.State)
				}
			}
			fmt.Fprintf(&said, "%v %+v %#v %+v\n", p.Pipeline(), p.Snapshot(), p.Snapshot(), breakers.States())
			if err := p.Shutdown(t.Context()); err != nil {
				t.Error(err)
			}
			var measured metricdata.ResourceMetrics
			if err := numbers.Collect(t.Context(), &measured); err != nil {
				t.Fatal(err)
			}
			if len(spans.GetSpans()) == 0 || len(measured.ScopeMetrics) == 0 {
				t.Fatal("nothing was traced or measured")
			}
			fmt.Fprintf(&said, "%+v %+v\n", spans.GetSpans(), measured)
			hidden := []string{secret, token}
			for _, code := range []int{wire.GetRouteInfoByTopic, wire.SendMessageV2, wire.SendBatchMessage, wire.HeartBeat, wire.UnregisterClient} {
				for _, r := range c.Requests(code) {
					hidden = append(hidden, r.Command.Ext.Get("Signature"))
				}
			}
			if signed := len(hidden) > 2; signed != (tt.attempts == 1 || tt.class == core.ClassNone) {
				t.Errorf("requests have arrived: %t", signed)
			}
			for _, text := range hidden {
				if text == "" || strings.Contains(said.text(), text) {
					t.Errorf("%q is shown, or missing in a request:\n%s", text, said.text())
				}
			}
		})
	}
}

// said keeps what is written to it, by several goroutines.
type said struct {
	mu sync.Mutex
	b  strings.Builder
}

func (s *said) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.b.Write(p)
}

func (s *said) text() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.b.String()
}
