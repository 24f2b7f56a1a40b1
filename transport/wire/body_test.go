package wire_test

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"net/netip"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/liftoff-mq/liftoff/core/rocketmq"
	"github.com/liftoff-mq/liftoff/transport/wire"
)

func TestProperties(t *testing.T) {
	f := wire.Fields{{Key: "KEYS", Value: "a b"}, {Key: "gone", Value: ""}, {Key: "é", Value: "ü=\x01"}}
	text := wire.AppendProperties(nil, f)
	if want := "KEYS\x01a b\x02é\x01ü=\x01\x02"; string(text) != want {
		t.Errorf("got %q, want %q", text, want)
	}
	for _, test := range []struct {
		text string
		want wire.Fields
	}{
		{"", nil},
		{"A\x01b\x02", wire.Fields{{Key: "A", Value: "b"}}},
		{"A\x01b", wire.Fields{{Key: "A", Value: "b"}}}, // 4.9 drops the last separator
		{"A\x01b\x02C\x01d", wire.Fields{{Key: "A", Value: "b"}, {Key: "C", Value: "d"}}},
		{"A\x01\x02\x01b\x02C\x02\x02\x02D\x01e\x02", wire.Fields{{Key: "D", Value: "e"}}}, // no value, no name, no separator, nothing
		{"A\x01b\x01c\x02", wire.Fields{{Key: "A", Value: "b\x01c"}}},
		{"\x01A\x01b\x02", nil},
	} {
		if got := wire.ParseProperties(test.text); !reflect.DeepEqual(got, test.want) {
			t.Errorf("%q: got %q, want %q", test.text, got, test.want)
		}
		if got := wire.ParseProperties([]byte(test.text)); !reflect.DeepEqual(got, test.want) {
			t.Errorf("%q as bytes: got %q, want %q", test.text, got, test.want)
		}
		for _, name := range []string{"A", "C", "D", ""} {
			want, wantOK := test.want.Lookup(name)
			if got, ok := wire.LookupProperty(test.text, name); got != want || ok != wantOK {
				t.Errorf("%q: %q: got %q, %v, want %q, %v", test.text, name, got, ok, want, wantOK)
			}
		}
	}
	if got, _ := wire.LookupProperty("A\x011\x02A\x012\x02", "A"); got != "2" {
		t.Errorf("got %q, want the last of equal names", got)
	}
}

func TestBatch(t *testing.T) {
	want := []wire.BatchMessage{
		{Flag: 1, Body: []byte("one"), Properties: []byte("A\x01b\x02")},
		{Flag: -1, Body: []byte{}, Properties: []byte{}},
		{Body: bytes.Repeat([]byte("x"), 5000), Properties: bytes.Repeat([]byte("y"), rocketmq.ProtocolMaxPropertiesLength)},
	}
	var body []byte
	size := 0
	for _, m := range want {
		var err error
		if body, err = wire.AppendBatchMessage(body, m.Flag, m.Body, m.Properties); err != nil {
			t.Fatal(err)
		}
		size += wire.BatchSize(len(m.Body), len(m.Properties))
	}
	if len(body) != size {
		t.Errorf("got %d bytes, want %d", len(body), size)
	}
	got, err := wire.ParseBatch(body)
	if err != nil || !reflect.DeepEqual(got, want) {
		t.Errorf("got %d messages, %v, want %d", len(got), err, len(want))
	}
	if got, err := wire.ParseBatch(nil); err != nil || len(got) != 0 {
		t.Errorf("empty: got %v, %v", got, err)
	}
	if b, err := wire.AppendBatchMessage([]byte("pre"), 0, nil, make([]byte, 32768)); !errors.Is(err, wire.ErrEncode) || string(b) != "pre" {
		t.Errorf("long properties: got %.10q, %v", b, err)
	}
	if b, err := wire.AppendBatchMessage([]byte("pre"), 0, make([]byte, wire.MaxFrame+1), nil); !errors.Is(err, wire.ErrEncode) || string(b) != "pre" {
		t.Errorf("long body: got %.10q, %v", b, err)
	}
	one, _ := wire.AppendBatchMessage(nil, 0, []byte("body"), []byte("prop"))
	for name, change := range map[string]func([]byte) []byte{
		"cut":                    func(b []byte) []byte { return b[:len(b)-1] },
		"cut in size":            func(b []byte) []byte { return append(b, 0, 0, 0) },
		"size zero":              func(b []byte) []byte { binary.BigEndian.PutUint32(b, 0); return b },
		"size negative":          func(b []byte) []byte { binary.BigEndian.PutUint32(b, 1<<31); return b },
		"size too small":         func(b []byte) []byte { binary.BigEndian.PutUint32(b, 21); return b[:21] },
		"size one more":          func(b []byte) []byte { b[3]++; return append(b, 0) },
		"body length negative":   func(b []byte) []byte { b[16] = 0x80; return b },
		"body length one more":   func(b []byte) []byte { b[19]++; return b },
		"body length beyond":     func(b []byte) []byte { b[18] = 1; return b },
		"properties length less": func(b []byte) []byte { b[25]--; return b },
		"properties negative":    func(b []byte) []byte { b[24] = 0xFF; return b },
	} {
		if _, err := wire.ParseBatch(change(slices.Clone(one))); !errors.Is(err, wire.ErrDecode) {
			t.Errorf("%s: got %v, want a decode error", name, err)
		}
	}
}

