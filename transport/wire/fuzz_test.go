package wire_test

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"reflect"
	"strconv"
	"strings"
	"testing"
	"testing/iotest"
	"unicode/utf8"

	"github.com/liftoff-mq/liftoff/core/rocketmq"
	"github.com/liftoff-mq/liftoff/transport/wire"
)

// seedGolden gives a fuzz target the golden encodings whose names contain part.
func seedGolden(f *testing.F, part string, add func([]byte)) {
	f.Helper()
	for name, b := range golden(f) {
		if strings.Contains(name, part) {
			add(b)
		}
	}
}

// FuzzReader: however the stream arrives, the same frames and the same kind of end come out.
func FuzzReader(f *testing.F) {
	seedGolden(f, "_binary", func(b []byte) { f.Add(append(b, b...)) })
	f.Add([]byte("HTTP/1.1 200 OK\r\n"))
	f.Add([]byte("\x15\x03\x03\x00\x02\x02\x28"))
	f.Add(rawFrame(70000, 1))
	read := func(r io.Reader) (frames [][]byte, err error) {
		fr := wire.NewReader(r, 1<<20)
		for {
			ready := fr.Buffered()
			frame, err := fr.Next()
			if err != nil {
				return frames, err
			}
			if ready && frame == nil {
				return frames, errors.New("Buffered without a frame")
			}
			frames = append(frames, bytes.Clone(frame))
		}
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		frames, err := read(bytes.NewReader(b))
		slow, slowErr := read(iotest.OneByteReader(bytes.NewReader(b)))
		if !reflect.DeepEqual(frames, slow) || errors.Is(err, wire.ErrFrame) != errors.Is(slowErr, wire.ErrFrame) {
			t.Fatalf("%d frames and %v at once, %d frames and %v byte by byte", len(frames), err, len(slow), slowErr)
		}
		var joined []byte
		for _, frame := range frames {
			joined = binary.BigEndian.AppendUint32(joined, uint32(len(frame)))
			joined = append(joined, frame...)
		}
		if !bytes.HasPrefix(b, joined) || err == io.EOF && len(joined) != len(b) {
			t.Fatalf("frames of %d bytes are not the start of %d bytes (%v)", len(joined), len(b), err)
		}
	})
}

