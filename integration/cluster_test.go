package integration

import (
	"context"
	"testing"
	"time"

	"github.com/liftoff-mq/liftoff/integration/realcluster"
)

// cluster is a real RocketMQ in the hands of a test: what cannot be done fails the test.
type cluster struct{ *realcluster.Cluster }

// launch starts a cluster. A broker refuses requests that have waited 200 ms in its queue; here that says no more than that
// the machine is busy, so unless the test wants another time it is long.
func launch(ctx context.Context, o realcluster.Options) (*realcluster.Cluster, error) {
	o.Settings = append([]string{"waitTimeMillsInSendQueue=10000"}, o.Settings...)
	return realcluster.Launch(ctx, o)
}

// startCluster runs a cluster for one test and ends it when the test ends.
func startCluster(t testing.TB, o realcluster.Options) *cluster {
	t.Helper()
	c, err := launch(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := c.Stop(); err != nil {
			t.Error(err)
		}
	})
	return &cluster{c}
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func (c *cluster) Kill(t testing.TB, node string)    { t.Helper(); must(t, c.Cluster.Kill(node)) }
func (c *cluster) Pause(t testing.TB, node string)   { t.Helper(); must(t, c.Cluster.Pause(node)) }
func (c *cluster) Resume(t testing.TB, node string)  { t.Helper(); must(t, c.Cluster.Resume(node)) }
func (c *cluster) Restart(t testing.TB, node string) { t.Helper(); must(t, c.Cluster.Restart(node)) }

// RestartNotify restarts a killed broker and calls answers as soon as its port answers. From then on it takes messages, and
// the restart is over some seconds later.
func (c *cluster) RestartNotify(t testing.TB, broker string, answers func(at time.Time)) {
	t.Helper()
	answered := make(chan error, 1)
	go func() {
		at, err := c.WaitPort(t.Context(), broker)
		answers(at)
		answered <- err
	}()
	c.Restart(t, broker)
	must(t, <-answered)
}

func (c *cluster) CreateTopic(t testing.TB, topic string, queues int, brokers ...string) {
	t.Helper()
	must(t, c.Cluster.CreateTopic(t.Context(), topic, queues, brokers...))
}

func (c *cluster) CreateTypedTopic(t testing.TB, topic, messageType string, queues int) {
	t.Helper()
	must(t, c.Cluster.CreateTypedTopic(t.Context(), topic, messageType, queues))
}

func (c *cluster) SetTopic(t testing.TB, topic string, queues, perm int) {
	t.Helper()
	must(t, c.Cluster.SetTopic(t.Context(), topic, queues, perm))
}

// Stored is the number of messages that a topic has got.
func (c *cluster) Stored(t testing.TB, topic string, queues int, brokers ...string) int {
	t.Helper()
	n, err := c.Cluster.Stored(t.Context(), topic, queues, brokers...)
	must(t, err)
	return int(n)
}

func (c *cluster) CreateStaticTopic(t testing.TB, topic string, queues int, brokers ...string) {
	t.Helper()
	must(t, c.Cluster.CreateStaticTopic(t.Context(), topic, queues, brokers...))
}

func (c *cluster) RemapStaticTopic(t testing.TB, topic string, queues int, brokers ...string) {
	t.Helper()
	must(t, c.Cluster.RemapStaticTopic(t.Context(), topic, queues, brokers...))
}
