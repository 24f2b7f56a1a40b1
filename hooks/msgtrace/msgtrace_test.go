package msgtrace_test

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/liftoff-mq/liftoff"
	"github.com/liftoff-mq/liftoff/core"
	"github.com/liftoff-mq/liftoff/core/coretest"
	"github.com/liftoff-mq/liftoff/core/rocketmq"
	"github.com/liftoff-mq/liftoff/hooks/msgtrace"
	"github.com/liftoff-mq/liftoff/transport/embedded"
)

// link carries everything, with one broker's word on messages and another on the trace.
type link struct {
	coretest.Transport
	inbox *core.Inbox // of the traced producer
}

func (*link) EndTransaction(_ context.Context, op *core.Operation) error {
	op.MarkWritten()
	return nil
}

// ParseCheck reads the region of a question's message in its body.
func (*link) ParseCheck(r *core.ServerRequest) (*core.TransactionCheck, error) {
	return &core.TransactionCheck{
		Message: &core.Message{Topic: "T"}, MessageID: "ID", TransactionID: "TX", Addr: r.Addr, Target: "T", Region: string(r.Body),
	}, nil
}

func (l *link) RegisterGroup(_ context.Context, r core.Registration) error {
	if r.Group == "ns%orders" {
		l.inbox = r.Inbox
	}
	return nil
}

func (*link) UnregisterGroup(context.Context, string) error { return nil }

func (*link) Recall(context.Context, *core.Operation, string) (string, error) { return "id", nil }

func trace(t *testing.T, cfg msgtrace.Config) *msgtrace.Trace {
	t.Helper()
	tr, err := msgtrace.New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	return tr
}

// start starts a producer that the test shuts down.
func start(t *testing.T, l *link, tr *msgtrace.Trace) *core.Producer {
	t.Helper()
	cfg := coretest.Config(l, tr.Step())
	cfg.Group, cfg.Transport = "ns%orders", l
	cfg.TransactionChecker = core.TransactionCheckerFunc(func(context.Context, *core.TransactionCheck) (core.TransactionDecision, error) { return 0, nil })
	p, err := core.NewProducer(cfg)
	if err == nil {
		err = p.Start(t.Context())
	}
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// records are the fields of those that arrived.
func records(l *link) (out [][]string) {
	for _, a := range l.Attempts() {
		if a.Topic == msgtrace.DefaultTopic {
			for line := range strings.SplitSeq(strings.TrimSuffix(a.Body, "\x02"), "\x02") {
				out = append(out, strings.Split(line, "\x01"))
			}
		}
	}
	return out
}

// What a producer does is in the trace when Shutdown has returned: also what failed, and nothing of the trace itself.
func TestRecords(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := &link{}
		l.Do = func(_ context.Context, at *core.Attempt) (*core.Result, error) {
			m := at.Call().Message()
			if m.Topic == "T" {
				time.Sleep(17 * time.Millisecond)
			}
			switch string(m.Body) {
			case "refused":
				return nil, coretest.Refuse(at, rocketmq.CodeSystemBusy, "busy")
			case "untraced":
				r := l.Ack(at)
				r.TraceOn = false
				return r, nil
			}
			return l.Ack(at), nil
		}
		tr := trace(t, msgtrace.Config{})
		p := start(t, l, tr)
		sent, _ := p.Send(t.Context(), &core.Message{Topic: "T", Body: []byte("hello"), Tag: "blue", Keys: []string{"k1", "k2"}})
		_, _ = p.Send(t.Context(), coretest.Message("refused"))
		_, _ = p.Send(t.Context(), coretest.Message("untraced"))
		_ = p.SendOneway(t.Context(), coretest.Message("oneway"))
		_, _ = p.SendBatch(t.Context(), []*core.Message{coretest.Message("a"), coretest.Message("bc")})
		_, _ = p.SendTransaction(t.Context(), coretest.Message("half"), func(context.Context, *core.Result) (core.TransactionDecision, error) {
			return core.TransactionRollback, nil
		})
		handle := rocketmq.RecallHandle{Topic: "T", Broker: "broker-a", DeliverAt: time.Now(), MessageID: "ID"}
		if _, err := p.Recall(t.Context(), "T", handle.String()); err != nil {
			t.Fatal(err)
		}
		if err := p.Shutdown(t.Context()); err != nil {
			t.Fatal(err)
		}
		got := records(l)
		var kinds []string
		for _, r := range got {
			kinds = append(kinds, r[0]+" "+r[len(r)-1])
		}
		if want := []string{"Pub true", "Pub false", "Pub true", "Pub true", "Pub true", "EndTransaction false", "Recall true"}; !slices.Equal(kinds, want) {
			t.Fatalf("%q, want %q", kinds, want)
		}
		if want := []string{"DefaultRegion", "orders", "T", sent.MessageID.String(), "blue", "k1 k2", "broker-a:10911", "5", "17", "0", ""}; !slices.Equal(got[0][2:13], want) {
			t.Errorf("%q, want %q", got[0][2:13], want)
		}
		if got[1][6] != "null" || got[3][9] != "2" || got[4][11] != "1" || got[5][11] != "ROLLBACK_MESSAGE" || got[6][5] != "ID" {
			t.Errorf("%q", got)
		}
		if s := tr.Snapshot(); s != (msgtrace.Snapshot{Sent: 7}) {
			t.Errorf("%+v", s)
		}
	})
}

