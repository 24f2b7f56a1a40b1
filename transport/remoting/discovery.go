package remoting

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"strings"
	"time"

	"github.com/liftoff-mq/liftoff/internal/absent"
	"github.com/liftoff-mq/liftoff/internal/confjson"
	"github.com/liftoff-mq/liftoff/internal/plausible"
	"github.com/liftoff-mq/liftoff/internal/words"
)

// DefaultDiscoveryInterval is how often sources are asked (Java:
// MQClientInstance.startScheduledTask).
const DefaultDiscoveryInterval = 2 * time.Minute

// leastInterval keeps many clients from asking a source without a pause.
const leastInterval = time.Second

// Discovery says where name servers are found, beside those of [Config].NameServers. Its zero
// value means nowhere else. What all sources give is used together.
//
// The client asks each source when it starts and then every Interval, for at most 3 s. It asks
// again, once a second at most, while it knows no name server, and when none of those that it
// knows answers. A source that fails, or whose answer is empty, too long or not understood, changes
// nothing: what it gave before stays in use, and the log has a warning. Of one source at most 64
// addresses are taken.
//
// The client may start before any name server is known. A send then waits for the first one
// within its time, and its error has what went wrong with the sources.
type Discovery struct {
	// Endpoint is an HTTP server that answers GET with the list: one line of
	// host:port;host:port. The text is a URL, or the host of one with or without a port, for
	// which the rest is http://host:8080/rocketmq/nsaddr as in Java, where it is named
	// rocketmq.namesrv.domain. With [Config].UnitName, "-" and that name follow the path, and the
	// query is nofix=1 (Java: DefaultTopAddressing, MixAll.getWSAddr). A query may hold a token: no
	// log, error or description has it, nor a value in it of 4 bytes or more. None by default.
	Endpoint string `json:"endpoint" yaml:"endpoint" env:"ENDPOINT"`
	// SRV are names with SRV records, such as _rocketmq._tcp.example.com. Each target with its
	// port is a name server. Priorities and weights do not count, since every server is asked
	// when those before it do not know. None by default.
	SRV []string `json:"srv" yaml:"srv" env:"SRV"`
	// Interval is how often all sources are asked, DNS for the names in [Config].NameServers
	// included: 2 minutes by default, 1 s at least.
	Interval time.Duration `json:"interval" yaml:"interval" env:"INTERVAL"`
	// Source is one of the program's own. None by default.
	Source NameServerSource `json:"-" yaml:"-"`
	// Resolver looks names up. By default it is [net.DefaultResolver], except that a [Config].Dial
	// of the program's own, or a proxy of [Config].SOCKS, gets DNS names as they are, because they
	// may have a meaning at the end of a tunnel only. A Resolver beside it changes that. It runs on
	// goroutines of the client's and must obey its context.
	Resolver Resolver `json:"-" yaml:"-"`
	// HTTPClient asks Endpoint, for one that wants a header or a certificate. Nil means one that
	// opens a connection for each question and keeps none after it, knows the proxies of the
	// environment, and follows three redirects. It runs on a goroutine of the client's.
	HTTPClient *http.Client `json:"-" yaml:"-"`
}

// UnmarshalJSON takes durations as text, such as "1.5s", and refuses unknown members.
func (d *Discovery) UnmarshalJSON(data []byte) error { return confjson.Unmarshal(data, d) }

// Format implements [fmt.Formatter]: fields as fmt shows them, but of Endpoint neither the query nor
// what is no endpoint and may have a password. JSON has all of it.
func (d Discovery) Format(f fmt.State, verb rune) {
	type discovery Discovery // without this method
	if u, err := endpointURL(d.Endpoint, ""); d.Endpoint != "" && err != nil {
		d.Endpoint = hidden
	} else if d.Endpoint != "" && u.RawQuery != "" {
		text, _, _ := strings.Cut(d.Endpoint, "?")
		d.Endpoint = text + "?" + hidden
	}
	_, _ = fmt.Fprintf(f, fmt.FormatString(f, verb), discovery(d)) // fmt has nowhere to report it
}

// MarshalJSON gives what is data and not zero, with durations as text.
func (d Discovery) MarshalJSON() ([]byte, error) { return confjson.Marshal(d) }

// IsZero reports whether no source is given. Settings that only say how to ask do not count.
func (d Discovery) IsZero() bool {
	return d.Endpoint == "" && len(d.SRV) == 0 && absent.Is(d.Source)
}

