package integration

import (
	"context"
	"regexp"
	"testing"
	"time"

	"github.com/liftoff-mq/liftoff"
	"github.com/liftoff-mq/liftoff/core"
	"github.com/liftoff-mq/liftoff/hooks/msgtrace"
)

// goldenTraces are the records that GoldenFrames makes.
func goldenTraces() map[string][]byte {
	out := map[string][]byte{}
	for _, kind := range []msgtrace.Kind{msgtrace.Pub, msgtrace.EndTransaction, msgtrace.Recall} {
		r := msgtrace.Record{
			Kind: kind, Time: time.UnixMilli(1700000000123), Region: "DefaultRegion", Group: "group-1", Topic: "orders", ID: goldenID,
			StoreHost: "10.20.30.40:10911", BodyLength: 15, Type: 3,
		}
		if kind == msgtrace.EndTransaction {
			r.Type = 2
		}
		out["trace-"+string(kind)+"-bare"] = r.AppendTo(nil)
		r.Tag, r.Keys, r.OffsetMessageID, r.Cost, r.Success = "paid", "k1 größe", goldenOffset, 17*time.Millisecond, true
		r.TransactionID, r.Decision, r.FromCheck = goldenID, core.TransactionCommit, true
		if kind == msgtrace.Pub {
			r.Type = 1
		}
		out["trace-"+string(kind)] = r.AppendTo(nil)
	}
	return out
}

// RocketMQ's own tool shows what was sent: the group, where from, the time that it took, and whether it went well.
func TestMqadminShowsTheMessageTrace(t *testing.T) {
	t.Parallel()
	version5(t, func(t *testing.T, version string) {
		c := sharedCluster(t, version)
		topic := topicFor(t, "t")
		c.CreateTopic(t, topic, 1, "broker-a")
		trace, err := msgtrace.New(msgtrace.Config{Linger: 10 * time.Millisecond})
		must(t, err)
		p, err := liftoff.New(liftoff.Config{Group: "traced", NameServers: []string{c.NameServer()}}, liftoff.WithHooks(trace),
			liftoff.WithTransactions(liftoff.CheckFunc(func(context.Context, *core.TransactionCheck) (core.TransactionDecision, error) {
				return core.TransactionCommit, nil
			}), topic))
		p = startProducer(t, p, err)
		sent, err := p.Send(t.Context(), &core.Message{Topic: topic, Body: []byte("plain"), Tag: "blue", Keys: []string{"order-1"}})
		must(t, err)
		timed, err := p.Send(t.Context(), &core.Message{Topic: topic, Body: []byte("timed"), DeliverAt: time.Now().Add(time.Minute)})
		must(t, err)
		_, err = p.Recall(t.Context(), topic, timed.RecallHandle)
		must(t, err)
		tx, err := p.SendTransaction(t.Context(), &core.Message{Topic: topic, Body: []byte("half")},
			func(context.Context, *core.Result) (core.TransactionDecision, error) {
				return core.TransactionCommit, nil
			})
		must(t, err)

		const pub = `(?m)^Pub\s+traced\s+127\.0\.0\.1:?\d*\s+\d{4}-\d\d-\d\d \d\d:\d\d:\d\d\s+\d+ms\s+success`
		tool := startMqadmin(t, version, c.NameServer())
		for _, want := range []struct{ id, line string }{
			{sent.MessageID.String(), pub}, {timed.MessageID.String(), pub}, {tx.MessageID.String(), pub},
		} {
			var out string
			for end := time.Now().Add(20 * time.Second); time.Now().Before(end); time.Sleep(300 * time.Millisecond) {
				if out = tool.run("queryMsgTraceById", "-i", want.id); regexp.MustCompile(want.line).MatchString(out) {
					break
				}
			}
			if !regexp.MustCompile(want.line).MatchString(out) {
				t.Errorf("queryMsgTraceById -i %s shows\n%s", want.id, tail(out, 3000))
			}
		}
		// The tool shows Pub records alone. The brokers have the recall and the end of the transaction too.
		if s := trace.Snapshot(); s.Sent != 5 || s.Dropped+s.Failed != 0 {
			t.Errorf("%+v", s)
		}
	})
}
