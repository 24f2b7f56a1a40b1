package acl_test

import (
	"encoding/hex"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/liftoff-mq/liftoff/transport/remoting"
	"github.com/liftoff-mq/liftoff/transport/remoting/acl"
	"github.com/liftoff-mq/liftoff/transport/wire"
)

// The keys of integration/java/src/main/java/liftoff/GoldenFrames.java.
const (
	goldenAccessKey = "accessKey-1"
	goldenSecretKey = "secret-key-Größe"
	goldenToken     = "token-1"
)

// TestSignaturesAreJavas: of every request that the Java classes have signed the signature is ours.
func TestSignaturesAreJavas(t *testing.T) {
	for name, c := range signedByJava(t) {
		t.Run(name, func(t *testing.T) {
			var unsigned, want wire.Fields
			for _, f := range c.Ext { // Java writes the fields of a send twice
				switch f.Key {
				case "AccessKey", "SecurityToken", "Signature":
					want.Set(f.Key, f.Value)
				default:
					unsigned.Set(f.Key, f.Value)
				}
			}
			keys := acl.Credentials{AccessKey: goldenAccessKey, SecretKey: acl.NewSecret(goldenSecretKey)}
			if _, ok := want.Lookup("SecurityToken"); ok {
				keys.SecurityToken = acl.NewSecret(goldenToken)
			}
			got := sign(t, signer(t, keys), remoting.SignRequest{Code: c.Code, Fields: unsigned, Body: c.Body})
			byName(got)
			byName(want)
			if !slices.Equal(got, want) {
				t.Errorf("signed with %v, Java with %v", got, want)
			}
			// Anything else that is signed, or any other key, gives another signature.
			other := remoting.SignRequest{Code: c.Code, Fields: unsigned, Body: append(slices.Clone(c.Body), 'x')}
			if sign(t, signer(t, keys), other).Get("Signature") == want.Get("Signature") {
				t.Error("the body does not count")
			}
			other = remoting.SignRequest{Code: c.Code, Fields: append(slices.Clone(unsigned), wire.Field{Key: "zz", Value: "1"}), Body: c.Body}
			if sign(t, signer(t, keys), other).Get("Signature") == want.Get("Signature") {
				t.Error("a field does not count")
			}
			keys.SecretKey = acl.NewSecret("another")
			if sign(t, signer(t, keys), remoting.SignRequest{Fields: unsigned, Body: c.Body}).Get("Signature") == want.Get("Signature") {
				t.Error("the key does not count")
			}
		})
	}
}

func byName(f wire.Fields) {
	slices.SortFunc(f, func(a, b wire.Field) int { return strings.Compare(a.Key, b.Key) })
}

// signedByJava are the signed frames that the tests of integration have had made, by name.
func signedByJava(t *testing.T) map[string]wire.Command {
	t.Helper()
	text, err := os.ReadFile(filepath.Join("..", "..", "..", "integration", "testdata", "java-frames-5.3.3.txt"))
	if err != nil {
		t.Fatal(err)
	}
	frames := map[string]wire.Command{}
	for line := range strings.Lines(string(text)) {
		name, digits, ok := strings.Cut(strings.TrimSpace(line), " ")
		if !ok || !strings.HasPrefix(name, "signed-") {
			continue
		}
		b, err := hex.DecodeString(digits)
		if err != nil {
			t.Fatal(err)
		}
		if frames[name], err = wire.ParseFrame(b[4:]); err != nil {
			t.Fatal(err)
		}
	}
	if len(frames) != 16 { // eight requests, each with both kinds of header
		t.Fatalf("%d signed frames", len(frames))
	}
	return frames
}

func signer(t testing.TB, keys acl.Credentials) *acl.Signer {
	t.Helper()
	p, err := acl.Static(keys)
	if err != nil {
		t.Fatal(err)
	}
	s, err := acl.NewSigner(p)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func sign(t testing.TB, s *acl.Signer, r remoting.SignRequest) wire.Fields {
	t.Helper()
	fields, err := s.Sign(r)
	if err != nil {
		t.Fatal(err)
	}
	return fields
}
