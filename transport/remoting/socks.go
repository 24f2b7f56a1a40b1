package remoting

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"net"
	"net/netip"
	"slices"
	"strings"

	"golang.org/x/net/proxy"

	"github.com/liftoff-mq/liftoff/internal/confjson"
	"github.com/liftoff-mq/liftoff/internal/words"
	"github.com/liftoff-mq/liftoff/transport/remoting/internal/conn"
)

// anywhere is the network that stands for every address, also for names and for those of IPv6
// (Java: RemotingHelper.DEFAULT_CIDR_ALL).
const anywhere = "0.0.0.0/0"

// SOCKS are SOCKS5 proxies (RFC 1928) by the networks that they lead to, such as 10.0.0.0/8 or
// fd00::/8. 0.0.0.0/0 is everything, IPv6 and names too. Where several networks have an address
// the longest one counts; Java takes any of them. The network of an address is that which is
// dialed, after any translation. A proxy without Addr means that its network is dialed directly.
//
// A name is resolved by the proxy, as in Java, and not here; so it is in no network but
// 0.0.0.0/0. With TLS the connection is encrypted through the proxy, up to the server.
//
// As text it is the JSON of Java's com.rocketmq.socks.proxy.config, as in
//
//	{"0.0.0.0/0":{"addr":"proxy.example:1080","username":"me","password":"..."}}
//
// or the address of one proxy for everything, proxy.example:1080.
type SOCKS map[string]SOCKSProxy

// SOCKSProxy is a SOCKS5 proxy. Its text forms hide the password.
type SOCKSProxy struct {
	// Addr is the proxy's host:port. Its name is resolved here, at each dial.
	Addr string `json:"addr" yaml:"addr"`
	// Username and Password are for a proxy that wants them (RFC 1929), up to 255 bytes each.
	// They go to the proxy in plain text. Without a Username none are offered.
	Username string `json:"username" yaml:"username"`
	Password Secret `json:"password" yaml:"password"`
}

// UnmarshalText takes Java's JSON, or host:port of one proxy for everything. An empty text means
// no proxy.
func (s *SOCKS) UnmarshalText(text []byte) error {
	text = bytes.TrimSpace(text)
	switch {
	case len(text) == 0:
		*s = nil
		return nil
	case text[0] == '{':
		return s.UnmarshalJSON(text)
	case bytes.ContainsAny(text, `{"}`):
		// What lost a part of its JSON may have a password in it, so the error does not show it.
		return errors.New("the text is neither host:port nor JSON, which begins with {")
	}
	*s = SOCKS{anywhere: {Addr: string(text)}}
	return nil
}

// UnmarshalJSON takes an object, or what UnmarshalText takes as a string.
func (s *SOCKS) UnmarshalJSON(data []byte) error {
	var text string
	if json.Unmarshal(data, &text) == nil {
		return s.UnmarshalText([]byte(text))
	}
	var proxies map[string]SOCKSProxy
	if err := json.Unmarshal(data, &proxies); err != nil {
		return fmt.Errorf(`%w; want {"0.0.0.0/0":{"addr":"host:port","username":"...","password":"..."}} or host:port`, err)
	}
	*s = proxies
	return nil
}

// UnmarshalYAML takes a mapping, or what UnmarshalText takes as a string. The libraries for YAML
// share this form of the method.
func (s *SOCKS) UnmarshalYAML(decode func(any) error) error {
	var text string
	if decode(&text) == nil {
		return s.UnmarshalText([]byte(text))
	}
	var proxies map[string]SOCKSProxy
	if err := decode(&proxies); err != nil {
		return err
	}
	*s = proxies
	return nil
}

// UnmarshalJSON refuses unknown members.
func (p *SOCKSProxy) UnmarshalJSON(data []byte) error { return confjson.Unmarshal(data, p) }

// MarshalJSON gives what is not zero, the password hidden.
func (p SOCKSProxy) MarshalJSON() ([]byte, error) { return confjson.Marshal(p) }

// socksTable is a [SOCKS], taken apart: the longest network first.
type socksTable []socksRule

type socksRule struct {
	network netip.Prefix
	proxy   SOCKSProxy // without Addr for none
}