func storedMessage() wire.StoredMessage {
	return wire.StoredMessage{
		QueueID: 3, Flag: 7, QueueOffset: 42, CommitLogOffset: 1 << 33, SysFlag: rocketmq.SysTransactionPrepared,
		BornTimestamp: 1758000000000, BornHost: netip.MustParseAddrPort("192.168.0.1:50000"),
		StoreTimestamp: 1758000000005, StoreHost: netip.MustParseAddrPort("127.0.0.1:10911"),
		ReconsumeTimes: 1, PreparedTransactionOffset: 99, Body: []byte("stored body"), Topic: "orders",
		Properties: []byte("UNIQ_KEY\x01AC11\x02PGROUP\x01g\x02"),
	}
}

func TestStored(t *testing.T) {
	v6 := netip.MustParseAddrPort("[2001:db8::1]:65535")
	for name, change := range map[string]func(*wire.StoredMessage){
		"v4":             func(*wire.StoredMessage) {},
		"born v6":        func(m *wire.StoredMessage) { m.BornHost, m.SysFlag = v6, m.SysFlag|rocketmq.SysBornHostV6 },
		"store v6":       func(m *wire.StoredMessage) { m.StoreHost, m.SysFlag = v6, m.SysFlag|rocketmq.SysStoreHostV6 },
		"topic of 127":   func(m *wire.StoredMessage) { m.Topic = strings.Repeat("t", 127) },
		"topic of 128":   func(m *wire.StoredMessage) { m.Topic = strings.Repeat("t", 128) },
		"topic of 32767": func(m *wire.StoredMessage) { m.Topic = strings.Repeat("t", 32767) },
		"nothing":        func(m *wire.StoredMessage) { m.Body, m.Topic, m.Properties = []byte{}, "", []byte{} },
		"negative":       func(m *wire.StoredMessage) { m.QueueID, m.ReconsumeTimes, m.QueueOffset = -1, -2, -3 },
	} {
		t.Run(name, func(t *testing.T) {
			m := storedMessage()
			change(&m)
			b, err := wire.AppendStored([]byte("pre"), &m)
			if err != nil {
				t.Fatal(err)
			}
			m.BodyCRC = wire.BodyCRC(m.Body)
			got, rest, err := wire.ParseStored(append(b, "next"...)[3:])
			if err != nil || string(rest) != "next" || !reflect.DeepEqual(got, m) {
				t.Errorf("got %+v, rest %q, %v, want %+v", got, rest, err, m)
			}
			// No cut of it is a message.
			for n := range min(len(b)-3, 300) {
				if _, _, err := wire.ParseStored(b[3 : 3+n]); !errors.Is(err, wire.ErrDecode) {
					t.Fatalf("first %d bytes: got %v, want a decode error", n, err)
				}
			}
		})
	}
}

func TestStoredRefuses(t *testing.T) {
	for name, change := range map[string]func(*wire.StoredMessage){
		"topic":      func(m *wire.StoredMessage) { m.Topic = strings.Repeat("t", 32768) },
		"properties": func(m *wire.StoredMessage) { m.Properties = make([]byte, 32768) },
		"body":       func(m *wire.StoredMessage) { m.Body = make([]byte, wire.MaxFrame+1) },
		"queue":      func(m *wire.StoredMessage) { m.QueueID = math.MaxInt },
		"reconsume":  func(m *wire.StoredMessage) { m.ReconsumeTimes = math.MinInt },
	} {
		if math.MaxInt == math.MaxInt32 && (name == "queue" || name == "reconsume") {
			continue // every int fits
		}
		m := storedMessage()
		change(&m)
		if b, err := wire.AppendStored([]byte("pre"), &m); !errors.Is(err, wire.ErrEncode) || string(b) != "pre" {
			t.Errorf("%s: got %.10q, %v, want an encode error", name, b, err)
		}
	}
	m := storedMessage()
	good, err := wire.AppendStored(nil, &m)
	if err != nil {
		t.Fatal(err)
	}
	bodyAt := bytes.Index(good, m.Body)
	for name, at := range map[string]struct {
		offset int
		value  byte
	}{
		"size negative": {0, 0x80}, "magic": {4, 0}, "port": {48 + 4, 1}, "v6 bit set": {39, 0x14},
		"body length": {bodyAt - 4, 0x7F}, "topic length": {bodyAt + len(m.Body), 127}, "topic negative": {bodyAt + len(m.Body), 200},
		"properties length": {bodyAt + len(m.Body) + 1 + len(m.Topic), 1}, "properties negative": {bodyAt + len(m.Body) + 1 + len(m.Topic), 0x80},
	} {
		b := slices.Clone(good)
		b[at.offset] = at.value
		if got, _, err := wire.ParseStored(b); !errors.Is(err, wire.ErrDecode) {
			t.Errorf("%s: got %+v, %v, want a decode error", name, got, err)
		}
	}
	// What the size covers beyond the properties is skipped.
	b := append(slices.Clone(good), "more"...)
	binary.BigEndian.PutUint32(b, uint32(len(b)))
	if got, rest, err := wire.ParseStored(b); err != nil || len(rest) != 0 || got.Topic != m.Topic {
		t.Errorf("got %+v, %q, %v", got, rest, err)
	}
}

