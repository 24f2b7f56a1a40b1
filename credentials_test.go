package liftoff_test

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/liftoff-mq/liftoff"
	"github.com/liftoff-mq/liftoff/transport/embedded"
	"github.com/liftoff-mq/liftoff/transport/remoting"
	"github.com/liftoff-mq/liftoff/transport/remoting/acl"
	"github.com/liftoff-mq/liftoff/transport/wire"
)

// Credentials of the configuration and of a provider sign each request of the producer, and a
// file of them is watched while the producer runs.
func TestCredentials(t *testing.T) {
	const secret = "my-secret-key"
	path := filepath.Join(t.TempDir(), "keys")
	if err := os.WriteFile(path, []byte("accessKey=orders\nsecretKey="+secret+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	keys := acl.Credentials{AccessKey: "orders", SecretKey: acl.NewSecret(secret)}
	for name, tt := range map[string]struct {
		acl     acl.Config
		options []liftoff.Option
		says    string
	}{
		"keys":     {acl.Config{AccessKey: "orders", SecretKey: acl.NewSecret(secret)}, nil, "signed, fixed credentials"},
		"file":     {acl.Config{CredentialsFile: path}, nil, "signed, credentials of a file"},
		"provider": {acl.Config{}, []liftoff.Option{liftoff.WithCredentials(must(acl.Static(keys)))}, "signed, fixed credentials"},
	} {
		t.Run(name, func(t *testing.T) {
			c := embedded.New(t, embedded.Config{})
			p := must(liftoff.New(liftoff.Config{Group: "g", NameServers: c.NameServers(), ACL: tt.acl}, tt.options...))
			send(t, p)
			shown := fmt.Sprintf("%v %+v %#v", p.Pipeline(), p.Snapshot(), p.Snapshot())
			if !strings.Contains(shown, tt.says) || strings.Contains(shown, secret) {
				t.Errorf("it says of itself:\n%s\nwant %q and not %q", shown, tt.says, secret)
			}
			for _, code := range []int{wire.GetRouteInfoByTopic, wire.SendMessageV2, wire.HeartBeat, wire.UnregisterClient} {
				checkSigned(t, c.Requests(code), keys)
			}
		})
	}
}

// checkSigned looks whether each of some requests has the signature of keys.
func checkSigned(t *testing.T, requests []embedded.Request, keys acl.Credentials) {
	t.Helper()
	s := must(acl.NewSigner(must(acl.Static(keys))))
	if len(requests) == 0 {
		t.Error("there is no such request")
	}
	for _, request := range requests {
		r := request.Command
		unsigned := slices.DeleteFunc(slices.Clone(r.Ext), func(f wire.Field) bool { return f.Key == "AccessKey" || f.Key == "Signature" })
		want := must(s.Sign(remoting.SignRequest{Fields: unsigned, Body: r.Body}))
		if got := r.Ext[len(unsigned):]; !slices.Equal(got, want) {
			t.Errorf("request %d ends with %v, want %v", r.Code, got, want)
		}
	}
}
