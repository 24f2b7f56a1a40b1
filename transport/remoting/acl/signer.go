package acl

import (
	"cmp"
	"context"
	"crypto/hmac"
	"crypto/sha1"
	"encoding/base64"
	"errors"
	"fmt"
	"hash"
	"slices"
	"sync"

	"github.com/liftoff-mq/liftoff/core"
	"github.com/liftoff-mq/liftoff/internal/absent"
	"github.com/liftoff-mq/liftoff/transport/remoting"
	"github.com/liftoff-mq/liftoff/transport/wire"
)

// The fields that a signer adds (Java: SessionCredentials).
const (
	accessKeyField     = "AccessKey"
	securityTokenField = "SecurityToken"
	signatureField     = "Signature"
)

// Signer is a [remoting.Signer] with the keys of a [Provider]. The signature is the HMAC-SHA1,
// under the secret key and in base64, of the values of all fields, AccessKey and SecurityToken
// among them, in the order of their names, with the body behind (Java: AclClientRPCHook,
// AclUtils.combineRequestContent). Brokers of 4.x and 5.x check this one; the authentication of
// 5.x ("ACL 2.0") differs in where users and their rights are kept.
//
// A request that is made again is signed again, with the credentials of that moment. It is safe
// for concurrent use, and several clients may have the same one.
type Signer struct {
	provider Provider
	states   sync.Pool // of *state
}

var (
	_ remoting.Signer = (*Signer)(nil)
	_ core.Service    = (*Signer)(nil)
	_ core.Describer  = (*Signer)(nil)
)

// NewSigner makes a signer. It does not ask the provider yet.
func NewSigner(p Provider) (*Signer, error) {
	if absent.Is(p) {
		return nil, errors.New("acl: the provider is nil")
	}
	return &Signer{provider: p}, nil
}

// state is what one signature needs. It is kept for the next one.
type state struct {
	credentials Credentials // of mac
	mac         hash.Hash   // nil before the first signature
	fields      wire.Fields
	content     []byte
	sum         [sha1.Size]byte
	text        [28]byte // sum in base64
}

// maxKept bounds the content that a state keeps, in bytes.
const maxKept = 64 << 10

// Sign implements [remoting.Signer]. It makes two allocations: the list of fields and the
// signature's text.
func (s *Signer) Sign(r remoting.SignRequest) (wire.Fields, error) {
	c, err := s.credentials()
	if err != nil {
		return nil, err
	}
	st, _ := s.states.Get().(*state)
	if st == nil {
		st = new(state)
	}
	defer s.free(st)
	if err := st.use(&c); err != nil {
		return nil, err
	}
	added := append(make(wire.Fields, 0, 3), wire.Field{Key: accessKeyField, Value: c.AccessKey})
	if token := c.SecurityToken.Reveal(); token != "" {
		added = append(added, wire.Field{Key: securityTokenField, Value: token})
	}
	return append(added, wire.Field{Key: signatureField, Value: st.signature(r.Fields, added, r.Body)}), nil
}

// credentials asks the provider. A panic's value is not shown, because it may hold a secret.
func (s *Signer) credentials() (c Credentials, err error) {
	defer func() {
		if v := recover(); v != nil {
			c, err = Credentials{}, fmt.Errorf("the provider of credentials panicked with a %T", v)
		}
	}()
	if c, err = s.provider.Credentials(); err != nil {
		return Credentials{}, fmt.Errorf("no credentials: %w", err)
	}
	return c, nil
}

// use makes ready for signatures with c.
func (st *state) use(c *Credentials) error {
	if st.mac != nil && st.credentials.equal(c) {
		return nil
	}
	if err := c.Validate(); err != nil {
		return fmt.Errorf("invalid credentials: %w", err)
	}
	st.credentials, st.mac = *c, hmac.New(sha1.New, []byte(c.SecretKey.Reveal()))
	return nil
}

// signature is the text of the signature.
func (st *state) signature(fields, added wire.Fields, body []byte) string {
	st.fields = append(append(st.fields[:0], fields...), added...)
	// Java's order is that of strings in UTF-16; the names of fields are ASCII.
	slices.SortFunc(st.fields, func(a, b wire.Field) int { return cmp.Compare(a.Key, b.Key) })
	st.content = st.content[:0]
	for i := range st.fields {
		st.content = append(st.content, st.fields[i].Value...)
	}
	st.mac.Reset()
	st.mac.Write(st.content) // a hash returns no error
	st.mac.Write(body)
	base64.StdEncoding.Encode(st.text[:], st.mac.Sum(st.sum[:0]))
	return string(st.text[:])
}

// free keeps a state for the next signature, without anything of the request.
func (s *Signer) free(st *state) {
	clear(st.fields[:cap(st.fields)])
	clear(st.content)
	if cap(st.content) > maxKept {
		st.content = nil
	}
	s.states.Put(st)
}

// Start starts the provider if it is a [core.Service]. The client calls it.
func (s *Signer) Start(ctx context.Context) error {
	if p, ok := s.provider.(core.Service); ok {
		return p.Start(ctx)
	}
	return nil
}

// Shutdown shuts the provider down if it is a [core.Service]. The client calls it. Requests can
// be signed still.
func (s *Signer) Shutdown(ctx context.Context) error {
	if p, ok := s.provider.(core.Service); ok {
		return p.Shutdown(ctx)
	}
	return nil
}

// Describe implements [core.Describer] by what the provider says of itself.
func (s *Signer) Describe() core.Description {
	d := core.Describe(s.provider)
	d.Summary = "signed, " + d.Summary
	return d
}
