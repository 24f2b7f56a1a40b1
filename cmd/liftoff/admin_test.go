package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"regexp"
	"strings"
	"testing"
	"unicode"

	"github.com/liftoff-mq/liftoff/transport/embedded"
	"github.com/liftoff-mq/liftoff/transport/wire"
)

// at gives a command the cluster.
func at(c *embedded.Cluster, args ...string) []string {
	return append(args, "--namesrv", strings.Join(c.NameServers(), ";"))
}

func mustRun(t *testing.T, stdin string, args ...string) string {
	t.Helper()
	got := program(t, stdin, args...)
	if got.status != exitOK {
		t.Fatalf("%v: %+v", args, got)
	}
	return got.out
}

func TestTopicCommands(t *testing.T) {
	c := embedded.New(t, embedded.Config{Brokers: embedded.BrokerNames(2)})
	if got := mustRun(t, "", at(c, "topic", "create", "orders", "--queues", "2", "--read-queues", "3")...); got != "orders: 2 write, 3 read queues at broker-a\norders: 2 write, 3 read queues at broker-b\n" {
		t.Errorf("create: %q", got)
	}
	if got := mustRun(t, "", at(c, "topic", "create", "orders", "--broker", "broker-b", "--perm", "r", "--order", "--type", "fifo")...); got != "orders: 8 queues at broker-b\n" {
		t.Errorf("create: %q", got)
	}
	last := c.Requests(wire.UpdateAndCreateTopic)[2].Command.Ext
	if last.Get("perm") != "4" || last.Get("order") != "true" || last.Get("attributes") != "+message.type=FIFO" || last.Get("writeQueueNums") != "8" {
		t.Errorf("asked %v", last)
	}
	a, b := c.Broker("broker-a").Addr(), c.Broker("broker-b").Addr()
	want := fmt.Sprintf(`BROKER    CLUSTER         QUEUES           PERM  ADDRESSES
broker-a  DefaultCluster  2 write, 3 read  rw    0=%s
broker-b  DefaultCluster  8                r     0=%s
`, a, b)
	if got := mustRun(t, "", at(c, "topic", "route", "orders")...); got != want {
		t.Errorf("route:\n%s\nwant\n%s", got, want)
	}
	want = fmt.Sprintf(`{"topic":"orders","brokers":[{"broker":"broker-a","cluster":"DefaultCluster","addrs":{"0":%q},"writeQueues":2,"readQueues":3,"perm":"rw"},`+
		`{"broker":"broker-b","cluster":"DefaultCluster","addrs":{"0":%q},"writeQueues":8,"readQueues":8,"perm":"r"}]}`+"\n", a, b)
	if got := mustRun(t, "", at(c, "topic", "route", "orders", "--json")...); got != want {
		t.Errorf("route:\n%s\nwant\n%s", got, want)
	}
	mustRun(t, "x\n", sendArgs(c)...)
	out := mustRun(t, "", at(c, "topic", "offsets", "orders")...)
	if !strings.HasPrefix(out, "BROKER    QUEUE  MIN  MAX  MESSAGES  EARLIEST\n") || strings.Count(out, "\n") != 12 ||
		!regexp.MustCompile(`(?m)^broker-a  [01]      0    1    1         20\d\d-\d\d-\d\dT\d\d:\d\d:\d\d\.\d\d\dZ$`).MatchString(out) || !strings.Contains(out, "broker-b  7      0    0    0         -\n") {
		t.Errorf("offsets:\n%s", out)
	}
	sum := 0
	for line := range strings.Lines(mustRun(t, "", at(c, "topic", "offsets", "orders", "--json")...)) {
		var l struct {
			Broker   string
			Max      int
			Earliest *string
		}
		if err := json.Unmarshal([]byte(line), &l); err != nil || l.Broker == "" || (l.Earliest == nil) != (l.Max == 0) {
			t.Errorf("%s: %v", line, err)
		}
		sum += l.Max
	}
	if sum != 1 {
		t.Errorf("%d messages", sum)
	}
}