// A trace topic whose broker hangs holds up neither sends nor the shutdown, and what waits is bounded.
func TestBrokenTraceTopic(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := &link{}
		l.Do = func(ctx context.Context, at *core.Attempt) (*core.Result, error) {
			if at.Call().Message().Topic == msgtrace.DefaultTopic {
				return nil, coretest.Hang(ctx, at)
			}
			return l.Ack(at), nil
		}
		tr := trace(t, msgtrace.Config{MaxQueued: 10, MaxCount: 1})
		p := start(t, l, tr)
		began := time.Now()
		const n = 500
		for range n {
			if _, err := p.Send(t.Context(), coretest.Message("x")); err != nil {
				t.Fatal(err)
			}
		}
		s := tr.Snapshot()
		if took := time.Since(began); took != 0 || s.Waiting > 10 || s.Dropped == 0 {
			t.Errorf("it took %v: %+v", took, s)
		}
		ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
		defer cancel()
		began = time.Now()
		if err := p.Shutdown(ctx); err != nil || time.Since(began) > 150*time.Millisecond {
			t.Errorf("shutdown after %v: %v", time.Since(began), err)
		}
		synctest.Wait() // the last sends that Shutdown has ended count themselves
		if s := tr.Snapshot(); s.Sent != 0 || s.Dropped+s.Failed != n || s.Waiting != 0 {
			t.Errorf("%+v", s)
		}
	})
}

// The end of a transaction that a broker asked about is of the region that the half message names,
// as in Java; one that the program told is not.
func TestRegionOfAnEnd(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := &link{}
		p := start(t, l, trace(t, msgtrace.Config{}))
		for _, region := range []string{"eu", ""} {
			if err := l.inbox.Deliver(&core.ServerRequest{Kind: core.RequestTransactionCheck, Group: "ns%orders", Addr: "broker-a:10911", Body: []byte(region)}); err != nil {
				t.Fatal(err)
			}
			synctest.Wait()
		}
		_, _ = p.SendTransaction(t.Context(), coretest.Message("half"), func(context.Context, *core.Result) (core.TransactionDecision, error) {
			return core.TransactionRollback, nil
		})
		if err := p.Shutdown(t.Context()); err != nil {
			t.Fatal(err)
		}
		var got []string
		for _, r := range records(l) {
			if r[0] == "EndTransaction" {
				got = append(got, r[2]+" "+r[len(r)-1])
			}
		}
		if want := []string{"eu true", "DefaultRegion true", "DefaultRegion false"}; !slices.Equal(got, want) {
			t.Errorf("%q, want %q", got, want)
		}
	})
}