// parseSOCKS takes proxies apart.
func parseSOCKS(s SOCKS) (socksTable, error) {
	var out socksTable
	var errs []error
	for _, key := range slices.Sorted(maps.Keys(s)) {
		p := s[key]
		wrong := func(format string, args ...any) {
			errs = append(errs, fmt.Errorf("SOCKS proxy of %s: "+format, append([]any{words.Quote(key)}, args...)...))
		}
		network, err := netip.ParsePrefix(key)
		if err != nil {
			wrong("it is no network such as 10.0.0.0/8")
		}
		if p.Addr != "" {
			host, port, err := net.SplitHostPort(p.Addr)
			if err == nil {
				_, err = joinAddr(host, port)
			}
			if err != nil {
				wrong("Addr %s is not host:port, such as proxy.example:1080", quoteAddr(p.Addr))
			}
		}
		switch {
		case p.Addr == "" && p != SOCKSProxy{}:
			wrong("Addr is missing")
		case p.Username == "" && !p.Password.IsZero():
			wrong("Password is given without a Username")
		case len(p.Username) > maxSOCKSText || len(p.Password.Reveal()) > maxSOCKSText:
			wrong("Username or Password is longer than %d bytes", maxSOCKSText)
		}
		if i := slices.IndexFunc(out, func(r socksRule) bool { return err == nil && r.network == network.Masked() }); i >= 0 {
			wrong("the network is there already, written in another way")
		}
		out = append(out, socksRule{network.Masked(), p})
	}
	slices.SortStableFunc(out, func(a, b socksRule) int {
		switch {
		case a.everything():
			return 1
		case b.everything():
			return -1
		}
		return b.network.Bits() - a.network.Bits()
	})
	return out, errors.Join(errs...)
}

// maxSOCKSText is how long a name and a password can be (RFC 1929).
const maxSOCKSText = 255

// quoteAddr shows what is no address. Before an @ may be a password.
func quoteAddr(s string) string {
	if at := strings.LastIndexByte(s, '@'); at >= 0 {
		s = "..." + s[at:]
	}
	return words.Quote(s)
}

// everything reports whether every address is in the rule's network.
func (r *socksRule) everything() bool {
	return r.network.Addr().Is4() && r.network.Bits() == 0
}

// find gives the proxy that leads to an address, nil if it is dialed directly. It is that of the longest network.
func (t socksTable) find(addr string) *SOCKSProxy {
	if len(t) == 0 {
		return nil
	}
	host, _, _ := net.SplitHostPort(addr)
	ip, _ := netip.ParseAddr(host) // the zero one, of a name, is in no network
	for i := range t {
		r := &t[i]
		switch {
		case !r.everything() && !r.network.Contains(ip.Unmap().WithZone("")):
		case r.proxy.Addr == "":
			return nil
		default:
			return &r.proxy
		}
	}
	return nil
}

// summary tells what leads where.
func (t socksTable) summary() string {
	var out []string
	for i := range t {
		by := t[i].proxy.Addr
		if by == "" {
			by = "directly"
		} else if t[i].proxy.Username != "" {
			by += " with a password"
		}
		out = append(out, t[i].network.String()+" by "+by)
	}
	return strings.Join(out, ", ")
}

// SOCKSError is a connection that came to nothing at a SOCKS proxy. Nothing was sent.
type SOCKSError struct {
	Proxy string // host:port
	// Refused says that the proxy did not take the credentials, or wants some.
	Refused bool
	Err     error
}

// Error names the proxy and the cause, and what to set.
func (e *SOCKSError) Error() string {
	s := "SOCKS proxy " + e.Proxy + ": " + words.Err(e.Err)
	if e.Refused {
		s += " (see Username and Password of this proxy in SOCKS)"
	}
	return s
}

// Unwrap gives the cause.
func (e *SOCKSError) Unwrap() error { return e.Err }

// forward dials for package proxy.
type forward func(ctx context.Context, network, addr string) (net.Conn, error)

func (f forward) Dial(network, addr string) (net.Conn, error) {
	return f(context.Background(), network, addr)
}

func (f forward) DialContext(ctx context.Context, network, addr string) (net.Conn, error) {
	return f(ctx, network, addr)
}

// dial opens a connection to an address by way of the proxy, which open dials.
func (p *SOCKSProxy) dial(ctx context.Context, open forward, addr string) (net.Conn, error) {
	var below net.Conn
	guarded := forward(func(ctx context.Context, network, addr string) (nc net.Conn, err error) {
		if below, err = open(ctx, network, addr); err != nil {
			return nil, err
		}
		return conn.Guard(below), nil
	})
	var auth *proxy.Auth
	if p.Username != "" {
		auth = &proxy.Auth{User: p.Username, Password: p.Password.Reveal()}
	}
	d, err := proxy.SOCKS5("tcp", p.Addr, auth, guarded)
	if err != nil {
		return nil, p.failed(err)
	}
	if _, err := d.(proxy.ContextDialer).DialContext(ctx, "tcp", addr); err != nil {
		return nil, p.failed(err)
	}
	return below, nil // without a layer above: a plain socket stays one
}

// failed puts an error of package proxy into words. It has no types for them.
func (p *SOCKSProxy) failed(err error) error {
	var op *net.OpError
	if errors.As(err, &op) && strings.HasPrefix(op.Op, "socks") {
		err = op.Err // the rest is the proxy's address and the server's, which are told anyway
	}
	text := err.Error()
	if answer, ok := strings.CutPrefix(text, "unknown error "); ok {
		err = errors.New(answer) // a reply of RFC 1928
	}
	return &SOCKSError{Proxy: p.Addr, Err: err, Refused: strings.Contains(text, "authentication")}
}
