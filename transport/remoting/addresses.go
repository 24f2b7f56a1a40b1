package remoting

import (
	"bytes"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"strconv"
	"strings"

	"github.com/liftoff-mq/liftoff/internal/words"
)

// addressTable is [Config].Addresses, taken apart: what leads to a broker from here.
type addressTable struct {
	exact    map[string]string // host:port to host:port
	names    map[string]string // a broker's name to host:port
	hosts    map[string]string // host to host
	networks []networkPair     // the longest prefix first
}

// networkPair translates a network into another one of its size.
type networkPair struct{ from, to netip.Prefix }

// parseAddresses takes lists of translations apart.
func parseAddresses(lists []string) (*addressTable, error) {
	t := &addressTable{exact: map[string]string{}, names: map[string]string{}, hosts: map[string]string{}}
	var errs []error
	for _, list := range lists {
		for _, s := range strings.FieldsFunc(list, isSeparator) {
			if err := t.add(s); err != nil {
				errs = append(errs, fmt.Errorf("address %s: %w", words.Quote(s), err))
			}
		}
	}
	slices.SortStableFunc(t.networks, func(a, b networkPair) int { return b.from.Bits() - a.from.Bits() })
	return t, errors.Join(errs...)
}

// add takes one translation. Its form says what kind it is.
func (t *addressTable) add(s string) error {
	from, to, _ := strings.Cut(s, "=")
	if from == "" || to == "" || strings.Contains(to, "=") {
		return errors.New("want FROM=TO, such as 10.0.0.5:10911=127.0.0.1:30911")
	}
	if strings.Contains(s, "/") {
		return t.addNetwork(from, to)
	}
	fromHost, fromPort, err := splitEnd(from)
	if err != nil {
		return fmt.Errorf("before =: %w", err)
	}
	toHost, toPort, err := splitEnd(to)
	if err != nil {
		return fmt.Errorf("behind =: %w", err)
	}
	_, notIP := netip.ParseAddr(fromHost)
	switch {
	case fromPort != "" && toPort != "":
		return note(t.exact, net.JoinHostPort(hostKey(fromHost), fromPort), net.JoinHostPort(toHost, toPort))
	case fromPort == "" && toPort == "":
		return note(t.hosts, hostKey(fromHost), toHost)
	case fromPort != "":
		return errors.New("the port behind = is missing")
	case notIP == nil:
		// Two brokers of that machine would become one.
		return errors.New("an IP address may have several brokers: give both ports or none")
	}
	return note(t.names, fromHost, net.JoinHostPort(toHost, toPort))
}

// addNetwork takes a translation of networks.
func (t *addressTable) addNetwork(from, to string) error {
	f, errFrom := netip.ParsePrefix(from)
	g, errTo := netip.ParsePrefix(to)
	if errFrom != nil || errTo != nil || f.Bits() != g.Bits() || f.Addr().BitLen() != g.Addr().BitLen() {
		// Many machines to one would make one broker of several.
		return errors.New("a network can be translated into one of the same size alone, as in 10.1.0.0/16=203.0.0.0/16")
	}
	f, g = f.Masked(), g.Masked()
	for _, n := range t.networks {
		if n.from == f && n.to != g {
			return fmt.Errorf("%v has another translation already, %v", f, n.to)
		}
	}
	t.networks = append(t.networks, networkPair{f, g})
	return nil
}

// note puts a translation into its table.
func note(table map[string]string, from, to string) error {
	if old, twice := table[from]; twice && old != to {
		return fmt.Errorf("%s has another translation already, %s", from, old)
	}
	table[from] = to
	return nil
}

// splitEnd takes host:port apart, or a host alone.
func splitEnd(s string) (host, port string, err error) {
	host, port, err = net.SplitHostPort(s)
	if err == nil {
		_, err = joinAddr(host, port)
		return host, port, err
	}
	host = strings.TrimSuffix(strings.TrimPrefix(s, "["), "]")
	if _, bad := netip.ParseAddr(host); bad != nil && strings.ContainsAny(host, ":[]") {
		return "", "", errors.New("it is no host and no host:port; an IPv6 address before a port needs brackets, as in [::1]:10911")
	}
	return host, "", nil
}

// hostKey is what two ways to write one host have in common.
func hostKey(host string) string {
	if ip, err := netip.ParseAddr(host); err == nil {
		return ip.Unmap().String()
	}
	return strings.ToLower(strings.TrimSuffix(host, "."))
}

// find translates the address of a broker, by the most specific entry: that of the address, of
// the broker's name, of the host, of the longest network. An address that is none, because the
// broker registered something else, is empty: then only the name counts.
func (t *addressTable) find(broker, addr string) (to string, found bool) {
	host, port, err := net.SplitHostPort(addr)
	host = hostKey(host)
	if err == nil {
		if to, found = t.exact[net.JoinHostPort(host, port)]; found {
			return to, true
		}
	}
	if to, found = t.names[broker]; found || err != nil {
		return to, found
	}
	if to, found = t.hosts[host]; found {
		return net.JoinHostPort(to, port), true
	}
	ip, err := netip.ParseAddr(host)
	if err != nil {
		return "", false
	}
	for _, n := range t.networks {
		if n.from.Contains(ip) {
			return net.JoinHostPort(n.translate(ip).String(), port), true
		}
	}
	return "", false
}

// translate takes the bits of the network from the one and those of the host from the other.
func (n networkPair) translate(ip netip.Addr) netip.Addr {
	b := bytes.Clone(ip.AsSlice())
	to := n.to.Addr().AsSlice()
	for i := range b {
		mask := byte(0xFF)
		if bits := n.to.Bits() - 8*i; bits < 8 {
			mask = ^byte(0xFF >> max(bits, 0))
		}
		b[i] = to[i]&mask | b[i]&^mask
	}
	out, _ := netip.AddrFromSlice(b)
	return out
}

// vipPorts is by how much the port of a broker's VIP channel is below its own (Java:
// MixAll.brokerVIPChannel).
const vipPorts = 2

// vipAddr is the address of a broker's VIP channel.
func vipAddr(addr string) (string, error) {
	host, port, err := net.SplitHostPort(addr)
	if err != nil {
		return "", err
	}
	n, err := strconv.Atoi(port)
	if err != nil || n <= vipPorts {
		return "", fmt.Errorf("port %s has no VIP channel, whose port would be %d less", words.Quote(port), vipPorts)
	}
	return net.JoinHostPort(host, strconv.Itoa(n-vipPorts)), nil
}
