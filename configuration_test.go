package liftoff_test

import (
	"fmt"
	"os"
	"reflect"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/liftoff-mq/liftoff"
	"github.com/liftoff-mq/liftoff/core"
	"github.com/liftoff-mq/liftoff/core/requestreply"
	"github.com/liftoff-mq/liftoff/hooks/accumulate"
	"github.com/liftoff-mq/liftoff/hooks/msgtrace"
	"github.com/liftoff-mq/liftoff/hooks/sendrules"
	"github.com/liftoff-mq/liftoff/strategies/breaker"
	"github.com/liftoff-mq/liftoff/strategies/health"
	"github.com/liftoff-mq/liftoff/strategies/limit"
	"github.com/liftoff-mq/liftoff/strategies/pace"
	"github.com/liftoff-mq/liftoff/strategies/selector"
	"github.com/liftoff-mq/liftoff/transport/remoting"
	"github.com/liftoff-mq/liftoff/transport/remoting/acl"
	"github.com/liftoff-mq/liftoff/transport/remoting/admin"
)

// configured is a configuration of the page, with what it is tried with.
type configured struct {
	// base is one that is accepted, with no more in it than that needs.
	base any
	// make makes what is configured, and returns it.
	make func(config reflect.Value) (any, error)
	// texts are the settings with a form of their own, by the path of Go fields.
	texts map[string]form
	// unlike are defaults that depend on something, in words, by the same path.
	unlike map[string]string
	// described are the names of those that only the description has.
	described map[string]string
}

// form says in words what is allowed where no bound can be searched for, with values that
// are accepted and refused.
type form struct {
	words     string
	good, bad []any
}

// maker adapts a constructor.
func maker[C, T any](construct func(C) (T, error)) func(reflect.Value) (any, error) {
	return func(v reflect.Value) (any, error) { return construct(v.Interface().(C)) }
}

// chooser adapts a constructor of selectors: what is configured is in the factory or in its selector.
func chooser[C any](construct func(C) (core.SelectorFactory, error)) func(reflect.Value) (any, error) {
	return func(v reflect.Value) (any, error) {
		f, err := construct(v.Interface().(C))
		if err != nil {
			return nil, err
		}
		return []any{f, f.ForTopic("t")}, nil
	}
}

func newAdmin(c admin.Config) (*admin.Admin, error) {
	client, err := remoting.NewClient(remoting.Config{NameServers: []string{"a:1"}})
	if err != nil {
		return nil, err
	}
	return admin.New(client, c)
}

var (
	servers = form{"addresses `host:port`, several in one text too", []any{[]string{"a"}, []string{"a:1;b:2", "[::1]:3"}}, []any{[]string{"a:b:c"}, []string{"a:0"}}}
	pemFile = form{"path of a file in PEM, only with `enabled`", nil, []any{"no-such-file"}}
)

