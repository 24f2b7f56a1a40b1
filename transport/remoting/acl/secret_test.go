package acl_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"path/filepath"
	"strings"
	"testing"

	"github.com/liftoff-mq/liftoff/core"
	"github.com/liftoff-mq/liftoff/transport/remoting"
	"github.com/liftoff-mq/liftoff/transport/remoting/acl"
)

const (
	secretKey = "s3cr3t-key-of-the-test"
	token     = "s3cr3t-token-of-the-test"
)

func keys() acl.Credentials {
	return acl.Credentials{AccessKey: "orders", SecretKey: acl.NewSecret(secretKey), SecurityToken: acl.NewSecret(token)}
}

// TestSecretsAreNotShown: whatever holds credentials, and however it is shown.
func TestSecretsAreNotShown(t *testing.T) {
	path := filepath.Join(t.TempDir(), "keys")
	write(t, path, "accessKey=orders\nsecretKey="+secretKey+"\nsecurityToken="+token+"\n")
	file, err := acl.NewFile(path)
	if err != nil {
		t.Fatal(err)
	}
	fromFile, err := acl.NewSigner(file)
	if err != nil {
		t.Fatal(err)
	}
	s := signer(t, keys())
	sign(t, s, remoting.SignRequest{Body: []byte("so that it has made a signature")})
	config := acl.Config{AccessKey: "orders", SecretKey: acl.NewSecret(secretKey), SecurityToken: acl.NewSecret(token)}
	provider, err := config.Provider(nil)
	if err != nil {
		t.Fatal(err)
	}
	secret := acl.NewSecret(secretKey)
	values := map[string]any{
		"secret": secret, "pointer": &secret, "credentials": keys(), "config": config, "file": file, "signer": s,
		"signer of a file": fromFile, "provider": provider, "status": file.Status(),
		"description": core.Describe(s), "description of a file": core.Describe(fromFile),
		// fmt does not ask what lies in fields that it may not see.
		"inside":      struct{ c acl.Credentials }{keys()},
		"inside more": struct{ c *struct{ m map[string]any } }{&struct{ m map[string]any }{map[string]any{"x": []any{keys()}}}},
	}
	for name, v := range values {
		var log bytes.Buffer
		slog.New(slog.NewTextHandler(&log, nil)).Info("x", "v", v)
		slog.New(slog.NewJSONHandler(&log, nil)).Info("x", "v", v)
		shown := log.String()
		for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%X", "%d", "%T", "% x"} {
			shown += fmt.Sprintf(verb, v) + "\n"
		}
		if data, err := json.Marshal(v); err == nil {
			shown += string(data)
		}
		shown += fmt.Sprintln(panicOf(func() { panic(v) }))
		for _, hidden := range []string{secretKey, token, fmt.Sprintf("%x", secretKey), fmt.Sprintf("%X", token), fmt.Sprintf("% x", secretKey)} {
			if strings.Contains(shown, hidden) {
				t.Errorf("%s shows %q:\n%s", name, hidden, shown)
			}
		}
	}
	if got := fmt.Sprintf("%v %#v %d", secret, keys().SecretKey, acl.Secret{}); got != "[hidden] [hidden] " {
		t.Errorf("secrets are shown as %q", got)
	}
}

func panicOf(f func()) (v any) {
	defer func() { v = recover() }()
	f()
	return nil
}