// checkFrame holds for every frame that decodes: the cheap look agrees, and encoding it again
// gives a frame that decodes to the same.
func checkFrame(t *testing.T, frame []byte) {
	t.Helper()
	var sr wire.SendResponse
	srErr := wire.ParseSendResponse(frame, &sr)
	head, headErr := wire.ParseHead(frame)
	c, err := wire.ParseFrame(frame)
	checkAnswer(t, frame, head, headErr)
	if err != nil {
		if !errors.Is(err, wire.ErrDecode) || !errors.Is(srErr, wire.ErrDecode) {
			t.Fatalf("got %v and %v, want decode errors", err, srErr)
		}
		return
	}
	if headErr != nil || head.Code != c.Code || head.Opaque != c.Opaque || head.Flag != c.Flag || head.Version != c.Version || head.Language != c.Language {
		t.Fatalf("head %+v, %v, whole %+v", head, headErr, c)
	}
	if srErr == nil && (sr.MsgID != c.Ext.Get("msgId") || sr.RegionID != c.Ext.Get("MSG_REGION") ||
		sr.TransactionID != c.Ext.Get("transactionId") || sr.RecallHandle != c.Ext.Get("recallHandle") || sr.BatchUniqID != c.Ext.Get("batchUniqId")) {
		t.Fatalf("send response %+v, whole %+v", sr, c)
	}
	queue, queueErr := strconv.ParseInt(c.Ext.Get("queueId"), 10, 32)
	offset, offsetErr := strconv.ParseInt(c.Ext.Get("queueOffset"), 10, 64)
	switch complete := queueErr == nil && offsetErr == nil && c.Ext.Get("msgId") != ""; {
	case srErr == nil && (!complete || sr.QueueID != int(queue) || sr.QueueOffset != offset || sr.TraceOn == isFalse(c.Ext.Get("TRACE_ON"))):
		t.Fatalf("send response %+v, whole %+v", sr, c)
	case srErr != nil && !errors.Is(srErr, wire.ErrField):
		t.Fatalf("send response: got %v of %+v, want a field error", srErr, c)
	case srErr != nil && complete && !strings.ContainsAny(c.Ext.Get("queueId")+c.Ext.Get("queueOffset"), "+"):
		t.Fatalf("send response: %v of %+v", srErr, c)
	}
	if r, err := wire.ParseSend(&c); err == nil {
		b, err := wire.AppendSend(nil, c.Serialization, c.Code, c.Opaque, c.Flag, &r, nil, c.Body)
		if err == nil {
			again, err := wire.ParseFrame(b[4:])
			if err != nil {
				t.Fatal(err)
			}
			if got, err := wire.ParseSend(&again); err != nil || c.Serialization == wire.RocketMQ && !reflect.DeepEqual(got, r) {
				t.Fatalf("send request %+v became %+v, %v", r, got, err)
			}
		}
	} else if !errors.Is(err, wire.ErrField) {
		t.Fatalf("got %v, want a field error", err)
	}
	b, err := wire.AppendCommand(nil, &c)
	if err != nil {
		if c.Serialization == wire.RocketMQ {
			t.Fatalf("%+v does not encode: %v", c, err)
		}
		return // escaping can exceed the header's limit
	}
	again, err := wire.ParseFrame(b[4:])
	if err != nil {
		t.Fatal(err)
	}
	if c.Serialization == wire.JSON {
		// JSON has names for languages only.
		again.Language, c.Language = 0, 0
	}
	if len(c.Ext) == 0 {
		c.Ext = nil
	}
	if !reflect.DeepEqual(again, c) {
		t.Fatalf("%+v became %+v", c, again)
	}
}

func isFalse(s string) bool { return bytes.EqualFold([]byte(s), []byte("false")) }

// checkAnswer holds for every frame: an Answer says what the functions for its two halves say,
// also when it has been used before.
func checkAnswer(t *testing.T, frame []byte, head wire.ResponseHead, headErr error) {
	t.Helper()
	var a wire.Answer
	used := frameOf(wire.JSON, `{"code":7,"opaque":7,"extFields":{"msgId":"m","queueId":"7","queueOffset":"7","recallHandle":"h"}}`, "")
	for range 2 {
		if err := a.Parse(frame); fmt.Sprint(err) != fmt.Sprint(headErr) {
			t.Fatalf("got %v, from the head %v", err, headErr)
		}
		if headErr == nil {
			if a.Head() != head || !bytes.Equal(a.Frame(), frame) {
				t.Fatalf("got head %+v, want %+v", a.Head(), head)
			}
			for range 2 {
				var got, want wire.SendResponse
				err, wantErr := a.SendResponse(&got), wire.ParseSendResponse(frame, &want)
				if fmt.Sprint(err) != fmt.Sprint(wantErr) || got != want {
					t.Fatalf("got %+v, %v, want %+v, %v", got, err, want, wantErr)
				}
			}
		}
		if err := a.Parse(used); err != nil {
			t.Fatal(err)
		}
	}
}

// FuzzBinaryHeader fuzzes the bytes of a ROCKETMQ header.
func FuzzBinaryHeader(f *testing.F) {
	seedGolden(f, "_binary", func(b []byte) {
		n := int(binary.BigEndian.Uint32(b[4:]) & 0xFFFFFF)
		f.Add(b[8:8+n], b[8+n:])
	})
	f.Fuzz(func(t *testing.T, head, body []byte) {
		if len(head) < 1<<24 {
			checkFrame(t, frameOf(wire.RocketMQ, string(head), string(body)))
		}
	})
}

