package liftoff_test

import (
	"context"
	"encoding/json"
	"slices"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/liftoff-mq/liftoff"
	"github.com/liftoff-mq/liftoff/core"
	"github.com/liftoff-mq/liftoff/core/coretest"
	"github.com/liftoff-mq/liftoff/core/requestreply"
	"github.com/liftoff-mq/liftoff/hooks/accumulate"
	"github.com/liftoff-mq/liftoff/hooks/compress"
	"github.com/liftoff-mq/liftoff/hooks/validate"
	"github.com/liftoff-mq/liftoff/strategies/breaker"
	"github.com/liftoff-mq/liftoff/strategies/health"
	"github.com/liftoff-mq/liftoff/strategies/pace"
	"github.com/liftoff-mq/liftoff/strategies/retry"
	"github.com/liftoff-mq/liftoff/transport/embedded"
	"github.com/liftoff-mq/liftoff/transport/remoting"
	"github.com/liftoff-mq/liftoff/transport/remoting/acl"
)

var base = liftoff.Config{Group: "g", NameServers: []string{"127.0.0.1:9876"}}

func steps(t *testing.T, cfg core.Config) string {
	t.Helper()
	p, err := core.Resolve(cfg.Order, cfg.Steps...)
	if err != nil {
		t.Fatal(err)
	}
	call, attempt := p.Names()
	return strings.Join(call, " ") + " | " + strings.Join(attempt, " ")
}

// must is for constructors whose error would be a mistake of the test.
func must[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}

func TestOptionsReplaceParts(t *testing.T) {
	own := must(breaker.New(breaker.Config{}))
	latency := must(health.NewLatency(health.Config{}))
	budget := must(retry.NewBudget(1, 1))
	small := must(accumulate.New(accumulate.Config{}))
	client := must(remoting.NewClient(remoting.Config{NameServers: base.NameServers}))
	nop := core.CallStep("nop", core.StageGuard, core.InterceptorFunc(func(ctx context.Context, c *core.Call, next core.Handler) (*core.Result, error) {
		return next(ctx, c)
	}))
	handler := core.ServerRequestHandlerFunc(func(context.Context, *core.ServerRequest) {})
	tr := &coretest.Transport{}
	const plain = "validate compress.zlib | breaker"
	tests := []struct {
		name    string
		options []liftoff.Option
		want    string
		check   func(core.Config) bool
	}{
		{"defaults", nil, plain, func(c core.Config) bool {
			return c.Transport != nil && c.Routes != nil && len(c.Own) == 1 && c.Selector != nil && c.Retry != nil && c.Budget != nil && c.Health != nil
		}},
		{"own step", []liftoff.Option{liftoff.WithSteps(nop)}, "nop validate compress.zlib | breaker", nil},
		{"own hook", []liftoff.Option{liftoff.WithHooks(small)}, "validate compress.zlib accumulate | breaker", nil},
		{"order", []liftoff.Option{liftoff.WithOrder(core.Order{Call: []string{"compress.zlib", "validate"}})}, "compress.zlib validate | breaker", nil},
		{"lz4", []liftoff.Option{liftoff.WithCompressor(compress.LZ4())}, "validate compress.lz4 | breaker", nil},
		{"no compression", []liftoff.Option{liftoff.WithCompressor(compress.LZ4()), liftoff.WithoutCompression()}, "validate | breaker", nil},
		{"compression after all", []liftoff.Option{liftoff.WithoutCompression(), liftoff.WithCompressor(compress.LZ4())}, "validate compress.lz4 | breaker", nil},
		{"no breaker", []liftoff.Option{liftoff.WithBreaker(own), liftoff.WithoutBreaker()}, "validate compress.zlib | ", func(c core.Config) bool { return c.Health == nil }},
		{"own breaker", []liftoff.Option{liftoff.WithoutBreaker(), liftoff.WithBreaker(own)}, plain, func(c core.Config) bool { return c.Health == core.HealthView(own) }},
		{"health", []liftoff.Option{liftoff.WithHealth(latency), liftoff.WithoutBreaker()}, "validate compress.zlib | ", func(c core.Config) bool { return c.Health == core.HealthView(latency) }},
		{"health beside breakers", []liftoff.Option{liftoff.WithHealth(latency)}, plain, func(c core.Config) bool { return c.Health == core.HealthView(latency) }},
		{"own budget", []liftoff.Option{liftoff.WithoutBudget(), liftoff.WithBudget(budget)}, plain, func(c core.Config) bool { return c.Budget == core.RetryBudget(budget) }},
		{"no budget", []liftoff.Option{liftoff.WithBudget(budget), liftoff.WithoutBudget()}, plain, func(c core.Config) bool { return c.Budget == nil }},
		{"policies", []liftoff.Option{liftoff.WithPolicies(twoPolicies())}, plain, func(c core.Config) bool { return len(c.Policies.Policies()) == 2 }},
		{"handler", []liftoff.Option{liftoff.WithHandler(core.RequestReply, handler)}, plain, func(c core.Config) bool { return c.Handlers[core.RequestReply] != nil }},
		{"transport", []liftoff.Option{liftoff.WithOwnClient(client), liftoff.WithTransport(tr, coretest.Routes(1, "a"))}, plain, func(c core.Config) bool {
			return c.Transport == core.Transport(tr) && len(c.Own) == 0
		}},
		{"client", []liftoff.Option{liftoff.WithClient(client)}, plain, func(c core.Config) bool {
			return c.Transport == core.Transport(client) && c.Routes == core.RouteSource(client) && len(c.Own) == 0
		}},
		{"own client", []liftoff.Option{liftoff.WithTransport(tr, coretest.Routes(1, "a")), liftoff.WithOwnClient(client)}, plain, func(c core.Config) bool {
			return c.Transport == core.Transport(client) && len(c.Own) == 1 && c.Own[0] == core.Service(client)
		}},
		{"service", []liftoff.Option{liftoff.WithService(client)}, plain, func(c core.Config) bool { return len(c.Own) == 2 }},
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
			if _, err := core.NewProducer(cfg); err != nil {
				t.Error(err)
			}
		})
	}
}