// pageOfSettings are all configurations that are data.
var pageOfSettings = []configured{
	{
		base: liftoff.Config{Group: "g", NameServers: []string{"a:1"}}, make: maker(func(c liftoff.Config) (*liftoff.Producer, error) { return liftoff.New(c) }),
		unlike: map[string]string{
			"RouteTimeout": "the call's time, 10 s at least", "NameServers": "`NAMESRV_ADDR`", "Client.ClientID": "made as Java's is",
			"Client.ClientIP": "the machine's first", "Client.InstanceName": "`pid#random`",
		},
		texts: map[string]form{
			"NameServers":                   servers,
			"Topics":                        {"names of topics", []any{[]string{"Orders", "%RETRY%g"}}, []any{[]string{"a b"}, []string{""}}},
			"Client.Discovery.Endpoint":     {"URL, or a host with or without a port", []any{"a", "a:1", "https://a/b"}, []any{"ftp://a", "a b"}},
			"Client.Discovery.SRV":          {"DNS names", []any{[]string{"_rocketmq._tcp.example.com"}}, []any{[]string{"a b"}, []string{""}}},
			"Client.AllowedBrokers":         {"names, `*.example`, IP addresses, networks; with or without a port", []any{[]string{"a", "*.b:1", "10.0.0.0/8"}}, []any{[]string{"10.0.0.0/99"}}},
			"Client.Addresses":              {"`FROM=TO`: addresses, broker names, hosts, networks", []any{[]string{"a:1=b:2", "a=b:2", "10.1.0.0/16=10.2.0.0/16"}}, []any{[]string{"a"}, []string{"10.1.0.0/16=10.2.0.0/24"}}},
			"Client.SOCKS":                  {"a proxy `host:port`, or proxies by network", []any{remoting.SOCKS{"10.0.0.0/8": {Addr: "p:1"}}}, []any{remoting.SOCKS{"x": {Addr: "p:1"}}}},
			"Client.CreateTopicKey":         {"name of a topic", []any{"TBW102", "my-defaults"}, []any{"a b", "größe", strings.Repeat("k", 128)}},
			"Client.Zone.Mode":              {"true or false, only with `name`", []any{false}, []any{true}},
			"Client.TLS.CAFile":             pemFile,
			"Client.TLS.CertFile":           pemFile,
			"Client.TLS.KeyFile":            pemFile,
			"Client.TLS.ServerName":         {"text, only with `enabled`", nil, []any{"broker.example"}},
			"Client.TLS.InsecureSkipVerify": {"true or false, only with `enabled`", []any{false}, []any{true}},
			"ACL.AccessKey":                 {"text, with `secretKey`", nil, []any{"me"}},
			"ACL.SecretKey":                 {"text, with `accessKey`", nil, []any{acl.NewSecret("x")}},
			"ACL.SecurityToken":             {"text, with both keys", nil, []any{acl.NewSecret("x")}},
			"ACL.CredentialsFile":           {"path of a file, in place of the other three", nil, []any{"no-such-file"}},
		},
	},
	{base: breaker.Config{}, make: maker(breaker.New)},
	{base: accumulate.Config{}, make: maker(accumulate.New)},
	{base: msgtrace.Config{}, make: maker(msgtrace.New), texts: map[string]form{"Topic": {"name of a topic", []any{"my-traces"}, []any{"a b"}}}},
	{base: pace.Config{}, make: maker(pace.New)},
	{base: limit.RateConfig{PerSecond: 1}, make: maker(limit.NewRate), unlike: map[string]string{"Burst": "what a second allows, at least 1"}},
	{base: limit.BulkheadConfig{}, make: maker(limit.NewBulkhead)},
	{base: limit.AdaptiveConfig{}, make: maker(limit.NewAdaptive)},
	{
		base: health.Config{}, make: maker(health.NewLatency),
		texts: map[string]form{
			"Table.LatencyMax":   {"ascending, 0 or from 10 µs, as many as `notAvailable`", nil, []any{[]time.Duration{1, 2}}},
			"Table.NotAvailable": {"0 or from 10 µs, as many as `latencyMax`", nil, []any{[]time.Duration{1}}},
			"Table.Isolation":    {"0 or from 10 µs", []any{10 * time.Microsecond, time.Hour}, []any{time.Duration(1), time.Duration(-1)}},
		},
	},
	{base: health.ReachabilityConfig{}, make: maker(health.NewReachability)},
	{base: selector.HashConfig{}, make: chooser(selector.NewHash)},
	{base: selector.PowerOfTwoConfig{}, make: chooser(selector.NewPowerOfTwo)},
	{base: selector.StickyConfig{Messages: 1, For: time.Second}, make: chooser(selector.NewSticky)},
	{
		base: selector.WeightedConfig{Weights: map[string]int{"a": 1}}, make: chooser(selector.NewWeighted),
		described: map[string]string{"Others": "others"},
		texts:     map[string]form{"Weights": {"weights by broker, each 0 to 1,000,000", []any{map[string]int{"a": 1_000_000, "b": 0}}, []any{map[string]int{"a": 1_000_001}, map[string]int{"a": -1}}}},
	},
	{base: selector.ZoneConfig{Brokers: []string{"a"}}, make: chooser(selector.NewZone), texts: map[string]form{
		"Brokers": {"names, or beginnings with a `*` behind them", []any{[]string{"a", "eu-*"}}, []any{[]string{"*"}, []string{"a*b"}, []string{""}}},
	}},
	{base: sendrules.Config{}, make: maker(sendrules.New), texts: map[string]form{
		"Properties": {"names that are not RocketMQ's own", []any{[]string{"tenant"}}, []any{[]string{"KEYS"}, []string{" "}, []string{"a", "a"}}},
	}},
	{base: requestreply.Config{}, make: maker(requestreply.New)},
	{base: admin.Config{}, make: maker(newAdmin)},
}

const settingsPage = "docs/configuration.md"

var tableOfSettings = regexp.MustCompile(`(?s)<!-- settings of (\S+) -->\n.*?<!-- end -->`)

// The tables of docs/configuration.md are what the code says. Names are those of the tags,
// meanings the first sentences of the comments, and defaults what a constructor makes of zero
// values. The bounds of numbers are searched for: the value in the table is accepted, and the
// next one is not.
func TestPageOfSettings(t *testing.T) {
	page, err := os.ReadFile(settingsPage)
	if err != nil {
		t.Fatal(err)
	}
	tables := map[string]string{}
	for _, c := range pageOfSettings {
		s := &settings{configured: c, t: t, tables: tables}
		s.walk(reflect.TypeOf(c.base), nil, "", "", "")
		for path := range c.texts {
			if !s.used[path] {
				t.Errorf("%T has no setting %s", c.base, path)
			}
		}
	}
	seen := map[string]bool{}
	want := tableOfSettings.ReplaceAllStringFunc(string(page), func(old string) string {
		name := tableOfSettings.FindStringSubmatch(old)[1]
		seen[name] = true
		return fmt.Sprintf("<!-- settings of %s -->\n%s<!-- end -->", name, tables[name])
	})
	for name, table := range tables {
		if !seen[name] {
			t.Errorf("%s has no place for the settings of %s", settingsPage, name)
		}
		if table == "" {
			t.Errorf("%s has no settings", name)
		}
	}
	for name := range seen {
		if tables[name] == "" {
			t.Errorf("%s has a place for %s, which is no configuration", settingsPage, name)
		}
	}
	if *update {
		if err := os.WriteFile(settingsPage, []byte(want), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	if want != string(page) {
		t.Errorf("%s is not what the code says; -update writes its tables anew%s", settingsPage, firstDifference(string(page), want))
	}
}

func firstDifference(got, want string) string {
	g, w := strings.Split(got, "\n"), strings.Split(want, "\n")
	for i := range min(len(g), len(w)) {
		if g[i] != w[i] {
			return fmt.Sprintf("\nline %d\ngot  %s\nwant %s", i+1, g[i], w[i])
		}
	}
	return ""
}

// Every configuration of the tree that has names for files has a table, or is named on the page.
func TestPageHasEveryConfiguration(t *testing.T) {
	page, err := os.ReadFile(settingsPage)
	if err != nil {
		t.Fatal(err)
	}
	n := 0
	for _, name := range configurationsOfTree(t) {
		n++
		if !strings.Contains(string(page), "<!-- settings of "+name+" -->") && !strings.Contains(string(page), "`"+name+"`") {
			t.Errorf("%s says nothing of %s", settingsPage, name)
		}
	}
	if n < 20 {
		t.Errorf("only %d configurations were found", n)
	}
}