// What the last calls left is sent at the shutdown, for as long as its context lasts, but no longer
// than a trace message may take: also where a broker hangs and another one is there.
func TestShutdownWithHungBroker(t *testing.T) {
	for name, tt := range map[string]struct {
		hangs func(at *core.Attempt) bool
		time  time.Duration // of the shutdown
		most  time.Duration // that it may take
		want  msgtrace.Snapshot
	}{
		"another broker":                 {func(at *core.Attempt) bool { return at.Number() == 1 }, 30 * time.Second, 2 * time.Second, msgtrace.Snapshot{Sent: 4}},
		"another broker, in little time": {func(at *core.Attempt) bool { return at.Number() == 1 }, time.Second, time.Second, msgtrace.Snapshot{Sent: 4}},
		"every broker":                   {func(*core.Attempt) bool { return true }, time.Minute, 6 * time.Second, msgtrace.Snapshot{Failed: 4}},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				l := &link{}
				l.Do = func(ctx context.Context, at *core.Attempt) (*core.Result, error) {
					if at.Call().Message().Topic == msgtrace.DefaultTopic && tt.hangs(at) {
						return nil, coretest.Hang(ctx, at)
					}
					return l.Ack(at), nil
				}
				tr := trace(t, msgtrace.Config{})
				p := start(t, l, tr)
				for range 2 {
					if _, err := p.Send(t.Context(), coretest.Message("x")); err != nil {
						t.Fatal(err)
					}
				}
				last := make(chan struct{}) // which is under way when the shutdown begins
				go func() {
					defer close(last)
					if _, err := p.SendTransaction(t.Context(), coretest.Message("half"), func(context.Context, *core.Result) (core.TransactionDecision, error) {
						time.Sleep(100 * time.Millisecond)
						return core.TransactionUnknown, errors.New("not known")
					}); err == nil {
						t.Error("no error")
					}
				}()
				synctest.Wait()
				ctx, cancel := context.WithTimeout(t.Context(), tt.time)
				defer cancel()
				began := time.Now()
				if err := p.Shutdown(ctx); err != nil {
					t.Error(err)
				}
				if took := time.Since(began); took > tt.most {
					t.Errorf("it took %v", took)
				}
				<-last
				synctest.Wait()
				if s := tr.Snapshot(); s != tt.want {
					t.Errorf("%+v", s)
				}
			})
		})
	}
}

func TestMistakes(t *testing.T) {
	shared, err := msgtrace.New(msgtrace.Config{})
	if err != nil {
		t.Fatal(err)
	}
	cfg := coretest.Config(&coretest.Transport{}, shared.Step())
	if _, err := core.NewProducer(cfg); err != nil {
		t.Fatal(err)
	}
	if _, err := core.NewProducer(cfg); err == nil || !strings.Contains(err.Error(), `belongs to a producer of group "test"`) {
		t.Errorf("two producers: %v", err)
	}
	_, err = msgtrace.New(msgtrace.Config{Topic: "a b", MaxQueued: -1, MaxCount: 1000, Linger: time.Hour})
	for _, want := range []string{"Topic", "MaxQueued", "MaxCount", "Linger"} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v, want %s", err, want)
		}
	}
}

// The embedded cluster stores the trace.
func TestEmbedded(t *testing.T) {
	c := embedded.New(t, embedded.Config{})
	tr := trace(t, msgtrace.Config{})
	p, err := liftoff.New(liftoff.Config{Group: "g", NameServers: c.NameServers()}, liftoff.WithHooks(tr))
	if err == nil {
		err = p.Start(t.Context())
	}
	if err != nil {
		t.Fatal(err)
	}
	if _, err := p.Send(t.Context(), coretest.Message("x")); err != nil {
		t.Fatal(err)
	}
	if err := p.Shutdown(t.Context()); err != nil {
		t.Fatal(err)
	}
	if n := c.StoredCount(msgtrace.DefaultTopic); n != 1 {
		t.Errorf("%d stored, %+v", n, tr.Snapshot())
	}
}
