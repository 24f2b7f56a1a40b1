package admin_test

import (
	"context"
	"testing"
	"testing/synctest"

	"github.com/liftoff-mq/liftoff"
	"github.com/liftoff-mq/liftoff/core"
	"github.com/liftoff-mq/liftoff/core/rocketmq"
	"github.com/liftoff-mq/liftoff/transport/embedded"
	"github.com/liftoff-mq/liftoff/transport/remoting"
	"github.com/liftoff-mq/liftoff/transport/remoting/admin"
	"github.com/liftoff-mq/liftoff/transport/wire"
)

// world is a cluster in virtual time, an Admin and a producer with one client.
type world struct {
	*embedded.Cluster
	*admin.Admin
	producer *core.Producer
}

// virtual runs a test in virtual time with a world of so many brokers.
func virtual(t *testing.T, brokers int, settings remoting.Config, test func(t *testing.T, w *world)) {
	t.Helper()
	virtualOf(t, embedded.Config{Brokers: embedded.BrokerNames(brokers)}, settings, test)
}

func virtualOf(t *testing.T, cfg embedded.Config, settings remoting.Config, test func(t *testing.T, w *world)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		cfg.Network = embedded.NewNetwork()
		w := &world{Cluster: embedded.New(t, cfg)}
		settings.Dial = w.Dial
		if len(settings.NameServers) == 0 {
			settings.NameServers = w.NameServers()
		}
		client, err := remoting.NewClient(settings)
		if err != nil {
			t.Fatal(err)
		}
		if w.Admin, err = admin.New(client, admin.Config{}); err != nil {
			t.Fatal(err)
		}
		if w.producer, err = liftoff.New(liftoff.Config{Group: "g"}, liftoff.WithOwnClient(client)); err != nil {
			t.Fatal(err)
		}
		if err := w.producer.Start(t.Context()); err != nil {
			t.Fatal(err)
		}
		defer func() {
			if err := w.producer.Shutdown(context.Background()); err != nil {
				t.Error(err)
			}
		}()
		test(t, w)
	})
}

// send sends a message and returns its result.
func (w *world) send(t *testing.T, m core.Message) core.Result {
	t.Helper()
	res, err := w.producer.Send(t.Context(), &m)
	if err != nil {
		t.Fatal(err)
	}
	return res
}

// on makes a server do something with every request of a code.
func (w *world) on(node string, code int, a embedded.Action) (remove func()) {
	return w.Control(code, func(r *embedded.Request) embedded.Action {
		if node != "" && r.Node != node {
			return embedded.Pass()
		}
		return a
	})
}

func refuse(code rocketmq.ResponseCode, remark string) embedded.Action {
	return embedded.Reply(code, remark)
}

// record is a stored message of a topic.
func record(t *testing.T, topic string, at int64, properties ...wire.Field) []byte {
	t.Helper()
	b, err := wire.AppendStored(nil, &wire.StoredMessage{
		Topic: topic, CommitLogOffset: at, Body: []byte("x"), Properties: wire.AppendProperties(nil, properties),
	})
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func answerOf(body []byte) embedded.Action { return embedded.ReplyWith(wire.Command{Body: body}) }

// answerAsVersion makes brokers of another version of the cluster, as far as a new topic is
// concerned.
func answerAsVersion(w *world, version int) (remove func()) {
	return w.Control(wire.UpdateAndCreateTopic, func(r *embedded.Request) embedded.Action {
		frame, err := wire.AppendCommand(nil, &wire.Command{
			Version: version, Language: wire.LanguageJava, Opaque: r.Command.Opaque, Flag: wire.FlagResponse, Serialization: wire.JSON,
		})
		if err != nil {
			panic(err)
		}
		return embedded.Garbage(frame)
	})
}

// CreateTopic is the Admin's; the cluster has one too.
func (w *world) CreateTopic(ctx context.Context, t admin.Topic, at admin.Place) ([]string, error) {
	return w.Admin.CreateTopic(ctx, t, at)
}