// A static topic has logical queues, and an ordered one may have a configuration.
func TestRouteShowsWhatIsRare(t *testing.T) {
	c := embedded.New(t, embedded.Config{Brokers: embedded.BrokerNames(2)})
	if err := c.CreateStaticTopic("static", "broker-a", "broker-b", "broker-a"); err != nil {
		t.Fatal(err)
	}
	if got := mustRun(t, "", at(c, "topic", "route", "static")...); !strings.Contains(got, ", logical [0 2]") || !strings.Contains(got, ", logical [1]") {
		t.Errorf("%s", got)
	}
	if got := mustRun(t, "", at(c, "topic", "route", "static", "--json")...); !strings.Contains(got, `"logicalQueues":[0,2]`) {
		t.Errorf("%s", got)
	}
	c.Control(wire.GetRouteInfoByTopic, func(*embedded.Request) embedded.Action {
		return embedded.ReplyWith(wire.Command{Body: wire.AppendRoute(nil, &wire.RouteData{
			OrderTopicConf: "broker-a:4", Brokers: []wire.BrokerData{{BrokerName: "a\tb\x1b[2J", ZoneName: "z1", Addrs: map[int64]string{0: "h:1", 2: "\u009b"}}},
		}, wire.StandardKeys)})
	})
	got := mustRun(t, "", at(c, "topic", "route", "ordered")...)
	if !strings.Contains(got, "order configuration: broker-a:4\n") || !strings.Contains(got, "0=h:1 2=") {
		t.Errorf("%s", got)
	}
	asJSON := mustRun(t, "", at(c, "topic", "route", "ordered", "--json")...)
	if !strings.Contains(asJSON, `"orderConf":"broker-a:4"`) || !strings.Contains(asJSON, `"zone":"z1"`) || !strings.Contains(asJSON, `a\tb\u001b[2J`) || !strings.Contains(asJSON, `\u009b`) {
		t.Errorf("%s", asJSON)
	}
	for line := range strings.Lines(got + asJSON) {
		if i := strings.IndexFunc(strings.TrimSuffix(line, "\n"), func(r rune) bool { return !unicode.IsPrint(r) }); i >= 0 {
			t.Errorf("%q at %d", line, i)
		}
	}
}