func TestConfig(t *testing.T) {
	var c acl.Config
	if err := json.Unmarshal([]byte(`{"accessKey": "orders", "secretKey": "`+secretKey+`", "securityToken": "`+token+`"}`), &c); err != nil {
		t.Fatal(err)
	}
	p, err := c.Provider(nil)
	if err != nil {
		t.Fatal(err)
	}
	if got, err := p.Credentials(); err != nil || !same(got, keys()) {
		t.Errorf("%v, %v", got, err)
	}
	data, err := json.Marshal(c)
	if err != nil || string(data) != `{"accessKey":"orders","secretKey":"[hidden]","securityToken":"[hidden]"}` {
		t.Errorf("%s, %v", data, err)
	}
	if err := json.Unmarshal(data, &c); err == nil || !strings.Contains(err.Error(), "secretKey: a secret that was hidden") {
		t.Errorf("what was hidden is read: %v", err)
	}
	if err := json.Unmarshal([]byte(`{"secret": "x"}`), &c); err == nil || !strings.Contains(err.Error(), "secret: it is not known") {
		t.Errorf("an unknown member: %v", err)
	}

	path := filepath.Join(t.TempDir(), "keys")
	write(t, path, "accessKey=orders\nsecretKey="+secretKey+"\nsecurityToken="+token+"\n")
	p, err = acl.Config{CredentialsFile: path}.Provider(nil)
	if err != nil {
		t.Fatal(err)
	}
	if got, err := p.Credentials(); err != nil || !same(got, keys()) {
		t.Errorf("%v, %v", got, err)
	}
	if p, err := (acl.Config{}).Provider(nil); p != nil || err != nil {
		t.Errorf("without credentials: %v, %v", p, err)
	}
	for name, tt := range map[string]struct {
		c    acl.Config
		want string
	}{
		"nothing":     {acl.Config{}, "no credentials are given"},
		"no secret":   {acl.Config{AccessKey: "orders"}, "the secret key is missing"},
		"only secret": {acl.Config{SecretKey: acl.NewSecret(secretKey)}, "the access key is missing"},
		"only token":  {acl.Config{SecurityToken: acl.NewSecret(token)}, "the access key is missing"},
		"both":        {acl.Config{SecurityToken: acl.NewSecret(token), CredentialsFile: path}, "both keys and a file"},
		"no file":     {acl.Config{CredentialsFile: path + "x"}, "keysx: no such file"},
	} {
		if s, err := tt.c.Signer(nil); s != nil || err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%s: %v, %v", name, s, err)
		}
		if tt.c.IsZero() {
			continue
		}
		if p, err := tt.c.Provider(nil); p != nil || err == nil {
			t.Errorf("%s: %v, %v", name, p, err)
		}
	}
}

func same(a, b acl.Credentials) bool {
	return a.AccessKey == b.AccessKey && a.SecretKey.Equal(b.SecretKey) && a.SecurityToken.Equal(b.SecurityToken)
}

func TestValidate(t *testing.T) {
	for name, tt := range map[string]struct {
		edit func(*acl.Credentials)
		want []string
	}{
		"right":         {func(*acl.Credentials) {}, nil},
		"no token":      {func(c *acl.Credentials) { c.SecurityToken = acl.Secret{} }, nil},
		"longest token": {func(c *acl.Credentials) { c.SecurityToken = acl.NewSecret(strings.Repeat("x", 16<<10)) }, nil},
		"too long":      {func(c *acl.Credentials) { c.SecurityToken = acl.NewSecret(strings.Repeat("x", 16<<10+1)) }, []string{"the security token has 16385 bytes: want 16384 at most"}},
		"nothing":       {func(c *acl.Credentials) { *c = acl.Credentials{} }, []string{"the access key is missing", "the secret key is missing"}},
		"a newline":     {func(c *acl.Credentials) { c.SecretKey = acl.NewSecret(secretKey + "\n") }, []string{"the secret key has white space or control characters"}},
		"a blank":       {func(c *acl.Credentials) { c.AccessKey = "a b" }, []string{"the access key has white space"}},
		"an escape":     {func(c *acl.Credentials) { c.AccessKey = "a\x1b[31m" }, []string{"the access key has white space or control"}},
		"no UTF-8":      {func(c *acl.Credentials) { c.SecurityToken = acl.NewSecret("\xff") }, []string{"the security token is not UTF-8"}},
	} {
		c := keys()
		tt.edit(&c)
		err := c.Validate()
		_, made := acl.Static(c)
		if (err == nil) != (tt.want == nil) || (made == nil) != (tt.want == nil) {
			t.Errorf("%s: %v, %v", name, err, made)
		}
		for _, want := range tt.want {
			if !strings.Contains(fmt.Sprint(err), want) || !strings.Contains(fmt.Sprint(made), want) {
				t.Errorf("%s: %v, want %q", name, err, want)
			}
		}
	}
}

func TestEnvironment(t *testing.T) {
	if _, err := acl.Environment("LIFTOFF_TEST_"); err == nil || !strings.Contains(err.Error(), "LIFTOFF_TEST_SECRET_KEY, LIFTOFF_TEST_SECURITY_TOKEN: the access key is missing") {
		t.Errorf("nothing is set: %v", err)
	}
	t.Setenv("LIFTOFF_TEST_ACCESS_KEY", "orders")
	t.Setenv("LIFTOFF_TEST_SECRET_KEY", secretKey)
	t.Setenv("LIFTOFF_TEST_SECURITY_TOKEN", token)
	p, err := acl.Environment("LIFTOFF_TEST_")
	if err != nil {
		t.Fatal(err)
	}
	if got, err := p.Credentials(); err != nil || !same(got, keys()) {
		t.Errorf("%v, %v", got, err)
	}
	if got := core.Describe(p).String(); got != "credentials of environment variables LIFTOFF_TEST_... (access key orders)" {
		t.Error(got)
	}
}

var errNoKeys = errors.New("the vault is sealed")