// What is nil was meant to be something. An option that leaves it at the default in silence
// would hide that.
func TestNilIsAMistakeOfEveryOption(t *testing.T) {
	var (
		selector  *selectorFactory
		policy    core.RetryPolicyFunc
		budget    *retry.Budget
		latency   *health.Latency
		table     *core.PolicyTable
		handler   core.ServerRequestHandlerFunc
		transport *coretest.Transport
		routes    coretest.RouteFunc
		client    *remoting.Client
		hook      *accumulate.Accumulator
		file      *acl.File
	)
	for _, tt := range []struct {
		option liftoff.Option
		want   string
	}{
		{nil, "option 0 is nil"},
		{liftoff.WithSteps(core.ListenerStep("quota", nil)), `step "quota": it is empty`},
		{liftoff.WithSteps(core.CallStep("quota", core.StageGuard, nil)), `step "quota": the interceptor is nil`},
		{liftoff.WithHooks(nil), "WithHooks: hook 0 is nil"},
		{liftoff.WithHooks(hook), "WithHooks: hook 0 is nil"},
		{liftoff.WithSelector(nil), "WithSelector: the factory is nil"},
		{liftoff.WithSelector(selector), "WithSelector: the factory is nil"},
		{liftoff.WithRetry(nil), "WithRetry: the policy is nil"},
		{liftoff.WithRetry(policy), "WithRetry: the policy is nil"},
		{liftoff.WithRetry(retry.Safe(nil)), "WithRetry: the policy is nil"},
		{liftoff.WithBudget(nil), "WithBudget: the budget is nil"},
		{liftoff.WithBudget(budget), "WithBudget: the budget is nil"},
		{liftoff.WithHealth(nil), "WithHealth: the view is nil"},
		{liftoff.WithHealth(latency), "WithHealth: the view is nil"},
		{liftoff.WithPolicies(nil), "WithPolicies: the source is nil"},
		{liftoff.WithPolicies(table), "WithPolicies: the source is nil"},
		{liftoff.WithPolicies(&core.PolicyTable{}), "policies: PolicyTable.Default is nil: set it"},
		{liftoff.WithBreaker(nil), "WithBreaker: the breaker is nil"},
		{liftoff.WithCompressor(nil), "WithCompressor: the codec is nil"},
		{liftoff.WithLimits(nil), "validate: option 0 is nil"},
		{liftoff.WithHandler(core.RequestReply, nil), "WithHandler: the handler of reply is nil"},
		{liftoff.WithHandler(core.RequestReply, handler), "WithHandler: the handler of reply is nil"},
		{liftoff.WithTransport(nil, coretest.Routes(1, "a")), "WithTransport: the transport is nil"},
		{liftoff.WithTransport(transport, coretest.Routes(1, "a")), "WithTransport: the transport is nil"},
		{liftoff.WithTransport(&coretest.Transport{}, nil), "WithTransport: the route source is nil"},
		{liftoff.WithTransport(&coretest.Transport{}, routes), "WithTransport: the route source is nil"},
		{liftoff.WithClient(nil), "WithClient: the client is nil"},
		{liftoff.WithClient(client), "WithClient: the client is nil"},
		{liftoff.WithOwnClient(nil), "WithOwnClient: the client is nil"},
		{liftoff.WithOwnClient(client), "WithOwnClient: the client is nil"},
		{liftoff.WithCredentials(nil), "WithCredentials: the provider is nil"},
		{liftoff.WithCredentials(file), "WithCredentials: the provider is nil"},
		{liftoff.WithService(nil), "WithService: the service is nil"},
		{liftoff.WithService(client), "WithService: the service is nil"},
	} {
		// Neither is the mistake told twice, nor does one that follows from it join in.
		_, err := liftoff.New(base, tt.option)
		if got := mistakes(err); len(got) != 1 || !strings.Contains(got[0], tt.want) {
			t.Errorf("got %q, want %q", got, tt.want)
		}
	}
}

