package remoting

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"strconv"
	"strings"
)

// namePort is where name servers listen unless told otherwise (Java: NamesrvStartup).
const namePort = "9876"

// parseServers takes lists of addresses apart and normalises each one to
// host:port. Addresses given twice count once.
func parseServers(lists []string) ([]string, error) {
	var out []string
	var errs []error
	for _, list := range lists {
		for _, s := range strings.FieldsFunc(list, isSeparator) {
			addr, err := parseServer(s)
			if err != nil {
				errs = append(errs, fmt.Errorf("name server %q: %w", s, err))
				continue
			}
			if !slices.Contains(out, addr) {
				out = append(out, addr)
			}
		}
	}
	if len(out) == 0 && len(errs) == 0 {
		errs = append(errs, errors.New("no name server is given"))
	}
	return out, errors.Join(errs...)
}

func isSeparator(r rune) bool {
	return r == ';' || r == ',' || r == ' ' || r == '\t' || r == '\n' || r == '\r'
}

func parseServer(s string) (string, error) {
	if scheme, rest, ok := strings.Cut(s, "://"); ok {
		switch strings.ToLower(scheme) {
		case "http", "tcp", "rocketmq":
		default:
			return "", fmt.Errorf("scheme %q is not known", scheme)
		}
		s = strings.TrimSuffix(rest, "/")
	}
	if strings.ContainsAny(s, "/?#@") {
		return "", errors.New("it is a URL, not host:port")
	}
	host, port, err := net.SplitHostPort(s)
	if err != nil {
		// A name or an IP address alone. Without brackets nobody can tell the last
		// group of an IPv6 address from a port, unless it is too long for one: ::1:9876 is an
		// address, ::1:10911 is not.
		inner, bracketed := strings.CutPrefix(s, "[")
		host, port = strings.TrimSuffix(inner, "]"), namePort
		switch _, bad := netip.ParseAddr(host); {
		case strings.Contains(host, ":") && bad != nil:
			return parseBroker(s)
		case strings.Contains(host, ":") && !bracketed:
			return "", errors.New("an IPv6 address needs brackets, as in [::1]:9876")
		}
	}
	return joinAddr(host, port)
}

// parseBroker normalises a route's address to host:port. Brokers register an IPv6 address
// without brackets, as in fd00::2:10911. A port is always there, so the last colon is before
// it (Java: RemotingHelper.string2SocketAddress).
func parseBroker(addr string) (string, error) {
	host, port, err := net.SplitHostPort(addr)
	if err != nil {
		i := strings.LastIndexByte(addr, ':')
		if i < 0 {
			return "", errors.New("it is not host:port")
		}
		if ip, bad := netip.ParseAddr(addr[:i]); bad != nil || !ip.Is6() {
			return "", errors.New("it is not host:port")
		}
		host, port = addr[:i], addr[i+1:]
	}
	return joinAddr(host, port)
}

func joinAddr(host, port string) (string, error) {
	n, err := strconv.ParseUint(port, 10, 16)
	switch {
	case host == "":
		return "", errors.New("the host is missing")
	case err != nil || n == 0:
		return "", fmt.Errorf("port %q is not a number from 1 to 65535", port)
	}
	return net.JoinHostPort(host, port), nil
}
