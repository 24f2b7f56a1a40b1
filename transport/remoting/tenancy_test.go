package remoting_test

import (
	"encoding/hex"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/liftoff-mq/liftoff/core"
	"github.com/liftoff-mq/liftoff/core/coretest"
	"github.com/liftoff-mq/liftoff/core/rocketmq"
	"github.com/liftoff-mq/liftoff/internal/race"
	"github.com/liftoff-mq/liftoff/transport/embedded"
	"github.com/liftoff-mq/liftoff/transport/remoting"
	"github.com/liftoff-mq/liftoff/transport/remoting/acl"
	"github.com/liftoff-mq/liftoff/transport/wire"
)

// tenants are the clients of tenants in integration/java/src/main/java/liftoff/GoldenFrames.java, with
// the fields that each of their requests has.
func tenants(t *testing.T) map[string]struct {
	cfg  remoting.Config
	same []string
} {
	keys := acl.Config{AccessKey: "accessKey-1", SecretKey: acl.NewSecret("secret-key-Größe")}
	signer, err := keys.Signer(nil)
	if err != nil {
		t.Fatal(err)
	}
	zone, zoneOnly := remoting.Zone{Name: "zone-1"}, remoting.Zone{Name: "zone-1", Mode: true}
	return map[string]struct {
		cfg  remoting.Config
		same []string
	}{
		"plain":     {remoting.Config{}, nil},
		"namespace": {remoting.Config{NamespaceV2: "tenant-a"}, []string{"ns", "nsd"}},
		"unit":      {remoting.Config{UnitMode: true, UnitName: "unit-1"}, nil},
		"stream":    {remoting.Config{StreamType: true}, []string{"ReqT"}},
		"zone":      {remoting.Config{Zone: zone}, []string{"__ZONE_NAME"}},
		"zone-mode": {remoting.Config{Zone: zoneOnly}, []string{"__ZONE_MODE", "__ZONE_NAME"}},
		"all": {
			remoting.Config{NamespaceV2: "tenant-a", UnitMode: true, UnitName: "unit-1", StreamType: true, Zone: zoneOnly},
			[]string{"ReqT", "__ZONE_MODE", "__ZONE_NAME", "ns", "nsd"},
		},
		"signed": {
			remoting.Config{NamespaceV2: "tenant-a", UnitMode: true, UnitName: "unit-1", StreamType: true, Signer: signer},
			[]string{"AccessKey", "ReqT", "Signature", "ns", "nsd"},
		},
		"signed-zone": {
			remoting.Config{NamespaceV2: "tenant-a", UnitMode: true, UnitName: "unit-1", StreamType: true, Zone: zoneOnly, Signer: signer},
			[]string{"AccessKey", "ReqT", "Signature", "__ZONE_MODE", "__ZONE_NAME", "ns", "nsd"},
		},
	}
}