// mistakes are the lines of an error of New.
func mistakes(err error) []string {
	if err == nil {
		return nil
	}
	return strings.Split(strings.TrimPrefix(err.Error(), `producer "g": `), "\n")
}

type selectorFactory struct{}

func (*selectorFactory) ForTopic(string) core.QueueSelector { return nil }

func TestNewReportsMistakes(t *testing.T) {
	t.Setenv(liftoff.NameServerEnv, "")
	servers := base.NameServers
	keys := must(acl.Static(acl.Credentials{AccessKey: "orders", SecretKey: acl.NewSecret("my-secret-key")}))
	tests := []struct {
		name    string
		cfg     liftoff.Config
		options []liftoff.Option
		want    []string // the lines, in order
	}{
		{"nothing given", liftoff.Config{}, nil, []string{"group is empty", "no name server is given: set Config.NameServers, Config.Client.Discovery or NAMESRV_ADDR"}},
		{"bad address", liftoff.Config{Group: "g", NameServers: []string{"a:b:c"}}, nil, []string{"a:b:c"}},
		{"no group", liftoff.Config{NameServers: servers}, nil, []string{"group is empty"}},
		{"reserved group", liftoff.Config{Group: "DEFAULT_PRODUCER", NameServers: servers}, nil, []string{"is reserved"}},
		{"bad namespace", liftoff.Config{Group: "g", NameServers: servers, Namespace: "a b"}, nil, []string{"namespace"}},
		{"bad limit", liftoff.Config{Group: "g", NameServers: servers}, []liftoff.Option{liftoff.WithLimits(validate.MaxBodySize(-1))}, []string{"MaxBodySize is negative: -1"}},
		{"times in no unit", liftoff.Config{Group: "g", NameServers: servers, Timeout: 3000, Client: remoting.Config{ConnectTimeout: 3000}}, nil, []string{
			`Config.Timeout is 3µs, at least 1ms is needed`, "ConnectTimeout is 3µs, at least 1ms is needed",
		}},
		{"name servers twice", liftoff.Config{Group: "g", NameServers: servers, Client: remoting.Config{NameServers: servers}}, nil, []string{"Client.NameServers is set"}},
		{"a bad source", liftoff.Config{Group: "g", Client: remoting.Config{Discovery: remoting.Discovery{Endpoint: "ftp://conf"}}}, nil, []string{"Discovery.Endpoint: scheme"}},
		{"no secret key, and no name server", liftoff.Config{Group: "g", ACL: acl.Config{AccessKey: "orders"}}, nil, []string{"no name server is given", "the secret key is missing"}},
		{"no secret key", liftoff.Config{Group: "g", NameServers: servers, ACL: acl.Config{AccessKey: "orders"}}, nil, []string{"the secret key is missing"}},
		{"a signer that is a nil pointer", liftoff.Config{Group: "g", NameServers: servers, Client: remoting.Config{Signer: (*acl.Signer)(nil)}}, nil, []string{"Signer is a nil pointer"}},
		{"credentials twice", liftoff.Config{Group: "g", NameServers: servers, ACL: acl.Config{AccessKey: "orders"}}, []liftoff.Option{liftoff.WithCredentials(keys)}, []string{"both Config.ACL and WithCredentials"}},
		{"a signer and credentials", liftoff.Config{Group: "g", NameServers: servers, Client: remoting.Config{Signer: new(acl.Signer)}}, []liftoff.Option{liftoff.WithCredentials(keys)}, []string{"both credentials and Client.Signer"}},
		{"credentials beside a client", base, []liftoff.Option{liftoff.WithCredentials(keys), liftoff.WithTransport(&coretest.Transport{}, coretest.Routes(1, "a"))}, []string{"WithCredentials is given beside a client"}},
		{"too many in flight", liftoff.Config{Group: "g", NameServers: servers, MaxInFlight: 2_000_000_000}, nil, []string{"Config.MaxInFlight is 2000000000, at most 16777216 is allowed; each send in flight takes some 2 KiB"}},
		{"everything at once", liftoff.Config{Namespace: "a b", MaxInFlight: -1, Client: remoting.Config{Serialization: 7}}, []liftoff.Option{
			nil, liftoff.WithRetry(nil), liftoff.WithSteps(core.ListenerStep("Ear", 1)), liftoff.WithLimits(validate.MaxBodySize(-1)),
		}, []string{
			"group is empty", "MaxInFlight is negative", `step "Ear": a name is dotted`, `step "Ear": int is no listener`,
			"option 0 is nil", "WithRetry: the policy is nil", "MaxBodySize is negative: -1", "namespace", "no name server is given",
		}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			_, err := liftoff.New(tt.cfg, tt.options...)
			got := mistakes(err)
			if len(got) != len(tt.want) {
				t.Fatalf("got %q, want %q", got, tt.want)
			}
			for i, want := range tt.want {
				if !strings.Contains(got[i], want) {
					t.Errorf("mistake %d is %q, want %q", i, got[i], want)
				}
			}
		})
	}
	if _, err := liftoff.Defaults(liftoff.Config{Group: "g"}); err == nil || !strings.Contains(err.Error(), `producer "g": no name server`) {
		t.Errorf("Defaults: %v", err)
	}
}

