package wire_test

import (
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/liftoff-mq/liftoff/core/rocketmq"
	"github.com/liftoff-mq/liftoff/transport/wire"
)

func TestAppendSendRefuses(t *testing.T) {
	for _, test := range []struct {
		name   string
		code   int
		change func(*wire.SendRequest)
		extra  wire.Fields
		body   int
	}{
		{name: "other code", code: wire.HeartBeat, change: func(*wire.SendRequest) {}},
		{name: "no group", code: 310, change: func(r *wire.SendRequest) { r.Group = "" }},
		{name: "no topic", code: 310, change: func(r *wire.SendRequest) { r.Topic = "" }},
		{name: "no default topic", code: 10, change: func(r *wire.SendRequest) { r.DefaultTopic = "" }},
		{name: "long properties", code: 320, change: func(r *wire.SendRequest) { r.Properties = make([]byte, 32768) }},
		{name: "long frame", code: 310, change: func(*wire.SendRequest) {}, body: wire.MaxFrame - 100},
		{name: "long topic", code: 310, change: func(r *wire.SendRequest) { r.Topic = strings.Repeat("t", wire.MaxHeader) }},
		{name: "many fields", code: 310, change: func(*wire.SendRequest) {}, extra: make(wire.Fields, 250)},
	} {
		for _, ser := range forms {
			r := usualSend()
			test.change(r)
			b, err := wire.AppendSend([]byte("pre"), ser, test.code, 1, 0, r, test.extra, make([]byte, test.body))
			if !errors.Is(err, wire.ErrEncode) || string(b) != "pre" {
				t.Errorf("%s, %v: got %.10q, %v, want the buffer as it was and an encode error", test.name, ser, b, err)
			}
			b, err = wire.AppendSendHead([]byte("pre"), ser, test.code, 1, 0, r, test.extra, test.body)
			if !errors.Is(err, wire.ErrEncode) || string(b) != "pre" {
				t.Errorf("%s, %v, head only: got %.10q, %v", test.name, ser, b, err)
			}
		}
	}
	if _, err := wire.AppendSend(nil, 7, 310, 1, 0, usualSend(), nil, nil); !errors.Is(err, wire.ErrEncode) {
		t.Errorf("unknown serialization: got %v", err)
	}
	if _, ok := wire.SendFields(wire.HeartBeat, usualSend()); ok {
		t.Error("fields of a send for another code")
	}
}

// TestAppendSendWorstProperties: legal properties fit the header limit of either form, however
// much JSON makes of them.
func TestAppendSendWorstProperties(t *testing.T) {
	r := usualSend()
	r.Properties = []byte(strings.Repeat("\x01", rocketmq.ProtocolMaxPropertiesLength))
	for _, ser := range forms {
		b, err := wire.AppendSend(nil, ser, 310, 1, 0, r, nil, []byte("body"))
		if err != nil {
			t.Fatalf("%v: %v", ser, err)
		}
		c, err := wire.ParseFrame(b[4:])
		if err != nil {
			t.Fatalf("%v: %v", ser, err)
		}
		if got, err := wire.ParseSend(&c); err != nil || string(got.Properties) != string(r.Properties) {
			t.Errorf("%v: got %d bytes, %v", ser, len(got.Properties), err)
		}
	}
}

func TestAppendSendHead(t *testing.T) {
	body := []byte("some body")
	for _, ser := range forms {
		whole, err := wire.AppendSend(nil, ser, 310, 1, 0, usualSend(), nil, body)
		if err != nil {
			t.Fatal(err)
		}
		head, err := wire.AppendSendHead(nil, ser, 310, 1, 0, usualSend(), nil, len(body))
		if err != nil || string(head)+string(body) != string(whole) {
			t.Errorf("%v: got %q, %v, want %q", ser, head, err, whole)
		}
	}
}