func TestMessageGet(t *testing.T) {
	c := embedded.New(t, embedded.Config{Brokers: embedded.BrokerNames(2)})
	line := `{"body":"paid\n\u001b[2Jtwice","tag":"x","keys":["o-1","all"],"properties":{"city":"Bern"},"shardingKey":"s","flag":7}` + "\n"
	sent := results(t, mustRun(t, line, sendArgs(c, "--format", "json", "--json")...))[0]

	want := regexp.MustCompile(`^message id         ` + sent.MsgID + `
offset message id  ` + sent.OffsetMsgID + `
topic              orders
queue              (` + sent.Broker + `/)?` + fmt.Sprint(sent.QueueID) + `, offset 0
born               20\S+Z at 127\.0\.0\.1:\d+
stored             20\S+Z at 127\.0\.0\.1:\d+
tag                x
keys               o-1 all
(property           \S+=\S+
)+body               14 bytes
paid
.*\[2Jtwice
$`)
	for name, args := range map[string][]string{
		"id":                  {sent.MsgID, "--topic", "orders"},
		"offset id":           {sent.OffsetMsgID},
		"offset id and topic": {sent.OffsetMsgID, "--topic", "orders"},
		"key":                 {"--topic", "orders", "--key", "o-1", "--begin", "2020-01-01T00:00:00Z", "--end", "2100-01-01T00:00:00+01:00"},
	} {
		get := func(more ...string) string {
			return mustRun(t, "", at(c, append(append([]string{"message", "get"}, args...), more...)...)...)
		}
		if got := get(); !want.MatchString(got) || strings.Contains(got, "\x1b") || !strings.Contains(got, "property           city=Bern\n") {
			t.Errorf("by %s:\n%s", name, got)
		}
		if got := get("--body"); got != "paid\n\x1b[2Jtwice" {
			t.Errorf("by %s: the body is %q", name, got)
		}
		// A line is what was sent, and where it is; it can be sent again.
		asJSON := get("--json")
		var got struct {
			Body, Tag, ShardingKey string
			Keys                   []string
			Properties             map[string]string
			Flag                   int
			Stored                 struct {
				Topic, MsgID, OffsetMsgID, Broker string
				Properties                        map[string]string
			}
		}
		if err := json.Unmarshal([]byte(asJSON), &got); err != nil {
			t.Fatal(err)
		}
		if fmt.Sprintf("%s %s %s %s %v %d", got.Body, got.Tag, got.ShardingKey, got.Keys, got.Properties, got.Flag) != "paid\n\x1b[2Jtwice x s [o-1 all] map[city:Bern] 7" ||
			got.Stored.Topic != "orders" || got.Stored.MsgID != sent.MsgID || got.Stored.OffsetMsgID != sent.OffsetMsgID ||
			got.Stored.Properties["CLUSTER"] != "DefaultCluster" || got.Stored.Properties["KEYS"] != "" {
			t.Errorf("by %s: %s", name, asJSON)
		}
		again := mustRun(t, asJSON, at(c, "send", "--topic", "again", "--format", "json", "--json")...)
		m := c.Stored("again")[len(c.Stored("again"))-1]
		for _, s := range c.Stored("again") {
			if s.UniqueID() == results(t, again)[0].MsgID {
				m = s
			}
		}
		if string(m.Body) != "paid\n\x1b[2Jtwice" || m.Property("TAGS") != "x" || m.Property("KEYS") != "o-1 all" || m.Property("city") != "Bern" || m.Property("__SHARDINGKEY") != "s" || m.Flag != 7 {
			t.Errorf("by %s: sent again as %+v", name, m)
		}
	}

	mustRun(t, line, sendArgs(c, "--format", "json")...)
	both := at(c, "message", "get", "--topic", "orders", "--key", "all")
	if got := program(t, "", append(both, "--body")...); got.status != exitFail || got.out != "" || !strings.Contains(got.err, "2 messages were found; --body writes the body of one") {
		t.Errorf("%+v", got)
	}
	if got := mustRun(t, "", both...); strings.Count(got, "\n\nmessage id") != 1 {
		t.Errorf("%s", got)
	}
	// Both have one sharding key, and so one broker.
	if got := mustRun(t, "", append(both, "--max", "1", "--body")...); got != "paid\n\x1b[2Jtwice" {
		t.Errorf("%q", got)
	}
	for name, args := range map[string][]string{
		"id":        {"none", "--topic", "orders"},
		"offset id": {sent.OffsetMsgID[:16] + "00000000FFFFFFFF"},
		"key":       {"--topic", "orders", "--key", "none"},
		"time":      {"--topic", "orders", "--key", "all", "--end", "2020-01-01T00:00:00Z"},
	} {
		if got := program(t, "", at(c, append([]string{"message", "get"}, args...)...)...); got.status != exitFail || got.out != "" || !strings.Contains(got.err, "message not found") {
			t.Errorf("unknown %s: %+v", name, got)
		}
	}
}

