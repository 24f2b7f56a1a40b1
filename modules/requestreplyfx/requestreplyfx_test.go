package requestreplyfx_test

import (
	"context"
	"errors"
	"fmt"
	"log"
	"strings"
	"testing"
	"time"

	"github.com/liftoff-mq/liftoff"
	"github.com/liftoff-mq/liftoff/core"
	"github.com/liftoff-mq/liftoff/core/requestreply"
	"github.com/liftoff-mq/liftoff/modules/requestreplyfx"
	"github.com/liftoff-mq/liftoff/modules/rocketmqfx"
	"github.com/liftoff-mq/liftoff/transport/embedded"
	"go.uber.org/fx"
	"go.uber.org/fx/fxtest"
)

// exchange makes a request and its reply.
func exchange(ctx context.Context, c *embedded.Cluster, r *requestreply.Requester, p *liftoff.Producer) (string, error) {
	got, failed := make(chan string, 1), make(chan error, 1)
	r.RequestAsync(ctx, &liftoff.Message{Topic: "Prices", Body: []byte("apples")}, func(reply *requestreply.Reply, err error) {
		if err != nil {
			failed <- err
			return
		}
		got <- string(reply.Body)
	}, liftoff.SendTimeout(20*time.Second))
	for c.StoredCount("Prices") == 0 {
		time.Sleep(time.Millisecond)
	}
	request := map[string]string{}
	for _, f := range c.Stored("Prices")[0].Properties {
		request[f.Key] = f.Value
	}
	if _, err := requestreply.SendReply(ctx, p, request, []byte(strings.Repeat("2.50 ", 2000))); err != nil {
		return "", err
	}
	select {
	case body := <-got:
		return body[:4], nil
	case err := <-failed:
		return "", err
	}
}

// The requester of the graph is the producer's, and unpacks replies.
func TestModule(t *testing.T) {
	c := embedded.New(t, embedded.Config{})
	var r *requestreply.Requester
	var p *liftoff.Producer
	app := fxtest.New(
		t, fx.NopLogger, rocketmqfx.Module, requestreplyfx.Module, fx.Populate(&r, &p),
		fx.Supply(liftoff.Config{Group: "shop", NameServers: c.NameServers()}, requestreply.Config{MaxWaiting: 7}),
	)
	app.RequireStart()
	defer app.RequireStop()
	if got, err := exchange(t.Context(), c, r, p); err != nil || got != "2.50" {
		t.Errorf("%q, %v", got, err)
	}
	if s := p.Pipeline().String(); !strings.Contains(s, "7 under way") || !strings.Contains(s, "unpacked") {
		t.Errorf("%s", s)
	}
}

// A program that takes the requester alone has a producer all the same.
func TestRequesterAlone(t *testing.T) {
	c := embedded.New(t, embedded.Config{})
	var r *requestreply.Requester
	app := fxtest.New(t, rocketmqfx.Module, requestreplyfx.Module, fx.NopLogger,
		fx.Supply(liftoff.Config{Group: "shop", NameServers: c.NameServers()}), fx.Populate(&r))
	app.RequireStart()
	defer app.RequireStop()
	_, err := r.Request(t.Context(), &liftoff.Message{Topic: "no such topic", Body: []byte("x")})
	if errors.Is(err, core.ErrNotRunning) || err == nil {
		t.Errorf("got %v", err)
	}
}

func TestMistakes(t *testing.T) {
	err := fx.New(
		fx.NopLogger, rocketmqfx.Module, requestreplyfx.Module, fx.Invoke(func(*liftoff.Producer) {}),
		fx.Supply(liftoff.Config{Group: "shop", NameServers: []string{"127.0.0.1:1"}}, requestreply.Config{MaxWaiting: -1}),
	).Err()
	if err == nil || !strings.Contains(err.Error(), "requestreplyfx: requestreply: MaxWaiting is negative: -1") {
		t.Errorf("%v", err)
	}
}

func ExampleNew() {
	r, err := requestreplyfx.New(requestreplyfx.Params{Config: requestreply.Config{MaxWaiting: 100}})
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(r.Describe().Settings[1].Value)
	// Output: at most 4 MiB, unpacked
}