func TestStoredOddHosts(t *testing.T) {
	m := storedMessage()
	m.BornHost, m.StoreHost = netip.AddrPort{}, netip.MustParseAddrPort("[::ffff:10.0.0.1]:80")
	b, err := wire.AppendStored(nil, &m)
	if err != nil {
		t.Fatal(err)
	}
	got, _, err := wire.ParseStored(b)
	if err != nil || got.BornHost.String() != "0.0.0.0:0" || got.StoreHost.String() != "10.0.0.1:80" {
		t.Errorf("got %v, %v, %v", got.BornHost, got.StoreHost, err)
	}
	if id := got.MsgID(); id.Offset != m.CommitLogOffset || id.Addr != got.StoreHost {
		t.Errorf("got id %+v", id)
	}
	// The top bit of the plain CRC of this text is set: 0xCBF43926.
	if got := wire.BodyCRC([]byte("123456789")); got != 0x4BF43926 {
		t.Errorf("got crc %x", got)
	}
}

func TestOffsetID(t *testing.T) {
	for _, test := range []struct {
		text, addr string
		offset     int64
	}{
		{"7F00000100002A9F00000000000F4240", "127.0.0.1:10911", 1000000},
		{"0A0B0C0D0000FFFFFFFFFFFFFFFFFFFF", "10.11.12.13:65535", -1},
		{"20010DB800000000000000000000000100002A9F7FFFFFFFFFFFFFFF", "[2001:db8::1]:10911", 1<<63 - 1},
	} {
		want := wire.OffsetID{Addr: netip.MustParseAddrPort(test.addr), Offset: test.offset}
		if got := want.String(); got != test.text {
			t.Errorf("got %s, want %s", got, test.text)
		}
		for _, text := range []string{test.text, strings.ToLower(test.text)} {
			if got, err := wire.ParseOffsetID(text); err != nil || got != want {
				t.Errorf("%s: got %+v, %v, want %+v", text, got, err, want)
			}
		}
	}
	for _, text := range []string{
		"", "7F", strings.Repeat("0", 31), strings.Repeat("0", 34), strings.Repeat("G", 32),
		"7F00000100012A9F00000000000F4240", "7F000001FFFFFFFF00000000000F4240",
	} {
		if _, err := wire.ParseOffsetID(text); !errors.Is(err, wire.ErrDecode) {
			t.Errorf("%q: got %v, want a decode error", text, err)
		}
	}
}

