package integration

import (
	"context"
	"errors"
	"sync/atomic"
	"testing"
	"time"

	"github.com/apache/rocketmq-client-go/v2/consumer"
	"github.com/apache/rocketmq-client-go/v2/primitive"

	"github.com/liftoff-mq/liftoff"
	"github.com/liftoff-mq/liftoff/core"
	"github.com/liftoff-mq/liftoff/core/requestreply"
	"github.com/liftoff-mq/liftoff/transport/remoting"
	"github.com/liftoff-mq/liftoff/transport/remoting/acl"
)

// operator is a producer that does what is no plain send, with the first queue of a topic.
type operator struct {
	p        *core.Producer
	topic    string
	requests *requestreply.Requester
	asked    atomic.Int64 // about a transaction
}

// newOperator starts one. Its checker says commit to a half message with the body "unknown".
func newOperator(t *testing.T, topic string, start func(options ...liftoff.Option) *core.Producer) *operator {
	t.Helper()
	o := &operator{topic: topic}
	var err error
	o.requests, err = liftoff.NewRequester(requestreply.Config{})
	must(t, err)
	o.p = start(liftoff.WithHooks(o.requests), liftoff.WithTransactions(liftoff.CheckFunc(
		func(_ context.Context, c *core.TransactionCheck) (core.TransactionDecision, error) {
			o.asked.Add(1)
			if body := string(c.Message.Body); body != "unknown" {
				t.Errorf("asked about %q", body)
				return core.TransactionRollback, nil
			}
			return core.TransactionCommit, nil
		}), topic))
	return o
}

func (o *operator) message(body string) *core.Message {
	return &core.Message{Topic: o.topic, Body: []byte(body), Queue: &core.Queue{Broker: "broker-a"}}
}

// stored is how many messages the queue had: the offset of one more.
func (o *operator) stored(t *testing.T) int64 {
	t.Helper()
	r, err := o.p.Send(t.Context(), o.message("counted"))
	must(t, err)
	return r.QueueOffset
}

// transacts makes a transaction of each kind. The committed message is visible at once, the one that is rolled back is
// not, and the one that is left open is visible when the broker has asked.
func (o *operator) transacts(t *testing.T) {
	t.Helper()
	before := o.stored(t)
	for _, d := range []core.TransactionDecision{core.TransactionCommit, core.TransactionRollback, core.TransactionUnknown} {
		r, err := o.p.SendTransaction(t.Context(), o.message(d.String()),
			func(context.Context, *core.Result) (core.TransactionDecision, error) { return d, nil })
		if err != nil || r.Decision != d {
			t.Fatalf("%v: %+v, %v", d, r, err)
		}
		want := map[core.TransactionDecision]int64{core.TransactionCommit: 1}[d]
		now := o.stored(t)
		if grown := now - before - 1; grown != want {
			t.Errorf("%v: %d messages are visible, want %d", d, grown, want)
		}
		before = now
	}
	for end := time.Now().Add(40 * time.Second); ; time.Sleep(200 * time.Millisecond) {
		now := o.stored(t)
		if now-before == 2 {
			break
		}
		if before = now; time.Now().After(end) {
			t.Fatalf("the open transaction is not visible after %d questions", o.asked.Load())
		}
	}
	if o.asked.Load() == 0 {
		t.Error("nobody asked")
	}
}

// recalls takes a timed message back.
func (o *operator) recalls(t *testing.T) {
	t.Helper()
	later := o.message("recalled")
	later.DeliverAfter = time.Hour
	r, err := o.p.Send(t.Context(), later)
	must(t, err)
	if id, err := o.p.Recall(t.Context(), o.topic, r.RecallHandle); err != nil || id != r.MessageID.String() {
		t.Errorf("recall of %v: %q, %v", r.MessageID, id, err)
	}
}

// asks makes requests one after the other.
func (o *operator) asks(t *testing.T, topic string, count int) {
	t.Helper()
	for range count {
		reply, err := o.requests.Request(t.Context(), &core.Message{Topic: topic, Body: []byte("secured")}, core.SendTimeout(time.Minute))
		if err != nil || string(reply.Body) != "re:secured" {
			t.Fatalf("reply %+v, %v", reply, err)
		}
	}
}

const someRequests = 10

// With access control: the sender's credentials do for transactions, recalls and requests. The replies are those of a
// consumer of another library, sent by a producer of Liftoff.
func permittedOperations(t *testing.T, c *cluster, said *transcript) {
	o := newOperator(t, "allowed", func(options ...liftoff.Option) *core.Producer {
		p, _ := said.producer(t, c.NameServer(), liftoff.Config{ACL: acl.Config{CredentialsFile: c.SenderCredentials()}}, options...)
		return p
	})
	o.transacts(t)
	if c.Version() != "4.9.7" {
		o.recalls(t)
	}
	admin := keysOf(t, c.AdminCredentials())
	responder, _ := said.producer(t, c.NameServer(), liftoff.Config{ACL: acl.Config{CredentialsFile: c.SenderCredentials()}})
	replies := replying(t, c.NameServer(), "requests", "g-requests", responder,
		consumer.WithCredentials(primitive.Credentials{AccessKey: admin.AccessKey, SecretKey: admin.SecretKey.Reveal()}))
	o.asks(t, "requests", someRequests)
	for end := time.Now().Add(20 * time.Second); replies.Load() < someRequests && time.Now().Before(end); {
		time.Sleep(10 * time.Millisecond) // the requester has the last reply before its sender hears of that
	}
	if n := replies.Load(); n != someRequests {
		t.Errorf("%d replies were sent, want %d", n, someRequests)
	}
}

