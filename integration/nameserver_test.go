package integration

import (
	"errors"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/liftoff-mq/liftoff"
	"github.com/liftoff-mq/liftoff/core"
	"github.com/liftoff-mq/liftoff/integration/realcluster"
)

// Name servers come and go: a dead one in the list and a host name in place of an address do no harm, sends go on
// with the known routes when all are gone, a producer starts without one, and finds its routes when it is back.
func TestNameServerGoneAndBack(t *testing.T) {
	t.Parallel()
	eachVersion(t, func(t *testing.T, version string) {
		c := startCluster(t, realcluster.Options{Version: version, Settings: []string{
			"registerNameServerPeriod=10000", // how soon a broker tells a new name server of itself; the least it allows
		}})
		topic := topicFor(t, "t")
		c.CreateTopic(t, topic, 4)
		_, port, err := net.SplitHostPort(c.NameServer())
		if err != nil {
			t.Fatal(err)
		}
		start := func() *core.Producer {
			t.Helper()
			// Port 1 of the loopback address refuses connections.
			cfg, err := liftoff.Defaults(liftoff.Config{Group: "name_server", NameServers: []string{"127.0.0.1:1", "localhost:" + port}})
			if err != nil {
				t.Fatal(err)
			}
			cfg.RouteRefresh = 200 * time.Millisecond
			p, err := core.NewProducer(cfg)
			return startProducer(t, p, err)
		}
		message := &core.Message{Topic: topic, Body: []byte("x")}
		acked := 0
		early := start()
		for i := range 200 {
			if i == 50 {
				c.Kill(t, "namesrv")
			}
			if _, err := early.Send(t.Context(), message); err != nil {
				t.Fatalf("send %d: %v", i, err)
			}
			acked++
			if i > 50 {
				time.Sleep(10 * time.Millisecond) // several refreshes of the route fail meanwhile
			}
		}

		late := start()
		began := time.Now()
		_, err = late.Send(t.Context(), message)
		var se *core.SendError
		if !errors.As(err, &se) || se.Certainty != core.NotSent || len(se.Attempts) != 0 {
			t.Fatalf("without a name server: %v", err)
		}
		if d := time.Since(began); d > 6*time.Second {
			t.Errorf("failed after %s, the limit is 3 s", d)
		}
		t.Logf("%s: without a name server a first send fails after %s: %s", version,
			time.Since(began).Round(time.Millisecond), strings.SplitN(err.Error(), "\n", 2)[0])

		c.Restart(t, "namesrv")
		back := time.Now()
		for {
			if _, err = late.Send(t.Context(), message); err == nil {
				acked++
				break
			}
			if time.Since(back) > time.Minute {
				t.Fatalf("a minute after the name server is back: %v", err)
			}
			time.Sleep(100 * time.Millisecond)
		}
		t.Logf("%s: the first send succeeds %s after the name server is back", version, time.Since(back).Round(time.Millisecond))
		if n := c.Stored(t, topic, 4); n != acked {
			t.Errorf("%d messages are stored, %d acknowledged", n, acked)
		}
	})
}