func TestHeartbeat(t *testing.T) {
	for _, want := range []*wire.Heartbeat{
		{ClientID: "10.0.0.1@1"},
		{ClientID: `a"b`, ProducerGroups: []string{"g1", "g2"}, Fingerprint: -5, WithoutSub: true},
	} {
		body := wire.AppendHeartbeat(nil, want)
		if got, err := wire.ParseHeartbeat(body); err != nil || !reflect.DeepEqual(got, want) {
			t.Errorf("%s: got %+v, %v, want %+v", body, got, err, want)
		}
	}
	for name, test := range map[string]struct {
		body string
		want wire.Consumer
	}{
		"Java": {
			`{"groupName":"cg","consumeType":"CONSUME_PASSIVELY","messageModel":"CLUSTERING","consumeFromWhere":"CONSUME_FROM_TIMESTAMP","unitMode":false,"subscriptionDataSet":[` +
				`{"classFilterMode":false,"codeSet":[97,-1],"expressionType":"TAG","subString":"a||x","subVersion":1700000000001,"tagsSet":["a","x"],"topic":"t"}]}`,
			wire.Consumer{
				Group: "cg", ConsumeType: "CONSUME_PASSIVELY", MessageModel: "CLUSTERING", From: "CONSUME_FROM_TIMESTAMP",
				Subscriptions: []wire.Subscription{{Topic: "t", Expression: "a||x", Type: "TAG", Codes: []int32{97, -1}, Version: 1700000000001}},
			},
		},
		"Go": {
			`{"groupName":"cg","consumeType":"CONSUME_PASSIVELY","messageModel":"BROADCASTING","consumeFromWhere":"","subscriptionDataSet":[{"topic":"t","subString":"a","codeSet":["97"],"subVersion":1,"expressionType":"TAG"}]}`,
			wire.Consumer{
				Group: "cg", ConsumeType: "CONSUME_PASSIVELY", MessageModel: "BROADCASTING",
				Subscriptions: []wire.Subscription{{Topic: "t", Expression: "a", Type: "TAG", Codes: []int32{97}, Version: 1}},
			},
		},
		"C++": {
			`{"groupName":"cg","consumeType":1,"messageModel":1,"consumeFromWhere":4,"subscriptionDataSet":[{"topic":"t","subString":"*","subVersion":"5"}]}`,
			wire.Consumer{
				Group: "cg", ConsumeType: "CONSUME_PASSIVELY", MessageModel: "CLUSTERING", From: "CONSUME_FROM_FIRST_OFFSET",
				Subscriptions: []wire.Subscription{{Topic: "t", Expression: "*", Version: 5}},
			},
		},
		"next to nothing": {`{"groupName":"cg","consumeType":null,"messageModel":99}`, wire.Consumer{Group: "cg", MessageModel: "99"}},
	} {
		got, err := wire.ParseHeartbeat([]byte(`{"clientID":"c","consumerDataSet":[` + test.body + `,{"groupName":""}],"heartbeatFingerprint":0,"producerDataSet":[{"groupName":"CLIENT_INNER_PRODUCER"},{"groupName":""}],"withoutSub":false}`))
		if err != nil || !reflect.DeepEqual(got, &wire.Heartbeat{ClientID: "c", ProducerGroups: []string{"CLIENT_INNER_PRODUCER"}, Consumers: []wire.Consumer{test.want}}) {
			t.Errorf("%s: got %+v, %v", name, got, err)
		}
	}
	for body, want := range map[string]error{
		"": wire.ErrDecode, "[]": wire.ErrDecode, "{}": wire.ErrDecode, `{"clientID":1}`: wire.ErrDecode,
		`{"clientID":"c","producerDataSet":[{}]}`: wire.ErrDecode, `{"clientID":"c","consumerDataSet":[{"groupName":null}]}`: wire.ErrDecode,
		strings.Repeat(" ", wire.MaxHeartbeat+1):                                                        wire.ErrLimit,
		`{"clientID":"c","producerDataSet":[` + strings.Repeat("{},", wire.MaxHeartbeatGroups) + "{}]}": wire.ErrLimit,
	} {
		if _, err := wire.ParseHeartbeat([]byte(body)); !errors.Is(err, want) || !errors.Is(err, wire.ErrDecode) {
			t.Errorf("%.40q: got %v, want %v", body, err, want)
		}
	}
}

func TestUnregister(t *testing.T) {
	for _, want := range []wire.Unregister{{ClientID: "c"}, {ClientID: "c", ProducerGroup: "p"}, {ClientID: "c", ProducerGroup: "p", ConsumerGroup: "q"}} {
		got, err := wire.ParseUnregister(&wire.Command{Ext: want.Fields()})
		if err != nil || got != want {
			t.Errorf("got %+v, %v, want %+v", got, err, want)
		}
	}
	if _, err := wire.ParseUnregister(&wire.Command{}); !errors.Is(err, wire.ErrField) {
		t.Errorf("got %v, want a field error", err)
	}
	if f := wire.RouteFields("t"); f.Get("topic") != "t" || f.Get("acceptStandardJsonOnly") != "true" {
		t.Errorf("got %v", f)
	}
}

func TestErrorTexts(t *testing.T) {
	for _, test := range []struct {
		err  error
		want string
	}{
		{&wire.DecodeError{Part: "batch", Reason: "cut", Offset: 7}, "wire: batch: cut at byte 7"},
		{&wire.DecodeError{Part: "route", Reason: "long", Offset: -1}, "wire: route: long"},
		{&wire.FieldError{Field: "a", Meaning: "producerGroup", Reason: "missing"}, "wire: header field a (producerGroup): missing"},
		{&wire.FieldError{Field: "topic", Meaning: "topic", Reason: "missing"}, "wire: header field topic: missing"},
		{&wire.FrameError{Length: -1, Reason: "negative length"}, "wire: bad frame: negative length (-1)"},
		{&wire.EncodeError{What: "frame", Reason: "long"}, "wire: frame: long"},
	} {
		if got := fmt.Sprint(test.err); got != test.want {
			t.Errorf("got %q, want %q", got, test.want)
		}
	}
}