func TestNameServersFromTheEnvironment(t *testing.T) {
	c := embedded.New(t, embedded.Config{})
	t.Setenv(liftoff.NameServerEnv, strings.Join(c.NameServers(), ";"))
	send(t, must(liftoff.New(liftoff.Config{Group: "g"})))
}

// send starts a producer, sends a message and shuts the producer down.
func send(t *testing.T, p *liftoff.Producer) {
	t.Helper()
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

// The client's own settings, with an in-memory network, and a service that lives as long as
// the producer.
func TestClientSettingsAndService(t *testing.T) {
	c := embedded.New(t, embedded.Config{Network: embedded.NewNetwork()})
	svc := &service{}
	send(t, must(liftoff.New(liftoff.Config{
		Group: "g", NameServers: c.NameServers(), Client: remoting.Config{Dial: c.Dial},
	}, liftoff.WithService(svc))))
	if svc.started != 1 || svc.stopped != 1 {
		t.Errorf("the service was started %d and stopped %d times", svc.started, svc.stopped)
	}
}

type service struct{ started, stopped int }

func (s *service) Start(context.Context) error    { s.started++; return nil }
func (s *service) Shutdown(context.Context) error { s.stopped++; return nil }

// Two producers share a client, which neither of them starts or stops.
func TestSharedClient(t *testing.T) {
	c := embedded.New(t, embedded.Config{})
	client := must(remoting.NewClient(remoting.Config{NameServers: c.NameServers()}))
	if err := client.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	for _, group := range []string{"a", "b"} {
		send(t, must(liftoff.New(liftoff.Config{Group: group}, liftoff.WithClient(client))))
	}
	if err := client.Shutdown(t.Context()); err != nil {
		t.Error(err)
	}
	if n := c.StoredCount("T"); n != 2 {
		t.Errorf("%d messages are stored, want 2", n)
	}
}

func TestNamespaceOnTheWire(t *testing.T) {
	c := embedded.New(t, embedded.Config{})
	p := must(liftoff.New(liftoff.Config{Group: "g", NameServers: c.NameServers(), Namespace: "shop"}))
	send(t, p)
	if got := len(c.Stored("shop%T")); got != 1 || p.Group() != "shop%g" {
		t.Errorf("%d messages in the namespace's topic, group %q", got, p.Group())
	}
}

func TestConfigAsJSON(t *testing.T) {
	const text = `{"group":"orders","nameServers":["a:1"],"timeout":"5s","maxInFlightBytes":1024,"routeRefresh":"1m0s",` +
		`"client":{"serialization":"JSON","connectTimeout":"250ms"}}`
	var cfg liftoff.Config
	if err := json.Unmarshal([]byte(text), &cfg); err != nil {
		t.Fatal(err)
	}
	if back, err := json.Marshal(cfg); string(back) != text || err != nil {
		t.Errorf("got  %s, %v\nwant %s", back, err, text)
	}
	err := json.Unmarshal([]byte(`{"timeout":3,"timeOutt":"3s","client":{"serialization":"xml","idleTimeout":2}}`), &cfg)
	for _, want := range []string{"timeout: 3 is no duration", "timeOutt: it is not known", `client: serialization: rocketmq: serialization "xml" is not known`, "client: idleTimeout: 2 is no duration"} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q is missing in: %v", want, err)
		}
	}
}

