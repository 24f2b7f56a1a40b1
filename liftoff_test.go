package liftoff_test

import (
	"context"
	"strings"
	"testing"

	"go.uber.org/goleak"

	"github.com/liftoff-mq/liftoff"
	"github.com/liftoff-mq/liftoff/core"
	"github.com/liftoff-mq/liftoff/core/coretest"
	"github.com/liftoff-mq/liftoff/hooks/compress"
	"github.com/liftoff-mq/liftoff/hooks/validate"
	"github.com/liftoff-mq/liftoff/strategies/breaker"
	"github.com/liftoff-mq/liftoff/strategies/health"
	"github.com/liftoff-mq/liftoff/transport/embedded"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func steps(t *testing.T, cfg core.Config) string {
	t.Helper()
	p, err := core.Resolve(cfg.Order, cfg.Steps...)
	if err != nil {
		t.Fatal(err)
	}
	call, attempt := p.Names()
	return strings.Join(call, " ") + " | " + strings.Join(attempt, " ")
}

func TestOptionsReplaceParts(t *testing.T) {
	base := liftoff.Config{Group: "g", NameServers: []string{"127.0.0.1:9876"}}
	own, err := breaker.New(breaker.Config{})
	if err != nil {
		t.Fatal(err)
	}
	latency, err := health.NewLatency(health.Config{})
	if err != nil {
		t.Fatal(err)
	}
	nop := core.CallStep("nop", core.StageGuard, core.InterceptorFunc(func(ctx context.Context, c *core.Call, next core.Handler) (*core.Result, error) {
		return next(ctx, c)
	}))
	tr := &coretest.Transport{}
	tests := []struct {
		name    string
		options []liftoff.Option
		want    string
		check   func(core.Config) bool
	}{
		{"defaults", nil, "validate compress.zlib | breaker", func(c core.Config) bool {
			return c.Transport != nil && c.Routes != nil && len(c.Own) == 1 && c.Selector != nil && c.Retry != nil && c.Budget != nil && c.Health != nil
		}},
		{"nil option", []liftoff.Option{nil}, "validate compress.zlib | breaker", nil},
		{"own step", []liftoff.Option{liftoff.WithSteps(nop)}, "nop validate compress.zlib | breaker", nil},
		{"order", []liftoff.Option{liftoff.WithOrder(core.Order{Call: []string{"compress.zlib", "validate"}})}, "compress.zlib validate | breaker", nil},
		{"lz4", []liftoff.Option{liftoff.WithCompressor(compress.LZ4())}, "validate compress.lz4 | breaker", nil},
		{"no compression", []liftoff.Option{liftoff.WithoutCompression()}, "validate | breaker", nil},
		{"no breaker", []liftoff.Option{liftoff.WithoutBreaker()}, "validate compress.zlib | ", func(c core.Config) bool { return c.Health == nil }},
		{"own breaker", []liftoff.Option{liftoff.WithBreaker(own)}, "validate compress.zlib | breaker", func(c core.Config) bool { return c.Health == core.HealthView(own) }},
		{"health", []liftoff.Option{liftoff.WithHealth(latency), liftoff.WithoutBreaker()}, "validate compress.zlib | ", func(c core.Config) bool { return c.Health == core.HealthView(latency) }},
		{"transport", []liftoff.Option{liftoff.WithTransport(tr, coretest.Routes(1, "a"))}, "validate compress.zlib | breaker", func(c core.Config) bool {
			return c.Transport == core.Transport(tr) && len(c.Own) == 0
		}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			cfg, err := liftoff.Defaults(base, tt.options...)
			if err != nil {
				t.Fatal(err)
			}
			if got := steps(t, cfg); got != tt.want {
				t.Errorf("steps %q, want %q", got, tt.want)
			}
			if tt.check != nil && !tt.check(cfg) {
				t.Errorf("configuration %+v", cfg)
			}
		})
	}
}

func TestNewReportsMistakes(t *testing.T) {
	t.Setenv(liftoff.NameServerEnv, "")
	tests := []struct {
		name    string
		cfg     liftoff.Config
		options []liftoff.Option
		want    string
	}{
		{"no name server", liftoff.Config{Group: "g"}, nil, "name server"},
		{"bad address", liftoff.Config{Group: "g", NameServers: []string{"a:b:c"}}, nil, "a:b:c"},
		{"no group", liftoff.Config{NameServers: []string{"a:1"}}, nil, "group is empty"},
		{"bad namespace", liftoff.Config{Group: "g", NameServers: []string{"a:1"}, Namespace: "a b"}, nil, "namespace"},
		{"bad limit", liftoff.Config{Group: "g", NameServers: []string{"a:1"}}, []liftoff.Option{liftoff.WithLimits(validate.MaxBodySize(-1))}, "-1"},
		{"transport without routes", liftoff.Config{Group: "g"}, []liftoff.Option{liftoff.WithTransport(&coretest.Transport{}, nil)}, "Routes is nil"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			_, err := liftoff.New(tt.cfg, tt.options...)
			if err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("got %v, want an error that says %q", err, tt.want)
			}
		})
	}
}

func TestNameServersFromTheEnvironment(t *testing.T) {
	c := embedded.New(t, embedded.Config{})
	t.Setenv(liftoff.NameServerEnv, strings.Join(c.NameServers(), ";"))
	p, err := liftoff.New(liftoff.Config{Group: "g"})
	if err != nil {
		t.Fatal(err)
	}
	if err := p.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	if _, err := p.Send(t.Context(), coretest.Message("x")); err != nil {
		t.Error(err)
	}
	if err := p.Shutdown(t.Context()); err != nil {
		t.Error(err)
	}
}

// With an in-memory network and a service that lives as long as the producer.
func TestDialAndService(t *testing.T) {
	c := embedded.New(t, embedded.Config{Network: embedded.NewNetwork()})
	svc := &service{}
	p, err := liftoff.New(liftoff.Config{Group: "g", NameServers: c.NameServers()}, liftoff.WithDial(c.Dial), liftoff.WithService(svc))
	if err != nil {
		t.Fatal(err)
	}
	if err := p.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	if _, err := p.Send(t.Context(), coretest.Message("x")); err != nil {
		t.Error(err)
	}
	if err := p.Shutdown(t.Context()); err != nil {
		t.Error(err)
	}
	if svc.started != 1 || svc.stopped != 1 {
		t.Errorf("the service was started %d and stopped %d times", svc.started, svc.stopped)
	}
}

type service struct{ started, stopped int }

func (s *service) Start(context.Context) error    { s.started++; return nil }
func (s *service) Shutdown(context.Context) error { s.stopped++; return nil }

func TestNamespaceOnTheWire(t *testing.T) {
	c := embedded.New(t, embedded.Config{})
	p, err := liftoff.New(liftoff.Config{Group: "g", NameServers: c.NameServers(), Namespace: "shop"})
	if err != nil {
		t.Fatal(err)
	}
	if err := p.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	m := coretest.Message("x")
	for range 2 {
		if _, err := p.Send(t.Context(), m); err != nil {
			t.Fatal(err)
		}
	}
	if err := p.Shutdown(t.Context()); err != nil {
		t.Fatal(err)
	}
	if got := len(c.Stored("shop%T")); got != 2 || m.Topic != "T" {
		t.Errorf("%d messages in the namespace's topic, message topic %q", got, m.Topic)
	}
}
