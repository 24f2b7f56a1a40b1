package main

import (
	"strings"

	"github.com/liftoff-mq/liftoff/transport/remoting"
)

// networkFlags say what is between this machine and the brokers.
type networkFlags struct {
	Address     []string       `sep:"none" env:"LIFTOFF_ADDRESSES" placeholder:"FROM=TO" help:"How to reach a broker behind NAT or a forwarded port: address=address, broker=address, host=host or network=network. Repeatable, or several separated by semicolons."`
	SOCKS       remoting.SOCKS `name:"socks" env:"LIFTOFF_SOCKS" placeholder:"PROXY" help:"SOCKS5 proxy: host:port, or JSON with proxies by network. Better in the environment if it has a password: others can see command lines."`
	VIPChannel  bool           `name:"vip-channel" env:"LIFTOFF_VIP_CHANNEL" help:"Talk with brokers on their second port, the registered one less 2."`
	AllowBroker []string       `sep:"none" env:"LIFTOFF_ALLOWED_BROKERS" placeholder:"ADDR" help:"Broker that may be dialed, a name, an IP address or a network, with or without a port; all if absent. Repeatable, or several separated by semicolons."`
}

// set puts the flags into a client's settings.
func (f *networkFlags) set(settings *remoting.Config) {
	settings.Addresses, settings.SOCKS = f.Address, f.SOCKS
	settings.VIPChannel, settings.AllowedBrokers = f.VIPChannel, f.AllowBroker
}

// named are the flags that were given, for errors about what they have in them.
func (f *networkFlags) named() string {
	var out []string
	for _, flag := range []struct {
		name  string
		given bool
	}{
		{"--address", len(f.Address) > 0},
		{"--socks", len(f.SOCKS) > 0},
		{"--vip-channel", f.VIPChannel},
		{"--allow-broker", len(f.AllowBroker) > 0},
	} {
		if flag.given {
			out = append(out, flag.name)
		}
	}
	return strings.Join(out, ", ")
}