// Bodies that are no text are written as they are, or as base64.
func TestMessageGetOfBinaryBodies(t *testing.T) {
	c := embedded.New(t, embedded.Config{})
	binary := bytes.Repeat([]byte{0xff, 0, '\n'}, 2000) // long enough to be packed
	text, err := json.Marshal(map[string]any{"bodyBase64": binary, "keys": []string{"k"}})
	if err != nil {
		t.Fatal(err)
	}
	mustRun(t, string(text), sendArgs(c, "--format", "json")...)
	args := at(c, "message", "get", "--topic", "orders", "--key", "k")
	if got := mustRun(t, "", args...); !strings.Contains(got, "body               6000 bytes that are no text; --body writes them\n") {
		t.Errorf("%s", got)
	}
	if got := mustRun(t, "", append(args, "--body")...); got != string(binary) {
		t.Errorf("%d bytes", len(got))
	}
	var line struct{ BodyBase64 []byte }
	if got := mustRun(t, "", append(args, "--json")...); json.Unmarshal([]byte(got), &line) != nil || !bytes.Equal(line.BodyBase64, binary) {
		t.Errorf("%s", got)
	}
	// One that cannot be unpacked is told as that.
	c.Control(wire.QueryMessage, func(*embedded.Request) embedded.Action {
		body, err := wire.AppendStored(nil, &wire.StoredMessage{Topic: "orders", SysFlag: 1, Body: []byte("no zlib"), Properties: []byte("KEYS\x01k\x02")})
		if err != nil {
			panic(err)
		}
		return embedded.ReplyWith(wire.Command{Body: body})
	})
	if got := mustRun(t, "", args...); !strings.Contains(got, "7 bytes that cannot be unpacked: compress: zlib") || !strings.Contains(got, "message id         -\n") {
		t.Errorf("%s", got)
	}
	if got := mustRun(t, "", append(args, "--json")...); !strings.Contains(got, `"bodyError":"compress: zlib`) || strings.Contains(got, `"body":`) || strings.Contains(got, "bodyBase64") {
		t.Errorf("%s", got)
	}
	if got := program(t, "", append(args, "--body")...); got.status != exitFail || got.out != "" || !strings.Contains(got.err, "the body cannot be unpacked: compress: zlib") {
		t.Errorf("%+v", got)
	}
}

// What some brokers did is shown, what the others did not is told, and the status says so.
func TestAdminAtSomeBrokers(t *testing.T) {
	c := embedded.New(t, embedded.Config{Brokers: embedded.BrokerNames(2)})
	if err := c.CreateTopic("orders", 1); err != nil {
		t.Fatal(err)
	}
	for range 2 {
		mustRun(t, "x\n", sendArgs(c, "--keys", "k")...)
	}
	c.Control(embedded.AnyCode, func(r *embedded.Request) embedded.Action {
		if r.Node == "broker-b" {
			return embedded.Reply(16, "User:u has no permission to access\x1b[2J")
		}
		return embedded.Pass()
	})
	for name, tt := range map[string]struct {
		args []string
		out  string
	}{
		"create":       {[]string{"topic", "create", "new"}, "new: 8 queues at broker-a\n"},
		"offsets":      {[]string{"topic", "offsets", "orders"}, "broker-a  0      0    "},
		"offsets json": {[]string{"topic", "offsets", "orders", "--json"}, `{"broker":"broker-a","queueId":0,"min":0,`},
	} {
		got := program(t, "", at(c, tt.args...)...)
		if got.status != exitFail || !strings.Contains(got.out, tt.out) || strings.Contains(got.out, "broker-b") || strings.Contains(got.err, "\x1b") ||
			!strings.Contains(got.err, "1 of 2 brokers failed; broker-b: ") || !strings.Contains(got.err, "has no permission to access") {
			t.Errorf("%s: %+v", name, got)
		}
	}
	// It depends on where the messages went whether one is found.
	got := program(t, "", at(c, "message", "get", "--topic", "orders", "--key", "k", "--json")...)
	if there := strings.Contains(got.out, `"broker":"broker-a"`); got.status != exitFail || there != (len(c.Broker("broker-a").Stored("orders")) > 0) || !strings.Contains(got.err, "1 of 2 brokers failed") {
		t.Errorf("%+v", got)
	}
}

