package remoting

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"strings"
)

var errNotAllowed = errors.New("the address is not allowed")

// allowList is [Config].AllowedBrokers, taken apart. An empty one allows everything.
type allowList []allowRule

// allowRule is an entry: a network, a single address among them, or a name.
type allowRule struct {
	network netip.Prefix
	name    string // in lower case; ".example.com" stands for everything below it
	port    string // "" for any
}

// parseAllowed takes lists of allowed addresses apart.
func parseAllowed(lists []string) (allowList, error) {
	var out allowList
	var errs []error
	for _, list := range lists {
		for _, s := range strings.FieldsFunc(list, isSeparator) {
			rule, err := parseAllowRule(s)
			if err != nil {
				errs = append(errs, fmt.Errorf("allowed broker %q: %w", s, err))
				continue
			}
			out = append(out, rule)
		}
	}
	if len(out) == 0 && len(errs) == 0 && len(lists) > 0 {
		errs = append(errs, errors.New("the list of allowed brokers is there and allows none"))
	}
	return out, errors.Join(errs...)
}

func parseAllowRule(s string) (r allowRule, err error) {
	host, port, err := net.SplitHostPort(s)
	if err != nil {
		host, port = strings.TrimSuffix(strings.TrimPrefix(s, "["), "]"), ""
	} else if _, err := joinAddr(host, port); err != nil {
		return r, err
	}
	r.port = port
	if ip, err := netip.ParseAddr(host); err == nil {
		r.network = netip.PrefixFrom(ip.Unmap(), ip.Unmap().BitLen())
		return r, nil
	}
	if strings.Contains(host, "/") {
		r.network, err = netip.ParsePrefix(host)
		if err != nil {
			return r, errors.New("it is no network such as 10.0.0.0/8")
		}
		return r, nil
	}
	r.name = strings.ToLower(strings.TrimSuffix(strings.TrimPrefix(host, "*"), "."))
	if r.name == "" || strings.ContainsAny(r.name, "*:") || strings.HasPrefix(host, "*") != strings.HasPrefix(r.name, ".") {
		return r, errors.New("it is no name, such as broker.example or *.example, no IP address and no network")
	}
	return r, nil
}

// has reports whether an address, host:port, may be dialed.
func (l allowList) has(addr string) bool {
	if len(l) == 0 {
		return true
	}
	host, port, err := net.SplitHostPort(addr)
	if err != nil {
		return false
	}
	ip, _ := netip.ParseAddr(host) // the zero one is in no network
	name := strings.ToLower(strings.TrimSuffix(host, "."))
	for _, r := range l {
		if r.port != "" && r.port != port {
			continue
		}
		switch {
		case r.name == "":
			if r.network.Contains(ip.Unmap().WithZone("")) {
				return true
			}
		case r.name == name, r.name[0] == '.' && strings.HasSuffix(name, r.name):
			return true
		}
	}
	return false
}
