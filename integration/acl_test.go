package integration

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/liftoff-mq/liftoff"
	"github.com/liftoff-mq/liftoff/core"
	"github.com/liftoff-mq/liftoff/integration/realcluster"
	"github.com/liftoff-mq/liftoff/strategies/breaker"
	"github.com/liftoff-mq/liftoff/transport/remoting/acl"
)

// A cluster with access control: the ACL of 4.9 and the authentication and authorization of 5.x. Right credentials pass
// in every mode, others are refused by type, and credentials are replaced under load. What all this has logged and said
// has no secret in it.
func TestAccessControl(t *testing.T) {
	t.Parallel()
	eachVersion(t, func(t *testing.T, version string) {
		c := startCluster(t, realcluster.Options{Version: version, ACL: true})
		for _, topic := range []string{"allowed", "readonly", "requests"} {
			c.CreateTopic(t, topic, aclQueues)
		}
		said := newTranscript(t, "signed, ", "credentials replaced", "credentials not replaced")
		for _, file := range []string{c.AdminCredentials(), c.SenderCredentials()} {
			said.secret("secret key of "+filepath.Base(file), keysOf(t, file).SecretKey.Reveal())
		}
		t.Run("right", func(t *testing.T) { rightCredentials(t, c, said) })
		sender := keysOf(t, c.SenderCredentials())
		for name, x := range map[string]struct {
			topic string
			keys  acl.Credentials
		}{
			"unknown access key": {"allowed", acl.Credentials{AccessKey: "rmqnobody", SecretKey: sender.SecretKey}},
			"wrong secret key":   {"allowed", acl.Credentials{AccessKey: sender.AccessKey, SecretKey: acl.NewSecret("wrong-secret-key")}},
			"no permission":      {"readonly", sender},
			"none":               {"allowed", acl.Credentials{}},
		} {
			t.Run(name, func(t *testing.T) { refusedCredentials(t, c, said, x.topic, x.keys) })
		}
		t.Run("operations", func(t *testing.T) { permittedOperations(t, c, said) })
		t.Run("refused ends", func(t *testing.T) { refusedEnds(t, c, said) })
		t.Run("administration", func(t *testing.T) { administered(t, c, said) })
		t.Run("replaced under load", func(t *testing.T) { replacedCredentials(t, c, said) })
		t.Run("crash", func(t *testing.T) {
			said.crashes(t, crash{NameServer: c.NameServer(), Topic: "allowed", Credentials: keysOf(t, c.SenderCredentials())})
		})
	})
}

const aclQueues = 4

// keysOf reads a file of credentials by other means than Liftoff's.
func keysOf(t *testing.T, file string) acl.Credentials {
	t.Helper()
	keys, err := realcluster.Keys(file)
	if err != nil {
		t.Fatal(err)
	}
	return acl.Credentials{AccessKey: keys["accessKey"], SecretKey: acl.NewSecret(keys["secretKey"])}
}

func rightCredentials(t *testing.T, c *cluster, said *transcript) {
	p, _ := said.producer(t, c.NameServer(), liftoff.Config{ACL: acl.Config{CredentialsFile: c.SenderCredentials()}})
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	before := c.Stored(t, "allowed", aclQueues)
	m := func(body string) *core.Message {
		return &core.Message{Topic: "allowed", Body: []byte(body), Tag: "paid", Keys: []string{"k"}, Properties: map[string]string{"city": "Zürich"}}
	}
	if _, err := p.Send(ctx, m("sync")); err != nil {
		t.Error(said.error(err))
	}
	if _, err := p.Send(ctx, m(strings.Repeat("compressed", 1000))); err != nil {
		t.Error(said.error(err))
	}
	async := make(chan error, 1)
	p.SendAsync(ctx, m("async"), func(_ core.Result, err error) { async <- err })
	if err := <-async; err != nil {
		t.Error(said.error(err))
	}
	if _, err := p.SendBatch(ctx, []*core.Message{m("one"), m("two"), m("three")}); err != nil {
		t.Error(said.error(err))
	}
	if err := p.SendOneway(ctx, m("oneway")); err != nil {
		t.Error(said.error(err))
	}
	want := before + 7
	for deadline := time.Now().Add(20 * time.Second); c.Stored(t, "allowed", aclQueues) < want && time.Now().Before(deadline); {
		time.Sleep(50 * time.Millisecond)
	}
	if n := c.Stored(t, "allowed", aclQueues); n != want {
		t.Errorf("%d messages are stored, want %d", n, want)
	}
	for _, b := range p.Snapshot().Brokers {
		if text := fmt.Sprint(b); strings.Contains(text, "refused") {
			t.Errorf("the heartbeats were refused: %s", text)
		}
	}
}

