package main

import (
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/caarlos0/env/v11"
	goccy "github.com/goccy/go-yaml"
	"github.com/knadh/koanf/providers/confmap"
	"github.com/knadh/koanf/v2"
	"github.com/liftoff-mq/liftoff"
	"github.com/liftoff-mq/liftoff/hooks/accumulate"
	"github.com/liftoff-mq/liftoff/strategies/breaker"
	"github.com/liftoff-mq/liftoff/strategies/health"
	"github.com/liftoff-mq/liftoff/strategies/pace"
	"github.com/liftoff-mq/liftoff/transport/remoting"
	"github.com/liftoff-mq/liftoff/transport/remoting/acl"
	"go.uber.org/goleak"
	old "gopkg.in/yaml.v3"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestConfig(t *testing.T) {
	var out strings.Builder
	if err := run(&out); err != nil {
		t.Fatal(err)
	}
	const settings = `  {"producer":{"group":"orders","nameServers":["10.0.0.1:9876","10.0.0.2:9876"],"timeout":"5s","attemptTimeout":"1.5s",` +
		`"maxInFlight":1000,"client":{"serialization":"JSON","connectTimeout":"500ms"}},"breaker":{"openFor":"10s","probes":2},"accumulate":{"linger":"2ms"}}` + "\n"
	want := "YAML:\n" + settings + "JSON:\n" + settings + "environment:\n" + settings + `producer orders
  a call         5s
  an attempt     1.5s
  headers        JSON
  a dial         at most 500ms
  breakers open  10s; meanwhile other brokers get the messages; those that no other may take go through
`
	if got := out.String(); got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
}

// everything are all configurations of Liftoff.
type everything struct {
	Settings `yaml:",inline"`
	Pace     pace.Config   `json:"pace" yaml:"pace" envPrefix:"PACE_"`
	Health   health.Config `json:"health" yaml:"health" envPrefix:"HEALTH_"`
}

// decoders are the libraries, each from the text of its kind.
var decoders = map[string]func(text string, into any) error{
	"go.yaml.in/yaml":  decodeYAML,
	"gopkg.in/yaml.v3": func(text string, into any) error { return old.Unmarshal([]byte(text), into) },
	"goccy/go-yaml": func(text string, into any) error {
		return goccy.UnmarshalWithOptions([]byte(text), into, goccy.Strict())
	},
	"encoding/json": func(text string, into any) error { return decodeJSON(yamlToJSON(text), into) },
	"caarlos0/env": func(text string, into any) error {
		return env.ParseWithOptions(into, env.Options{Environment: yamlToEnv(text)})
	},
	"koanf": decodeKoanf,
}

// decodeKoanf is mapstructure, with the hooks that koanf and viper use.
func decodeKoanf(text string, into any) error {
	k := koanf.New(".")
	if err := k.Load(confmap.Provider(tree(text), ""), nil); err != nil {
		return err
	}
	return k.UnmarshalWithConf("", into, koanf.UnmarshalConf{Tag: "yaml"})
}

// Every library reads every setting of every configuration.
func TestEveryLibraryReadsEverySetting(t *testing.T) {
	const ms = time.Millisecond
	for _, tt := range []struct {
		name, text string
		into, want any
	}{
		{"producer", `
group: orders
nameServers: ["a:1", "b:2"]
namespace: shop
timeout: 5s
attemptTimeout: 1.5s
maxInFlight: 10
maxInFlightBytes: 5000000000
maxWorkers: 12
routeRefresh: 1m
routeTimeout: 2s
client:
  serialization: JSON
  createTopicKey: TBW102
  defaultTopicQueueNums: 8
  clientId: me
  clientIp: 10.1.2.3
  instanceName: one
  namespaceV2: tenant
  unitMode: true
  unitName: unit
  zone:
    name: zone
    mode: true
  streamType: true
  heartbeatInterval: 11ms
  connectTimeout: 12ms
  nameServerTimeout: 13ms
  requestTimeout: 14ms
  writeTimeout: 15ms
  frameTimeout: 16ms
  idleTimeout: 17ms
  maxQueuedBytes: 18
  maxBrokers: 19
  maxTopics: 20
  userTimeout: 21ms
  vipChannel: true
  allowedBrokers: ["10.0.0.0/8"]
  addresses: ["broker-a=127.0.0.1:30911"]
  socks: proxy.example:1080
  discovery:
    endpoint: conf.example
    srv: [_rocketmq._tcp.a.example, _rocketmq._tcp.b.example]
    interval: 21s
  tls:
    enabled: true
    caFile: ca.crt
    certFile: client.crt
    keyFile: client.key
    serverName: broker.example
    insecureSkipVerify: true
acl:
  accessKey: me
  secretKey: my-secret-key
  securityToken: my-token
  credentialsFile: keys
`, &liftoff.Config{}, &liftoff.Config{
			Group: "orders", NameServers: []string{"a:1", "b:2"}, Namespace: "shop", Timeout: 5000 * ms, AttemptTimeout: 1500 * ms,
			MaxInFlight: 10, MaxInFlightBytes: 5e9, MaxWorkers: 12, RouteRefresh: time.Minute, RouteTimeout: 2000 * ms,
			Client: remoting.Config{
				Serialization: remoting.JSON, CreateTopicKey: "TBW102", DefaultTopicQueueNums: 8, ClientID: "me", HeartbeatInterval: 11 * ms,
				ClientIP: "10.1.2.3", InstanceName: "one", NamespaceV2: "tenant", UnitMode: true, UnitName: "unit",
				Zone: remoting.Zone{Name: "zone", Mode: true}, StreamType: true,
				ConnectTimeout: 12 * ms, NameServerTimeout: 13 * ms, RequestTimeout: 14 * ms, WriteTimeout: 15 * ms, FrameTimeout: 16 * ms,
				IdleTimeout: 17 * ms, MaxQueuedBytes: 18, MaxBrokers: 19, MaxTopics: 20,
				UserTimeout: 21 * ms, VIPChannel: true, AllowedBrokers: []string{"10.0.0.0/8"}, Addresses: []string{"broker-a=127.0.0.1:30911"}, SOCKS: remoting.SOCKS{"0.0.0.0/0": {Addr: "proxy.example:1080"}},
				Discovery: remoting.Discovery{
					Endpoint: "conf.example", SRV: []string{"_rocketmq._tcp.a.example", "_rocketmq._tcp.b.example"}, Interval: 21000 * ms,
				},
				TLS: remoting.TLS{
					Enabled: true, CAFile: "ca.crt", CertFile: "client.crt", KeyFile: "client.key", ServerName: "broker.example", InsecureSkipVerify: true,
				},
			},
			ACL: acl.Config{AccessKey: "me", SecretKey: acl.NewSecret("my-secret-key"), SecurityToken: acl.NewSecret("my-token"), CredentialsFile: "keys"},
		}},
		{"client", `
nameServers: ["a:1"]
serialization: rocketmq
socks: '{"10.0.0.0/8":{"addr":"p:1","password":"x"}}'
`, &remoting.Config{Serialization: remoting.JSON}, &remoting.Config{NameServers: []string{"a:1"}, SOCKS: remoting.SOCKS{"10.0.0.0/8": {Addr: "p:1", Password: remoting.NewSecret("x")}}}},
		{"breaker", `
consecutiveFailures: 6
failureRatio: 0.25
minRequests: 7
window: 20s
openFor: 2s
probes: 3
minWait: 4ms
hangAfter: -1s
`, &breaker.Config{}, &breaker.Config{
			ConsecutiveFailures: 6, FailureRatio: 0.25, MinRequests: 7, Window: 20000 * ms, OpenFor: 2000 * ms, Probes: 3, MinWait: 4 * ms, HangAfter: -time.Second,
		}},
		{"accumulate", `
linger: 2ms
maxCount: 3
maxBytes: 4
`, &accumulate.Config{}, &accumulate.Config{Linger: 2 * ms, MaxCount: 3, MaxBytes: 4}},
		{"pace", `
target: 1ms
minWindow: 2
maxWindow: 3
`, &pace.Config{}, &pace.Config{Target: ms, MinWindow: 2, MaxWindow: 3}},
		{"health", `
minWait: 1ms
table:
  latencyMax: [50ms, 1s]
  notAvailable: [0s, 30s]
  isolation: 10s
  overwrite: true
`, &health.Config{}, &health.Config{MinWait: ms, Table: health.Table{
			LatencyMax: []time.Duration{50 * ms, 1000 * ms}, NotAvailable: []time.Duration{0, 30000 * ms}, Isolation: 10000 * ms, Overwrite: true,
		}}},
	} {
		for library, decode := range decoders {
			t.Run(tt.name+"/"+library, func(t *testing.T) {
				into := reflect.New(reflect.TypeOf(tt.into).Elem())
				into.Elem().Set(reflect.ValueOf(tt.into).Elem())
				if err := decode(tt.text, into.Interface()); err != nil {
					t.Fatal(err)
				}
				if !reflect.DeepEqual(into.Interface(), tt.want) {
					t.Errorf("got  %+v\nwant %+v", into.Elem(), reflect.ValueOf(tt.want).Elem())
				}
			})
		}
	}
}

// A number is no duration, and an unknown name is an error that has the known ones. Where a
// library takes a number for nanoseconds, as koanf does, New finds it.
func TestMistakesInSettings(t *testing.T) {
	for _, tt := range []struct {
		text string
		want map[string]string // by library; "" is every other one
	}{
		{"client: {connectTimeout: 3}", map[string]string{
			"": "ConnectTimeout is 3ns, at least 1ms is needed", "encoding/json": "client: connectTimeout: 3 is no duration: it has no unit",
			"caarlos0/env": "missing unit in duration", "go.yaml.in/yaml": "into time.Duration", "gopkg.in/yaml.v3": "into time.Duration",
			"goccy/go-yaml": "of type time.Duration",
		}},
		{"timeout: 3000", map[string]string{
			"": "Timeout is 3µs, at least 1ms is needed", "encoding/json": "timeout: 3000 is no duration: it has no unit",
			"caarlos0/env": "missing unit in duration", "go.yaml.in/yaml": "into time.Duration", "gopkg.in/yaml.v3": "into time.Duration",
			"goccy/go-yaml": "of type time.Duration",
		}},
		{"timeout: soon", map[string]string{"": "soon", "koanf": "'timeout' time: invalid duration"}},
		{"client: {serialization: xml}", map[string]string{"": "there are ROCKETMQ, binary, JSON"}},
		{"maxInFlight: many", map[string]string{"": ""}},
		{"timeOutt: 3s", map[string]string{
			"encoding/json": "timeOutt: it is not known; there are group", "go.yaml.in/yaml": "field timeOutt not found", "goccy/go-yaml": `unknown field "timeOutt"`,
		}},
	} {
		for library, decode := range decoders {
			want, ok := tt.want[library]
			if !ok {
				if want, ok = tt.want[""]; !ok {
					continue // it has no strict mode, or another one
				}
			}
			cfg := liftoff.Config{Group: "g", NameServers: []string{"a:1"}}
			err := decode(tt.text, &cfg)
			if err == nil {
				_, err = liftoff.New(cfg)
			}
			if err == nil || !strings.Contains(err.Error(), want) {
				t.Errorf("%s by %s: got %v, want %q", tt.text, library, err, want)
			}
		}
	}
}

// A struct of the program's own around the configurations is read as well, embedded ones too
// where the library knows that.
func TestSettingsWithinSettings(t *testing.T) {
	const text = "producer: {group: g, timeout: 2s}\npace: {target: 3ms}\nhealth: {minWait: 4ms}\n"
	want := everything{
		Settings: Settings{Producer: liftoff.Config{Group: "g", Timeout: 2 * time.Second}},
		Pace:     pace.Config{Target: 3 * time.Millisecond}, Health: health.Config{MinWait: 4 * time.Millisecond},
	}
	for _, library := range []string{"go.yaml.in/yaml", "gopkg.in/yaml.v3", "goccy/go-yaml", "encoding/json", "caarlos0/env"} {
		var got everything
		if err := decoders[library](text, &got); err != nil || !reflect.DeepEqual(got, want) {
			t.Errorf("%s: got %+v, %v", library, got, err)
		}
	}
}
