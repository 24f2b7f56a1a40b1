package liftoff_test

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/liftoff-mq/liftoff"
	"github.com/liftoff-mq/liftoff/transport/embedded"
	"github.com/liftoff-mq/liftoff/transport/remoting"
	"github.com/liftoff-mq/liftoff/transport/wire"
)

// transacting starts a cluster and a producer with transactions, in virtual time.
func transacting(t *testing.T, check func(c *liftoff.TransactionCheck) (liftoff.TransactionDecision, error), options ...liftoff.Option) (*liftoff.Producer, *embedded.Cluster) {
	t.Helper()
	cluster := embedded.New(t, embedded.Config{Network: embedded.NewNetwork(), TransactionCheckInterval: 10 * time.Second})
	if err := cluster.CreateTopic("Orders", 4); err != nil {
		t.Fatal(err)
	}
	p, err := liftoff.New(liftoff.Config{Group: "orders", NameServers: cluster.NameServers(), Client: remoting.Config{Dial: cluster.Dial}},
		append([]liftoff.Option{liftoff.WithTransactions(liftoff.CheckFunc(func(_ context.Context, c *liftoff.TransactionCheck) (liftoff.TransactionDecision, error) {
			return check(c)
		}), "Orders")}, options...)...)
	if err != nil {
		t.Fatal(err)
	}
	if err := p.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	return p, cluster
}

func TestTransactions(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		asked := map[string]int{}
		p, cluster := transacting(t, func(c *liftoff.TransactionCheck) (liftoff.TransactionDecision, error) {
			asked[c.Message.Properties["n"]]++
			if c.Message.Topic != "Orders" || c.Message.Tag != "tag" || string(c.Message.Body) != "order "+c.Message.Properties["n"] || c.Times != 1 {
				t.Errorf("asked %+v about %+v", c, c.Message)
			}
			return liftoff.TransactionCommit, nil
		})
		send := func(n int, d liftoff.TransactionDecision, fails error) (liftoff.TransactionResult, error) {
			return p.SendTransaction(t.Context(), &liftoff.Message{
				Topic: "Orders", Tag: "tag", Body: fmt.Appendf(nil, "order %d", n), Properties: map[string]string{"n": fmt.Sprint(n)},
			}, func(context.Context, *liftoff.Result) (liftoff.TransactionDecision, error) { return d, fails })
		}
		boom := errors.New("boom")
		for n, tt := range []struct {
			d     liftoff.TransactionDecision
			fails error
			want  liftoff.TransactionDecision
		}{
			{liftoff.TransactionCommit, nil, liftoff.TransactionCommit},
			{liftoff.TransactionRollback, nil, liftoff.TransactionRollback},
			{liftoff.TransactionUnknown, nil, liftoff.TransactionUnknown},
			{liftoff.TransactionCommit, boom, liftoff.TransactionUnknown},
			{liftoff.TransactionRollback, boom, liftoff.TransactionRollback},
		} {
			res, err := send(n, tt.d, tt.fails)
			var te *liftoff.TransactionError
			if res.Decision != tt.want || !errors.Is(err, tt.fails) || errors.As(err, &te) != (tt.fails != nil) || res.TransactionID != res.MessageID.String() {
				t.Errorf("%d: %+v, %v", n, res, err)
			}
		}
		visible := func() (out []string) {
			for _, m := range cluster.Stored("Orders") {
				out = append(out, string(m.Body))
			}
			return out
		}
		if got := visible(); fmt.Sprint(got) != "[order 0]" {
			t.Errorf("visible: %q", got)
		}
		time.Sleep(30 * time.Second)
		if got := visible(); len(got) != 3 || fmt.Sprint(asked) != "map[2:1 3:1]" {
			t.Errorf("visible: %q, asked %v", got, asked)
		}
		if open := cluster.Broker("broker-a").OpenTransactions(); open != 0 {
			t.Errorf("%d are open", open)
		}
		if got := cluster.RequestCount(wire.EndTransaction); got != 7 {
			t.Errorf("%d ends", got)
		}
		if err := p.Shutdown(t.Context()); err != nil {
			t.Error(err)
		}
	})
}
