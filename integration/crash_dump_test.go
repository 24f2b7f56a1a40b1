package integration

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/goccy/go-yaml"

	"github.com/liftoff-mq/liftoff"
	"github.com/liftoff-mq/liftoff/core"
	"github.com/liftoff-mq/liftoff/integration/realcluster"
	"github.com/liftoff-mq/liftoff/transport/remoting"
	"github.com/liftoff-mq/liftoff/transport/remoting/acl"
)

// crash says what a program does that ends badly.
type crash struct {
	NameServer, Topic string
	Credentials       acl.Credentials `json:"-"` // of a user, if there is access control
	CredentialsFile   string
	WrongFile         string // credentials that the cluster does not know
	TLS               remoting.TLS
}

// proxyPassword is that of a SOCKS proxy in the program's settings. Nothing is sent through it.
const proxyPassword = "password-of-a-proxy"

// crashEnv has a crash in JSON, for this program as a child of itself.
const crashEnv = "LIFTOFF_INTEGRATION_CRASH"

// crashes runs a program that sends with right credentials and with wrong ones, with a security token, and then shows all
// it has: once by panics whose values are its producer, client, signer, credentials, configuration and errors, with the
// stacks of all goroutines, and once by a SIGQUIT.
func (s *transcript) crashes(t *testing.T, x crash) {
	t.Helper()
	dir := t.TempDir()
	wrong := acl.Credentials{AccessKey: "crashing", SecretKey: acl.NewSecret("wrong-key-of-a-crash")}
	if x.Credentials.AccessKey == "" {
		x.Credentials = acl.Credentials{AccessKey: "sender", SecretKey: acl.NewSecret("right-key-of-a-crash")}
	}
	const token = "token-of-a-crash"
	for file, c := range map[*string]acl.Credentials{&x.CredentialsFile: x.Credentials, &x.WrongFile: wrong} {
		*file = filepath.Join(dir, c.AccessKey)
		must(t, os.WriteFile(*file, fmt.Appendf(nil, "accessKey=%s\nsecretKey=%s\nsecurityToken=%s\n", c.AccessKey, c.SecretKey.Reveal(), token), 0o600))
		s.secret("secret key of "+c.AccessKey, c.SecretKey.Reveal())
	}
	s.secret("security token", token)
	s.secret("password of a SOCKS proxy", proxyPassword)
	if x.TLS.KeyFile != "" {
		s.privateKey(t, x.TLS.KeyFile)
	}
	text, err := json.Marshal(x)
	must(t, err)
	for how, want := range map[string]string{"panic": "panic: ", "quit": "SIGQUIT: quit"} {
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		self, err := os.Executable()
		must(t, err)
		cmd := exec.CommandContext(ctx, self, "-test.run=^TestCrashingProgram$")
		cmd.Env = append(os.Environ(), crashEnv+"="+string(text), crashEnv+"_HOW="+how, "GOTRACEBACK=all")
		cmd.Stdout = s
		diag, err := cmd.StderrPipe()
		must(t, err)
		must(t, cmd.Start())
		var dump strings.Builder
		in := bufio.NewReader(io.TeeReader(diag, io.MultiWriter(s, &dump)))
		if how == "quit" {
			for line := ""; err == nil && line != "ready\n"; {
				line, err = in.ReadString('\n')
			}
			must(t, cmd.Process.Signal(syscall.SIGQUIT))
		}
		_, _ = io.Copy(io.Discard, in)
		if err := cmd.Wait(); err == nil {
			t.Errorf("%s: it did not crash", how)
		}
		for _, want := range []string{want, "goroutine ", "remoting.(*Client)", "remoting.Config{", "acl.Credentials{", "SendError"} {
			if !strings.Contains(dump.String(), want) {
				t.Errorf("%s: no %q in\n%s", how, want, tail(dump.String(), 3000))
			}
		}
		t.Logf("%s: %d bytes", how, dump.Len())
	}
}

// TestCrashingProgram is no test, but the program that crashes uses to crash: on its own it does nothing.
func TestCrashingProgram(t *testing.T) {
	text := os.Getenv(crashEnv)
	if text == "" {
		return
	}
	var x crash
	must(t, json.Unmarshal([]byte(text), &x))
	var shown []any
	for _, file := range []string{x.CredentialsFile, x.WrongFile} {
		keys, err := realcluster.Keys(file)
		must(t, err)
		credentials := acl.Credentials{
			AccessKey: keys["accessKey"], SecretKey: acl.NewSecret(keys["secretKey"]), SecurityToken: acl.NewSecret(keys["securityToken"]),
		}
		provider, err := acl.Static(credentials)
		must(t, err)
		signer, err := acl.NewSigner(provider)
		must(t, err)
		settings := remoting.Config{
			NameServers: []string{x.NameServer}, TLS: x.TLS, Signer: signer,
			SOCKS: remoting.SOCKS{"192.0.2.0/24": {Addr: "proxy.example:1080", Username: "me", Password: remoting.NewSecret(proxyPassword)}},
		}
		client, err := remoting.NewClient(settings)
		must(t, err)
		cfg := liftoff.Config{Group: "crash", ACL: acl.Config{
			AccessKey: credentials.AccessKey, SecretKey: credentials.SecretKey, SecurityToken: credentials.SecurityToken,
		}}
		p, err := liftoff.New(liftoff.Config{Group: "crash"}, liftoff.WithOwnClient(client))
		startProducer(t, p, err)
		_, failed := p.Send(t.Context(), &core.Message{Topic: x.Topic, Body: []byte("x")})
		if failed == nil {
			_, failed = p.Send(t.Context(), &core.Message{Topic: "no topic", Body: []byte("x")})
		}
		shown = append(shown, p, client, signer, provider, credentials, credentials.SecretKey, settings, cfg, failed)
	}
	var all strings.Builder
	for _, v := range shown {
		fmt.Fprintf(&all, "%T %v %+v %#v %s %q %x %d\n", v, v, v, v, v, v, v, v)
		if b, err := json.Marshal(v); err == nil {
			fmt.Fprintf(&all, "%s\n", b)
		}
		switch v.(type) {
		case remoting.Config, liftoff.Config, acl.Credentials:
			b, err := yaml.Marshal(v)
			must(t, err)
			fmt.Fprintf(&all, "%s\n", b)
		}
	}
	if os.Getenv(crashEnv+"_HOW") == "quit" {
		fmt.Fprintf(os.Stderr, "%sready\n", all.String())
		select {}
	}
	go func() { // a panic of the test's own goroutine would be caught
		defer func() { panic(all.String()) }()
		for _, v := range shown {
			defer func() { panic(v) }()
		}
	}()
	select {}
}
