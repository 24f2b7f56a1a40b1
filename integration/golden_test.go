package integration

import (
	"bytes"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"flag"
	"fmt"
	"maps"
	"net/netip"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/liftoff-mq/liftoff/core/rocketmq"
	"github.com/liftoff-mq/liftoff/integration/javaprog"
	"github.com/liftoff-mq/liftoff/transport/remoting"
	"github.com/liftoff-mq/liftoff/transport/remoting/acl"
	"github.com/liftoff-mq/liftoff/transport/wire"
)

var update = flag.Bool("update", false, "write the golden files anew")

// The inputs of integration/java/.../GoldenFrames.java, in Go.
const (
	goldenOpaque = 77
	goldenID     = "7F000001000A18B4AAC2000000000001"
	goldenOffset = "7F00000100002A9F0000000000000ABC"
	// goldenRecallRemark is what a broker's answer to a recall says when it was carried out.
	goldenRecallRemark = "not set any response code"
)

// goldenEnd is the end of a transaction as GoldenFrames makes it.
var goldenEnd = wire.TransactionEnd{
	Topic: "orders", Group: "group-1", QueueOffset: 7, CommitLogOffset: 1234567890123, Decision: rocketmq.SysTransactionCommit,
	MsgID: goldenID, TransactionID: goldenID, BrokerName: "broker-a",
}

var goldenHandle = rocketmq.RecallHandle{Topic: "orders", Broker: "broker-a", DeliverAt: time.UnixMilli(1700000000001), MessageID: goldenID}

var (
	goldenBody       = []byte("hello, Grüße")
	goldenProperties = wire.Fields{
		{Key: "UNIQ_KEY", Value: goldenID},
		{Key: "TAGS", Value: "paid"},
		{Key: "KEYS", Value: "k1 k2"},
		{Key: "WAIT", Value: "true"},
		{Key: "city", Value: "Zürich"},
	}
	// goldenSignedBody is a heartbeat by which clients that write JSON differently sign the same bytes.
	goldenSignedBody = []byte(`{"clientID":"10.1.2.3@4711#1","producerDataSet":[{"groupName":"group-1"}]}`)
	goldenHeartbeat  = wire.Heartbeat{ClientID: "10.1.2.3@4711#1", ProducerGroups: []string{"group-1"}}
	goldenRoute      = wire.RouteData{
		OrderTopicConf: "broker-a:4;broker-b:4",
		Queues: []wire.QueueData{
			{BrokerName: "broker-a", ReadQueueNums: 8, WriteQueueNums: 4, Perm: 6},
			{BrokerName: "broker-b", ReadQueueNums: 8, WriteQueueNums: 4, Perm: 6},
		},
		Brokers: []wire.BrokerData{
			{Cluster: "DefaultCluster", BrokerName: "broker-a", Addrs: map[int64]string{0: "127.0.0.1:10911", 1: "127.0.0.1:10921"}},
			{Cluster: "DefaultCluster", BrokerName: "broker-b", Addrs: map[int64]string{0: "127.0.0.1:11011", 1: "127.0.0.1:11021"}},
		},
	}
)