// The broker of an offset id is asked also where the search for it as a unique id did not get an
// answer of every broker.
func TestMessageGetAsksTheBrokerOfTheID(t *testing.T) {
	c := embedded.New(t, embedded.Config{Brokers: embedded.BrokerNames(2)})
	if err := c.CreateTopic("orders", 1); err != nil {
		t.Fatal(err)
	}
	var sent ackedLine
	if err := json.Unmarshal([]byte(mustRun(t, "found\n", sendArgs(c, "--json")...)), &sent); err != nil {
		t.Fatal(err)
	}
	const search, place = "2 of 2 brokers failed", "nothing is here"
	c.Control(wire.QueryMessage, func(*embedded.Request) embedded.Action { return embedded.Reply(1, "the index is gone") })
	get := at(c, "message", "get", "--topic", "orders", "--body")
	got := program(t, "", append(get, sent.OffsetMsgID)...)
	if got.status != exitFail || got.out != "found" || !strings.Contains(got.err, search) {
		t.Errorf("%+v", got)
	}
	if got := program(t, "", append(get, sent.MsgID)...); got.status != exitFail || got.out != "" || !strings.Contains(got.err, search) {
		t.Errorf("%+v", got)
	}
	if n := c.RequestCount(wire.ViewMessageByID); n != 1 {
		t.Errorf("%d brokers were asked for a place", n)
	}
	c.Control(wire.ViewMessageByID, func(*embedded.Request) embedded.Action { return embedded.Reply(1, place) })
	if got := program(t, "", append(get, sent.OffsetMsgID)...); got.status != exitFail || got.out != "" || !strings.Contains(got.err, search) || !strings.Contains(got.err, place) {
		t.Errorf("%+v", got)
	}
	c.Control(wire.QueryMessage, func(*embedded.Request) embedded.Action { return embedded.Reply(22, "") })
	if got := program(t, "", append(get, sent.OffsetMsgID)...); got.status != exitFail || strings.Contains(got.err, "not found") || !strings.Contains(got.err, place) {
		t.Errorf("%+v", got)
	}
}

func TestAdminWrongUsage(t *testing.T) {
	server := []string{"--namesrv", "127.0.0.1:1"}
	for _, tt := range []struct {
		args []string
		want string
	}{
		{[]string{"topic", "create"}, "NAME is missing"},
		{[]string{"topic", "create", "a b"}, `topic "a b": a name has 1 to 127 letters`},
		{[]string{"topic", "create", "TBW102"}, "one of RocketMQ's own"},
		{[]string{"topic", "create", "t", "--queues", "0"}, "--queues 0: want 1 to 65536"},
		{[]string{"topic", "create", "t", "--queues=-1"}, "want 1 to 65536"},
		{[]string{"topic", "create", "t", "--perm", "x"}, "--perm"},
		{[]string{"topic", "create", "t", "--type", "fivo"}, `--type "fivo": want one of [NORMAL FIFO DELAY TRANSACTION MIXED PRIORITY LITE]`},
		{[]string{"topic", "create", "t", "--cluster", "c", "--broker", "b"}, `both cluster "c" and broker "b" are given`},
		{[]string{"topic", "route", "t", "--timeout", "0s"}, "--timeout 0s: want 1ms to 24h"},
		{[]string{"topic", "route", ""}, `topic "": a name has 1 to 127 letters`},
		{[]string{"topic", "route", "a b"}, `topic "a b": a name has 1 to 127 letters`},
		{[]string{"topic", "offsets", "a b"}, `topic "a b": a name has 1 to 127 letters`},
		{[]string{"topic", "offsets", "t", "--tls-ca", "x"}, "without --tls"},
		{[]string{"topic", "offsets", "t", "--access-key", "k"}, "the secret key is missing"},
		{[]string{"message", "get"}, "want either an id or --key"},
		{[]string{"message", "get", "id", "--topic", "t", "--key", "k"}, "want either an id or --key"},
		{[]string{"message", "get", "--key", "k"}, "--key without --topic"},
		{[]string{"message", "get", "id"}, "--topic is needed to find it"},
		{[]string{"message", "get", "C00002025B8CA6CB659A8607638C0001"}, "--topic is needed to find it"},
		{[]string{"message", "get", "id", "--topic", "t", "--begin", "2030-01-31T08:00:00Z"}, "--begin or --end without --key"},
		{[]string{"message", "get", "--topic", "t", "--key", "k", "--begin", "yesterday"}, "--begin"},
		{[]string{"message", "get", "--topic", "t", "--key", "k", "--max", "0"}, "--max 0: want 1 to 1024"},
		{[]string{"message", "get", "id", "--topic", "t", "--max", "64"}, "--max without --key"},
		{[]string{"message", "get", "id", "--topic", "t", "--max", "0"}, "--max without --key"},
		{[]string{"message", "get", "--topic", "t", "--key", "k", "--max", "1025"}, "want 1 to 1024"},
		{[]string{"message", "get", "--topic", "t", "--key", "a b"}, "it is one key"},
		{[]string{"message", "get", "id", "--topic", "t", "--json", "--body"}, "both --json and --body"},
	} {
		got := program(t, "", append(tt.args, server...)...)
		if got.status != exitUsage || got.out != "" || !strings.Contains(got.err, tt.want) || !strings.Contains(got.err, "Try: liftoff "+strings.Join(tt.args[:2], " ")+" --help") {
			t.Errorf("%q: %+v, want %q", tt.args, got, tt.want)
		}
	}
	if got := program(t, "", "topic", "route", "t", "--namesrv", "127.0.0.1:high"); got.status != exitUsage || !strings.Contains(got.err, "--namesrv: ") || !strings.Contains(got.err, "high") {
		t.Errorf("%+v", got)
	}
	if got := program(t, "", "topic", "route", "t"); got.status != exitUsage || !strings.Contains(got.err, "--namesrv") {
		t.Errorf("%+v", got)
	}
}