// FuzzJSONHeader fuzzes the bytes of a JSON header, with encoding/json as judge.
func FuzzJSONHeader(f *testing.F) {
	seedGolden(f, "_json", func(b []byte) {
		n := int(binary.BigEndian.Uint32(b[4:]) & 0xFFFFFF)
		f.Add(b[8 : 8+n])
	})
	f.Add([]byte(javaAnswer))
	f.Add([]byte(`{"extFields":{"msgId":"m","queueId":"1"},"extFields":{"queueOffset":"2","msg\u0049d":"\u0041","msgId":null}}`))
	f.Add([]byte(`{"code":1,"remark":"\ud83d\ude00\u0001","extFields":{"a":null,"b":1.5e3,"c":true},"x":[{"y":[]}]}`))
	f.Fuzz(func(t *testing.T, head []byte) {
		if len(head) >= 1<<24 {
			return
		}
		frame := frameOf(wire.JSON, string(head), "")
		checkFrame(t, frame)
		c, err := wire.ParseFrame(frame)
		if err != nil {
			return
		}
		var members map[string]json.RawMessage
		if err := json.Unmarshal(head, &members); err != nil {
			t.Fatalf("accepted %q, which is no JSON object: %v", head, err)
		}
		// A null member leaves an earlier one of the same name in force here.
		compare := func(name string, got any, into any) {
			raw, ok := members[name]
			if !ok || string(raw) == "null" {
				return
			}
			if err := json.Unmarshal(raw, into); err != nil {
				t.Fatalf("%s of %q: %v", name, head, err)
			}
			if want := reflect.ValueOf(into).Elem().Interface(); !reflect.DeepEqual(got, want) {
				t.Fatalf("%s of %q: got %v, want %v", name, head, got, want)
			}
		}
		compare("code", c.Code, new(int))
		compare("version", c.Version, new(int))
		compare("opaque", c.Opaque, new(int32))
		compare("flag", c.Flag, new(int32))
		compare("remark", c.Remark, new(string))
		var ext map[string]json.RawMessage
		if raw, ok := members["extFields"]; ok && json.Unmarshal(raw, &ext) == nil {
			for name, raw := range ext {
				want := string(raw)
				if want == "null" {
					continue
				}
				if raw[0] == '"' {
					if err := json.Unmarshal(raw, &want); err != nil {
						t.Fatal(err)
					}
				}
				if got, ok := c.Ext.Lookup(name); !ok || got != want {
					t.Fatalf("field %q of %q: got %q, %v, want %q", name, head, got, ok, want)
				}
			}
		}
	})
}

// FuzzJSONString: a string that we write is the one that encoding/json reads, in every place
// where strings go into JSON.
func FuzzJSONString(f *testing.F) {
	for _, s := range []string{"", "plain", "A\x01b\x02", "\"\\/\b\f\n\r\t\x00\x1f\x7f", "é\u2028\U0001F600\uFFFD", "\xff\xc3\xe2\x82\xf0\x9f\x98", "\xed\xa0\x80"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		if len(s) > 8<<10 {
			return
		}
		// encoding/json too replaces each byte of invalid UTF-8.
		want := strings.Map(func(r rune) rune { return r }, s)
		b, err := wire.AppendCommand(nil, &wire.Command{Remark: s, Ext: wire.Fields{{Key: "k" + s, Value: s}}})
		if err != nil {
			t.Fatal(err)
		}
		n := int(binary.BigEndian.Uint32(b[4:]) & 0xFFFFFF)
		var got struct {
			Remark    string
			ExtFields map[string]string
		}
		if err := json.Unmarshal(b[8:8+n], &got); err != nil {
			t.Fatalf("%q: %v", b[8:], err)
		}
		if got.Remark != want || got.ExtFields["k"+want] != want {
			t.Fatalf("%q: encoding/json reads %q", s, got)
		}
		r := usualSend()
		r.Properties = []byte(s)
		if b, err = wire.AppendSend(b[:0], wire.JSON, wire.SendMessageV2, 1, 0, r, nil, nil); err != nil {
			t.Fatal(err)
		}
		got.ExtFields = nil
		if err := json.Unmarshal(b[8:], &got); err != nil || got.ExtFields["i"] != want {
			t.Fatalf("%q: encoding/json reads properties %q, %v", s, got.ExtFields["i"], err)
		}
		// And back: what encoding/json writes, we read.
		head, err := json.Marshal(map[string]any{"remark": s, "extFields": map[string]string{"k": s}})
		if err != nil {
			t.Fatal(err)
		}
		c, err := wire.ParseFrame(frameOf(wire.JSON, string(head), ""))
		if err != nil || c.Remark != want || c.Ext.Get("k") != want {
			t.Fatalf("%q: we read %+v, %v", head, c, err)
		}
	})
}

