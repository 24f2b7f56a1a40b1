package integration

import (
	"cmp"
	"context"
	"regexp"
	"slices"
	"testing"
	"time"

	"github.com/liftoff-mq/liftoff"
	"github.com/liftoff-mq/liftoff/core"
	"github.com/liftoff-mq/liftoff/hooks/msgtrace"
	"github.com/liftoff-mq/liftoff/integration/javaprog"
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

// RocketMQ's own tool shows what was sent: the group, where from, the time that it took, and whether it went well. Its
// client reads the records of all kinds, with their broker.
func TestMqadminShowsTheMessageTrace(t *testing.T) {
	t.Parallel()
	version5(t, func(t *testing.T, version string) {
		c := sharedCluster(t, version)
		topic := topicFor(t, "t")
		c.CreateTopic(t, topic, 1, "broker-a")
		began := time.Now()
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
		if s := trace.Snapshot(); s.Sent != 5 || s.Dropped+s.Failed != 0 {
			t.Errorf("%+v", s)
		}
		// The tool shows Pub records alone, and no broker. The client's own decoder has all of them.
		var got []javaprog.Trace
		for _, r := range javaprog.ReadTraces(t, version, c.NameServer(), "RMQ_SYS_TRACE_TOPIC", 5, time.Minute) {
			if r.Topic != topic {
				continue
			}
			if r.Cost < 0 || r.Cost > 60_000 || r.Time < began.UnixMilli() || r.Time > time.Now().UnixMilli() {
				t.Errorf("cost or time of %+v", r)
			}
			r.Cost, r.Time = 0, 0
			if r.Kind == string(msgtrace.Recall) {
				r.StoreHost = "" // the record has none, and Java's decoder shows the reader's address instead
			}
			got = append(got, r)
		}
		record := func(kind msgtrace.Kind, id core.MessageID, more javaprog.Trace) javaprog.Trace {
			more.Kind, more.Group, more.Topic, more.Success, more.MsgID = string(kind), "traced", topic, true, id.String()
			return more
		}
		broker := c.BrokerAddr("broker-a")
		want := []javaprog.Trace{
			record(msgtrace.Pub, sent.MessageID, javaprog.Trace{StoreHost: broker, MsgType: "Normal_Msg", State: "null"}),
			record(msgtrace.Pub, timed.MessageID, javaprog.Trace{StoreHost: broker, MsgType: "Delay_Msg", State: "null"}),
			record(msgtrace.Pub, tx.MessageID, javaprog.Trace{StoreHost: broker, MsgType: "Trans_Msg_Half", State: "null"}),
			record(msgtrace.EndTransaction, tx.MessageID, javaprog.Trace{
				StoreHost: broker, MsgType: "Trans_msg_Commit", State: "COMMIT_MESSAGE", TransactionID: tx.TransactionID,
			}),
			record(msgtrace.Recall, timed.MessageID, javaprog.Trace{MsgType: "null", State: "null"}),
		}
		for _, records := range [][]javaprog.Trace{got, want} {
			slices.SortFunc(records, func(a, b javaprog.Trace) int {
				return cmp.Or(cmp.Compare(a.Kind, b.Kind), cmp.Compare(a.MsgID, b.MsgID))
			})
		}
		if !slices.Equal(got, want) {
			t.Errorf("the Java client reads\n%+v, want\n%+v", got, want)
		}
	})
}
