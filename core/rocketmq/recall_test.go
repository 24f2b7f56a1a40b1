package rocketmq_test

import (
	"encoding/base64"
	"errors"
	"fmt"
	"math"
	"regexp"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/liftoff-mq/liftoff/core/rocketmq"
)

const recallID = "AC1100010ACB18B4AAC2000000000001"

// The texts and what they mean are those of Java's RecallMessageHandle, which was given every one of them.
func TestParseRecallHandle(t *testing.T) {
	url := base64.URLEncoding.EncodeToString
	raw := func(s string) string { return base64.RawURLEncoding.EncodeToString([]byte(s)) }
	handle := func(topic, broker string, ms int64, id string) *rocketmq.RecallHandle {
		return &rocketmq.RecallHandle{Topic: topic, Broker: broker, DeliverAt: time.UnixMilli(ms), MessageID: id}
	}
	tests := []struct {
		name string
		text string
		want *rocketmq.RecallHandle // nil: refused
	}{
		{"padding of two", url([]byte("v1 orde broker-a 1700000000001 ID1")), handle("orde", "broker-a", 1700000000001, "ID1")},
		{"padding of one", url([]byte("v1 order broker-a 1700000000001 ID1")), handle("order", "broker-a", 1700000000001, "ID1")},
		{"no padding needed", url([]byte("v1 orders broker-a 1700000000001 ID1")), handle("orders", "broker-a", 1700000000001, "ID1")},
		{"padding of two left out", raw("v1 orde broker-a 1700000000001 ID1"), handle("orde", "broker-a", 1700000000001, "ID1")},
		{"padding of one left out", raw("v1 order broker-a 1700000000001 ID1"), handle("order", "broker-a", 1700000000001, "ID1")},
		{"one of two paddings", raw("v1 orde broker-a 1700000000001 ID1") + "=", nil},
		{"padding too much", url([]byte("v1 order broker-a 1700000000001 ID1")) + "=", nil},
		{"padding where none belongs", raw("v1 orders broker-a 1700000000001 ID1") + "====", nil},
		{"padding in the middle", url([]byte("v1 orde broker-a 1700000000001 ")) + raw("ID1"), nil},
		{"bits left over", strings.TrimSuffix(raw("v1 orde broker-a 1700000000001 ID1"), "Q") + "R", handle("orde", "broker-a", 1700000000001, "ID1")},
		{"one character left over", raw("v1 orders broker-a 1700000000001 ID1") + "Q", nil},
		{"URL-safe characters", raw("v1 o b 1 \u07ff\u07bf\u07bf"), handle("o", "b", 1, "\u07ff\u07bf\u07bf")},
		{"characters of the other alphabet", base64.RawStdEncoding.EncodeToString([]byte("v1 o b 1 \u07ff\u07bf\u07bf")), nil},
		{"a line break", raw("v1 orders broker-a 1700000000001 ID1") + "\n", nil},
		{"a line break in the middle", "djEg\r\n" + raw("orders broker-a 1 ID1"), nil},
		{"a blank", "djEg " + raw("orders broker-a 1 ID1"), nil},
		{"not Base64", "größe", nil},
		{"empty", "", nil},
		{"one character", "d", nil},
		{"nothing but padding", "==", nil},
		{"nothing but blanks", raw("   "), nil},
		{"a later version", raw("v2 orders broker-a 1 ID1"), nil},
		{"a version in capitals", raw("V1 orders broker-a 1 ID1"), nil},
		{"no version", raw(" orders broker-a 1 ID1"), nil},
		{"four parts", raw("v1 orders broker-a 1"), nil},
		{"an empty id", raw("v1 orders broker-a 1 "), nil},
		{"an empty id before more", raw("v1 orders broker-a 1  more"), handle("orders", "broker-a", 1, "")},
		{"six parts", raw("v1 orders broker-a 1 ID1 more"), handle("orders", "broker-a", 1, "ID1")},
		{"blanks at the end", raw("v1 orders broker-a 1 ID1   "), handle("orders", "broker-a", 1, "ID1")},
		{"an empty topic", raw("v1  broker-a 1 ID1"), handle("", "broker-a", 1, "ID1")},
		{"an empty broker", raw("v1 orders  1 ID1"), handle("orders", "", 1, "ID1")},
		{"an empty time", raw("v1 orders broker-a  ID1"), handle("orders", "broker-a", -1, "ID1")},
		{"a time that is none", raw("v1 orders broker-a soon ID1"), handle("orders", "broker-a", -1, "ID1")},
		{"a time with a sign", raw("v1 orders broker-a +5 ID1"), handle("orders", "broker-a", 5, "ID1")},
		{"a time before 1970", raw("v1 orders broker-a -5 ID1"), handle("orders", "broker-a", -5, "ID1")},
		{"the last time", raw("v1 orders broker-a 9223372036854775807 ID1"), handle("orders", "broker-a", math.MaxInt64, "ID1")},
		{"a time beyond all", raw("v1 orders broker-a 9223372036854775808 ID1"), handle("orders", "broker-a", -1, "ID1")},
		{"a separator that is no blank", raw("v1\torders\tbroker-a\t1\tID1"), nil},
		{"not UTF-8", raw("v1 orders broker-a 1 \xff"), handle("orders", "broker-a", 1, "\ufffd")},
		{"a long id", raw("v1 orders broker-a 1 " + strings.Repeat("x", 1<<16)), handle("orders", "broker-a", 1, strings.Repeat("x", 1<<16))},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got, err := rocketmq.ParseRecallHandle(tt.text)
			switch {
			case tt.want == nil && !errors.Is(err, rocketmq.ErrRecallHandle):
				t.Errorf("%q gives %+v, %v, want a refusal", tt.text, got, err)
			case tt.want != nil && (err != nil || got != *tt.want):
				t.Errorf("%.60q gives %+v, %v, want %+v", tt.text, got, err, *tt.want)
			}
		})
	}
}

