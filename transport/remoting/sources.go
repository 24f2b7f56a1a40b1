package remoting

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"html"
	"io"
	"net"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"sync"

	"github.com/liftoff-mq/liftoff/core"
	"github.com/liftoff-mq/liftoff/internal/words"
)

// The program's functions that sources call.
const (
	resolverFunction = "remoting.Config.Discovery.Resolver"
	clientFunction   = "remoting.Config.Discovery.HTTPClient"
	sourceFunction   = "remoting.Config.Discovery.Source"
)

// sources are those of Config.Discovery.
func (f *finder) sources() []*source {
	cfg := &f.c.cfg
	var out []*source
	if cfg.Discovery.Endpoint != "" {
		u, _ := endpointURL(cfg.Discovery.Endpoint, cfg.UnitName) // withDefaults has looked at the error
		e := newEndpoint(f, u, cfg.Discovery.HTTPClient)
		out = append(out, &source{what: "endpoint " + shown(u), function: clientFunction, ask: e.ask, hide: e.hide})
		cfg.Discovery.Endpoint = shown(u) // what is not kept is not shown
	}
	for _, name := range cfg.Discovery.SRV {
		r := &records{f: f, name: name, resolver: cmp.Or[Resolver](f.resolver, net.DefaultResolver)}
		out = append(out, &source{what: "SRV " + name, function: resolverFunction, ask: r.ask})
	}
	if own := cfg.Discovery.Source; own != nil {
		out = append(out, &source{what: sourceFunction, function: sourceFunction, ask: func(ctx context.Context, before []nameServer) ([]nameServer, error) {
			lists, err := own.NameServers(ctx)
			if err != nil {
				return nil, err
			}
			if len(lists) > maxFound {
				return nil, fmt.Errorf("it gave %d texts, at most %d are taken", len(lists), maxFound)
			}
			list, err := parseServers(lists)
			if err != nil {
				return nil, err
			}
			return f.expand(ctx, list, before)
		}})
	}
	return out
}

// resolves reports whether the client looks up the addresses of host:port.
func (f *finder) resolves(addr string) bool { return f.resolver != nil && isName(addr) }

// expand makes name servers of host:port, one of each address that a host has. A name that cannot be
// looked up keeps the addresses that it had before. It is an error if nothing is left.
func (f *finder) expand(ctx context.Context, list []string, before []nameServer) ([]nameServer, error) {
	if len(list) > maxFound {
		return nil, fmt.Errorf("it gave %d name servers, at most %d are taken", len(list), maxFound)
	}
	found := make([][]nameServer, len(list))
	errs := make([]error, len(list))
	var names sync.WaitGroup
	for i, addr := range list {
		if !f.resolves(addr) {
			found[i] = []nameServer{{addr: addr}}
			continue
		}
		names.Go(func() {
			if f.resolve(ctx, addr, &found[i], &errs[i]); errs[i] != nil {
				found[i] = slices.DeleteFunc(slices.Clone(before), func(n nameServer) bool { return n.name != addr })
				errs[i] = fmt.Errorf("%s: %w", addr, errs[i])
			}
		})
	}
	names.Wait()
	var out []nameServer
	for _, servers := range found {
		out = append(out, servers...)
	}
	// A single name that fails is told, also where its addresses stay.
	if err := errors.Join(errs...); err != nil && (len(out) == 0 || len(list) == 1) {
		return nil, err
	}
	return out, nil
}

// resolve looks up the addresses of a name. Both are given by pointers, as in dialUser.
func (f *finder) resolve(ctx context.Context, addr string, found *[]nameServer, err *error) {
	returned := false
	defer containUser(resolverFunction, &returned, err)
	host, port, _ := net.SplitHostPort(addr) // it is in this form
	ips, failed := f.resolver.LookupNetIP(ctx, "ip", host)
	returned = true
	for _, ip := range ips {
		if ip.IsValid() {
			*found = append(*found, nameServer{addr: net.JoinHostPort(ip.Unmap().String(), port), name: addr})
		}
	}
	// Answers come in another order each time.
	slices.SortFunc(*found, func(a, b nameServer) int { return strings.Compare(a.addr, b.addr) })
	if *err = failed; failed == nil && len(*found) == 0 {
		*err = errors.New("it has no address")
	}
}

// records are the SRV records of a name.
type records struct {
	f        *finder
	name     string
	resolver Resolver
}

func (r *records) ask(ctx context.Context, before []nameServer) ([]nameServer, error) {
	_, targets, err := r.resolver.LookupSRV(ctx, "", "", r.name)
	if err != nil && len(targets) == 0 {
		return nil, err
	}
	var list []string
	for _, t := range targets {
		if t == nil {
			continue
		}
		host := strings.TrimSuffix(t.Target, ".")
		if host == "" {
			return nil, errors.New("the records say that there is no such service")
		}
		addr, err := parseServer(net.JoinHostPort(host, strconv.Itoa(int(t.Port))))
		if err != nil {
			return nil, fmt.Errorf("target %s: %w", words.Quote(t.Target), err)
		}
		if !slices.Contains(list, addr) {
			list = append(list, addr)
		}
	}
	slices.Sort(list)
	return r.f.expand(ctx, list, before)
}

// endpoint is Java's TopAddressing: an HTTP server that knows the name servers.
type endpoint struct {
	f      *finder
	url    string
	secret []string // parts of the URL that are not shown, in small letters
	client *http.Client
	// transport is the client's own. It is nil with a client of the program's, whose connections are
	// the program's too.
	transport *http.Transport
}

const (
	maxAnswer    = 64 << 10 // of a body, and of its headers
	maxRedirects = 3
)