func TestParseSendFields(t *testing.T) {
	usual := func(code int) wire.Command {
		f, _ := wire.SendFields(code, usualSend())
		return wire.Command{Code: code, Ext: f}
	}
	names := map[string]string{
		"a": "producerGroup", "b": "topic", "c": "defaultTopic", "d": "defaultTopicQueueNums", "e": "queueId",
		"f": "sysFlag", "g": "bornTimestamp", "h": "flag",
	}
	for short, long := range names {
		for code, name := range map[int]string{wire.SendMessageV2: short, wire.SendMessage: long} {
			for _, value := range []string{"", "12x", "99999999999999999999"} {
				c := usual(code)
				c.Serialization = wire.RocketMQ
				c.Ext.Set(name, value)
				_, err := wire.ParseSend(&c)
				var fe *wire.FieldError
				// Brokers do without a group and without the template of a topic, and take any text.
				fits := short <= "c" && value != "" || strings.Contains("acd", short) && value == ""
				switch {
				case fits && err != nil:
					t.Errorf("%s=%q: %v", name, value, err)
				case !fits && (!errors.Is(err, wire.ErrField) || !errors.As(err, &fe) || fe.Field != name || !strings.Contains(err.Error(), long)):
					t.Errorf("%s=%q: got %v, want a field error naming it", name, value, err)
				}
			}
		}
	}
	for ser, want := range map[wire.Serialization]error{wire.JSON: nil, wire.RocketMQ: wire.ErrField} {
		c := usual(wire.SendMessageV2)
		c.Serialization = ser
		c.Ext.Set("b", "")
		if _, err := wire.ParseSend(&c); !errors.Is(err, want) {
			t.Errorf("%v: an empty topic: got %v, want %v", ser, err, want)
		}
		c.Ext = slices.DeleteFunc(c.Ext, func(f wire.Field) bool { return f.Key == "b" })
		if _, err := wire.ParseSend(&c); !errors.Is(err, wire.ErrField) {
			t.Errorf("%v: no topic: got %v, want a field error", ser, err)
		}
	}
	c := usual(wire.SendMessageV2)
	for _, name := range []string{"i", "j", "k", "l", "m", "n"} {
		c.Ext.Set(name, "")
	}
	got, err := wire.ParseSend(&c)
	if err != nil || got.Properties != nil || got.ReconsumeTimes != 0 || got.UnitMode || got.MaxReconsumeTimes != -1 || got.Batch || got.BrokerName != "" {
		t.Errorf("without the optional fields: got %+v, %v", got, err)
	}
	c.Ext.Set("l", "16")
	c.Ext.Set("m", "TRUE")
	if got, err := wire.ParseSend(&c); err != nil || got.MaxReconsumeTimes != 16 || !got.Batch {
		t.Errorf("got %+v, %v", got, err)
	}
	c.Ext.Set("j", "x")
	if _, err := wire.ParseSend(&c); !errors.Is(err, wire.ErrField) {
		t.Errorf("got %v, want a field error for an optional field", err)
	}
	c.Code = wire.HeartBeat
	if _, err := wire.ParseSend(&c); !errors.Is(err, wire.ErrField) {
		t.Errorf("got %v, want a field error for another code", err)
	}
}

func TestParseSendResponseFields(t *testing.T) {
	base := wire.Fields{{Key: "msgId", Value: "ID"}, {Key: "queueId", Value: "3"}, {Key: "queueOffset", Value: "-9223372036854775808"}}
	parse := func(ser wire.Serialization, f wire.Fields) (out wire.SendResponse, err error) {
		t.Helper()
		b, err := wire.AppendCommand(nil, &wire.Command{Ext: f, Serialization: ser, Flag: wire.FlagResponse})
		if err != nil {
			t.Fatal(err)
		}
		// Old content must not shine through.
		out = wire.SendResponse{MsgID: "old", RegionID: "old", TransactionID: "old", RecallHandle: "old", BatchUniqID: "old"}
		err = wire.ParseSendResponse(b[4:], &out)
		return out, err
	}
	with := func(key, value string) wire.Fields {
		f := append(wire.Fields(nil), base...)
		f.Set(key, value)
		return f
	}
	for _, ser := range forms {
		got, err := parse(ser, base)
		if want := (wire.SendResponse{MsgID: "ID", QueueID: 3, QueueOffset: -9223372036854775808, TraceOn: true}); err != nil || got != want {
			t.Errorf("%v: got %+v, %v, want %+v", ser, got, err, want)
		}
		for value, want := range map[string]bool{"true": true, "false": false, "False": false, "": true, "x": true} {
			if got, err := parse(ser, with("TRACE_ON", value)); err != nil || got.TraceOn != want {
				t.Errorf("%v: TRACE_ON=%q: got %v, %v, want %v", ser, value, got.TraceOn, err, want)
			}
		}
		for _, region := range []string{"DefaultRegion", "cn-\"hangzhou\"\x01", ""} {
			if got, err := parse(ser, with("MSG_REGION", region)); err != nil || got.RegionID != region {
				t.Errorf("%v: got region %q, %v, want %q", ser, got.RegionID, err, region)
			}
		}
		ids := strings.Repeat("7F00000100002A9F00000000000F4240,", 1000)
		if got, err := parse(ser, with("msgId", ids)); err != nil || got.MsgID != ids {
			t.Errorf("%v: got %d bytes of ids, %v", ser, len(got.MsgID), err)
		}
		for _, f := range []wire.Fields{
			base[1:], base[:2], with("queueId", "x"), with("queueId", "2147483648"),
			with("queueOffset", "9223372036854775808"), with("queueOffset", "+1"), with("msgId", ""), nil,
		} {
			if _, err := parse(ser, f); !errors.Is(err, wire.ErrField) {
				t.Errorf("%v: %v: got %v, want a field error", ser, f, err)
			}
		}
	}
	// A refused message's answer has a remark and no fields.
	b, err := wire.AppendSendResponse(nil, wire.ResponseHead{Code: 13, Opaque: 5, Serialization: wire.RocketMQ}, "body is empty", nil)
	if err != nil {
		t.Fatal(err)
	}
	c, err := wire.ParseFrame(b[4:])
	if err != nil || c.Code != 13 || c.Opaque != 5 || !c.IsResponse() || c.Remark != "body is empty" || len(c.Ext) != 0 {
		t.Errorf("got %+v, %v", c, err)
	}
}