// javaFrames runs RocketMQ's own classes and returns what they encode, by name. The committed copy must agree, so
// that tests without Java may use it.
func javaFrames(t *testing.T) map[string][]byte {
	t.Helper()
	lines := javaprog.Run(t, javaprog.GoldenVersion, "GoldenFrames")
	text := "# What the classes of RocketMQ 5.3.3 encode: name and bytes in hex. The inputs stand in\n" +
		"# integration/java/src/main/java/liftoff/GoldenFrames.java. Regenerate: go test -run Golden -update (in integration).\n" +
		strings.Join(lines, "\n") + "\n"
	file := filepath.Join("testdata", "java-frames-5.3.3.txt")
	if *update {
		if err := os.MkdirAll("testdata", 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(file, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	committed, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if string(committed) != text {
		t.Errorf("%s differs from what the Java classes print now; run with -update and look at the difference", file)
	}
	frames := map[string][]byte{}
	for _, l := range lines {
		name, digits, ok := strings.Cut(l, " ")
		b, err := hex.DecodeString(digits)
		if !ok || err != nil {
			t.Fatalf("GoldenFrames printed %q", l)
		}
		frames[name] = b
	}
	return frames
}

// Every frame and body that we encode has the bytes of Java's: a binary header byte for byte, a JSON header as an
// equal JSON value in an equal frame.
func TestGoldenEncodersAgreeWithJava(t *testing.T) {
	java := javaFrames(t)
	used := map[string]bool{}
	want := func(name string) []byte {
		t.Helper()
		b, ok := java[name]
		if !ok {
			t.Fatalf("the Java program does not print %s", name)
		}
		used[name] = true
		return b
	}
	for _, ser := range []wire.Serialization{wire.JSON, wire.RocketMQ} {
		suffix := "." + strings.ToLower(ser.String())
		for name, make := range goldenFrames() {
			t.Run(name+suffix, func(t *testing.T) {
				ours, err := make(ser)
				if err != nil {
					t.Fatal(err)
				}
				// Java puts fields without a fast path in hash order, which means nothing; ours have one order.
				anyOrder := name == "unregister" || name == "end-transaction" || name == "send-v1" || strings.HasPrefix(name, "signed") || strings.HasPrefix(name, "recall") || strings.HasPrefix(name, "send-ok") || name == "send-flush-disk-timeout"
				compareFrames(t, ours, want(name+suffix), anyOrder)
			})
		}
	}
	for name, ours := range goldenBodies(t) {
		t.Run(name, func(t *testing.T) {
			theirs := want(name)
			switch name {
			case "heartbeat-body":
				compareJSON(t, ours, theirs)
			default:
				if !bytes.Equal(ours, theirs) {
					t.Errorf("ours %q\njava %q", ours, theirs)
				}
			}
		})
	}
	// stored-zlib holds Java's deflate output, which is Java's business; it is decoded below. What Java's clients say of
	// their tenants is compared with a client's requests, in transport/remoting.
	for name := range java {
		if !used[name] && name != "stored-zlib" && !strings.HasPrefix(name, "tenant-") {
			t.Errorf("%s is printed by Java but compared with nothing", name)
		}
	}
}

type frameMaker func(ser wire.Serialization) ([]byte, error)

func goldenFrames() map[string]frameMaker {
	batchBody := func() []byte {
		var b []byte
		for i := range 3 {
			b = slices.Concat(b, goldenBatchMessage(i))
		}
		return b
	}
	send := func(code int, flag int32, edit func(*wire.SendRequest), body []byte) frameMaker {
		return func(ser wire.Serialization) ([]byte, error) {
			r := wire.SendRequest{
				Group: "group-1", Topic: "orders", DefaultTopic: "TBW102", DefaultTopicQueueNums: 4, QueueID: 7,
				SysFlag: 0x301, BornTimestamp: 1700000000123, Flag: 42,
				Properties:        wire.AppendProperties(nil, goldenProperties),
				MaxReconsumeTimes: -1,
			}
			if edit != nil {
				edit(&r)
			}
			return wire.AppendSend(nil, ser, code, goldenOpaque, flag, &r, nil, body)
		}
	}
	withBroker := func(r *wire.SendRequest) { r.BrokerName = "broker-a" }
	request := func(code int, ext wire.Fields, body []byte) frameMaker {
		return func(ser wire.Serialization) ([]byte, error) {
			return wire.AppendCommand(nil, &wire.Command{
				Code: code, Language: wire.LanguageGo, Version: wire.CurrentVersion,
				Opaque: goldenOpaque, Ext: ext, Body: body, Serialization: ser,
			})
		}
	}
	answer := func(code int, remark string, ext wire.Fields, body []byte) frameMaker {
		return func(ser wire.Serialization) ([]byte, error) {
			return wire.AppendCommand(nil, &wire.Command{
				Code: code, Language: wire.LanguageJava, Version: wire.CurrentVersion,
				Opaque: goldenOpaque, Flag: wire.FlagResponse, Remark: remark, Ext: ext, Body: body, Serialization: ser,
			})
		}
	}
	sendAnswer := func(code int, r *wire.SendResponse) frameMaker {
		return func(ser wire.Serialization) ([]byte, error) {
			head := wire.ResponseHead{Code: code, Opaque: goldenOpaque, Version: wire.CurrentVersion, Language: wire.LanguageJava, Serialization: ser}
			return wire.AppendSendResponse(nil, head, "", r)
		}
	}
	frames := map[string]frameMaker{
		"send-v2":             send(wire.SendMessageV2, 0, nil, goldenBody),
		"send-v2-broker-name": send(wire.SendMessageV2, 0, withBroker, goldenBody),
		"send-v2-oneway":      send(wire.SendMessageV2, wire.FlagOneway, withBroker, goldenBody),
		"send-v2-no-properties": send(wire.SendMessageV2, 0, func(r *wire.SendRequest) {
			r.Properties = nil
		}, goldenBody),
		"send-v1": send(wire.SendMessage, 0, nil, goldenBody),
		"send-batch": send(wire.SendBatchMessage, 0, func(r *wire.SendRequest) {
			r.BrokerName, r.Batch = "broker-a", true
		}, batchBody()),
		"route":               request(wire.GetRouteInfoByTopic, wire.Fields{{Key: "topic", Value: "orders"}}, nil),
		"route-standard-json": request(wire.GetRouteInfoByTopic, wire.RouteFields("orders"), nil),
		"unregister": request(wire.UnregisterClient,
			wire.Unregister{ClientID: "10.1.2.3@4711#1", ProducerGroup: "group-1"}.Fields(), nil),
		"heartbeat": request(wire.HeartBeat, nil, wire.AppendHeartbeat(nil, &goldenHeartbeat)),
		"recall": request(wire.RecallMessage,
			wire.Recall{Group: "group-1", Topic: "orders", Handle: goldenHandle.String(), BrokerName: "broker-a"}.Fields(), nil),
		"end-transaction": request(wire.EndTransaction, goldenEnd.Fields(), nil),
		"recall-ok":       answer(0, goldenRecallRemark, wire.RecallResponse{MsgID: goldenID, RegionID: "DefaultRegion"}.Fields(), nil),
		"send-ok": sendAnswer(0, &wire.SendResponse{
			MsgID: goldenOffset, QueueID: 3, QueueOffset: 1234567890123,
			RegionID: "DefaultRegion", TraceOn: true,
		}),
		"send-ok-all-fields": sendAnswer(0, &wire.SendResponse{
			MsgID: goldenOffset, TransactionID: goldenID, BatchUniqID: goldenID,
			RecallHandle: "djEgb3JkZXJzIGJyb2tlci1hIDEgMg==", RegionID: "DefaultRegion", TraceOn: true,
		}),
		"send-flush-disk-timeout": sendAnswer(10, &wire.SendResponse{
			MsgID: goldenOffset, QueueID: 1, QueueOffset: 9,
			RegionID: "DefaultRegion", TraceOn: true,
		}),
		"system-busy":                answer(2, "[TIMEOUT_CLEAN_QUEUE]broker busy, period in queue: 206ms, größer", nil, nil),
		"topic-not-exist":            answer(17, "No topic route info in name server for the topic: orders", nil, nil),
		"route-answer":               answer(0, "", nil, wire.AppendRoute(nil, &goldenRoute, wire.BareKeys)),
		"route-answer-standard-json": answer(0, "", nil, wire.AppendRoute(nil, &goldenRoute, wire.StandardKeys)),
	}
	plain := acl.Credentials{AccessKey: "accessKey-1", SecretKey: acl.NewSecret("secret-key-Größe")}
	temporary := plain
	temporary.SecurityToken = acl.NewSecret("token-1")
	for name, keys := range map[string]acl.Credentials{
		"send-v2-oneway": temporary, "send-batch": plain, "route": temporary, "unregister": plain, "recall": temporary,
	} {
		frames["signed-"+name] = signed(keys, frames[name])
	}
	frames["signed-send-v2"] = signed(plain, frames["send-v2-broker-name"])
	frames["signed-send-v2-token"] = signed(temporary, frames["send-v2-broker-name"])
	frames["signed-heartbeat"] = signed(temporary, request(wire.HeartBeat, nil, goldenSignedBody))
	return frames
}

// signed makes a frame as a client of a cluster with access control does: signed as it is, last of all.
func signed(keys acl.Credentials, make frameMaker) frameMaker {
	return func(ser wire.Serialization) ([]byte, error) {
		provider, err := acl.Static(keys)
		if err != nil {
			return nil, err
		}
		signer, err := acl.NewSigner(provider)
		if err != nil {
			return nil, err
		}
		frame, err := make(ser)
		if err != nil {
			return nil, err
		}
		c, err := wire.ParseFrame(frame[4:])
		if err != nil {
			return nil, err
		}
		added, err := signer.Sign(remoting.SignRequest{Code: c.Code, Fields: c.Ext, Body: c.Body})
		if err != nil {
			return nil, err
		}
		c.Ext = append(c.Ext, added...)
		return wire.AppendCommand(nil, &c)
	}
}

func goldenBatchMessage(i int) []byte {
	properties := wire.AppendProperties(nil, wire.Fields{
		{Key: "UNIQ_KEY", Value: goldenID[:len(goldenID)-1] + fmt.Sprint(i)}, {Key: "TAGS", Value: fmt.Sprintf("t%d", i)},
	})
	b, err := wire.AppendBatchMessage(nil, int32(i), fmt.Appendf(nil, "body-%d", i), properties)
	if err != nil {
		panic(err) // fixed input
	}
	return b
}

func goldenStored(v6 bool) wire.StoredMessage {
	m := wire.StoredMessage{
		Topic: "orders", Body: []byte("a stored body, stored as it was sent, stored"), Flag: 42, QueueID: 3, QueueOffset: 17,
		CommitLogOffset: 0x1234, BornTimestamp: 1700000000123, StoreTimestamp: 1700000000456, ReconsumeTimes: 2,
		PreparedTransactionOffset: 5, Properties: wire.AppendProperties(nil, goldenProperties),
		BornHost:  netip.MustParseAddrPort("10.1.2.3:5555"),
		StoreHost: netip.MustParseAddrPort("10.20.30.40:10911"),
	}
	if v6 {
		m.BornHost = netip.MustParseAddrPort("[2001:db8::2]:5555")
		m.StoreHost = netip.MustParseAddrPort("[2001:db8::1]:10911")
	}
	return m
}

func goldenBodies(t *testing.T) map[string][]byte {
	t.Helper()
	stored := func(v6 bool) []byte {
		m := goldenStored(v6)
		b, err := wire.AppendStored(nil, &m)
		if err != nil {
			t.Fatal(err)
		}
		return b
	}
	id := func(host string, offset int64) []byte {
		return []byte(wire.OffsetID{Addr: netip.MustParseAddrPort(host), Offset: offset}.String())
	}
	bodies := goldenTraces()
	maps.Copy(bodies, map[string][]byte{
		"heartbeat-body": wire.AppendHeartbeat(nil, &goldenHeartbeat),
		"route-body":     wire.AppendRoute(nil, &goldenRoute, wire.BareKeys),
		"properties":     wire.AppendProperties(nil, goldenProperties),
		"recall-handle":  []byte(goldenHandle.String()),
		"recall-handle-utf8": []byte(rocketmq.RecallHandle{
			Topic: "orders", Broker: "broker-a", DeliverAt: time.UnixMilli(1), MessageID: "größe-\u07ff",
		}.String()),
		"message":         goldenBatchMessage(0),
		"messages":        slices.Concat(goldenBatchMessage(0), goldenBatchMessage(1), goldenBatchMessage(2)),
		"stored":          stored(false),
		"stored-ipv6":     stored(true),
		"message-id-ipv4": id("10.20.30.40:10911", 0xABCDEF0123),
		"message-id-ipv6": id("[2001:db8::1]:10911", 5),
	})
	return bodies
}

// goldenRequest is the kind of request in the name of a tenant's frame, which begins with the client's settings.
func goldenRequest(t *testing.T, name string) string {
	t.Helper()
	for _, kind := range []string{"send-v2", "send-v1", "send-batch", "route", "unregister", "heartbeat"} {
		if strings.HasSuffix(name, "-"+kind) || name == kind {
			return kind
		}
	}
	t.Fatalf("%s is no kind of request", name)
	return ""
}

// Every frame of Java's is read by our decoders with the values that went in.
func TestGoldenDecodersReadJava(t *testing.T) {
	java := javaFrames(t)
	for name, frame := range java {
		if !strings.HasSuffix(name, ".json") && !strings.HasSuffix(name, ".rocketmq") {
			continue
		}
		t.Run(name, func(t *testing.T) {
			c, err := wire.ParseFrame(frame[4:])
			if err != nil {
				t.Fatal(err)
			}
			if c.Opaque != goldenOpaque || c.Version != wire.V5_3_3 || "."+strings.ToLower(c.Serialization.String()) != filepath.Ext(name) {
				t.Errorf("opaque %d, version %d, serialization %s", c.Opaque, c.Version, c.Serialization)
			}
			base, _, _ := strings.Cut(name, ".")
			base, isTenants := strings.CutPrefix(base, "tenant-")
			base, isSigned := strings.CutPrefix(base, "signed-")
			if isTenants {
				base = goldenRequest(t, base)
			}
			if _, has := c.Ext.Lookup("Signature"); has != isSigned {
				t.Errorf("signature %t, want %t", has, isSigned)
			}
			switch {
			case strings.HasPrefix(base, "send-v"):
				r, err := wire.ParseSend(&c)
				if err != nil {
					t.Fatal(err)
				}
				wantProperties := goldenProperties
				if base == "send-v2-no-properties" {
					wantProperties = nil
				}
				if r.Group != "group-1" || r.Topic != "orders" || r.DefaultTopic != "TBW102" || r.DefaultTopicQueueNums != 4 ||
					r.QueueID != 7 || r.SysFlag != 0x301 || r.BornTimestamp != 1700000000123 || r.Flag != 42 || r.Batch ||
					!slices.Equal(wire.ParseProperties(r.Properties), wantProperties) || !bytes.Equal(c.Body, goldenBody) {
					t.Errorf("%+v with body %q", r, c.Body)
				}
			case base == "send-batch":
				r, err := wire.ParseSend(&c)
				if err != nil || !r.Batch {
					t.Fatalf("%+v, %v", r, err)
				}
				messages, err := wire.ParseBatch(c.Body)
				if err != nil || len(messages) != 3 || string(messages[2].Body) != "body-2" || messages[2].Flag != 2 {
					t.Errorf("%+v, %v", messages, err)
				}
			case base == "send-ok", base == "send-ok-all-fields", base == "send-flush-disk-timeout":
				var r wire.SendResponse
				if err := wire.ParseSendResponse(frame[4:], &r); err != nil {
					t.Fatal(err)
				}
				if r.MsgID != goldenOffset || !r.TraceOn || (base == "send-ok" && (r.QueueID != 3 || r.QueueOffset != 1234567890123)) {
					t.Errorf("%+v", r)
				}
				if base == "send-ok-all-fields" && (r.TransactionID != goldenID || r.BatchUniqID != goldenID || r.RecallHandle == "") {
					t.Errorf("%+v", r)
				}
			case strings.HasPrefix(base, "route-answer"):
				r, err := wire.ParseRoute(c.Body)
				if err != nil || !r.Equal(&goldenRoute) {
					t.Errorf("%+v, %v", r, err)
				}
			case base == "heartbeat":
				h, err := wire.ParseHeartbeat(c.Body)
				if err != nil || !reflect.DeepEqual(*h, goldenHeartbeat) {
					t.Errorf("%+v, %v", h, err)
				}
			case base == "unregister":
				u, err := wire.ParseUnregister(&c)
				if err != nil || u.ClientID != goldenHeartbeat.ClientID || u.ProducerGroup != "group-1" {
					t.Errorf("%+v, %v", u, err)
				}
			case base == "recall":
				r := wire.ParseRecall(&c)
				h, err := rocketmq.ParseRecallHandle(r.Handle)
				if err != nil || r.Group != "group-1" || r.Topic != "orders" || r.BrokerName != "broker-a" || h != goldenHandle {
					t.Errorf("%+v, %+v, %v", r, h, err)
				}
			case base == "end-transaction":
				if end, err := wire.ParseTransactionEnd(&c); err != nil || end != goldenEnd {
					t.Errorf("%+v, %v", end, err)
				}
			case base == "recall-ok":
				r, err := wire.ParseRecallResponse(&c)
				if err != nil || r.MsgID != goldenID || r.RegionID != "DefaultRegion" || c.Remark != goldenRecallRemark {
					t.Errorf("%+v, %q, %v", r, c.Remark, err)
				}
			case strings.HasPrefix(base, "route"):
				if c.Ext.Get("topic") != "orders" {
					t.Errorf("%+v", c)
				}
			case base == "system-busy":
				if c.Code != 2 || !strings.HasSuffix(c.Remark, "größer") || !c.IsResponse() {
					t.Errorf("%+v", c)
				}
			case base == "topic-not-exist":
				if c.Code != 17 || !c.IsResponse() {
					t.Errorf("%+v", c)
				}
			default:
				t.Errorf("nothing reads %s", base)
			}
		})
	}
	for name, v6 := range map[string]bool{"stored": false, "stored-ipv6": true, "stored-zlib": false} {
		t.Run(name, func(t *testing.T) {
			m, rest, err := wire.ParseStored(java[name])
			if err != nil || len(rest) != 0 {
				t.Fatalf("%v, %d bytes left", err, len(rest))
			}
			want := goldenStored(v6)
			if m.Topic != want.Topic || m.Flag != want.Flag || m.QueueID != want.QueueID || m.QueueOffset != want.QueueOffset ||
				m.BornHost != want.BornHost || m.StoreHost != want.StoreHost || m.CommitLogOffset != want.CommitLogOffset ||
				m.BornTimestamp != want.BornTimestamp || m.StoreTimestamp != want.StoreTimestamp ||
				m.ReconsumeTimes != 2 || m.PreparedTransactionOffset != 5 || !bytes.Equal(m.Properties, want.Properties) {
				t.Errorf("%+v", m)
			}
			if name == "stored-zlib" {
				if m.SysFlag != 0x301 || bytes.Equal(m.Body, want.Body) {
					t.Errorf("flag %#x, body %q", m.SysFlag, m.Body)
				}
			} else if !bytes.Equal(m.Body, want.Body) {
				t.Errorf("body %q", m.Body)
			}
		})
	}
}

// compareFrames takes two whole frames apart by hand, not with our own decoder, and compares the parts.
func compareFrames(t *testing.T, ours, theirs []byte, anyFieldOrder bool) {
	t.Helper()
	ourKind, ourHead, ourBody := takeApart(t, "ours", ours)
	kind, head, body := takeApart(t, "java", theirs)
	if ourKind != kind {
		t.Fatalf("header serialization %d, java %d", ourKind, kind)
	}
	if json.Valid(body) {
		compareJSON(t, ourBody, body)
	} else if !bytes.Equal(ourBody, body) {
		t.Errorf("body %q\njava %q", ourBody, body)
	}
	switch {
	case kind == 0:
		compareJSON(t, ourHead, head)
	case anyFieldOrder:
		ourFixed, ourFields := takeFields(t, ourHead)
		fixed, fields := takeFields(t, head)
		// Region and trace switch are what our server adds to every answer; Java's adds them in the processor.
		if fields["MSG_REGION"] == "" {
			delete(ourFields, "MSG_REGION")
			delete(ourFields, "TRACE_ON")
		}
		if !bytes.Equal(ourFixed, fixed) || !maps.Equal(ourFields, fields) {
			t.Errorf("header % x %v\njava   % x %v", ourFixed, ourFields, fixed, fields)
		}
	case !bytes.Equal(ourHead, head):
		t.Errorf("header %q\njava   %q", ourHead, head)
	}
}

func takeApart(t *testing.T, who string, frame []byte) (kind byte, head, body []byte) {
	t.Helper()
	if len(frame) < 8 || int(binary.BigEndian.Uint32(frame)) != len(frame)-4 {
		t.Fatalf("%s: length prefix of %d bytes: % x", who, len(frame), frame[:min(8, len(frame))])
	}
	n := int(binary.BigEndian.Uint32(frame[4:]) & 0xffffff)
	if n > len(frame)-8 {
		t.Fatalf("%s: header of %d in a frame of %d", who, n, len(frame))
	}
	return frame[4], frame[8 : 8+n], frame[8+n:]
}

// takeFields splits a binary header into code, language, version, opaque, flag and remark on one side, and the
// extension fields on the other.
func takeFields(t *testing.T, head []byte) (fixed []byte, fields map[string]string) {
	t.Helper()
	at := 2 + 1 + 2 + 4 + 4
	at += 4 + int(binary.BigEndian.Uint32(head[at:]))
	fixed = head[:at]
	rest := head[at+4:]
	if int(binary.BigEndian.Uint32(head[at:])) != len(rest) {
		t.Fatalf("field length %x with %d bytes", head[at:at+4], len(rest))
	}
	fields = map[string]string{}
	for len(rest) > 0 {
		k := int(binary.BigEndian.Uint16(rest))
		key := string(rest[2 : 2+k])
		v := int(binary.BigEndian.Uint32(rest[2+k:]))
		fields[key] = string(rest[6+k : 6+k+v])
		rest = rest[6+k+v:]
	}
	return fixed, fields
}

// compareJSON compares two objects. Members that say nothing (0, false, no fields) and the member by which Java
// repeats the serialization are left aside: Java's readers treat a missing one the same.
func compareJSON(t *testing.T, ours, theirs []byte) {
	t.Helper()
	strip := func(who string, b []byte) map[string]any {
		var m map[string]any
		if err := json.Unmarshal(b, &m); err != nil {
			t.Fatalf("%s: %v in %q", who, err, b)
		}
		delete(m, "serializeTypeCurrentRPC")
		ext, isHeader := m["extFields"].(map[string]any)
		switch {
		case m["code"] == nil:
			maps.DeleteFunc(m, func(_ string, v any) bool { return v == false || v == 0.0 })
		case isHeader && len(ext) == 0:
			delete(m, "extFields")
		case isHeader && !bytes.Contains(theirs, []byte("MSG_REGION")):
			delete(ext, "MSG_REGION")
			delete(ext, "TRACE_ON")
		}
		return m
	}
	if o, j := strip("ours", ours), strip("java", theirs); !reflect.DeepEqual(o, j) {
		t.Errorf("ours %q\njava %q", ours, theirs)
	}
}