// Whatever a client says of its tenant, its requests have the fields of Java's with the same settings: the same
// names, and the same values where they are not the message's own.
func TestRequestsOfTenantsAreJavas(t *testing.T) {
	java := javaTenants(t)
	for name, tenant := range tenants(t) {
		for _, ser := range []remoting.Serialization{remoting.Binary, remoting.JSON} {
			t.Run(name+"/"+ser.String(), func(t *testing.T) {
				cfg := tenant.cfg
				cfg.ClientIP, cfg.InstanceName, cfg.Serialization = "10.1.2.3", "4711#1", ser
				prefix, suffix := "tenant-"+name+"-", "."+strings.ToLower(ser.String())
				theirs := func(request string) wire.Command {
					t.Helper()
					c, err := wire.ParseFrame(golden(t, java, prefix+request+suffix)[4:])
					if err != nil {
						t.Fatal(err)
					}
					return c
				}
				c := everyRequest(t, cfg)
				id := string(golden(t, java, prefix+"client-id"))
				for _, x := range []struct {
					code   int
					golden string
					own    []string // values that are the message's or the client's own
					maybe  []string // fields that only one of the two sends
				}{
					{wire.SendMessageV2, "send-v2", []string{"e", "f", "g", "h", "i"}, nil},
					{wire.SendMessage, "send-v1", []string{"queueId", "sysFlag", "bornTimestamp", "flag", "properties"}, []string{"bname"}},
					{wire.SendBatchMessage, "send-batch", []string{"e", "f", "g", "h"}, []string{"i"}},
					{wire.GetRouteInfoByTopic, "route", nil, []string{"acceptStandardJsonOnly"}},
					{wire.HeartBeat, "heartbeat", nil, nil},
					{wire.UnregisterClient, "unregister", []string{"clientID"}, nil},
				} {
					requests := c.Requests(x.code)
					if len(requests) == 0 {
						t.Errorf("%s was not sent", x.golden)
					}
					for _, r := range requests {
						got, want := r.Command, theirs(x.golden)
						checkSignature(t, cfg.Signer, &got)
						checkSignature(t, cfg.Signer, &want)
						compareFields(t, x.golden, got.Ext, want.Ext, x.own, x.maybe)
						if x.code == wire.UnregisterClient && got.Ext.Get("clientID") != id {
							t.Errorf("the client is %s, want %s", got.Ext.Get("clientID"), id)
						}
					}
				}
				beat, err := wire.ParseHeartbeat(c.Requests(wire.HeartBeat)[0].Command.Body)
				if err != nil || beat.ClientID != id {
					t.Errorf("the client is %+v, %v, want %s", beat, err, id)
				}
				// Java's program recalls nothing, but its hooks see every request.
				for _, r := range c.Requests(wire.RecallMessage) {
					checkSignature(t, cfg.Signer, &r.Command)
					var same []string
					for _, f := range r.Command.Ext {
						if !slices.Contains([]string{"producerGroup", "topic", "recallHandle", "bname"}, f.Key) {
							same = append(same, f.Key)
						}
					}
					if slices.Sort(same); !slices.Equal(same, tenant.same) {
						t.Errorf("a recall has %v, want %v", same, tenant.same)
					}
				}
			})
		}
	}
}

// everyRequest makes a client send one of each of its requests to a cluster.
func everyRequest(t *testing.T, settings remoting.Config) *embedded.Cluster {
	t.Helper()
	c := embedded.New(t, embedded.Config{})
	if err := c.CreateTopic("orders", 4); err != nil {
		t.Fatal(err)
	}
	settings.NameServers = c.NameServers()
	m := func() *core.Message { return &core.Message{Topic: "orders", Body: []byte("x"), Tag: "paid"} }
	for _, old := range []bool{false, true} { // a broker that is too old for the short names gets the long ones
		if old {
			c.Control(wire.SendMessageV2, func(*embedded.Request) embedded.Action {
				return embedded.Reply(rocketmq.CodeRequestCodeNotSupported, "request type 310 not supported")
			})
		}
		client := client(t, settings)
		cfg := coretest.Config(client)
		cfg.Group, cfg.Routes, cfg.Timeout = "group-1", client, minute
		p, err := core.NewProducer(cfg)
		if err != nil {
			t.Fatal(err)
		}
		if err := p.Start(bg); err != nil {
			t.Fatal(err)
		}
		if _, err := p.Send(bg, m()); err != nil {
			t.Error(err)
		}
		if err := p.SendOneway(bg, m()); err != nil {
			t.Error(err)
		}
		if _, err := p.SendBatch(bg, []*core.Message{m(), m()}); err != nil {
			t.Error(err)
		}
		// That nothing is to be recalled is no matter: the request is the one that counts.
		_, _ = p.Recall(bg, "orders", handle("orders", c.Brokers()[0].Name()))
		eventually(t, "a heartbeat", func() bool { return client.Stats().Heartbeats > 0 })
		if err := p.Shutdown(bg); err != nil {
			t.Error(err)
		}
	}
	if len(c.Requests(wire.RecallMessage)) == 0 {
		t.Error("no recall was sent")
	}
	return c
}

// compareFields compares the names of the fields, without regard to their order, and the values but for the own ones.
func compareFields(t *testing.T, request string, ours, java wire.Fields, own, maybe []string) {
	t.Helper()
	values := func(fields wire.Fields) map[string]string {
		m := map[string]string{}
		for _, f := range fields { // Java writes the fields of a send twice
			switch {
			case slices.Contains(maybe, f.Key):
			case slices.Contains(own, f.Key) || f.Key == "Signature":
				m[f.Key] = "its own"
			default:
				m[f.Key] = f.Value
			}
		}
		return m
	}
	if got, want := values(ours), values(java); !maps.Equal(got, want) {
		t.Errorf("%s has the fields\n%v, Java's\n%v", request, got, want)
	}
}

