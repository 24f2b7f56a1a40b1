package remoting_test

import (
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/liftoff-mq/liftoff/transport/remoting"
)

func TestSerializationText(t *testing.T) {
	for _, tt := range []struct {
		text string
		want remoting.Serialization
		name string // that is written
	}{
		{"ROCKETMQ", remoting.Binary, "ROCKETMQ"},
		{"rocketmq", remoting.Binary, "ROCKETMQ"},
		{"binary", remoting.Binary, "ROCKETMQ"},
		{"JSON", remoting.JSON, "JSON"},
		{"json", remoting.JSON, "JSON"},
	} {
		s := remoting.Serialization(9)
		if err := s.UnmarshalText([]byte(tt.text)); err != nil || s != tt.want {
			t.Errorf("%s is read as %d, %v", tt.text, s, err)
		}
		if text, err := s.MarshalText(); string(text) != tt.name || err != nil || s.String() != tt.name {
			t.Errorf("%d is written as %s, %v and shown as %v", s, text, err, s)
		}
	}
	s := remoting.JSON
	err := s.UnmarshalText([]byte("xml"))
	if err == nil || !strings.Contains(err.Error(), `"xml" is not known; there are ROCKETMQ, binary, JSON`) || s != remoting.JSON {
		t.Errorf("xml is read as %v, %v", s, err)
	}
	unknown := remoting.Serialization(9)
	if text, err := unknown.MarshalText(); err == nil || unknown.String() != "unknown(9)" {
		t.Errorf("a serialization without a name is written as %s and shown as %v", text, unknown)
	}
}

func TestConfigAsJSON(t *testing.T) {
	const text = `{"nameServers":["a:1"],"serialization":"JSON","clientId":"x","connectTimeout":"1.5s","maxTopics":3}`
	var cfg remoting.Config
	if err := json.Unmarshal([]byte(text), &cfg); err != nil {
		t.Fatal(err)
	}
	if cfg.Serialization != remoting.JSON || cfg.ConnectTimeout != 1500*time.Millisecond || cfg.NameServers[0] != "a:1" {
		t.Errorf("got %+v", cfg)
	}
	if back, err := json.Marshal(cfg); string(back) != text || err != nil {
		t.Errorf("got %s, %v, want %s", back, err, text)
	}
}

// A number without a unit, which some libraries take for nanoseconds, is no time-out.
func TestShortTimesAreRefused(t *testing.T) {
	_, err := remoting.NewClient(remoting.Config{NameServers: []string{"a:1"}, ConnectTimeout: 3000, IdleTimeout: -time.Second})
	for _, want := range []string{"ConnectTimeout is 3µs, at least 1ms is needed", "IdleTimeout is negative: -1s"} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q is missing in: %v", want, err)
		}
	}
}
