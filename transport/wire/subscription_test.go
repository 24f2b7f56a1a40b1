package wire_test

import (
	"errors"
	"reflect"
	"strings"
	"testing"

	"github.com/liftoff-mq/liftoff/transport/wire"
)

func TestSubscription(t *testing.T) {
	for _, test := range []struct {
		expression string
		tags       []string
		ok         bool
		matches    string // tags, separated by commas
		others     string
	}{
		{"*", nil, true, "a,,b", "-"},
		{"", nil, true, "a,", "-"},
		{" ", nil, true, "-", "a,, "},
		{"a", []string{"a"}, true, "a", "b,,A"},
		{" a ||b|| ", []string{"a", "b"}, true, "a,b", "a b,"},
		{"Aa", []string{"Aa"}, true, "Aa,BB", "AB"}, // the hashes of the first two are the same
		{"||", nil, false, "-", "a,"},
	} {
		s, ok := wire.NewSubscription("t", test.expression)
		if ok != test.ok || s.Topic != "t" || !s.IsTag() || !reflect.DeepEqual(s.Tags(), test.tags) {
			t.Errorf("%q: %+v, %v, tags %q", test.expression, s, ok, s.Tags())
		}
		for _, want := range []bool{true, false} {
			list := map[bool]string{true: test.matches, false: test.others}[want]
			if list == "-" {
				continue
			}
			for tag := range strings.SplitSeq(list, ",") {
				if got := s.Matches(wire.TagCode(tag)); got != want {
					t.Errorf("%q matches %q: %v", test.expression, tag, got)
				}
			}
		}
	}
	if s := (wire.Subscription{Type: "SQL92", Expression: "a > 1"}); s.IsTag() || s.Tags() != nil || s.Matches(0) {
		t.Errorf("%+v is one of tags", s)
	}
	if s := (wire.Subscription{Class: true}); !s.Matches(1) {
		t.Errorf("%+v does not match", s)
	}
}

// The values are those of Java's String.hashCode.
func TestTagCode(t *testing.T) {
	for tag, want := range map[string]int32{
		"": 0, "a": 97, "TagA": 2598919, "a tag that is long": -1335898402, "Grüße": 69215351, "標籤": 873835, "🚀": 1773027,
	} {
		if got := wire.TagCode(tag); got != want {
			t.Errorf("%q: got %d, want %d", tag, got, want)
		}
		if got := wire.TagCode([]byte(tag)); got != want {
			t.Errorf("%q as bytes: got %d, want %d", tag, got, want)
		}
	}
}

func TestClientCheck(t *testing.T) {
	s, err := wire.ParseClientCheck([]byte(`{"clientId":"c","group":"g","namespace":"","subscriptionData":{"codeSet":[],"expressionType":"SQL92","subString":"a > 1","subVersion":7,"topic":"t"}}`))
	if err != nil || !reflect.DeepEqual(s, wire.Subscription{Topic: "t", Expression: "a > 1", Type: "SQL92", Version: 7}) {
		t.Errorf("got %+v, %v", s, err)
	}
	for _, body := range []string{"", "{}"} {
		if s, err := wire.ParseClientCheck([]byte(body)); err != nil || !s.IsTag() {
			t.Errorf("%q: got %+v, %v", body, s, err)
		}
	}
	for body, want := range map[string]error{"{": wire.ErrDecode, `{"subscriptionData":{"subVersion":"x"}}`: wire.ErrDecode, strings.Repeat(" ", wire.MaxHeartbeat+1): wire.ErrLimit} {
		if _, err := wire.ParseClientCheck([]byte(body)); !errors.Is(err, want) || !errors.Is(err, wire.ErrDecode) {
			t.Errorf("%.20q: %v, want %v", body, err, want)
		}
	}
}