// The text is what Java's HandleV1.buildHandle makes of the same values.
func TestRecallHandleString(t *testing.T) {
	for _, tt := range []struct {
		handle rocketmq.RecallHandle
		want   string
	}{
		{
			rocketmq.RecallHandle{Topic: "orders", Broker: "broker-a", DeliverAt: time.UnixMilli(1700000000001), MessageID: recallID},
			"djEgb3JkZXJzIGJyb2tlci1hIDE3MDAwMDAwMDAwMDEgQUMxMTAwMDEwQUNCMThCNEFBQzIwMDAwMDAwMDAwMDE=",
		},
		{
			rocketmq.RecallHandle{Topic: "shop%orders", Broker: "b", DeliverAt: time.UnixMilli(1).Add(999_999), MessageID: "größe-\u07ff"},
			"djEgc2hvcCVvcmRlcnMgYiAxIGdyw7bDn2Ut378=",
		},
	} {
		got := tt.handle.String()
		if got != tt.want {
			t.Errorf("%+v is %s, want %s", tt.handle, got, tt.want)
		}
		back, err := rocketmq.ParseRecallHandle(got)
		if want := tt.handle; err != nil || back.Topic != want.Topic || back.Broker != want.Broker || back.MessageID != want.MessageID ||
			!back.DeliverAt.Equal(want.DeliverAt.Truncate(time.Millisecond)) {
			t.Errorf("%s reads as %+v, %v", got, back, err)
		}
	}
}

// javaBase64 is what Java's Base64.getUrlDecoder takes.
var javaBase64 = regexp.MustCompile(`^([A-Za-z0-9_-]{4})*([A-Za-z0-9_-]{2}(==)?|[A-Za-z0-9_-]{3}=?)?$`)

// FuzzRecallHandle: whatever is taken is Base64 as Java takes it, of the right parts, and its canonical text means the same.
func FuzzRecallHandle(f *testing.F) {
	f.Add("v1 orders broker-a 1700000000001 "+recallID, "", "")
	f.Add("v1 o b 1 id more", "=", "")
	f.Add("v1  b x id  ", "", "\n")
	f.Add("v2 o b 1 id", "==", "A")
	f.Add("\xff\xfe", "", "")
	f.Fuzz(func(t *testing.T, raw, padding, after string) {
		for _, text := range []string{
			raw, base64.RawURLEncoding.EncodeToString([]byte(raw)) + padding + after, base64.URLEncoding.EncodeToString([]byte(raw)) + after,
		} {
			h, err := rocketmq.ParseRecallHandle(text)
			if err != nil {
				if !errors.Is(err, rocketmq.ErrRecallHandle) {
					t.Fatalf("%q: %v", text, err)
				}
				continue
			}
			if !javaBase64.MatchString(text) {
				t.Fatalf("%q is taken, Java's decoder refuses it", text)
			}
			for _, part := range []string{h.Topic, h.Broker, h.MessageID} {
				if strings.Contains(part, " ") || !utf8.ValidString(part) {
					t.Fatalf("%q gives %+q", text, h)
				}
			}
			if h.MessageID == "" {
				continue // the blank before it would be the text's last
			}
			if back, err := rocketmq.ParseRecallHandle(h.String()); err != nil || back != h {
				t.Fatalf("%q gives %+v, whose text gives %+v, %v", text, h, back, err)
			}
		}
	})
}

func ExampleParseRecallHandle() {
	h, err := rocketmq.ParseRecallHandle("djEgb3JkZXJzIGJyb2tlci1hIDE3MDAwMDAwMDAwMDEgQUMxMTAwMDEwQUNCMThCNEFBQzIwMDAwMDAwMDAwMDE=")
	fmt.Println(h.Topic, h.Broker, h.DeliverAt.UTC().Format(time.DateTime), h.MessageID, err)
	_, err = rocketmq.ParseRecallHandle("djI=")
	fmt.Println(err)
	// Output:
	// orders broker-a 2023-11-14 22:13:20 AC1100010ACB18B4AAC2000000000001 <nil>
	// rocketmq: not a recall handle: its version is not v1
}