// FuzzRoute: a body that is JSON already must mean to us what it means to encoding/json; one
// with bare keys must mean what it means with quotes.
func FuzzRoute(f *testing.F) {
	seedGolden(f, "_keys", func(b []byte) { f.Add(b) })
	f.Add([]byte(`{"brokerDatas":[{"brokerAddrs":{ 0 : "a" , -1:"b"},"brokerName":"\",0:"}],"x":[1,2,{3:4}]}`))
	f.Fuzz(func(t *testing.T, body []byte) {
		r, err := wire.ParseRoute(body)
		if _, clusterErr := wire.ParseClusterInfo(body); clusterErr != nil && !errors.Is(clusterErr, wire.ErrDecode) {
			t.Fatalf("cluster: %v", clusterErr)
		}
		if err != nil {
			if !errors.Is(err, wire.ErrDecode) {
				t.Fatal(err)
			}
			if len(err.Error()) > 2*wire.MaxRemark {
				t.Fatalf("error of %d bytes", len(err.Error()))
			}
			return
		}
		if json.Valid(body) {
			var want struct{ BrokerDatas []struct{ BrokerName string } }
			if err := json.Unmarshal(body, &want); err != nil {
				t.Fatal(err)
			}
			for i, b := range want.BrokerDatas {
				if r.Brokers[i].BrokerName != b.BrokerName {
					t.Fatalf("broker %d: got %q, want %q", i, r.Brokers[i].BrokerName, b.BrokerName)
				}
			}
		}
		queues, err := wire.PublishQueues(r)
		if err == nil && (len(queues) == 0 || len(queues) > wire.MaxRouteQueues) {
			t.Fatalf("%d queues", len(queues))
		}
		for _, style := range []wire.KeyStyle{wire.StandardKeys, wire.BareKeys} {
			out := wire.AppendRoute(nil, r, style)
			if style == wire.StandardKeys && !json.Valid(out) {
				t.Fatalf("no JSON: %q", out)
			}
			if len(out) > wire.MaxRoute {
				continue
			}
			again, err := wire.ParseRoute(out)
			if err != nil || !again.Equal(r) {
				t.Fatalf("%q became %+v, %v, want %+v", out, again, err, r)
			}
		}
	})
}

// FuzzProperties: decoding is Java's, and encoding what was decoded loses nothing.
func FuzzProperties(f *testing.F) {
	f.Add("KEYS\x01a\x02TAGS\x01b", "KEYS")
	f.Add("\x01\x02\x02a\x01\x02b\x02", "")
	f.Add("a\x01b\x01c\x02a\x01d\x02", "a")
	f.Fuzz(func(t *testing.T, text, name string) {
		got := wire.ParseProperties(text)
		if want := javaProperties(text); !reflect.DeepEqual(got, want) {
			t.Fatalf("%q: got %q, want %q", text, got, want)
		}
		v, ok := wire.LookupProperty(text, name)
		if want, wantOK := got.Lookup(name); v != want || ok != wantOK {
			t.Fatalf("%q: lookup of %q: got %q, %v, want %q, %v", text, name, v, ok, want, wantOK)
		}
		if again := wire.ParseProperties(wire.AppendProperties(nil, got)); !reflect.DeepEqual(again, got) {
			t.Fatalf("%q became %q", got, again)
		}
		if rocketmq.CheckProperty(name, text) == nil {
			one := wire.ParseProperties(wire.AppendProperty([]byte("x\x01y\x02"), name, text))
			if len(one) != 2 || one[1] != (wire.Field{Key: name, Value: text}) {
				t.Fatalf("checked property %q=%q became %q", name, text, one)
			}
		}
	})
}

