package wire_test

import (
	"encoding/binary"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/liftoff-mq/liftoff/transport/wire"
)

// frameOf puts a header into a frame without length bytes.
func frameOf(ser wire.Serialization, head, body string) []byte {
	b := binary.BigEndian.AppendUint32(nil, uint32(ser)<<24|uint32(len(head)))
	return append(append(b, head...), body...)
}

func TestParseFrameJSON(t *testing.T) {
	for _, test := range []struct {
		name, head string
		want       wire.Command
	}{
		{
			"as Java writes it",
			`{"code":0,"extFields":{"queueId":"3","msgId":"7F"},"flag":1,"language":"JAVA","opaque":12,"serializeTypeCurrentRPC":"JSON","version":479}`,
			wire.Command{Opaque: 12, Flag: 1, Version: 479, Ext: wire.Fields{{Key: "queueId", Value: "3"}, {Key: "msgId", Value: "7F"}}},
		},
		{"empty object", "{}", wire.Command{}},
		{"white space", " \t\r\n{ \"code\" : 17 , \"remark\" : \"no\" } \n", wire.Command{Code: 17, Remark: "no"}},
		{"nulls are absent", `{"code":1,"remark":null,"extFields":null,"language":null,"version":null}`, wire.Command{Code: 1}},
		{"null fields are absent", `{"extFields":{"a":null,"b":"","c":null}}`, wire.Command{Ext: wire.Fields{{Key: "b"}}}},
		{
			"numbers and booleans as fields", `{"extFields":{"a":-1.5e3,"b":true,"c":false,"d":0}}`,
			wire.Command{Ext: wire.Fields{{Key: "a", Value: "-1.5e3"}, {Key: "b", Value: "true"}, {Key: "c", Value: "false"}, {Key: "d", Value: "0"}}},
		},
		{"unknown members", `{"x":[1,{"y":[[],{}]},"z"],"code":5,"w":{"a":{"b":null}},"v":-0.5E-2}`, wire.Command{Code: 5}},
		{"unknown language", `{"language":"COBOL"}`, wire.Command{Language: wire.LanguageOther}},
		{"language as number", `{"language":9}`, wire.Command{Language: wire.LanguageOther}},
		{"last of equal members", `{"code":1,"code":2,"extFields":{"a":"1"},"extFields":{"b":"2"}}`, wire.Command{Code: 2, Ext: wire.Fields{{Key: "b", Value: "2"}}}},
		{
			"escapes", `{"\u0063ode":3,"remark":"\"\\\/\b\f\n\r\t\u00e9\uD83D\uDE00\ud83d\u0041\udc00"}`,
			wire.Command{Code: 3, Remark: "\"\\/\b\f\n\r\té\U0001F600\uFFFDA\uFFFD"},
		},
		{"invalid UTF-8", "{\"remark\":\"a\xFFb\xC3\"}", wire.Command{Remark: "a\uFFFDb\uFFFD"}},
		{"limits of int", `{"code":-2147483648,"opaque":2147483647,"flag":-1}`, wire.Command{Code: -2147483648, Opaque: 2147483647, Flag: -1}},
	} {
		t.Run(test.name, func(t *testing.T) {
			frame := frameOf(wire.JSON, test.head, "body")
			got, err := wire.ParseFrame(frame)
			if err != nil {
				t.Fatal(err)
			}
			test.want.Body = []byte("body")
			if fmt.Sprintf("%+v", got) != fmt.Sprintf("%+v", test.want) {
				t.Errorf("got %+v, want %+v", got, test.want)
			}
			if head, err := wire.ParseHead(frame); err != nil || head.Code != got.Code || head.Opaque != got.Opaque {
				t.Errorf("got head %+v, %v, want that of %+v", head, err, got)
			}
		})
	}
}

