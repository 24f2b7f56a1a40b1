package remoting

import (
	"net"
	"testing"
)

// The client id has an IPv4 address where there is one, else one of IPv6, as Java's has.
func TestFirstAddress(t *testing.T) {
	network := func(ip string) net.Addr { return &net.IPNet{IP: net.ParseIP(ip)} }
	for _, tt := range []struct {
		addrs []net.Addr
		want  string
	}{
		{nil, "127.0.0.1"},
		{[]net.Addr{network("127.0.0.1"), network("::1"), network("fe80::1")}, "127.0.0.1"},
		{[]net.Addr{network("::1"), network("fe80::1"), network("2001:db8::1"), network("2001:db8::2")}, "2001:db8::1"},
		{[]net.Addr{network("2001:db8::1"), network("10.0.0.1"), network("10.0.0.2")}, "10.0.0.1"},
		{[]net.Addr{&net.UnixAddr{Name: "x"}}, "127.0.0.1"},
	} {
		if got := firstAddress(tt.addrs); got != tt.want {
			t.Errorf("%v: %s, want %s", tt.addrs, got, tt.want)
		}
	}
}