// javaProperties is the rule of Java's string2messageProperties, by positions.
func javaProperties(s string) (out wire.Fields) {
	for index := 0; index < len(s); {
		end := len(s)
		if n := strings.IndexByte(s[index:], 2); n >= 0 {
			end = index + n
		}
		if end-index >= 3 {
			if n := strings.IndexByte(s[index:], 1); n > 0 && index+n < end-1 {
				out = append(out, wire.Field{Key: s[index : index+n], Value: s[index+n+1 : end]})
			}
		}
		index = end + 1
	}
	return out
}

// FuzzBatch: what decodes, encodes to the same bytes, magic and crc aside.
func FuzzBatch(f *testing.F) {
	seedGolden(f, "batch_body", func(b []byte) { f.Add(b) })
	f.Fuzz(func(t *testing.T, body []byte) {
		messages, err := wire.ParseBatch(body)
		if err != nil {
			if !errors.Is(err, wire.ErrDecode) {
				t.Fatal(err)
			}
			return
		}
		want, got := bytes.Clone(body), []byte(nil)
		for _, m := range messages {
			clear(want[len(got)+4 : len(got)+12])
			if got, err = wire.AppendBatchMessage(got, m.Flag, m.Body, m.Properties); err != nil {
				t.Fatal(err)
			}
		}
		if !bytes.Equal(got, want) {
			t.Fatalf("got %q, want %q", got, want)
		}
	})
}

// FuzzStored: what decodes, encodes to what decodes to the same.
func FuzzStored(f *testing.F) {
	seedGolden(f, "stored", func(b []byte) { f.Add(b) })
	f.Fuzz(func(t *testing.T, b []byte) {
		m, rest, err := wire.ParseStored(b)
		if err != nil {
			if !errors.Is(err, wire.ErrDecode) {
				t.Fatal(err)
			}
			return
		}
		if !bytes.HasSuffix(b, rest) || len(rest) == len(b) {
			t.Fatalf("rest of %d bytes is not the end of %d", len(rest), len(b))
		}
		if len(m.Body) > wire.MaxFrame {
			return
		}
		out, err := wire.AppendStored(nil, &m)
		if err != nil {
			t.Fatal(err)
		}
		again, rest, err := wire.ParseStored(out)
		if err != nil || len(rest) != 0 {
			t.Fatalf("%d bytes left, %v", len(rest), err)
		}
		// The checksum is computed anew, and a mapped address is written as IPv4.
		m.BodyCRC = wire.BodyCRC(m.Body)
		const hosts = rocketmq.SysBornHostV6 | rocketmq.SysStoreHostV6
		if again.BornHost.Addr() != m.BornHost.Addr().Unmap() || again.StoreHost.Addr() != m.StoreHost.Addr().Unmap() ||
			again.BornHost.Port() != m.BornHost.Port() || again.SysFlag&^hosts != m.SysFlag&^hosts {
			t.Fatalf("%+v became %+v", m, again)
		}
		again.BornHost, again.StoreHost, again.SysFlag = m.BornHost, m.StoreHost, m.SysFlag
		if !reflect.DeepEqual(again, m) {
			t.Fatalf("%+v became %+v", m, again)
		}
	})
}