func TestParseFrameRefuses(t *testing.T) {
	fields := func(n int) string {
		var b strings.Builder
		for i := range n {
			fmt.Fprintf(&b, `,"k%d":"v"`, i)
		}
		return `{"extFields":{` + b.String()[1:] + `}}`
	}
	bin := func(tail string) string { return "\x00\x00\x09\x01\xDF\x00\x00\x00\x01\x00\x00\x00\x01" + tail }
	binFields := func(n int) string {
		return bin("\x00\x00\x00\x00" + string(binary.BigEndian.AppendUint32(nil, uint32(8*n))) + strings.Repeat("\x00\x01k\x00\x00\x00\x01v", n))
	}
	for _, test := range []struct {
		name  string
		frame []byte
		want  error
	}{
		{"empty", nil, wire.ErrDecode},
		{"three bytes", []byte{0, 0, 0}, wire.ErrDecode},
		{"unknown serialization", []byte{2, 0, 0, 0}, wire.ErrDecode},
		{"header longer than frame", []byte{0, 0, 0, 3, '{', '}'}, wire.ErrDecode},
		{"no json header", frameOf(wire.JSON, "", "body"), wire.ErrDecode},
		{"array", frameOf(wire.JSON, "[]", ""), wire.ErrDecode},
		{"cut", frameOf(wire.JSON, `{"code":1`, ""), wire.ErrDecode},
		{"cut in string", frameOf(wire.JSON, `{"remark":"a`, ""), wire.ErrDecode},
		{"cut in escape", frameOf(wire.JSON, `{"remark":"\`, ""), wire.ErrDecode},
		{"cut in unicode escape", frameOf(wire.JSON, `{"remark":"\u00`, ""), wire.ErrDecode},
		{"bad escape", frameOf(wire.JSON, `{"remark":"\x"}`, ""), wire.ErrDecode},
		{"control character", frameOf(wire.JSON, "{\"remark\":\"\x01\"}", ""), wire.ErrDecode},
		{"trailing text", frameOf(wire.JSON, `{} {}`, ""), wire.ErrDecode},
		{"trailing comma", frameOf(wire.JSON, `{"code":1,}`, ""), wire.ErrDecode},
		{"leading comma", frameOf(wire.JSON, `{,"code":1}`, ""), wire.ErrDecode},
		{"no colon", frameOf(wire.JSON, `{"code" 1}`, ""), wire.ErrDecode},
		{"leading zero", frameOf(wire.JSON, `{"code":01}`, ""), wire.ErrDecode},
		{"fraction", frameOf(wire.JSON, `{"code":1.5}`, ""), wire.ErrDecode},
		{"too large", frameOf(wire.JSON, `{"opaque":2147483648}`, ""), wire.ErrDecode},
		{"far too large", frameOf(wire.JSON, `{"opaque":99999999999999999999999}`, ""), wire.ErrDecode},
		{"code as text", frameOf(wire.JSON, `{"code":"1"}`, ""), wire.ErrDecode},
		{"remark as number", frameOf(wire.JSON, `{"remark":1}`, ""), wire.ErrDecode},
		{"fields as list", frameOf(wire.JSON, `{"extFields":[]}`, ""), wire.ErrDecode},
		{"field as object", frameOf(wire.JSON, `{"extFields":{"a":{}}}`, ""), wire.ErrDecode},
		{"deep", frameOf(wire.JSON, `{"x":`+strings.Repeat("[", 100)+strings.Repeat("]", 100)+`}`, ""), wire.ErrDecode},
		{"257 fields", frameOf(wire.JSON, fields(257), ""), wire.ErrLimit},
		{"long json header", frameOf(wire.JSON, `{"remark":"`+strings.Repeat("x", wire.MaxHeader)+`"}`, ""), wire.ErrLimit},
		{"binary short", frameOf(wire.RocketMQ, bin("\x00\x00\x00\x00\x00\x00\x00"), ""), wire.ErrDecode},
		{"binary remark too long", frameOf(wire.RocketMQ, bin("\x00\x00\x00\x05\x00\x00\x00\x00abcd"), ""), wire.ErrDecode},
		{"binary remark negative", frameOf(wire.RocketMQ, bin("\xFF\xFF\xFF\xFF\x00\x00\x00\x00"), ""), wire.ErrDecode},
		{"binary fields too long", frameOf(wire.RocketMQ, bin("\x00\x00\x00\x00\x00\x00\x00\x01"), ""), wire.ErrDecode},
		{"binary key negative", frameOf(wire.RocketMQ, bin("\x00\x00\x00\x00\x00\x00\x00\x06\x80\x00\x00\x00\x00\x00"), ""), wire.ErrDecode},
		{"binary key too long", frameOf(wire.RocketMQ, bin("\x00\x00\x00\x00\x00\x00\x00\x08\x00\x03k\x00\x00\x00\x01v"), ""), wire.ErrDecode},
		{"binary value negative", frameOf(wire.RocketMQ, bin("\x00\x00\x00\x00\x00\x00\x00\x08\x00\x01k\xFF\xFF\xFF\xFFv"), ""), wire.ErrDecode},
		{"binary value too long", frameOf(wire.RocketMQ, bin("\x00\x00\x00\x00\x00\x00\x00\x08\x00\x01k\x00\x00\x00\x02v"), ""), wire.ErrDecode},
		{"binary field cut by the fields' end", frameOf(wire.RocketMQ, bin("\x00\x00\x00\x00\x00\x00\x00\x07\x00\x01k\x00\x00\x00\x01v"), ""), wire.ErrDecode},
		{"binary 257 fields", frameOf(wire.RocketMQ, binFields(257), ""), wire.ErrLimit},
		{"long binary header", frameOf(wire.RocketMQ, bin(strings.Repeat("\x00", wire.MaxHeader)), ""), wire.ErrLimit},
	} {
		t.Run(test.name, func(t *testing.T) {
			_, err := wire.ParseFrame(test.frame)
			var de *wire.DecodeError
			if !errors.Is(err, test.want) || !errors.Is(err, wire.ErrDecode) || !errors.As(err, &de) {
				t.Fatalf("got %v, want %v", err, test.want)
			}
			if limit := test.want == wire.ErrLimit; de.Limit != limit {
				t.Errorf("%v: Limit is %v, want %v", err, de.Limit, limit)
			}
			if test.frame == nil || test.frame[0] == 0 {
				if _, err := wire.ParseHead(test.frame); !errors.Is(err, test.want) {
					t.Errorf("head: got %v, want %v", err, test.want)
				}
			}
			checkAnswerRefuses(t, test.frame, test.want)
			if err := wire.ParseSendResponse(test.frame, new(wire.SendResponse)); !errors.Is(err, test.want) {
				t.Errorf("send response: got %v, want %v", err, test.want)
			}
		})
	}
	if _, err := wire.ParseFrame(frameOf(wire.JSON, fields(256), "")); err != nil {
		t.Errorf("256 fields: %v", err)
	}
	c, err := wire.ParseFrame(frameOf(wire.RocketMQ, binFields(256), ""))
	if err != nil || len(c.Ext) != 256 {
		t.Errorf("256 binary fields: got %d, %v", len(c.Ext), err)
	}
}

// checkAnswerRefuses: what is wrong with a JSON header shows at the first look, what is wrong with
// the later parts of a binary one at the second.
func checkAnswerRefuses(t *testing.T, frame []byte, want error) {
	t.Helper()
	var a wire.Answer
	err := a.Parse(frame)
	if err == nil && frame[0] == byte(wire.RocketMQ) {
		err = a.SendResponse(new(wire.SendResponse))
	}
	if !errors.Is(err, want) {
		t.Errorf("answer: got %v, want %v", err, want)
	}
}

// A string is scanned eight bytes at a time: whatever must be seen in it is seen at every place.
func TestStringsAtEveryPlace(t *testing.T) {
	for _, bad := range []string{"\x00", "\x01", "\x1f", "\n", `\x`} {
		for n := range 20 {
			for _, fill := range []string{"x", " ", "!", "~", "\x7f", "#", "[", "]", "é"} {
				text := strings.Repeat(fill, n) + bad + strings.Repeat(fill, 20-n)
				if _, err := wire.ParseFrame(frameOf(wire.JSON, `{"remark":"`+text+`"}`, "")); !errors.Is(err, wire.ErrDecode) {
					t.Errorf("%q: got %v, want a decode error", text, err)
				}
			}
		}
	}
	for n := range 20 {
		for _, fill := range []string{"x", " ", "!", "~", "\x7f", "#", "[", "]", "é"} {
			for in, out := range map[string]string{``: "", `\"`: `"`, `\\`: `\`, `\u0001`: "\x01", "\xff": "\uFFFD", "é": "é"} {
				a, b := strings.Repeat(fill, n), strings.Repeat(fill, 20-n)
				c, err := wire.ParseFrame(frameOf(wire.JSON, `{"remark":"`+a+in+b+`"}`, ""))
				if err != nil || c.Remark != a+out+b {
					t.Errorf("%q: got %q, %v", a+in+b, c.Remark, err)
				}
			}
		}
	}
}

func TestParseFrameBinary(t *testing.T) {
	// A negative fields length counts as none in Java; bytes after the fields are ignored there.
	head := "\xFC\x18\x00\x01\x91\xFF\xFF\xFF\xFE\x00\x00\x00\x03\x00\x00\x00\x02no"
	for _, tail := range []string{"\xFF\xFF\xFF\xFF", "\x00\x00\x00\x00", "\x00\x00\x00\x00future"} {
		got, err := wire.ParseFrame(frameOf(wire.RocketMQ, head+tail, "b"))
		if err != nil {
			t.Fatal(err)
		}
		want := wire.Command{Code: -1000, Version: 401, Opaque: -2, Flag: 3, Remark: "no", Body: []byte("b"), Serialization: wire.RocketMQ}
		if fmt.Sprintf("%+v", got) != fmt.Sprintf("%+v", want) {
			t.Errorf("got %+v, want %+v", got, want)
		}
		if !got.IsResponse() || !got.IsOneway() {
			t.Errorf("got %v, %v, want both flags", got.IsResponse(), got.IsOneway())
		}
	}
}

func TestParseFrameBodyAliases(t *testing.T) {
	frame := frameOf(wire.JSON, `{"remark":"abc"}`, "body")
	c, err := wire.ParseFrame(frame)
	if err != nil {
		t.Fatal(err)
	}
	for i := range frame {
		frame[i] = 'x'
	}
	if string(c.Body) != "xxxx" || c.Remark != "abc" {
		t.Errorf("got body %q and remark %q, want the frame's memory and a copy", c.Body, c.Remark)
	}
}

func TestAppendCommandRefuses(t *testing.T) {
	many := make(wire.Fields, wire.MaxExtFields+1)
	for _, test := range []struct {
		name string
		c    wire.Command
	}{
		{"too many fields", wire.Command{Ext: many}},
		{"long name", wire.Command{Serialization: wire.RocketMQ, Ext: wire.Fields{{Key: strings.Repeat("k", 32768)}}}},
		{"long binary header", wire.Command{Serialization: wire.RocketMQ, Remark: strings.Repeat("k", wire.MaxHeader)}},
		{"long json header", wire.Command{Remark: strings.Repeat("k", wire.MaxHeader)}},
		{"long frame", wire.Command{Body: make([]byte, wire.MaxFrame)}},
		{"unknown serialization", wire.Command{Serialization: 2}},
	} {
		t.Run(test.name, func(t *testing.T) {
			b, err := wire.AppendCommand([]byte("pre"), &test.c)
			if !errors.Is(err, wire.ErrEncode) || string(b) != "pre" {
				t.Errorf("got %.10q, %v, want the buffer as it was and an encode error", b, err)
			}
		})
	}
	// The longest legal body makes the longest legal frame.
	c := wire.Command{Serialization: wire.RocketMQ, Body: make([]byte, wire.MaxFrame-8-21)}
	b, err := wire.AppendCommand(nil, &c)
	if err != nil || len(b) != wire.MaxFrame {
		t.Errorf("got %d bytes, %v, want %d", len(b), err, wire.MaxFrame)
	}
}

func TestFields(t *testing.T) {
	var f wire.Fields
	f.Set("a", "1")
	f.Set("b", "2")
	f.Set("a", "3")
	if len(f) != 2 || f.Get("a") != "3" || f.Get("b") != "2" || f.Get("c") != "" {
		t.Errorf("got %v", f)
	}
	if _, ok := f.Lookup("c"); ok {
		t.Error("found a field that is not there")
	}
	// Of equal names the last one counts, as in Java's maps.
	f = append(f, wire.Field{Key: "a", Value: "4"})
	if v, ok := f.Lookup("a"); v != "4" || !ok {
		t.Errorf("got %q, %v, want the last of equal names", v, ok)
	}
}

func TestNames(t *testing.T) {
	for _, ser := range []wire.Serialization{wire.JSON, wire.RocketMQ} {
		if got, err := wire.ParseSerialization(ser.String()); got != ser || err != nil {
			t.Errorf("got %v, %v, want %v", got, err, ser)
		}
	}
	if _, err := wire.ParseSerialization("json"); !errors.Is(err, wire.ErrDecode) {
		t.Errorf("got %v, want a decode error", err)
	}
	for l := range wire.Language(14) {
		text, err := l.MarshalText()
		if err != nil || wire.ParseLanguage(string(text)) != l {
			t.Errorf("%d: got %v", l, wire.ParseLanguage(string(text)))
		}
		var back wire.Language
		if err := back.UnmarshalText(text); err != nil || back != l {
			t.Errorf("%d: got %d, %v", l, back, err)
		}
	}
	if got := wire.Language(99).String(); got != "OTHER" {
		t.Errorf("got %q", got)
	}
}

func TestTrimRemark(t *testing.T) {
	long := strings.Repeat("é", 1000)
	for _, test := range []struct{ in, want string }{
		{"", ""},
		{"[OVERLOAD]busy", "[OVERLOAD]busy"},
		{"a  b", "a  b"},
		{"a\r\n\tb\x00c\u2028d\u0085e\x7f", "a b c d e"},
		{"\n\na", "a"},
		{"a\xffb", "a\uFFFDb"},
		{strings.Repeat("x", 1024), strings.Repeat("x", 1024)},
		{strings.Repeat("x", 1025), strings.Repeat("x", 1021) + "..."},
		{long, long[:1020] + "..."},
		{"\n" + strings.Repeat("x", 1024), strings.Repeat("x", 1024)},
	} {
		got := wire.TrimRemark(test.in)
		if got != test.want {
			t.Errorf("%.20q: got %d bytes %.40q, want %d bytes", test.in, len(got), got, len(test.want))
		}
	}
}

func TestRequestName(t *testing.T) {
	for code, want := range map[int]string{
		wire.SendMessageV2: "SEND_MESSAGE_V2", wire.CheckTransactionState: "CHECK_TRANSACTION_STATE", wire.PopMessage: "POP_MESSAGE",
		wire.PutKVConfig: "PUT_KV_CONFIG", 9999: "REQUEST_9999", -1: "REQUEST_-1",
	} {
		if got := wire.RequestName(code); got != want {
			t.Errorf("%d is %s, want %s", code, got, want)
		}
	}
}
