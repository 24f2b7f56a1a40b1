package wire_test

import (
	"encoding/hex"
	"flag"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/liftoff-mq/liftoff/core/rocketmq"
	"github.com/liftoff-mq/liftoff/transport/wire"
)

var update = flag.Bool("update", false, "write the golden files instead of comparing with them")

// golden lists every encoding by the name of its file. The values are fixed, so that another
// implementation can be made to print the same bytes.
func golden(t testing.TB) map[string][]byte {
	t.Helper()
	must := func(b []byte, err error) []byte {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return b
	}
	send := wire.SendRequest{
		Group: "golden-group", Topic: "golden-topic", DefaultTopic: "TBW102", DefaultTopicQueueNums: 4, QueueID: 3,
		SysFlag: rocketmq.SysCompressed | rocketmq.SysCompressionZlib, BornTimestamp: 1758000000123, Flag: 7,
		Properties:        []byte("KEYS\x01k1 k2\x02UNIQ_KEY\x010A0B0C0D000100000000000000000001\x02note\x01zu \"Ende\" \\ für \U0001F680\x02"),
		MaxReconsumeTimes: -1, BrokerName: "broker-a",
	}
	retry := send
	retry.Topic, retry.ReconsumeTimes, retry.MaxReconsumeTimes, retry.UnitMode = "%RETRY%golden-group", 2, 16, true
	batch := send
	batch.Batch, batch.SysFlag = true, 0
	batchBody := must(wire.AppendBatchMessage(nil, 1, []byte("first"), []byte("TAGS\x01a\x02")))
	batchBody = must(wire.AppendBatchMessage(batchBody, 0, []byte("second"), nil))
	extra := wire.Fields{{Key: "ns", Value: "space"}, {Key: "nsd", Value: "true"}}
	response := wire.SendResponse{
		MsgID: "7F00000100002A9F00000000000F4240", QueueID: 3, QueueOffset: 1000000,
		TransactionID: "0A0B0C0D000100000000000000000001", RegionID: "DefaultRegion", TraceOn: true,
	}
	stored := storedMessage()
	stored6 := storedMessage()
	stored6.StoreHost, stored6.BornHost = netip.MustParseAddrPort("[2001:db8::2]:10911"), netip.MustParseAddrPort("[2001:db8::1]:50000")
	storedLong := storedMessage()
	storedLong.Topic = strings.Repeat("t", 200)
	route := wire.RouteData{
		OrderTopicConf: "broker-a:4",
		Queues:         []wire.QueueData{{BrokerName: "broker-a", ReadQueueNums: 8, WriteQueueNums: 4, Perm: 6}},
		Brokers: []wire.BrokerData{{
			Cluster: "DefaultCluster", BrokerName: "broker-a",
			Addrs: map[int64]string{1: "127.0.0.1:10921", 0: "127.0.0.1:10911"},
		}},
	}
	g := map[string][]byte{
		"batch_body":           batchBody,
		"stored_v4":            must(wire.AppendStored(nil, &stored)),
		"stored_v6":            must(wire.AppendStored(nil, &stored6)),
		"stored_long_topic":    must(wire.AppendStored(nil, &storedLong)),
		"route_standard_keys":  wire.AppendRoute(nil, &route, wire.StandardKeys),
		"route_bare_keys":      wire.AppendRoute(nil, &route, wire.BareKeys),
		"cluster_bare_keys":    wire.AppendClusterInfo(nil, route.Brokers, wire.BareKeys),
		"heartbeat_body":       wire.AppendHeartbeat(nil, &wire.Heartbeat{ClientID: "10.11.12.13@1#1", ProducerGroups: []string{"golden-group", "CLIENT_INNER_PRODUCER"}}),
		"properties":           wire.AppendProperties(nil, wire.Fields{{Key: "KEYS", Value: "k1 k2"}, {Key: "WAIT", Value: "true"}}),
		"offset_message_id_v4": []byte(wire.OffsetID{Addr: stored.StoreHost, Offset: 1000000}.String()),
		"offset_message_id_v6": []byte(wire.OffsetID{Addr: stored6.StoreHost, Offset: 1000000}.String()),
	}
	for suffix, ser := range map[string]wire.Serialization{"_binary": wire.RocketMQ, "_json": wire.JSON} {
		g["send_v2"+suffix] = must(wire.AppendSend(nil, ser, wire.SendMessageV2, 1, 0, &send, nil, []byte("golden body")))
		g["send_v2_extra_oneway"+suffix] = must(wire.AppendSend(nil, ser, wire.SendMessageV2, 2, wire.FlagOneway, &send, extra, []byte("golden body")))
		g["send_v2_retry"+suffix] = must(wire.AppendSend(nil, ser, wire.SendMessageV2, 3, 0, &retry, nil, []byte("golden body")))
		g["send_long_names"+suffix] = must(wire.AppendSend(nil, ser, wire.SendMessage, 4, 0, &send, nil, []byte("golden body")))
		g["send_batch"+suffix] = must(wire.AppendSend(nil, ser, wire.SendBatchMessage, 5, 0, &batch, nil, batchBody))
		g["send_response"+suffix] = must(wire.AppendSendResponse(nil, wire.ResponseHead{
			Opaque: 1, Version: wire.V5_3_3, Serialization: ser,
		}, "", &response))
		g["refused_response"+suffix] = must(wire.AppendSendResponse(nil, wire.ResponseHead{
			Code: 2, Opaque: -1, Version: wire.V4_9_8, Serialization: ser,
		}, "[TIMEOUT_CLEAN_QUEUE]broker busy\n", nil))
		command := func(code int, ext wire.Fields, body []byte) []byte {
			return must(wire.AppendCommand(nil, &wire.Command{
				Code: code, Language: wire.LanguageGo, Version: wire.CurrentVersion,
				Opaque: 6, Ext: ext, Body: body, Serialization: ser,
			}))
		}
		g["get_route"+suffix] = command(wire.GetRouteInfoByTopic, wire.RouteFields("golden-topic"), nil)
		g["heartbeat"+suffix] = command(wire.HeartBeat, nil, g["heartbeat_body"])
		g["unregister"+suffix] = command(wire.UnregisterClient, wire.Unregister{ClientID: "10.11.12.13@1#1", ProducerGroup: "golden-group"}.Fields(), nil)
		recall := wire.Recall{
			Group: "golden-group", Topic: "golden-topic", BrokerName: "broker-a",
			Handle: "djEgZ29sZGVuLXRvcGljIGJyb2tlci1hIDE3NTgwMDAwMDAwMDEgMEEwQjBDMEQwMDAxMDAwMDAwMDAwMDAwMDAwMDAwMDE=",
		}
		g["recall"+suffix] = command(wire.RecallMessage, recall.Fields(), nil)
		g["recall_response"+suffix] = must(wire.AppendCommand(nil, &wire.Command{
			Language: wire.LanguageJava, Version: wire.V5_3_3, Opaque: 6, Flag: wire.FlagResponse, Serialization: ser,
			Ext: wire.RecallResponse{MsgID: "0A0B0C0D000100000000000000000001", RegionID: "DefaultRegion"}.Fields(),
		}))
		g["code_beyond_binary"+suffix] = command(wire.PopMessage, nil, nil)
	}
	return g
}