// The configurations of the parts are read and written like that of the producer.
func TestPartsConfigAsJSON(t *testing.T) {
	for text, cfg := range map[string]any{
		`{"window":"20s","openFor":"2s","probes":3,"minWait":"4ms","hangAfter":"-1s"}`:                                          new(breaker.Config),
		`{"linger":"2ms","maxCount":3,"maxBytes":4}`:                                                                            new(accumulate.Config),
		`{"target":"1ms","minWindow":2,"maxWindow":3}`:                                                                          new(pace.Config),
		`{"table":{"latencyMax":["50ms","1s"],"notAvailable":["0s","30s"],"isolation":"10s","overwrite":true},"minWait":"1ms"}`: new(health.Config),
	} {
		if err := json.Unmarshal([]byte(text), cfg); err != nil {
			t.Errorf("%s: %v", text, err)
		}
		if back, err := json.Marshal(cfg); string(back) != text || err != nil {
			t.Errorf("got  %s, %v\nwant %s", back, err, text)
		}
	}
}

// With a source of name servers no list is needed, and NAMESRV_ADDR does not count.
func TestNameServersFromASource(t *testing.T) {
	t.Setenv(liftoff.NameServerEnv, "not a host!")
	cluster := embedded.New(t, embedded.Config{})
	p := must(liftoff.New(liftoff.Config{Group: "g", Client: remoting.Config{Discovery: remoting.Discovery{
		Source: remoting.NameServerFunc(func(context.Context) ([]string, error) { return cluster.NameServers(), nil }),
	}}}))
	if err := p.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	if _, err := p.Send(t.Context(), &liftoff.Message{Topic: "T", Body: []byte("x")}); err != nil {
		t.Error(err)
	}
	if err := p.Shutdown(context.Background()); err != nil {
		t.Error(err)
	}
}

