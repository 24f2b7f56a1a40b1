package faulttest_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/liftoff-mq/liftoff"
	"github.com/liftoff-mq/liftoff/core"
	"github.com/liftoff-mq/liftoff/core/rocketmq"
	"github.com/liftoff-mq/liftoff/hooks/compress"
	"github.com/liftoff-mq/liftoff/transport/embedded"
	"github.com/liftoff-mq/liftoff/transport/remoting"
	"github.com/liftoff-mq/liftoff/transport/wire"
)

// questions counts what checkers were asked, by the first word of the message.
type questions struct {
	mu sync.Mutex
	n  map[string]int
}

func (q *questions) about(word string) int {
	q.mu.Lock()
	defer q.mu.Unlock()
	return q.n[word]
}

func (q *questions) note(word string) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.n == nil {
		q.n = map[string]int{}
	}
	q.n[word]++
}

// transacting starts a producer with transactions to T. Its checker says what the local transactions said, by the
// message's body, and counts.
func transacting(t *testing.T, w *world, group string, asked *questions, options ...liftoff.Option) *core.Producer {
	t.Helper()
	checker := liftoff.CheckFunc(func(_ context.Context, c *core.TransactionCheck) (core.TransactionDecision, error) {
		word, _, _ := strings.Cut(string(c.Message.Body), " ")
		asked.note(word)
		var d core.TransactionDecision
		return d, d.UnmarshalText([]byte(word))
	})
	p, err := liftoff.New(liftoff.Config{Group: group, NameServers: w.NameServers(), Client: remoting.Config{Dial: w.Dial}},
		append([]liftoff.Option{liftoff.WithTransactions(checker, "T")}, options...)...)
	if err == nil {
		err = p.Start(bg)
	}
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func transact(p *core.Producer, d core.TransactionDecision) (core.TransactionResult, error) {
	return p.SendTransaction(bg, &core.Message{Topic: "T", Body: []byte(d.String())},
		func(context.Context, *core.Result) (core.TransactionDecision, error) { return d, nil })
}

// Whatever happens to the end of a transaction: the error says that the half message is stored and what is known of the
// end, a commit is stored exactly once, a rollback never, and what the broker did not hear it asks for.
func TestFaultsOfTheEndOfATransaction(t *testing.T) {
	always := func(a embedded.Action) func(*world) {
		return func(w *world) { w.Control(wire.EndTransaction, func(*embedded.Request) embedded.Action { return a }) }
	}
	once := func(a embedded.Action) func(*world) {
		return func(w *world) {
			w.ControlOnce(wire.EndTransaction, func(*embedded.Request) embedded.Action { return a })
		}
	}
	const ok = core.CertaintyUnknown // no error
	for _, tt := range []struct {
		name             string
		fault            func(w *world)
		commit, rollback core.Certainty // of the end
		ends             [2]int         // how often it is told
	}{
		{"busy once", once(embedded.Reply(rocketmq.CodeSystemBusy, "[TIMEOUT_CLEAN_QUEUE]broker busy")), ok, ok, [2]int{2, 2}},
		{"refused", once(embedded.Reply(rocketmq.CodeIllegalOperation, "")), core.NotStored, core.NotStored, [2]int{1, 1}},
		{"forbidden", once(embedded.Reply(rocketmq.CodeNoPermission, "has no permission to access")), core.NotStored, core.NotStored, [2]int{1, 1}},
		{"a slave answers", once(embedded.Reply(rocketmq.CodeSlaveNotAvailable, "")), ok, ok, [2]int{2, 2}},
		{"cut before it was carried out", once(embedded.Cut()), core.MaybeStored, ok, [2]int{1, 2}},
		{"lost answer", once(embedded.StoreThenCut()), core.MaybeStored, ok, [2]int{1, 2}},
		{"half an answer", once(embedded.CutAfter(9)), core.MaybeStored, ok, [2]int{1, 2}},
		{"hung", once(embedded.Hang()), core.MaybeStored, core.MaybeStored, [2]int{1, 1}},
		{"carried out, then hung", once(embedded.StoreThen(embedded.Hang())), core.MaybeStored, core.MaybeStored, [2]int{1, 1}},
		{"garbage", once(embedded.Garbage([]byte("\x00\x00\x00\x08garbage!"))), core.MaybeStored, ok, [2]int{1, 2}},
		{"unexplained", once(embedded.Reply(rocketmq.CodeSystemError, "who knows")), core.MaybeStored, ok, [2]int{1, 2}},
		{"answered twice", always(embedded.Duplicate()), ok, ok, [2]int{1, 1}},
	} {
		for i, d := range []core.TransactionDecision{core.TransactionCommit, core.TransactionRollback} {
			sub(t, tt.name+", "+d.String(), func(t *testing.T) {
				w := newWorldOf(t, embedded.Config{Network: embedded.NewNetwork()})
				asked := &questions{}
				p := transacting(t, w, "test", asked)
				tt.fault(w)
				res, err := transact(p, d)
				want := [...]core.Certainty{tt.commit, tt.rollback}[i]
				var te *core.TransactionError
				var oe *core.OperationError
				switch {
				case want == ok && err != nil, want != ok && (!errors.As(err, &te) || !errors.As(err, &oe)):
					t.Fatalf("%+v, %v", res, err)
				case want == ok:
				case oe.Certainty != want || te.Told || te.Certainty != core.MaybeStored || te.Decision != d || core.CertaintyOf(err).Safe():
					t.Errorf("%+v: %v", res, err)
				}
				if n := w.RequestCount(wire.EndTransaction); n != tt.ends[i] {
					t.Errorf("the end was told %d times, want %d", n, tt.ends[i])
				}
				time.Sleep(2 * time.Minute) // the broker asks meanwhile
				if n := len(w.Stored("T")); n != 1-i {
					t.Errorf("%d messages are visible", n)
				}
				if n := w.Broker("broker-a").OpenTransactions(); n != 0 || asked.about(d.String()) > 1 {
					t.Errorf("%d are open, asked %d times", n, asked.about(d.String()))
				}
				if err := p.Shutdown(bg); err != nil {
					t.Error(err)
				}
			})
		}
	}
}

// Two producers on one client both get their questions, and so does one that was started after the half messages were
// sent and has sent nothing.
func TestQuestionsFindTheirProducers(t *testing.T) {
	virtual(t, func(t *testing.T) {
		w := newWorldOf(t, embedded.Config{Network: embedded.NewNetwork(), Brokers: embedded.BrokerNames(3)})
		client, err := remoting.NewClient(remoting.Config{NameServers: w.NameServers(), Dial: w.Dial})
		if err == nil {
			err = client.Start(bg)
		}
		if err != nil {
			t.Fatal(err)
		}
		var asked [2]questions
		var producers [2]*core.Producer
		for i := range producers {
			producers[i] = transacting(t, w, "group-"+strconv.Itoa(i), &asked[i], liftoff.WithClient(client))
			for n := range 12 {
				_, err := producers[i].SendTransaction(bg, &core.Message{Topic: "T", Body: fmt.Appendf(nil, "commit %d %d", i, n)},
					func(context.Context, *core.Result) (core.TransactionDecision, error) {
						return core.TransactionUnknown, nil
					})
				if err != nil {
					t.Fatal(err)
				}
			}
		}
		// The second one dies before it is asked.
		if err := producers[1].Shutdown(bg); err != nil {
			t.Error(err)
		}
		time.Sleep(20 * time.Second)
		again := transacting(t, w, "group-1", &asked[1])
		time.Sleep(2 * time.Minute)
		if asked[0].about("commit") != 12 || asked[1].about("commit") != 12 || len(w.Stored("T")) != 24 {
			t.Errorf("asked %d and %d times, %d visible", asked[0].about("commit"), asked[1].about("commit"), len(w.Stored("T")))
		}
		for _, part := range []interface{ Shutdown(context.Context) error }{again, producers[0], client} {
			if err := part.Shutdown(bg); err != nil {
				t.Error(err)
			}
		}
	})
}

// The checker gets the message as the user gave it, whatever namespace and compression made of it.
func TestCheckedMessage(t *testing.T) {
	for name, codec := range map[string]core.Compressor{"none": nil, "zlib": must(compress.Zlib(3)), "lz4": compress.LZ4(), "zstd": must(compress.Zstd(3))} {
		sub(t, name, func(t *testing.T) {
			w := newWorldOf(t, embedded.Config{Network: embedded.NewNetwork()})
			if err := w.CreateTopic("ns%T", 1); err != nil {
				t.Fatal(err)
			}
			sent := &core.Message{
				Topic: "T", Body: []byte(strings.Repeat("body", 5000)), Tag: "tag", Keys: []string{"a", "b"}, ShardingKey: "k",
				Properties: map[string]string{"mine": "1"}, Flag: 7, NoWaitStore: true,
			}
			option := liftoff.WithoutCompression()
			if codec != nil {
				option = liftoff.WithCompressor(codec)
			}
			var mu sync.Mutex
			var id string
			checked := 0
			p, err := liftoff.New(liftoff.Config{Group: "g", Namespace: "ns", NameServers: w.NameServers(), Client: remoting.Config{Dial: w.Dial}},
				option, liftoff.WithTransactions(liftoff.CheckFunc(func(_ context.Context, c *core.TransactionCheck) (core.TransactionDecision, error) {
					mu.Lock()
					defer mu.Unlock()
					checked++
					m := c.Message
					if m.Topic != "T" || string(m.Body) != string(sent.Body) || m.Tag != "tag" || !slices.Equal(m.Keys, sent.Keys) || m.ShardingKey != "k" ||
						fmt.Sprint(m.Properties) != fmt.Sprint(sent.Properties) || m.Flag != 7 || !m.NoWaitStore {
						t.Errorf("%d bytes, %q %q %q, properties %v, flag %d, %v", len(m.Body), m.Topic, m.Tag, m.Keys, m.Properties, m.Flag, m.NoWaitStore)
					}
					if c.MessageID != id || c.Times != checked || c.Target != "ns%T" || c.Codec != "" || time.Since(c.Born) < 6*time.Second || c.Stored.Before(c.Born) {
						t.Errorf("message %s of %s in %s, question %d, codec %q, born %v, stored %v", c.MessageID, id, c.Target, c.Times, c.Codec, c.Born, c.Stored)
					}
					if checked < 3 {
						return core.TransactionUnknown, nil
					}
					return core.TransactionCommit, nil
				}), "T"))
			if err == nil {
				err = p.Start(bg)
			}
			if err != nil {
				t.Fatal(err)
			}
			res, err := p.SendTransaction(bg, sent, func(context.Context, *core.Result) (core.TransactionDecision, error) { return 0, nil })
			if err != nil {
				t.Fatal(err)
			}
			mu.Lock()
			id = res.MessageID.String()
			mu.Unlock()
			time.Sleep(3 * time.Minute)
			mu.Lock()
			defer mu.Unlock()
			if n := len(w.Stored("ns%T")); n != 1 || checked != 3 {
				t.Errorf("%d visible, asked %d times", n, checked)
			}
			if err := p.Shutdown(bg); err != nil {
				t.Error(err)
			}
		})
	}
}

func must[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}

// 10,000 questions of a hostile broker about transactions that are none of ours, or about nothing, reach no checker and
// take no more than the inbox has.
func TestRogueChecks(t *testing.T) {
	virtual(t, func(t *testing.T) {
		w := newWorldOf(t, embedded.Config{Network: embedded.NewNetwork()})
		asked := &questions{}
		p := transacting(t, w, "test", asked)
		if _, err := transact(p, core.TransactionCommit); err != nil {
			t.Fatal(err)
		}
		offsets := wire.TransactionCheck{MsgID: "id", OffsetMsgID: "x", QueueOffset: 1, CommitLogOffset: 2}
		half := func(properties ...string) []byte {
			var props []byte
			for i := 0; i < len(properties); i += 2 {
				props = wire.AppendProperty(props, properties[i], properties[i+1])
			}
			return must(wire.AppendStored(nil, &wire.StoredMessage{Topic: "T", Body: []byte("commit"), Properties: props}))
		}
		cmds := []wire.Command{
			{Ext: offsets.Fields(), Body: half("PGROUP", "stranger", "UNIQ_KEY", "id")},
			{Ext: offsets.Fields(), Body: half("UNIQ_KEY", "id")},
			{Ext: offsets.Fields(), Body: []byte("garbage")},
			{Ext: offsets.Fields()},
			{Body: half("PGROUP", "test", "UNIQ_KEY", "id")},                                       // no offsets
			{Ext: wire.Fields{{Key: "commitLogOffset", Value: "x"}}, Body: half("PGROUP", "test")}, // nonsense
			{Ext: offsets.Fields()[:2], Body: half("PGROUP", "test", "UNIQ_KEY", "\x00bad")},       // no id to show
			{Ext: offsets.Fields(), Body: must(wire.AppendStored(nil, &wire.StoredMessage{Topic: "a b", Properties: wire.AppendProperty(nil, "PGROUP", "test")}))},
		}
		for i := range 10_000 {
			cmd := cmds[i%len(cmds)]
			cmd.Code, cmd.Flag = wire.CheckTransactionState, wire.FlagOneway
			if n, err := w.Broker("broker-a").Push(cmd); err != nil || n != 1 {
				t.Fatal(n, err)
			}
		}
		time.Sleep(time.Second)
		s := p.Snapshot().Inbox
		if n := asked.about("commit"); n != 0 || s.Requests != 10_000 || s.Waiting != 0 || w.RequestCount(wire.EndTransaction) != 1 {
			t.Errorf("asked %d times, inbox %+v, %d ends", n, s, w.RequestCount(wire.EndTransaction))
		}
		if err := p.Shutdown(bg); err != nil {
			t.Error(err)
		}
	})
}
