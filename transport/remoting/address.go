package remoting

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"strconv"
	"strings"

	"github.com/liftoff-mq/liftoff/internal/words"
	"github.com/liftoff-mq/liftoff/transport/wire"
)

// namePort is where name servers listen unless told otherwise (Java: NamesrvStartup).
const namePort = "9876"

// parseServers takes lists of addresses apart and normalises each one to
// host:port. Addresses given twice count once.
func parseServers(lists []string) ([]string, error) {
	var out []string
	var errs []error
	for _, list := range lists {
		if at := strings.LastIndexByte(list, '@'); at >= 0 {
			// What stands before it may be a password, also one with a separator in it.
			errs = append(errs, fmt.Errorf("name server %s: it has a user or password, want host:port", words.Quote("..."+list[at:])))
			continue
		}
		for _, s := range strings.FieldsFunc(list, isSeparator) {
			addr, err := parseServer(s)
			if err != nil {
				known, _, _ := strings.Cut(s, "?") // behind it may be a token
				errs = append(errs, fmt.Errorf("name server %s: %w", words.Quote(known), err))
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
			return "", fmt.Errorf("scheme %s is not known", words.Quote(scheme))
		}
		s = strings.TrimSuffix(rest, "/")
	}
	if strings.ContainsAny(s, "/?#") {
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
	if host != "" && !isHost(host) {
		return "", errors.New("the host is neither a name nor an IP address")
	}
	return joinAddr(host, port)
}

// isHost reports whether s is an IP address or can be a DNS name. Underscores are in names of SRV
// records and of containers.
func isHost(s string) bool {
	if _, err := netip.ParseAddr(s); err == nil {
		return len(s) <= words.MaxName
	}
	const most = 253
	return s != "" && len(s) <= most && !strings.ContainsFunc(s, func(r rune) bool {
		return !(r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || strings.ContainsRune("-._", r))
	})
}

// checkNames reports whether what a route calls a broker can be shown to people.
func checkNames(b *wire.BrokerData, addr string) error {
	if !words.IsName(b.BrokerName) || !words.IsName(addr) || b.Cluster != "" && !words.IsName(b.Cluster) {
		return fmt.Errorf("name, address or cluster is not printable text of at most %d bytes", words.MaxName)
	}
	return nil
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
		return "", fmt.Errorf("port %s is not a number from 1 to 65535", words.Quote(port))
	}
	return net.JoinHostPort(host, port), nil
}