// Credentials are lost between half message and end: the end is refused, and the error says that, and that the half
// message is stored. Nothing is visible, also when the broker has asked, until the credentials are right again.
func refusedEnds(t *testing.T, c *cluster, said *transcript) {
	sender, admin := keysOf(t, c.SenderCredentials()), keysOf(t, c.AdminCredentials())
	for name, x := range map[string]struct {
		topic        string
		first, later acl.Credentials
	}{
		"wrong secret key": {"allowed", sender, acl.Credentials{AccessKey: sender.AccessKey, SecretKey: acl.NewSecret("wrong-secret-key")}},
		"no permission":    {"readonly", admin, sender},
	} {
		if x.topic == "readonly" && c.Version() == "4.9.7" {
			continue // its PlainAccessValidator asks for no permission for the end of a transaction
		}
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			// A broker asks any producer of the group: that of the other sub-test would say commit, and be believed.
			group := "refused-ends-" + x.topic
			var lost atomic.Bool
			o := newOperator(t, x.topic, func(options ...liftoff.Option) *core.Producer {
				p, _ := said.producer(t, c.NameServer(), liftoff.Config{Group: group}, append(options, liftoff.WithCredentials(
					acl.ProviderFunc(func() (acl.Credentials, error) {
						if lost.Load() {
							return x.later, nil
						}
						return x.first, nil
					})))...)
				return p
			})
			before := c.Stored(t, x.topic, aclQueues)
			r, err := o.p.SendTransaction(t.Context(), o.message("unknown"), func(context.Context, *core.Result) (core.TransactionDecision, error) {
				lost.Store(true)
				return core.TransactionCommit, nil
			})
			var failed *core.TransactionError
			var end *core.OperationError
			if !errors.As(said.error(err), &failed) || !errors.As(err, &end) {
				t.Fatalf("%T %v", err, err)
			}
			if failed.Class != core.ClassAuth || failed.Certainty != core.MaybeStored || failed.Told || failed.Decision != core.TransactionCommit ||
				failed.MessageID != r.MessageID || r.Status != core.SendOK {
				t.Errorf("%+v of %+v", failed, r)
			}
			if end.Class != core.ClassAuth || end.Certainty != core.NotStored {
				t.Errorf("the end: %s, %s: %v", end.Class, end.Certainty, end)
			}
			for end := time.Now().Add(40 * time.Second); o.asked.Load() < 1 && time.Now().Before(end); {
				time.Sleep(50 * time.Millisecond)
			}
			time.Sleep(200 * time.Millisecond) // the answer is refused by now
			if n := c.Stored(t, x.topic, aclQueues) - before; n != 0 || o.asked.Load() == 0 {
				t.Errorf("%d messages are visible after %d questions", n, o.asked.Load())
			}
			lost.Store(false)
			for end := time.Now().Add(40 * time.Second); c.Stored(t, x.topic, aclQueues) == before && time.Now().Before(end); {
				time.Sleep(50 * time.Millisecond)
			}
			if n := c.Stored(t, x.topic, aclQueues) - before; n != 1 {
				t.Errorf("%d messages are visible in the end, want 1", n)
			}
		})
	}
}

// With TLS and a certificate of the client: transactions, recalls, and requests to the Java client. Nothing of it is said
// in plain text.
func operationsOverTLS(t *testing.T, c *cluster, said *transcript, right remoting.TLS) {
	var x *tlsClient
	o := newOperator(t, topicFor(t, "t"), func(options ...liftoff.Option) *core.Producer {
		x = newTLSClient(t, c, said, right, options...)
		return x.p
	})
	o.transacts(t)
	if c.Version() != "4.9.7" {
		o.recalls(t)
	}
	requests := topicFor(t, "r")
	_, err := o.p.Send(t.Context(), &core.Message{Topic: requests, Body: []byte("makes the topic")})
	must(t, err)
	replied := javaRequestReply(t, c.Version(), "respond", c.NameServer(), requests, "60", someRequests+1,
		"-Dtls.enable=true", "-Dtls.test.mode.enable=false", "-Dtls.config.file="+c.TLSFile("tls.properties"))
	o.asks(t, requests, someRequests)
	if n := len(replied()); n != someRequests+1 {
		t.Errorf("the Java client got %d messages, want %d", n, someRequests+1)
	}
	x.saysNothingPlain(t, o.topic)
}