// checkSignature looks whether a request is signed with all its other fields, if it has to be.
func checkSignature(t *testing.T, s remoting.Signer, c *wire.Command) {
	t.Helper()
	if s == nil {
		return
	}
	var rest wire.Fields
	for _, f := range c.Ext {
		if f.Key != "Signature" && f.Key != "AccessKey" {
			rest.Set(f.Key, f.Value)
		}
	}
	added, err := s.Sign(remoting.SignRequest{Code: c.Code, Fields: rest, Body: c.Body})
	if err != nil {
		t.Fatal(err)
	}
	if got, want := c.Ext.Get("Signature"), added.Get("Signature"); got != want {
		t.Errorf("request %d has the signature %q, want %q", c.Code, got, want)
	}
}

// javaTenants are the frames and texts that the tests of integration have had made, by name.
func javaTenants(t *testing.T) map[string][]byte {
	t.Helper()
	text, err := os.ReadFile(filepath.Join("..", "..", "integration", "testdata", "java-frames-5.3.3.txt"))
	if err != nil {
		t.Fatal(err)
	}
	out := map[string][]byte{}
	for line := range strings.Lines(string(text)) {
		name, digits, _ := strings.Cut(strings.TrimSpace(line), " ")
		if !strings.HasPrefix(name, "tenant-") {
			continue
		}
		if out[name], err = hex.DecodeString(digits); err != nil {
			t.Fatal(err)
		}
	}
	if want := len(tenants(t)) * 13; len(out) != want { // an id and six requests, each with both kinds of header
		t.Fatalf("there are %d lines about tenants, want %d", len(out), want)
	}
	return out
}

func golden(t *testing.T, java map[string][]byte, name string) []byte {
	t.Helper()
	b, ok := java[name]
	if !ok {
		t.Fatalf("the Java program does not print %s", name)
	}
	return b
}

// The id is Java's, of what is set. What is not set is this machine's and unique, also where the name is Java's default.
func TestClientIDIsMadeAsJavas(t *testing.T) {
	for _, tt := range []struct{ ip, instance, unit, id, want string }{
		{"10.1.2.3", "4711", "", "", "10.1.2.3@4711"},
		{"10.1.2.3", "4711", "u", "", "10.1.2.3@4711@u"},
		{"2001:db8::1", "4711", "", "", "2001:db8::1@4711"},
		{"", "", "u", "mine", "mine"},
	} {
		c := client(t, remoting.Config{ClientIP: tt.ip, InstanceName: tt.instance, UnitName: tt.unit, ClientID: tt.id})
		if c.ClientID() != tt.want {
			t.Errorf("%+v: the id is %s", tt, c.ClientID())
		}
	}
	seen := map[string]bool{}
	for _, instance := range []string{"", "", "DEFAULT", "DEFAULT"} {
		id := client(t, remoting.Config{ClientIP: "10.1.2.3", InstanceName: instance}).ClientID()
		if rest, ok := strings.CutPrefix(id, "10.1.2.3@"); !ok || !strings.Contains(rest, "#") || seen[id] {
			t.Errorf("the id is %s", id)
		}
		seen[id] = true
	}
	if id := client(t, remoting.Config{InstanceName: "i"}).ClientID(); !strings.HasSuffix(id, "@i") || strings.HasPrefix(id, "@") {
		t.Errorf("the id is %s", id)
	}
}

