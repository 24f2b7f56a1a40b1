package wire_test

import (
	"bytes"
	"io"
	"reflect"
	"testing"

	"github.com/liftoff-mq/liftoff/transport/wire"
)

func TestCommandRoundTrip(t *testing.T) {
	for _, ser := range []wire.Serialization{wire.JSON, wire.RocketMQ} {
		for _, c := range []wire.Command{
			{Code: 105, Language: wire.LanguageGo, Version: wire.CurrentVersion, Opaque: 7},
			{Code: 0, Language: wire.LanguageJava, Version: 401, Opaque: -1, Flag: 1, Remark: "line\n\"quoted\" \\ é \U0001F600", Body: []byte("body")},
			{Code: -1000, Flag: 3, Ext: wire.Fields{{Key: "k", Value: "v"}, {Key: "empty", Value: ""}, {"\x01\x02", "a\x01b\x02"}}, Body: []byte{0, 1, 2}},
			{Code: 200050, Opaque: 1 << 30, Ext: wire.Fields{{Key: "k", Value: "v"}}},
		} {
			c.Serialization = ser
			b, err := wire.AppendCommand([]byte("pre"), &c)
			if err != nil {
				t.Fatal(err)
			}
			frame, err := wire.NewReader(bytes.NewReader(b[3:]), 0).Next()
			if err != nil {
				t.Fatal(err)
			}
			got, err := wire.ParseFrame(frame)
			if err != nil {
				t.Fatalf("%v %q: %v", ser, frame, err)
			}
			if c.Code > 32767 {
				c.Serialization = wire.JSON
			}
			if len(got.Body) == 0 {
				got.Body = nil
			}
			if !reflect.DeepEqual(got, c) {
				t.Errorf("%v: got %+v, want %+v", ser, got, c)
			}
			head, err := wire.ParseHead(frame)
			if err != nil || head.Code != c.Code || head.Opaque != c.Opaque || head.Flag != c.Flag || head.Version != c.Version || head.Language != c.Language {
				t.Errorf("%v: head %+v, %v, want that of %+v", ser, head, err, c)
			}
		}
	}
}

func TestSendRoundTrip(t *testing.T) {
	r := wire.SendRequest{
		Group: "g", Topic: "t", DefaultTopic: "TBW102", DefaultTopicQueueNums: 4, QueueID: 3, SysFlag: 0x301,
		BornTimestamp: 1700000000000, Flag: -5, Properties: []byte("KEYS\x01a b\x02UNIQ_KEY\x01X\x02"),
		ReconsumeTimes: 1, UnitMode: true, MaxReconsumeTimes: -1, BrokerName: "broker-a",
	}
	for _, ser := range []wire.Serialization{wire.JSON, wire.RocketMQ} {
		for _, code := range []int{wire.SendMessage, wire.SendMessageV2, wire.SendBatchMessage} {
			extra := wire.Fields{{Key: "ns", Value: "x"}}
			b, err := wire.AppendSend(nil, ser, code, 9, wire.FlagOneway, &r, extra, []byte("hello"))
			if err != nil {
				t.Fatal(err)
			}
			fields, _ := wire.SendFields(code, &r)
			want, err := wire.AppendCommand(nil, &wire.Command{
				Code: code, Language: wire.LanguageGo, Version: wire.CurrentVersion,
				Opaque: 9, Flag: wire.FlagOneway, Ext: append(fields, extra...), Body: []byte("hello"), Serialization: ser,
			})
			if err != nil || !bytes.Equal(b, want) {
				t.Errorf("%v %d: got %q, want %q, %v", ser, code, b, want, err)
			}
			c, err := wire.ParseFrame(b[4:])
			if err != nil {
				t.Fatal(err)
			}
			got, err := wire.ParseSend(&c)
			if err != nil || !reflect.DeepEqual(got, r) || !c.IsOneway() || c.IsResponse() || c.Ext.Get("ns") != "x" {
				t.Errorf("%v %d: got %+v, want %+v, %v", ser, code, got, r, err)
			}
		}
	}
}

func TestSendResponseRoundTrip(t *testing.T) {
	for _, ser := range []wire.Serialization{wire.JSON, wire.RocketMQ} {
		for _, r := range []wire.SendResponse{
			{MsgID: "0A0B0C0D00002A9F0000000000000000", QueueID: 3, QueueOffset: 1 << 40, TransactionID: "UNIQ", RegionID: "DefaultRegion", TraceOn: true},
			{MsgID: "X", BatchUniqID: "b", RecallHandle: "r", RegionID: "elsewhere"},
		} {
			b, err := wire.AppendSendResponse(nil, wire.ResponseHead{Opaque: 4, Version: 479, Serialization: ser}, "", &r)
			if err != nil {
				t.Fatal(err)
			}
			var got wire.SendResponse
			if err := wire.ParseSendResponse(b[4:], &got); err != nil || got != r {
				t.Errorf("%v: got %+v, %v, want %+v", ser, got, err, r)
			}
		}
	}
}

func TestRouteRoundTrip(t *testing.T) {
	r := &wire.RouteData{
		OrderTopicConf: "a:1;b:2",
		Queues:         []wire.QueueData{{"b", 4, 4, 6, 0}, {"a", 8, 2, 6, 1}},
		Brokers: []wire.BrokerData{
			{Cluster: "c", BrokerName: "a", Addrs: map[int64]string{0: "127.0.0.1:1", 1: "[::1]:2"}, ZoneName: "z", EnableActingMaster: true},
			{Cluster: "c", BrokerName: "b", Addrs: map[int64]string{0: `{9:"x"}`}},
		},
		Mappings: []wire.QueueMapping{
			{BrokerName: "a", TotalQueues: 12, Epoch: 1795714025430, Queues: map[int]int{0: 0, 2: 1, 11: 2}},
			{BrokerName: `b"`, TotalQueues: 12, Epoch: -1, Queues: map[int]int{}},
		},
	}
	for _, style := range []wire.KeyStyle{wire.StandardKeys, wire.BareKeys} {
		b := wire.AppendRoute(nil, r, style)
		got, err := wire.ParseRoute(b)
		if err != nil || !got.Equal(r) || !reflect.DeepEqual(got, r) {
			t.Errorf("%s: got %+v, %v", b, got, err)
		}
		info := wire.AppendClusterInfo(nil, r.Brokers, style)
		brokers, err := wire.ParseClusterInfo(info)
		if err != nil || !reflect.DeepEqual(brokers, r.Brokers) {
			t.Errorf("%s: got %+v, %v", info, brokers, err)
		}
	}
}

func TestReaderEOF(t *testing.T) {
	r := wire.NewReader(bytes.NewReader(nil), 0)
	if _, err := r.Next(); err != io.EOF {
		t.Errorf("got %v, want EOF", err)
	}
}
