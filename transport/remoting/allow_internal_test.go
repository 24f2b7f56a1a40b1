package remoting

import (
	"strings"
	"testing"
)

func TestAllowList(t *testing.T) {
	for _, tt := range []struct {
		list    string
		yes, no string
	}{
		{"", "10.0.0.1:10911 broker:1 [::1]:10911", ""},
		{"10.1.0.0/16", "10.1.2.3:10911 10.1.255.255:1 [::ffff:10.1.2.3]:1", "10.2.0.1:10911 broker:10911 10.1.2.3.example:1 [::1]:1"},
		{"10.1.2.3", "10.1.2.3:10911 10.1.2.3:1", "10.1.2.4:10911"},
		{"10.1.2.3:10911", "10.1.2.3:10911", "10.1.2.3:22"},
		{"10.0.0.0/8:10911", "10.1.2.3:10911", "10.1.2.3:22"},
		{"fd00::/8", "[fd00::2]:10911 [fd00::2%eth0]:10911", "[fe80::2]:10911 253.0.0.0:1"},
		{"[fd00::2]:10911", "[fd00::2]:10911", "[fd00::2]:22 [fd00::3]:10911"},
		{"[fd00::2]", "[fd00::2]:22", "[fd00::3]:22"},
		{"broker.example", "broker.example:10911 BROKER.Example.:1", "a.broker.example:1 broker.example.evil:1 xbroker.example:1"},
		{"*.example", "broker.example:10911 a.b.example:1", "example:1 broker.example.evil:1 xexample:1"},
		{"*.example:10911", "broker.example:10911", "broker.example:22"},
		{"broker-a; broker-b, 10.0.0.0/8 10.9.9.9", "broker-a:1 broker-b:1 10.0.0.1:1", "broker-c:1 11.0.0.1:1"},
		{"broker", "", "broker not-an-address"},
	} {
		l, err := parseAllowed(strings.Fields(tt.list))
		if err != nil {
			t.Errorf("%q: %v", tt.list, err)
			continue
		}
		for _, addr := range strings.Fields(tt.yes) {
			if !l.has(addr) {
				t.Errorf("%q refuses %s", tt.list, addr)
			}
		}
		for _, addr := range strings.Fields(tt.no) {
			if l.has(addr) {
				t.Errorf("%q allows %s", tt.list, addr)
			}
		}
	}
}

func TestAllowListMistakes(t *testing.T) {
	for list, says := range map[string]string{
		"10.0.0.0/33": "no network", "a/8": "no network", "*": "no name", "*.": "no name", "a*.example": "no name", "*example": "no name",
		"broker:0": "port", "broker:x": "port", ":10911": "host", "fd00::2::": "no name", " ; ": "allows none", "http://broker": "",
	} {
		_, err := parseAllowed([]string{list})
		if err == nil || !strings.Contains(err.Error(), says) {
			t.Errorf("%q: %v", list, err)
		}
	}
}