func FuzzOffsetID(f *testing.F) {
	seedGolden(f, "offset_message_id", func(b []byte) { f.Add(string(b)) })
	f.Add("7F00000100012A9F00000000000F4240")
	f.Fuzz(func(t *testing.T, s string) {
		id, err := wire.ParseOffsetID(s)
		if err != nil {
			if !errors.Is(err, wire.ErrDecode) {
				t.Fatal(err)
			}
			return
		}
		if id.Addr.Addr().Is4In6() {
			return // written as IPv4
		}
		if got := id.String(); got != strings.ToUpper(s) {
			t.Fatalf("%s became %s", s, got)
		}
	})
}

func FuzzOrderConf(f *testing.F) {
	f.Add("broker-a:4;broker-b:8")
	f.Add("a:0;;")
	f.Add("a:65536;a:65536")
	f.Fuzz(func(t *testing.T, conf string) {
		entries, err := wire.ParseOrderConf(conf)
		if err != nil {
			if !errors.Is(err, wire.ErrDecode) {
				t.Fatal(err)
			}
			return
		}
		if len(entries) == 0 || len(entries) > wire.MaxRouteBrokers {
			t.Fatalf("%d entries without an error", len(entries))
		}
		total := 0
		for _, e := range entries {
			if e.BrokerName == "" || e.Queues < 0 || e.Queues > wire.MaxRouteQueues || strings.ContainsAny(e.BrokerName, ":;") {
				t.Fatalf("%q: entry %+v", conf, e)
			}
			total += e.Queues
		}
		queues, err := wire.PublishQueues(&wire.RouteData{OrderTopicConf: conf})
		if err == nil && len(queues) != total || err != nil && total != 0 && total <= wire.MaxRouteQueues {
			t.Fatalf("%d queues, %v, want %d", len(queues), err, total)
		}
	})
}

func FuzzHeartbeat(f *testing.F) {
	seedGolden(f, "heartbeat_body", func(b []byte) { f.Add(b) })
	f.Fuzz(func(t *testing.T, body []byte) {
		h, err := wire.ParseHeartbeat(body)
		if err != nil {
			if !errors.Is(err, wire.ErrDecode) {
				t.Fatal(err)
			}
			return
		}
		for _, c := range h.Consumers {
			for i := range c.Subscriptions {
				c.Subscriptions[i].Tags()
				c.Subscriptions[i].Matches(0)
			}
		}
		h.Consumers = nil // not written
		out := wire.AppendHeartbeat(nil, h)
		if len(out) > wire.MaxHeartbeat {
			return
		}
		if again, err := wire.ParseHeartbeat(out); err != nil || !reflect.DeepEqual(again, h) {
			t.Fatalf("%+v became %+v, %v", h, again, err)
		}
	})
}

func FuzzClientCheck(f *testing.F) {
	f.Add([]byte(`{"clientId":"c","group":"g","subscriptionData":{"codeSet":[97,"98"],"expressionType":"TAG","subString":"a||b","subVersion":"7","topic":"t"}}`))
	f.Fuzz(func(t *testing.T, body []byte) {
		s, err := wire.ParseClientCheck(body)
		if err != nil {
			if !errors.Is(err, wire.ErrDecode) {
				t.Fatal(err)
			}
			return
		}
		// A subscription made of its own expression is the same.
		if again, _ := wire.NewSubscription(s.Topic, s.Expression); s.IsTag() && s.Expression != "" && !reflect.DeepEqual(again.Tags(), s.Tags()) {
			t.Fatalf("%+v became %+v", s, again)
		}
	})
}

func FuzzTrimRemark(f *testing.F) {
	f.Add("broker busy\n\tat java.lang")
	f.Add(strings.Repeat("\xff", 1024))
	f.Add(strings.Repeat("é\n", 600))
	f.Fuzz(func(t *testing.T, s string) {
		got := wire.TrimRemark(s)
		if len(got) > wire.MaxRemark || !utf8.ValidString(got) || strings.ContainsAny(got, "\n\r\x00\u2028\u2029\u0085\x7f") {
			t.Fatalf("%q became %q", s, got)
		}
		if again := wire.TrimRemark(got); again != got {
			t.Fatalf("%q became %q at the second time", got, again)
		}
	})
}