// NameServerSource is a source of name servers that a program has itself, such as a
// configuration service. The client asks one question at a time, on a goroutine of its own
// without a lock. A question that has not returned after 3 s holds up nobody, and the source is not
// asked again before it has. A panic is an error like others.
type NameServerSource interface {
	// NameServers returns all name servers of this moment, in the forms that
	// [Config].NameServers allows. It should end when ctx does.
	NameServers(ctx context.Context) ([]string, error)
}

// NameServerFunc is a function as a [NameServerSource].
type NameServerFunc func(ctx context.Context) ([]string, error)

// NameServers calls f.
func (f NameServerFunc) NameServers(ctx context.Context) ([]string, error) { return f(ctx) }

// Resolver looks names up in DNS. A *[net.Resolver] is one.
type Resolver interface {
	// LookupNetIP returns the addresses of a host; the network is "ip".
	LookupNetIP(ctx context.Context, network, host string) ([]netip.Addr, error)
	// LookupSRV returns the SRV records of a name; service and proto are empty.
	LookupSRV(ctx context.Context, service, proto, name string) (string, []*net.SRV, error)
}

// check reports everything that is wrong, and fills the default.
func (d *Discovery) check(unit string) error {
	var errs []error
	if d.Interval == 0 {
		d.Interval = DefaultDiscoveryInterval
	}
	errs = append(errs, plausible.Named("Discovery.Interval", plausible.Time(d.Interval, leastInterval, plausible.Year)))
	if d.Endpoint != "" {
		if _, err := endpointURL(d.Endpoint, unit); err != nil {
			errs = append(errs, fmt.Errorf("Discovery.Endpoint: %w", err))
		}
	}
	for _, name := range d.SRV {
		if !isHost(name) {
			errs = append(errs, fmt.Errorf("Discovery.SRV: %s is not the name of SRV records, such as _rocketmq._tcp.example.com", words.Quote(name)))
		}
	}
	if d.Source != nil && absent.Is(d.Source) {
		errs = append(errs, errors.New("Discovery.Source is a nil pointer"))
	}
	if d.Resolver != nil && absent.Is(d.Resolver) {
		errs = append(errs, errors.New("Discovery.Resolver is a nil pointer"))
	}
	if d.HTTPClient != nil && d.Endpoint == "" {
		errs = append(errs, errors.New("Discovery.HTTPClient is set without Discovery.Endpoint, which it would ask"))
	}
	return errors.Join(errs...)
}

// What Java adds to the host of an endpoint (MixAll.getWSAddr).
const (
	endpointPort = "8080"
	endpointPath = "/rocketmq/nsaddr"
	unitQuery    = "nofix=1" // beside a unit's name
)

// endpointURL is what is asked. Errors do not repeat what may be a password.
func endpointURL(endpoint, unit string) (*url.URL, error) {
	scheme, _, whole := strings.Cut(endpoint, "://")
	if whole = whole && !strings.ContainsAny(scheme, "/?#"); !whole {
		endpoint = "http://" + endpoint
	}
	u, err := url.Parse(endpoint)
	switch {
	case err != nil:
		return nil, errors.New("it is neither a URL nor host or host:port")
	case u.User != nil:
		return nil, errors.New("it has a user or password: give a Discovery.HTTPClient that sends it")
	case u.Scheme != "http" && u.Scheme != "https":
		return nil, fmt.Errorf("scheme %s is not known; there are http, https", words.Quote(u.Scheme))
	case !isHost(u.Hostname()):
		return nil, errors.New("the host is missing, or not a name or an address")
	case u.Fragment != "":
		return nil, errors.New("it has a fragment, which no server gets")
	}
	if !whole && u.Port() == "" {
		u.Host = net.JoinHostPort(u.Hostname(), endpointPort)
	}
	if u.Path == "" || u.Path == "/" {
		u.Path = endpointPath
	}
	if unit != "" {
		if strings.ContainsAny(unit, "/\\") {
			return nil, fmt.Errorf("the unit name %s cannot be a part of its path", words.Quote(unit))
		}
		u.Path, u.RawPath = u.Path+"-"+unit, ""
		if u.RawQuery != "" {
			u.RawQuery = "&" + u.RawQuery
		}
		u.RawQuery = unitQuery + u.RawQuery
	}
	return u, nil
}

// shown is a URL without its query, in which there may be a token.
func shown(u *url.URL) string { return u.Scheme + "://" + u.Host + u.EscapedPath() }
