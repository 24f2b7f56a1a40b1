package remoting

import (
	"net/netip"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

func TestAddresses(t *testing.T) {
	const table = "10.0.0.5:10911=127.0.0.1:30911; broker-b=[::1]:30912,10.0.0.5=gate.example 10.0.0.6=203.0.113.6" +
		" 10.1.0.0/16=203.0.0.0/16 10.1.2.0/24=198.51.100.0/24 fd00:1::/64=2001:db8::/64 [fd00::5]:10911=[2001:db8::1]:1 fd00::6=fd01::6" +
		" Broker.Example=10.9.9.9 broker.example:7=10.9.9.9:8 10.2.128.0/17=10.3.0.0/17"
	parsed, err := parseAddresses([]string{table})
	if err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct{ what, broker, addr, want string }{
		{"an address", "x", "10.0.0.5:10911", "127.0.0.1:30911"},
		{"an address as IPv6", "x", "[::ffff:10.0.0.5]:10911", "127.0.0.1:30911"},
		{"an address before a name", "broker-b", "10.0.0.5:10911", "127.0.0.1:30911"},
		{"a name", "broker-b", "10.0.0.6:10911", "[::1]:30912"},
		{"a name without an address", "broker-b", "", "[::1]:30912"},
		{"another name", "Broker-B", "192.0.2.1:1", ""},
		{"a host", "x", "10.0.0.5:10921", "gate.example:10921"},
		{"another host", "x", "10.0.0.6:10911", "203.0.113.6:10911"},
		{"a network", "x", "10.1.7.9:10911", "203.0.7.9:10911"},
		{"a longer network", "x", "10.1.2.9:10911", "198.51.100.9:10911"},
		{"half a byte", "x", "10.2.200.9:1", "10.3.72.9:1"},
		{"beside it", "x", "10.2.100.9:1", ""},
		{"IPv6 network", "x", "[fd00:1::5]:10911", "[2001:db8::5]:10911"},
		{"IPv6 address", "x", "[fd00::5]:10911", "[2001:db8::1]:1"},
		{"IPv6 host", "x", "[fd00:0:0::6]:10911", "[fd01::6]:10911"},
		{"a DNS name", "x", "broker.EXAMPLE.:1", "10.9.9.9:1"},
		{"a DNS name with a port", "x", "broker.example:7", "10.9.9.9:8"},
		{"a DNS name is no broker's", "broker.example", "192.0.2.1:1", ""},
		{"nothing", "x", "192.0.2.1:10911", ""},
		{"no address", "x", "", ""},
	} {
		got, found := parsed.find(tt.broker, tt.addr)
		if got != tt.want || found != (tt.want != "") {
			t.Errorf("%s: %s of %s is %q, %v; want %q", tt.what, tt.addr, tt.broker, got, found, tt.want)
		}
	}
	if _, err := parseAddresses([]string{"", " ; "}); err != nil {
		t.Errorf("nothing in it: %v", err)
	}
}

func TestWrongAddresses(t *testing.T) {
	for _, tt := range []struct{ list, want string }{
		{"10.0.0.5:10911", "want FROM=TO"},
		{"=10.0.0.5:1", "want FROM=TO"},
		{"10.0.0.5:1=", "want FROM=TO"},
		{"a=b=c", "want FROM=TO"},
		{"10.0.0.5:0=10.0.0.6:1", "before =: port \"0\" is not a number"},
		{"10.0.0.5:1=10.0.0.6:65536", "behind =: port \"65536\""},
		{":1=10.0.0.6:1", "before =: the host is missing"},
		{"a:1=b", "the port behind = is missing"},
		{"10.0.0.5=127.0.0.1:30911", "may have several brokers: give both ports or none"},
		{"fd00::5=127.0.0.1:30911", "may have several brokers"},
		{"::1:10911=127.0.0.1:30911", "before =: it is no host"},
		{"10.0.0.0/8=10.0.0.1", "of the same size alone"},
		{"10.0.0.0/8=10.0.0.0/9", "of the same size alone"},
		{"10.0.0.0/8=fd00::/8", "of the same size alone"},
		{"a/8=10.0.0.0/8", "of the same size alone"},
		{"10.0.0.0/8:1=11.0.0.0/8:1", "of the same size alone"},
		{"a:1=b:1 A:1=b:2", "a:1 has another translation already, b:1"},
		{"10.0.0.1=a ::ffff:10.0.0.1=b", "10.0.0.1 has another translation already, a"},
		{"b=c:1 b=c:2", "b has another translation already, c:1"},
		{"10.0.0.0/8=11.0.0.0/8 10.1.0.0/8=12.0.0.0/8", "10.0.0.0/8 has another translation already, 11.0.0.0/8"},
	} {
		if _, err := parseAddresses([]string{tt.list}); err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%q: %v, want %q", tt.list, err, tt.want)
		}
	}
	// All at once, and what is said twice is said once.
	_, err := NewClient(Config{NameServers: []string{"a"}, Addresses: []string{"x", "a:1=b:1,a:1=b:1", "y"}, SOCKS: SOCKS{"z": {}}, AllowedBrokers: []string{"/"}})
	for _, want := range []string{`address "x"`, `address "y"`, `SOCKS proxy of "z"`, `allowed broker "/"`} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v does not say %s", err, want)
		}
	}
	if strings.Contains(err.Error(), "a:1") {
		t.Error(err)
	}
}

// A network's translation keeps the bits of the host, takes those of the network, and has a way
// back.
func TestNetworkTranslation(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		size := rapid.SampledFrom([]int{4, 16}).Draw(rt, "size")
		draw := func(label string) netip.Addr {
			a, _ := netip.AddrFromSlice(rapid.SliceOfN(rapid.Byte(), size, size).Draw(rt, label))
			return a
		}
		bits := rapid.IntRange(0, 8*size).Draw(rt, "bits")
		from, ip := netip.PrefixFrom(draw("from"), bits).Masked(), draw("ip")
		to := netip.PrefixFrom(draw("to"), bits).Masked()
		ip = networkPair{from, from}.translate(ip) // now it is in from
		if !from.Contains(ip) {
			rt.Fatalf("%v is not in %v", ip, from)
		}
		out := networkPair{from, to}.translate(ip)
		if back := (networkPair{to, from}).translate(out); !to.Contains(out) || back != ip {
			rt.Fatalf("%v by %v=%v is %v, and back %v", ip, from, to, out, back)
		}
	})
}

func TestVIPAddr(t *testing.T) {
	for addr, want := range map[string]string{
		"10.0.0.5:10911": "10.0.0.5:10909", "[::1]:10911": "[::1]:10909", "broker.example:3": "broker.example:1",
		"a:2": "", "a:1": "", "a": "",
	} {
		if got, err := vipAddr(addr); got != want || (err == nil) != (want != "") {
			t.Errorf("%s: %q, %v; want %q", addr, got, err, want)
		}
	}
}