// What cannot be meant is refused, all at once.
func TestTenancyIsChecked(t *testing.T) {
	for name, tt := range map[string]struct {
		cfg  remoting.Config
		says []string
	}{
		"names": {
			remoting.Config{
				NamespaceV2: "a b", UnitName: "u\n", Zone: remoting.Zone{Name: "größe"}, ClientIP: strings.Repeat("1", 256), InstanceName: "\x7f",
			},
			[]string{`NamespaceV2 is "a b"`, `UnitName is "u\n"`, `Zone.Name is "größe"`, "ClientIP has 256 bytes", `InstanceName is "\x7f"`},
		},
		"an id":       {remoting.Config{ClientID: "a\tb"}, []string{`ClientID is "a\tb"`}},
		"no zone":     {remoting.Config{Zone: remoting.Zone{Mode: true}}, []string{"Zone.Mode is set without Zone.Name"}},
		"two ids":     {remoting.Config{ClientID: "a", InstanceName: "b"}, []string{"beside ClientID"}},
		"id and IP":   {remoting.Config{ClientID: "a", ClientIP: "b"}, []string{"beside ClientID"}},
		"all of them": {remoting.Config{ClientID: "a", ClientIP: "b", Zone: remoting.Zone{Mode: true}}, []string{"beside ClientID", "Zone.Mode"}},
	} {
		t.Run(name, func(t *testing.T) {
			tt.cfg.NameServers = []string{"127.0.0.1:1"}
			_, err := remoting.NewClient(tt.cfg)
			for _, want := range tt.says {
				if err == nil || !strings.Contains(err.Error(), want) {
					t.Errorf("%v does not say %q", err, want)
				}
			}
		})
	}
	longest := strings.Repeat("x", 255)
	client(t, remoting.Config{NamespaceV2: longest, UnitName: "a~!", Zone: remoting.Zone{Name: longest}, ClientIP: longest, InstanceName: "a@b"})
}

// The environment says what it says to Java's client.
func TestZoneFromEnvironment(t *testing.T) {
	for _, tt := range []struct {
		name, mode string
		want       remoting.Zone
	}{
		{"", "", remoting.Zone{}},
		{" ", "true", remoting.Zone{}},
		{"zone-1", "", remoting.Zone{Name: "zone-1"}},
		{"zone-1", "yes", remoting.Zone{Name: "zone-1"}},
		{"zone-1", "TRUE", remoting.Zone{Name: "zone-1", Mode: true}},
	} {
		t.Setenv(remoting.ZoneEnv, tt.name)
		t.Setenv(remoting.ZoneModeEnv, tt.mode)
		if got := remoting.ZoneFromEnvironment(); got != tt.want {
			t.Errorf("%q and %q are %+v", tt.name, tt.mode, got)
		}
	}
}

// What a client says of itself is in its description, and nothing of what is not set.
func TestDescribeTenancy(t *testing.T) {
	all := remoting.Config{NamespaceV2: "tenant-a", UnitMode: true, UnitName: "unit-1", StreamType: true, Zone: remoting.Zone{Name: "zone-1", Mode: true}}
	says := []string{"namespace, version 2 tenant-a", "unit unit-1, unit mode", "zone zone-1, brokers of this zone only", "request type STREAM"}
	described := core.Describe(client(t, all)).String()
	for _, want := range says {
		if !strings.Contains(described, want) {
			t.Errorf("%q does not say %q", described, want)
		}
	}
	described = core.Describe(client(t, remoting.Config{})).String()
	for _, word := range []string{"namespace", "unit", "zone", "STREAM"} {
		if strings.Contains(described, word) {
			t.Errorf("%q says %q", described, word)
		}
	}
	if described = core.Describe(client(t, remoting.Config{UnitMode: true})).String(); !strings.Contains(described, "unit unit mode") {
		t.Error(described)
	}
}

// The fields of all requests cost a send no allocation, and one more with a signer, whose fields come behind them.
func TestTenantSendAllocations(t *testing.T) {
	if race.Enabled {
		t.Skip("the race detector allocates")
	}
	for _, ser := range []wire.Serialization{wire.RocketMQ, wire.JSON} {
		t.Run(ser.String(), func(t *testing.T) {
			cfg := tenants(t)["all"].cfg
			sendAllocations(t, ser, cfg, 1)
			cfg.Signer = aclSigner(t)
			sendAllocations(t, ser, cfg, 7)
		})
	}
}

func ExampleZoneFromEnvironment() {
	_ = os.Setenv("ROCKETMQ_ZONE", "zone-1")
	_ = os.Setenv("ROCKETMQ_ZONE_MODE", "true")
	defer os.Unsetenv("ROCKETMQ_ZONE")
	defer os.Unsetenv("ROCKETMQ_ZONE_MODE")

	client, err := remoting.NewClient(remoting.Config{
		NameServers: []string{"127.0.0.1:9876"},
		Zone:        remoting.ZoneFromEnvironment(),
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	for _, s := range client.Describe().Settings {
		if s.Name == "zone" {
			fmt.Println(s.Value)
		}
	}
	// Output: zone-1, brokers of this zone only
}