var errRedirects = fmt.Errorf("it redirects more than %d times", maxRedirects)

// newEndpoint is an endpoint that is asked by the program's client with bounded redirects, or by one
// that leaves no connection and no goroutine behind.
func newEndpoint(f *finder, u *url.URL, own *http.Client) *endpoint {
	e := &endpoint{f: f, url: u.String(), secret: secretsOf(u)}
	if own != nil {
		copied := *own
		e.client = &copied
	} else {
		e.transport = &http.Transport{
			Proxy: http.ProxyFromEnvironment, DialContext: (&net.Dialer{Timeout: sourceTimeout}).DialContext, TLSHandshakeTimeout: sourceTimeout,
			DisableKeepAlives: true, MaxResponseHeaderBytes: maxAnswer, ForceAttemptHTTP2: true,
		}
		e.client = &http.Client{Transport: e.transport}
	}
	if e.client.CheckRedirect == nil {
		e.client.CheckRedirect = func(_ *http.Request, via []*http.Request) error {
			if len(via) > maxRedirects {
				return errRedirects
			}
			return nil
		}
	}
	return e
}

func (e *endpoint) ask(ctx context.Context, before []nameServer) ([]nameServer, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, e.url, nil)
	if err != nil {
		return nil, err
	}
	if e.transport != nil {
		// A dial goes on without its request, for a later one. This ends it.
		defer e.transport.CloseIdleConnections()
	}
	answer, err := e.client.Do(req)
	if err != nil {
		// The text of a *url.Error has the URL, and in that there may be a token.
		if where := (*url.Error)(nil); errors.As(err, &where) {
			err = where.Err
		}
		return nil, err
	}
	defer answer.Body.Close()
	if answer.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("it answered with status %d", answer.StatusCode)
	}
	body, err := io.ReadAll(io.LimitReader(answer.Body, maxAnswer+1))
	switch {
	case err != nil:
		return nil, err
	case len(body) > maxAnswer:
		return nil, fmt.Errorf("its answer has more than %d bytes", maxAnswer)
	}
	list, line, ok := parseAnswer(string(body))
	if !ok {
		// Before the line is cut: half a token is one too many.
		if e.repeats(line) {
			return nil, errors.New("its answer is not host:port;host:port, and is not shown because it repeats a part of the query")
		}
		return nil, fmt.Errorf("its answer is not host:port;host:port but %s", words.Quote(line))
	}
	return e.f.expand(ctx, list, before)
}

// leastSecret is the fewest bytes of what is hidden. Less is found in any text.
const leastSecret = 4

// secretsOf are the pairs and the values of a URL's query, of which any may be a token, in the forms
// in which an error or a page repeats them. What the shown part of the URL has is no secret.
func secretsOf(u *url.URL) (secrets []string) {
	add := func(text string) {
		quoted := strconv.Quote(text)
		for _, form := range []string{text, quoted[1 : len(quoted)-1], html.EscapeString(text), url.QueryEscape(text), url.PathEscape(text)} {
			if form = strings.ToLower(form); len(form) >= leastSecret && !strings.Contains(strings.ToLower(shown(u)), form) && !slices.Contains(secrets, form) {
				secrets = append(secrets, form)
			}
		}
	}
	// Some servers separate pairs by semicolons.
	pairs := slices.Concat(strings.Split(u.RawQuery, "&"), strings.FieldsFunc(u.RawQuery, func(r rune) bool { return r == '&' || r == ';' }))
	for _, pair := range pairs {
		if pair == unitQuery {
			continue
		}
		add(pair)
		_, value, _ := strings.Cut(pair, "=")
		add(value)
		for _, text := range []string{pair, value} {
			if meant, err := url.QueryUnescape(text); err == nil {
				add(meant)
			}
		}
	}
	return secrets
}

// repeats reports whether a text has a part of the query.
func (e *endpoint) repeats(text string) bool {
	text = strings.ToLower(text)
	return slices.ContainsFunc(e.secret, func(s string) bool { return strings.Contains(text, s) })
}

const notShown = "what went wrong is not shown, because it repeats a part of the query"

// hide takes the place of an error that repeats the query. The text of one may come from anywhere:
// from the answer's headers, from where it redirects to, from the program's client.
func (e *endpoint) hide(err error) error {
	if err == nil || errors.Is(err, errSourceSilent) || !e.repeats(err.Error()) {
		return err
	}
	if panicked, ok := errors.AsType[*core.PanicError](err); ok {
		return &core.PanicError{Step: panicked.Step, Value: notShown, Stack: panicked.Stack}
	}
	return errors.New(notShown)
}

// parseAnswer reads the line of an endpoint: host:port;host:port (Java:
// DefaultTopAddressing.clearNewLine). Each must have a port, so that a page in words or HTML is not
// taken for names.
func parseAnswer(body string) (list []string, line string, ok bool) {
	line = strings.TrimSpace(body)
	if end := strings.IndexAny(line, "\r\n"); end >= 0 {
		line = line[:end]
	}
	for part := range strings.SplitSeq(line, ";") {
		if part = strings.TrimSpace(part); part == "" {
			continue
		}
		_, bare, schemed := strings.Cut(part, "://")
		if !schemed {
			bare = part
		}
		_, _, err := net.SplitHostPort(strings.TrimSuffix(bare, "/"))
		var addr string
		if err == nil {
			addr, err = parseServer(part)
		}
		if err != nil {
			return nil, line, false
		}
		if !slices.Contains(list, addr) {
			list = append(list, addr)
		}
	}
	return list, line, true
}
