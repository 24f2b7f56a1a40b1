package wire_test

import (
	"encoding"
	"fmt"
	"testing"

	"github.com/liftoff-mq/liftoff/transport/wire"
)

// Settings and logs name a form of headers or keys by a word, not by a number.
func TestTextsOfEnums(t *testing.T) {
	type text interface {
		encoding.TextMarshaler
		encoding.TextUnmarshaler
		fmt.Stringer
	}
	var ser wire.Serialization
	var style wire.KeyStyle
	for _, tt := range []struct {
		value      text
		text, name string
	}{
		{&ser, "json", "JSON"},
		{&ser, "ROCKETMQ", "ROCKETMQ"},
		{&style, "bare", "bare"},
		{&style, "standard", "standard"},
	} {
		if err := tt.value.UnmarshalText([]byte(tt.text)); err != nil {
			t.Errorf("%s: %v", tt.text, err)
		}
		if got, err := tt.value.MarshalText(); err != nil || string(got) != tt.name || tt.value.String() != tt.name {
			t.Errorf("%s comes back as %s, %v", tt.text, got, err)
		}
		if err := tt.value.UnmarshalText([]byte("xml")); err == nil || tt.value.String() != tt.name {
			t.Errorf("xml is %v", tt.value)
		}
	}
	ser, style = 9, 9
	for _, v := range []text{&ser, &style} {
		if got, err := v.MarshalText(); err == nil {
			t.Errorf("%T 9 is %s", v, got)
		}
	}
}