// TestGolden compares every encoding with the bytes of an earlier day: hexadecimal, 32 bytes a line.
func TestGolden(t *testing.T) {
	dir := filepath.Join("testdata", "golden")
	got := golden(t)
	if *update {
		if err := os.RemoveAll(dir); err != nil {
			t.Fatal(err)
		}
		if err := os.MkdirAll(dir, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	for name, b := range got {
		path := filepath.Join(dir, name+".hex")
		if *update {
			if err := os.WriteFile(path, []byte(hexLines(b)), 0o644); err != nil {
				t.Fatal(err)
			}
			continue
		}
		want, err := os.ReadFile(path)
		if err != nil {
			t.Error(err)
			continue
		}
		if hexLines(b) != string(want) {
			t.Errorf("%s: got\n%s%q\nwant\n%s", name, hexLines(b), b, want)
		}
	}
	files, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range files {
		if _, ok := got[strings.TrimSuffix(f.Name(), ".hex")]; !ok {
			t.Errorf("%s belongs to no encoding", f.Name())
		}
	}
}

func hexLines(b []byte) string {
	var s strings.Builder
	for len(b) > 0 {
		n := min(32, len(b))
		s.WriteString(hex.EncodeToString(b[:n]) + "\n")
		b = b[n:]
	}
	return s.String()
}
