package main

import (
	"net"
	"strings"
	"testing"

	"github.com/liftoff-mq/liftoff/internal/middlebox"
	"github.com/liftoff-mq/liftoff/transport/embedded"
)

// Flags and their variables in the environment reach the client: through a proxy, which alone
// knows where the addresses lead, lines arrive.
func TestNetworkFlags(t *testing.T) {
	const password = "the-password-of-the-proxy"
	c := embedded.New(t, embedded.Config{AdvertiseHost: "192.0.2.7"})
	box, err := middlebox.Proxy{Username: "me", Password: password, Route: func(addr string) string {
		host, port, _ := net.SplitHostPort(addr)
		if host != "198.51.100.7" {
			return ""
		}
		return net.JoinHostPort("127.0.0.1", port)
	}}.Listen("127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer box.Close()
	_, port, _ := net.SplitHostPort(c.NameServers()[0])
	args := []string{"send", "--namesrv", "198.51.100.7:" + port, "--topic", "t"}
	socks := `{"198.51.100.0/24":{"addr":"` + box.Addr() + `","username":"me","password":"` + password + `"}}`
	if got := program(t, "x\n", append(args, "--address", "192.0.2.7=198.51.100.7", "--socks", socks, "--allow-broker", "198.51.100.7")...); got.status != exitOK {
		t.Errorf("%+v", got)
	}
	for name, value := range map[string]string{
		"ADDRESSES": "203.0.113.1=203.0.113.2; 192.0.2.0/24=198.51.100.0/24", "SOCKS": socks, "ALLOWED_BROKERS": "198.51.100.7,198.51.100.8",
	} {
		t.Setenv("LIFTOFF_"+name, value)
	}
	if got := program(t, "x\n", args...); got.status != exitOK {
		t.Errorf("%+v", got)
	}
	if n := c.StoredCount("t"); n != 2 {
		t.Errorf("%d lines are stored", n)
	}

	for _, tt := range []struct {
		flags []string
		want  string
	}{
		{[]string{"--allow-broker", "198.51.100.8"}, "198.51.100.7:" + strings.Split(c.Brokers()[0].Addr(), ":")[1] + "\" is not allowed"},
		{[]string{"--vip-channel"}, "cannot connect to 198.51.100.7:"},
		{[]string{"--address", "x"}, `liftoff: --address: address "x": want FROM=TO`},
		{[]string{"--allow-broker", "a/b", "--unit-name", "a b", "--namespace-v2", "a b"}, `liftoff: --allow-broker: allowed broker "a/b": it is no network such as 10.0.0.0/8; --namespace-v2: NamespaceV2 is "a b", which has other than printable ASCII characters without blanks; --unit-name: UnitName is "a b", which`},
		{[]string{"--socks", "nonsense"}, `--socks: SOCKS proxy of "0.0.0.0/0": Addr "nonsense" is not host:port`},
		{[]string{"--socks", `{"10.0.0.0/8":{"host":"x"}}`}, "host: it is not known"},
	} {
		got := program(t, "x\n", append(append(args, "--timeout", "1s"), tt.flags...)...)
		if got.status == exitOK || !strings.Contains(got.err, tt.want) || strings.Contains(got.err, password) {
			t.Errorf("%v: %+v, want %q", tt.flags, got, tt.want)
		}
	}
}

// A variable that cannot be understood is named, and what it has stays where it is: there may be a
// password in it, with whatever characters.
func TestVariablesAreNamedAndNotShown(t *testing.T) {
	const password = "the-password-of-the-proxy"
	for _, tt := range []struct{ name, value, want string }{
		{"LIFTOFF_SOCKS", `{"10.0.0.0/8":{"addr":"p:1","username":"me","pasword":"` + password + `"}}`, "pasword: it is not known"},
		{"LIFTOFF_SOCKS", `{"10.0.0.0/8":{"addr":"p:1","username":"me","password":"` + password + `"}`, "unexpected end of JSON input"},
		{"LIFTOFF_SOCKS", `{"\") (from envar A=\"":1, "x") ` + "\n" + password, "invalid character"},
		{"LIFTOFF_SOCKS", `"10.0.0.0/8":{"addr":"p:1","username":"me","password":"` + password + `"}}`, "the text is neither host:port nor JSON"},
		{"LIFTOFF_VIP_CHANNEL", "maybe", `but got "maybe"`},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Setenv(tt.name, tt.value)
			got := program(t, "x\n", "send", "--namesrv", "127.0.0.1:1", "--topic", "t")
			if got.status != exitUsage || !strings.Contains(got.err, tt.want) || strings.Contains(got.out+got.err, password) {
				t.Errorf("%s: %+v, want %q", tt.value, got, tt.want)
			}
			if from := " (from " + tt.name + ")\n"; strings.Contains(got.err, "envar") || !strings.Contains(got.err, from) {
				t.Errorf("%s: %+v, want %q", tt.value, got, from)
			}
		})
	}
}
