package acl_test

import (
	"context"
	"errors"
	"strings"
	"sync"
	"testing"

	"pgregory.net/rapid"

	"github.com/liftoff-mq/liftoff/core"
	"github.com/liftoff-mq/liftoff/internal/race"
	"github.com/liftoff-mq/liftoff/transport/remoting"
	"github.com/liftoff-mq/liftoff/transport/remoting/acl"
	"github.com/liftoff-mq/liftoff/transport/wire"
)

// request is a send of 256 bytes as the client hands it over.
func request() remoting.SignRequest {
	return remoting.SignRequest{Code: wire.SendMessageV2, Fields: wire.Fields{
		{Key: "a", Value: "group-1"},
		{Key: "b", Value: "orders"},
		{Key: "c", Value: "TBW102"},
		{Key: "d", Value: "4"},
		{Key: "e", Value: "7"},
		{Key: "f", Value: "0"},
		{Key: "g", Value: "1700000000123"},
		{Key: "h", Value: "0"},
		{Key: "i", Value: "UNIQ_KEY\x017F000001000A18B4AAC2000000000001\x02TAGS\x01paid"},
		{Key: "j", Value: "0"},
		{Key: "k", Value: "false"},
		{Key: "m", Value: "false"},
		{Key: "n", Value: "broker-a"},
	}, Body: make([]byte, 256)}
}

// TestSignerAllocates: the list of fields and the signature's text, and nothing else.
func TestSignerAllocates(t *testing.T) {
	if race.Enabled {
		t.Skip("the race detector makes sync.Pool forget")
	}
	s, r := signer(t, keys()), request()
	if n := testing.AllocsPerRun(1000, func() { sign(t, s, r) }); n > 2 {
		t.Errorf("%v allocations", n)
	}
}

func BenchmarkSign(b *testing.B) {
	s, r := signer(b, keys()), request()
	b.ReportAllocs()
	for b.Loop() {
		if _, err := s.Sign(r); err != nil {
			b.Fatal(err)
		}
	}
}

// TestSignerTakesNewCredentials: each request is signed with those of its moment, by whichever
// goroutine, and signed again it gets the same signature only with the same credentials.
func TestSignerTakesNewCredentials(t *testing.T) {
	all := []acl.Credentials{
		keys(),
		{AccessKey: "orders", SecretKey: acl.NewSecret(secretKey)},
		{AccessKey: "orders", SecretKey: acl.NewSecret("another")},
		{AccessKey: "audit", SecretKey: acl.NewSecret("another")},
	}
	want := make([]wire.Fields, len(all))
	for i, c := range all {
		want[i] = sign(t, signer(t, c), request())
		for j := range i {
			if want[i].Get("Signature") == want[j].Get("Signature") {
				t.Fatalf("credentials %d and %d make the same signature", i, j)
			}
		}
	}
	var mu sync.Mutex
	next := 0
	s, err := acl.NewSigner(acl.ProviderFunc(func() (acl.Credentials, error) {
		mu.Lock()
		defer mu.Unlock()
		next++
		return all[next%len(all)], nil
	}))
	if err != nil {
		t.Fatal(err)
	}
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			for range 100 {
				got := sign(t, s, request())
				known := false
				for i, c := range all {
					known = known || got.Get("Signature") == want[i].Get("Signature") && got.Get("AccessKey") == c.AccessKey &&
						got.Get("SecurityToken") == c.SecurityToken.Reveal() && len(got) == len(want[i])
				}
				if !known {
					t.Errorf("fields of no credentials: %v", got)
				}
			}
		})
	}
	wg.Wait()
}

// TestOrderOfFields: the signature does not depend on the order in which fields are sent, and
// the request is not changed.
func TestOrderOfFields(t *testing.T) {
	s := signer(t, keys())
	want := sign(t, s, request()).Get("Signature")
	rapid.Check(t, func(rt *rapid.T) {
		r := request()
		before := rapid.Permutation(r.Fields).Draw(rt, "fields")
		r.Fields = append(wire.Fields(nil), before...)
		if got := sign(t, s, r).Get("Signature"); got != want {
			rt.Errorf("%s, want %s", got, want)
		}
		for i := range before {
			if r.Fields[i] != before[i] {
				rt.Errorf("field %d has become %v", i, r.Fields[i])
			}
		}
	})
}

// TestSignerFails: without credentials there is no signature, and the error is fit to be shown.
func TestSignerFails(t *testing.T) {
	for name, tt := range map[string]struct {
		f    acl.ProviderFunc
		want string
	}{
		"error":   {func() (acl.Credentials, error) { return keys(), errNoKeys }, "no credentials: the vault is sealed"},
		"panic":   {func() (acl.Credentials, error) { panic(secretKey) }, "the provider of credentials panicked with a string"},
		"nothing": {func() (acl.Credentials, error) { return acl.Credentials{}, nil }, "invalid credentials: the access key is missing"},
		"newline": {func() (acl.Credentials, error) {
			return acl.Credentials{AccessKey: "orders", SecretKey: acl.NewSecret(secretKey + "\n")}, nil
		}, "invalid credentials: the secret key has white space"},
	} {
		s, err := acl.NewSigner(tt.f)
		if err != nil {
			t.Fatal(err)
		}
		for range 2 { // the second time as well
			fields, err := s.Sign(request())
			if fields != nil || err == nil || !strings.Contains(err.Error(), tt.want) || strings.Contains(err.Error(), secretKey) {
				t.Errorf("%s: %v, %v", name, fields, err)
			}
			if name == "error" && !errors.Is(err, errNoKeys) {
				t.Errorf("%s: %v", name, err)
			}
		}
	}
	for _, p := range []acl.Provider{nil, acl.ProviderFunc(nil), (*acl.File)(nil)} {
		if _, err := acl.NewSigner(p); err == nil {
			t.Errorf("%T that is nil is taken", p)
		}
	}
}

// served is a provider with a life.
type served struct {
	acl.Provider
	started, stopped int
	fail             error
}

func (s *served) Start(context.Context) error    { s.started++; return s.fail }
func (s *served) Shutdown(context.Context) error { s.stopped++; return s.fail }

func TestSignerServesItsProvider(t *testing.T) {
	static, err := acl.Static(keys())
	if err != nil {
		t.Fatal(err)
	}
	p := &served{Provider: static, fail: errNoKeys}
	s, err := acl.NewSigner(p)
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Start(t.Context()); !errors.Is(err, errNoKeys) || p.started != 1 {
		t.Errorf("start: %v", err)
	}
	if err := s.Shutdown(t.Context()); !errors.Is(err, errNoKeys) || p.stopped != 1 {
		t.Errorf("shutdown: %v", err)
	}
	s = signer(t, keys())
	if err := errors.Join(s.Start(t.Context()), s.Shutdown(t.Context())); err != nil {
		t.Errorf("nothing to serve: %v", err)
	}
	if got := core.Describe(s).String(); got != "signed, fixed credentials (access key orders)" {
		t.Error(got)
	}
	f, err := acl.NewSigner(acl.ProviderFunc(static.Credentials))
	if err != nil {
		t.Fatal(err)
	}
	if got := core.Describe(f).String(); got != "signed, credentials of a function" {
		t.Error(got)
	}
}
