package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/liftoff-mq/liftoff/transport/embedded"
	"github.com/liftoff-mq/liftoff/transport/remoting"
	"github.com/liftoff-mq/liftoff/transport/remoting/acl"
	"github.com/liftoff-mq/liftoff/transport/wire"
)

const (
	testSecret = "s3cr3t-key-of-the-test"
	testToken  = "s3cr3t-token-of-the-test"
)

// Keys come by flags, by the environment or by a file, and sign what is sent; nothing shows them.
func TestSendWithCredentials(t *testing.T) {
	file := filepath.Join(t.TempDir(), "keys")
	if err := os.WriteFile(file, []byte("accessKey=orders\nsecretKey="+testSecret+"\nsecurityToken="+testToken+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	signer, err := acl.Config{AccessKey: "orders", SecretKey: acl.NewSecret(testSecret), SecurityToken: acl.NewSecret(testToken)}.Signer(nil)
	if err != nil {
		t.Fatal(err)
	}
	for name, tt := range map[string]struct {
		args []string
		env  map[string]string
	}{
		"flags":                   {[]string{"--access-key", "orders", "--secret-key", testSecret, "--security-token", testToken}, nil},
		"environment":             {nil, map[string]string{"LIFTOFF_ACCESS_KEY": "orders", "LIFTOFF_SECRET_KEY": testSecret, "LIFTOFF_SECURITY_TOKEN": testToken}},
		"file":                    {[]string{"--credentials", file}, nil},
		"file by the environment": {nil, map[string]string{"LIFTOFF_CREDENTIALS": file}},
		"flag and environment":    {[]string{"--access-key", "orders"}, map[string]string{"LIFTOFF_SECRET_KEY": testSecret, "LIFTOFF_SECURITY_TOKEN": testToken}},
	} {
		t.Run(name, func(t *testing.T) {
			for k, v := range tt.env {
				t.Setenv(k, v)
			}
			c := embedded.New(t, embedded.Config{})
			got := program(t, "a line\n", sendArgs(c, append(tt.args, "--json")...)...)
			if got.status != exitOK || strings.Contains(got.out+got.err, testSecret) || strings.Contains(got.out+got.err, testToken) {
				t.Errorf("%+v", got)
			}
			requests := c.Requests(wire.SendMessageV2)
			if len(requests) != 1 {
				t.Fatalf("%d requests", len(requests))
			}
			r := requests[0].Command
			want, err := signer.Sign(remoting.SignRequest{Fields: r.Ext[:len(r.Ext)-3], Body: r.Body})
			if err != nil {
				t.Fatal(err)
			}
			for _, f := range want {
				if r.Ext.Get(f.Key) != f.Value {
					t.Errorf("%s is %s, want %s", f.Key, r.Ext.Get(f.Key), f.Value)
				}
			}
			if help := program(t, "", "send", "--help"); strings.Contains(help.out, testSecret) || !strings.Contains(help.out, "LIFTOFF_SECRET_KEY") {
				t.Errorf("the help shows the secret, or not where it comes from:\n%s", help.out)
			}
		})
	}
}

// A mistake is told before anything is sent, and without a secret.
func TestWrongCredentials(t *testing.T) {
	file := filepath.Join(t.TempDir(), "keys")
	if err := os.WriteFile(file, []byte("accessKey=orders\nsecretKey="+testSecret), 0o600); err != nil {
		t.Fatal(err)
	}
	for name, tt := range map[string]struct {
		args []string
		want string
	}{
		"no secret key":     {[]string{"--access-key", "orders"}, "--access-key, --secret-key, --security-token: acl: the secret key is missing"},
		"no access key":     {[]string{"--secret-key", testSecret}, "the access key is missing"},
		"keys and a file":   {[]string{"--secret-key", testSecret, "--credentials", file}, "--credentials is given beside --access-key"},
		"half of a file":    {[]string{"--credentials", file}, "it may be half written"},
		"no file":           {[]string{"--credentials", file + "x"}, "--credentials: acl: " + file + "x: no such file"},
		"a hidden secret":   {[]string{"--access-key", "orders", "--secret-key", "[hidden]"}, "a secret that was hidden"},
		"a key with blanks": {[]string{"--access-key", "orders", "--secret-key", testSecret + " "}, "the secret key has white space"},
	} {
		t.Run(name, func(t *testing.T) {
			c := embedded.New(t, embedded.Config{})
			got := program(t, "a line\n", sendArgs(c, tt.args...)...)
			if got.status != exitUsage || !strings.Contains(got.err, tt.want) || strings.Contains(got.out+got.err, testSecret) {
				t.Errorf("%+v, want %q", got, tt.want)
			}
			if n := len(c.Requests(wire.SendMessageV2)); n != 0 {
				t.Errorf("%d requests", n)
			}
		})
	}
}