// Versions 1 and 2 of namespaces name the same thing in two ways, so one of them is enough.
func TestBothNamespacesAreAMistake(t *testing.T) {
	cfg := liftoff.Config{Group: "g", NameServers: []string{"127.0.0.1:1"}, Namespace: "one", Client: remoting.Config{NamespaceV2: "two"}}
	for name, options := range map[string][]liftoff.Option{
		"own client":     nil,
		"another client": {liftoff.WithClient(must(remoting.NewClient(remoting.Config{NameServers: cfg.NameServers})))},
	} {
		if _, err := liftoff.New(cfg, options...); err == nil || !strings.Contains(err.Error(), "both Namespace and Client.NamespaceV2 are set") {
			t.Errorf("%s: %v", name, err)
		}
	}
	cfg.Namespace = ""
	if _, err := liftoff.New(cfg); err != nil {
		t.Error(err)
	}
}

// Topics of the configuration, in the namespace, are looked up at the start without a send.
func TestTopicsOfTheConfiguration(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		found := make(chan string, 3)
		routes := coretest.RouteFunc(func(ctx context.Context, topic string) (*core.Route, error) {
			found <- topic
			return coretest.Routes(1, "broker-a").Route(ctx, topic)
		})
		p := must(liftoff.New(liftoff.Config{Group: "g", Namespace: "ns", Topics: []string{"Payments", "Orders"}},
			liftoff.WithTransport(&coretest.Transport{}, routes)))
		if err := p.Start(t.Context()); err != nil {
			t.Fatal(err)
		}
		defer p.Shutdown(t.Context())
		got := []string{<-found, <-found}
		slices.Sort(got)
		if synctest.Wait(); len(found) > 0 || !slices.Equal(got, []string{"ns%Orders", "ns%Payments"}) {
			t.Errorf("looked up %q", got)
		}
	})
}

// A configuration that is refused leaves no trace in parts that other producers have too.
func TestRefusedConfigurationIsNotHeardOf(t *testing.T) {
	feed := &countingFeed{PolicySource: &core.PolicyTable{Default: &core.Policy{Name: "all"}}}
	requests := must(liftoff.NewRequester(requestreply.Config{}))
	options := []liftoff.Option{liftoff.WithPolicies(feed), liftoff.WithHooks(requests)}
	if _, err := liftoff.New(liftoff.Config{}, options...); err == nil || !strings.Contains(err.Error(), "NameServers") || !strings.Contains(err.Error(), "group") {
		t.Fatalf("without a group and name servers: %v", err)
	}
	if feed.producers != 0 {
		t.Errorf("the feed has %d producers", feed.producers)
	}
	p := must(liftoff.New(base, options...)) // the requester belongs to nobody yet
	if feed.producers != 1 {
		t.Errorf("the feed has %d producers", feed.producers)
	}
	if err := p.Shutdown(t.Context()); err != nil {
		t.Error(err)
	}
}

// countingFeed counts the producers that follow it.
type countingFeed struct {
	core.PolicySource
	producers int
}

func (f *countingFeed) Begin() core.PolicySource { return f.PolicySource }

func (f *countingFeed) Follow(func(context.Context, core.PolicySource) error) error {
	f.producers++
	return nil
}

// A producer has one checker.
func TestTwoCheckers(t *testing.T) {
	checker := liftoff.CheckFunc(func(context.Context, *liftoff.TransactionCheck) (liftoff.TransactionDecision, error) {
		return core.TransactionUnknown, nil
	})
	_, err := liftoff.New(base, liftoff.WithTransactions(checker, "A"), liftoff.WithTransactions(checker, "B"))
	if err == nil || !strings.Contains(err.Error(), "WithTransactions is given twice") {
		t.Errorf("got %v", err)
	}
}