// No name server answers, or none knows the topic: one line, and no stack of causes.
func TestAdminOfNobody(t *testing.T) {
	c := embedded.New(t, embedded.Config{})
	if got := program(t, "", at(c, "topic", "route", "none")...); got.status != exitFail || got.err != "liftoff: rocketmq: no route to topic \"none\": no name server knows the topic\n" {
		t.Errorf("%+v", got)
	}
	gone := at(c, "topic", "create", "t", "--timeout", "5s")
	c.NameServer(0).Stop()
	if got := program(t, "", gone...); got.status != exitFail || !strings.Contains(got.err, "no name server answered: ") || strings.Count(got.err, "\n") != 1 {
		t.Errorf("%+v", got)
	}
}

// The credentials of these commands are those of send.
func TestAdminIsSigned(t *testing.T) {
	c := embedded.New(t, embedded.Config{})
	t.Setenv("LIFTOFF_ACCESS_KEY", "orders")
	t.Setenv("LIFTOFF_SECRET_KEY", testSecret)
	mustRun(t, "", at(c, "topic", "create", "orders")...)
	for _, code := range []int{wire.GetBrokerClusterInfo, wire.UpdateAndCreateTopic} {
		for _, r := range c.Requests(code) {
			if r.Command.Ext.Get("AccessKey") != "orders" || r.Command.Ext.Get("Signature") == "" {
				t.Errorf("%v", r.Command.Ext)
			}
		}
	}
	for _, command := range [][]string{{"topic", "create"}, {"topic", "route"}, {"topic", "offsets"}, {"message", "get"}} {
		help := program(t, "", append(command, "--help")...)
		for _, want := range []string{"Examples:", "The exit status is 0", "--namesrv", "NAMESRV_ADDR", "--credentials", "--tls-ca", "LIFTOFF_SECRET_KEY", "TLS.CAFile"} {
			if !strings.Contains(help.out, want) {
				t.Errorf("%v: the help has no %q", command, want)
			}
		}
		if help.status != exitOK || strings.Contains(help.out, testSecret) {
			t.Errorf("%+v", help)
		}
	}
}