func refusedCredentials(t *testing.T, c *cluster, said *transcript, topic string, keys acl.Credentials) {
	if key := keys.SecretKey.Reveal(); key != "" {
		said.secret("secret key of "+t.Name(), key)
	}
	p, breakers := said.producer(t, c.NameServer(), liftoff.Config{ACL: acl.Config{AccessKey: keys.AccessKey, SecretKey: keys.SecretKey}})
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	before := c.Stored(t, topic, aclQueues)
	m := &core.Message{Topic: topic, Body: []byte("refused")}
	refused := func(what string, err error) {
		t.Helper()
		var failed *core.SendError
		if !errors.As(err, &failed) {
			t.Errorf("%s: %v", what, said.error(err))
			return
		}
		if failed.Class != core.ClassAuth || failed.Certainty != core.NotStored || len(failed.Attempts) != 1 {
			t.Errorf("%s: %s, %s, %d attempts: %v", what, failed.Class, failed.Certainty, len(failed.Attempts), said.error(err))
		}
		said.error(err)
	}
	for range 10 { // more than what opens a breaker
		_, err := p.Send(ctx, m)
		refused("sync", err)
	}
	async := make(chan error, 1)
	p.SendAsync(ctx, m, func(_ core.Result, err error) { async <- err })
	refused("async", <-async)
	_, err := p.SendBatch(ctx, []*core.Message{m, m})
	if topic == "readonly" && c.Version() == "4.9.7" {
		// Its PlainAccessValidator asks for the permission for topics of single sends only (codes 10 and 310, not 320).
		if err != nil {
			t.Errorf("batch: %v", said.error(err))
		}
		before += 2
	} else {
		refused("batch", err)
	}
	// Nobody answers a one-way send, but the heartbeats of refused credentials are refused, too.
	if topic == "allowed" {
		deadline := time.Now().Add(20 * time.Second)
		for err = p.SendOneway(ctx, m); err == nil && time.Now().Before(deadline); err = p.SendOneway(ctx, m) {
			time.Sleep(50 * time.Millisecond)
		}
		if core.ClassOf(err) != core.ClassAuth || core.CertaintyOf(err) != core.NotSent {
			t.Errorf("one-way: %v", said.error(err))
		}
	} else if err := p.SendOneway(ctx, m); err != nil {
		t.Errorf("one-way: %v", said.error(err))
	}
	for _, s := range breakers.States() {
		if s.State != breaker.Closed {
			t.Errorf("the breaker of %v is %v", s.Broker, s.State)
		}
	}
	if len(breakers.States()) != 1 {
		t.Errorf("breakers: %v", breakers.States())
	}
	time.Sleep(200 * time.Millisecond) // what a one-way send has stored would be there by now
	if n := c.Stored(t, topic, aclQueues); n != before {
		t.Errorf("%d messages are stored, want none", n-before)
	}
}

// replacedCredentials writes the keys of one user and of another into the file while messages are sent, by turns at once
// and slowly, with mistakes between.
func replacedCredentials(t *testing.T, c *cluster, said *transcript) {
	const look = 20 * time.Millisecond
	path := filepath.Join(t.TempDir(), "credentials")
	write := func(text string) {
		t.Helper()
		must(t, os.WriteFile(path, []byte(text), 0o600))
	}
	var texts []string
	for _, file := range []string{c.SenderCredentials(), c.AdminCredentials()} {
		text, err := os.ReadFile(file)
		must(t, err)
		texts = append(texts, string(text))
	}
	write(texts[0])
	file, err := acl.NewFile(path, acl.WithInterval(look), acl.WithLogger(slog.New(slog.NewJSONHandler(said, nil))))
	must(t, err)
	p, _ := said.producer(t, c.NameServer(), liftoff.Config{}, liftoff.WithCredentials(file))
	before := c.Stored(t, "allowed", aclQueues)

	var sent, lost atomic.Int64
	senders := newSenders(t)
	for range 4 {
		senders.Go(func() {
			for ; !senders.stopped(); time.Sleep(2 * time.Millisecond) {
				if _, err := p.Send(t.Context(), &core.Message{Topic: "allowed", Body: []byte("under load")}, core.SendTimeout(20*time.Second)); err != nil {
					lost.Add(1)
					t.Error(said.error(err))
					return
				}
				sent.Add(1)
			}
		})
	}
	const changes = 10
	for i := 1; i <= changes; i++ {
		next := texts[i%2]
		switch i % 3 {
		case 0: // as a whole
			other := path + ".new"
			must(t, os.WriteFile(other, []byte(next), 0o600))
			must(t, os.Rename(other, path))
		case 1: // by halves, the last of which ends within the secret key
			for _, n := range []int{0, len("accessKey=rmq"), strings.Index(next, "\n") + 1, len(next) - 5} {
				write(next[:n])
				time.Sleep(5 * look)
			}
			write(next)
		default: // after a mistake
			write(next + "secretkey=twice\n")
			time.Sleep(5 * look)
			if s := file.Status(); s.Err == nil || s.Changes != i-1 {
				t.Errorf("with a mistake in the file: %+v", s)
			}
			write(next)
		}
		for deadline := time.Now().Add(10 * time.Second); file.Status().Changes < i && time.Now().Before(deadline); {
			time.Sleep(look)
		}
		if s := file.Status(); s.Changes != i || s.Err != nil {
			t.Fatalf("after change %d: %+v", i, s)
		}
		time.Sleep(5 * look) // some sends with these
	}
	senders.stop()
	if n := int64(c.Stored(t, "allowed", aclQueues) - before); n != sent.Load() || lost.Load() > 0 {
		t.Errorf("%d sends succeeded, %d failed, %d messages are stored", sent.Load(), lost.Load(), n)
	}
	t.Logf("%d sends over %d changes of the credentials", sent.Load(), changes)
}
