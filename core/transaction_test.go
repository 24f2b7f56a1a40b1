package core_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/liftoff-mq/liftoff/core"
	"github.com/liftoff-mq/liftoff/core/coretest"
	"github.com/liftoff-mq/liftoff/core/rocketmq"
)

// teller is a transport that carries transactions.
type teller struct {
	mailman
	lacks []core.Feature
	tell  func(ctx context.Context, op *core.Operation) error
	mu    sync.Mutex
	ends  []string
	kept  []string // the brokers that are kept, as they were told
}

func (l *teller) Capabilities() core.Capabilities { return core.Capabilities{Lacks: l.lacks} }

func (l *teller) EndTransaction(ctx context.Context, op *core.Operation) error {
	end := op.Transaction()
	l.mu.Lock()
	l.ends = append(l.ends, fmt.Sprintf("%v %v %s %s %s %d %s", end.Decision, end.FromCheck, op.Addr(), end.MessageID, end.OffsetMessageID, end.QueueOffset, op.Target()))
	l.mu.Unlock()
	if l.tell == nil {
		op.MarkWritten()
		return nil
	}
	return l.tell(ctx, op)
}

func (l *teller) ParseCheck(r *core.ServerRequest) (*core.TransactionCheck, error) {
	if len(r.Body) == 0 {
		return nil, errors.New("no half message")
	}
	return &core.TransactionCheck{
		Message: &core.Message{Topic: "T", Body: r.Body}, MessageID: "ID", Codec: r.Fields["codec"], Addr: r.Addr, Target: "T", Broker: "broker-a",
		OffsetMessageID: "place", QueueOffset: 7,
	}, nil
}

func (l *teller) KeepBrokers(group string, brokers []core.Broker) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.kept = append(l.kept, fmt.Sprintf("%s %v", group, brokers))
}

func (l *teller) told() []string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return slices.Clone(l.ends)
}

func decides(d core.TransactionDecision, err error) core.LocalTransaction {
	return func(context.Context, *core.Result) (core.TransactionDecision, error) { return d, err }
}

func checks(d core.TransactionDecision, err error) core.TransactionChecker {
	return core.TransactionCheckerFunc(func(context.Context, *core.TransactionCheck) (core.TransactionDecision, error) { return d, err })
}

func transactional(l *teller) core.Config {
	cfg := coretest.Config(l)
	cfg.TransactionChecker = checks(core.TransactionUnknown, nil)
	return cfg
}

// The half message says what it is, to brokers and to steps; the end goes to the broker that has it.
func TestSendTransaction(t *testing.T) {
	l := &teller{}
	cfg := transactional(l)
	var types []core.MessageType
	cfg.Steps = append(cfg.Steps, core.CallStep("sees", core.StageEncode, core.InterceptorFunc(
		func(ctx context.Context, c *core.Call, next core.Handler) (*core.Result, error) {
			types = append(types, c.Type())
			return next(ctx, c)
		})))
	l.Do = func(_ context.Context, at *core.Attempt) (*core.Result, error) {
		r := l.Ack(at)
		r.OffsetMessageID, r.QueueOffset, r.TransactionID = "place", 42, "tx"
		return r, nil
	}
	p := coretest.Start(t, cfg)
	var got *core.Result
	msg := &core.Message{Topic: "T", Body: []byte("x"), ShardingKey: "k", Properties: map[string]string{"a": "b"}}
	res, err := p.SendTransaction(t.Context(), msg, func(_ context.Context, half *core.Result) (core.TransactionDecision, error) {
		got = half
		return core.TransactionCommit, nil
	})
	if err != nil || res.Decision != core.TransactionCommit || res.TransactionID != "tx" || *got != res.Result || !res.Acked() {
		t.Errorf("%+v, %v; the local transaction got %+v", res, err, got)
	}
	sent := l.Attempts()[0]
	if want := "UNIQ_KEY=" + res.MessageID.String() + ";__SHARDINGKEY=k;a=b;TRAN_MSG=true;PGROUP=test;"; sent.Properties != want {
		t.Errorf("properties %s, want %s", sent.Properties, want)
	}
	if want := []core.MessageType{core.TransactionMessage}; !slices.Equal(types, want) {
		t.Errorf("types %v", types)
	}
	if want := fmt.Sprintf("commit false %s %s place 42 T", sent.Addr, res.MessageID); !slices.Equal(l.told(), []string{want}) {
		t.Errorf("told %q, want %q", l.told(), want)
	}
	if s := p.Snapshot().Totals; s.Operations != 1 || s.Messages != 1 {
		t.Errorf("totals %+v", s)
	}
	if msg.Properties["TRAN_MSG"] != "" {
		t.Error("the user's message was written to")
	}
	// The next message is none.
	if _, err := p.Send(t.Context(), msg); err != nil || types[1] != core.FIFOMessage || strings.Contains(l.Attempts()[1].Properties, "TRAN_MSG") {
		t.Errorf("%v, a plain message is %v: %s", err, types[1], l.Attempts()[1].Properties)
	}
}

func txError(t *testing.T, err error) *core.TransactionError {
	t.Helper()
	var te *core.TransactionError
	if !errors.As(err, &te) {
		t.Fatalf("got %T %v, want a *TransactionError", err, err)
	}
	return te
}

// What the local transaction says is what the broker is told; an error and a panic leave it open.
func TestLocalTransaction(t *testing.T) {
	boom := errors.New("boom")
	for _, tt := range []struct {
		name      string
		local     core.LocalTransaction
		decision  core.TransactionDecision
		cause     error
		told      bool
		certainty core.Certainty
		class     core.Class
	}{
		{name: "commit", local: decides(core.TransactionCommit, nil), decision: core.TransactionCommit},
		{name: "rollback", local: decides(core.TransactionRollback, nil), decision: core.TransactionRollback},
		{name: "unknown", local: decides(core.TransactionUnknown, nil), decision: core.TransactionUnknown},
		{name: "error", local: decides(core.TransactionUnknown, boom), cause: boom, certainty: core.MaybeStored, class: core.ClassUnknown},
		{name: "commit with an error", local: decides(core.TransactionCommit, boom), cause: boom, certainty: core.MaybeStored, class: core.ClassUnknown},
		{name: "rollback with an error", local: decides(core.TransactionRollback, boom), decision: core.TransactionRollback, cause: boom, told: true, certainty: core.NotStored, class: core.ClassUnknown},
		{name: "panic", local: func(context.Context, *core.Result) (core.TransactionDecision, error) { panic(boom) }, cause: boom, certainty: core.MaybeStored, class: core.ClassPlugin},
		{name: "no decision", local: decides(17, nil), cause: core.ErrContract, certainty: core.MaybeStored, class: core.ClassPlugin},
	} {
		t.Run(tt.name, func(t *testing.T) {
			l := &teller{}
			p := coretest.Start(t, transactional(l))
			res, err := p.SendTransaction(t.Context(), &core.Message{Topic: "T", Body: []byte("x")}, tt.local)
			if res.Decision != tt.decision || len(l.told()) != 1 || !strings.HasPrefix(l.told()[0], tt.decision.String()+" ") || !errors.Is(err, tt.cause) {
				t.Fatalf("%+v, %v, told %q", res, err, l.told())
			}
			if tt.cause == nil {
				return
			}
			te := txError(t, err)
			if te.Decision != tt.decision || te.Told != tt.told || te.Certainty != tt.certainty || core.CertaintyOf(err) != tt.certainty ||
				te.Class != tt.class || te.MessageID != res.MessageID || te.Topic != "T" {
				t.Errorf("%+v", te)
			}
		})
	}
}

// A half message that a broker stored with a weaker status is rolled back, and the local transaction does not run.
func TestWeakHalf(t *testing.T) {
	l := &teller{}
	l.Do = func(_ context.Context, at *core.Attempt) (*core.Result, error) {
		r := l.Ack(at)
		r.Status = core.FlushDiskTimeout
		return r, nil
	}
	p := coretest.Start(t, transactional(l))
	res, err := p.SendTransaction(t.Context(), &core.Message{Topic: "T", Body: []byte("x")}, func(context.Context, *core.Result) (core.TransactionDecision, error) {
		t.Error("the local transaction ran")
		return core.TransactionCommit, nil
	})
	te := txError(t, err)
	if !errors.Is(err, core.ErrWeakHalf) || te.Certainty != core.NotStored || res.Decision != core.TransactionRollback || !strings.HasPrefix(l.told()[0], "rollback") {
		t.Errorf("%+v, %v, told %q", res, err, l.told())
	}
}

// Without a stored half message nothing of the transaction happens.
func TestHalfIsNotSent(t *testing.T) {
	msg := func(change func(m *core.Message)) *core.Message {
		m := &core.Message{Topic: "T", Body: []byte("x")}
		change(m)
		return m
	}
	none := func(*core.Message) {}
	commit := decides(core.TransactionCommit, nil)
	for _, tt := range []struct {
		name   string
		msg    *core.Message
		local  core.LocalTransaction
		change func(l *teller, c *core.Config)
		class  core.Class
		says   string
	}{
		{"delay level", msg(func(m *core.Message) { m.DelayLevel = 1 }), commit, nil, core.ClassInvalid, `"DELAY" in a transaction`},
		{"delivery time", msg(func(m *core.Message) { m.DeliverAt = time.Now().Add(time.Hour) }), commit, nil, core.ClassInvalid, `"TIMER_DELIVER_MS" in a transaction`},
		{"relative time", msg(func(m *core.Message) { m.Properties = map[string]string{"TIMER_DELAY_SEC": "1"} }), commit, nil, core.ClassInvalid, `"TIMER_DELAY_SEC" in a transaction`},
		{"priority", msg(func(m *core.Message) { m.Properties = map[string]string{"_SYS_MSG_PRIORITY_": "1"} }), commit, nil, core.ClassInvalid, "in a transaction"},
		{"delay", msg(func(m *core.Message) { m.DeliverAfter = time.Second }), commit, nil, core.ClassInvalid, `"TIMER_DELAY_MS" in a transaction`},
		{"typed priority", msg(func(m *core.Message) { m.Priority = new(int) }), commit, nil, core.ClassInvalid, "in a transaction"},
		{"lite topic", msg(func(m *core.Message) { m.LiteTopic = "l" }), commit, nil, core.ClassInvalid, "in a transaction"},
		{"no local transaction", msg(none), nil, nil, core.ClassInvalid, "local transaction is nil"},
		{"no message", nil, commit, nil, core.ClassInvalid, "message is nil"},
		{"no checker", msg(none), commit, func(_ *teller, c *core.Config) { c.TransactionChecker = nil }, core.ClassInvalid, "liftoff.WithTransactions"},
		{"refused", msg(none), commit, func(l *teller, _ *core.Config) {
			l.Do = func(_ context.Context, at *core.Attempt) (*core.Result, error) {
				return nil, coretest.Refuse(at, rocketmq.CodeMessageIllegal, "no")
			}
		}, core.ClassRejected, "no"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			l := &teller{}
			cfg := transactional(l)
			if tt.change != nil {
				tt.change(l, &cfg)
			}
			p := coretest.Start(t, cfg)
			local := tt.local
			if local != nil {
				local = func(context.Context, *core.Result) (core.TransactionDecision, error) {
					t.Error("the local transaction ran")
					return core.TransactionCommit, nil
				}
			}
			res, err := p.SendTransaction(t.Context(), tt.msg, local)
			var se *core.SendError
			if !errors.As(err, &se) || se.Class != tt.class || !se.Certainty.Safe() || !strings.Contains(err.Error(), tt.says) ||
				res != (core.TransactionResult{}) || len(l.told()) != 0 {
				t.Errorf("%+v, %v, told %q", res, err, l.told())
			}
		})
	}
}

// How often the end is told: while the policy wants it and nothing of it can have been carried out twice. The
// failure says that the half message is stored.
func TestEndIsTold(t *testing.T) {
	refusal := func(class core.Class, c core.Certainty) error {
		return &core.BrokerError{Code: rocketmq.CodeSystemBusy, Class: class, Certainty: c, Remark: "r", Addr: "a:1"}
	}
	unsent := fmt.Errorf("dial: %w", core.ErrConnect)
	for _, tt := range []struct {
		name     string
		decision core.TransactionDecision
		fails    error
		written  bool
		times    int // that the end is told
		end      core.Certainty
	}{
		{"busy, commit", core.TransactionCommit, refusal(core.ClassBusy, core.NotStored), true, 4, core.NotStored},
		{"busy, rollback", core.TransactionRollback, refusal(core.ClassBusy, core.NotStored), true, 4, core.NotStored},
		{"no connection, commit", core.TransactionCommit, unsent, false, 4, core.NotSent},
		{"lost answer, commit", core.TransactionCommit, core.ErrConnectionLost, true, 1, core.MaybeStored},
		{"lost answer, rollback", core.TransactionRollback, core.ErrConnectionLost, true, 4, core.MaybeStored},
		{"unexplained, commit", core.TransactionCommit, refusal(core.ClassBroker, core.MaybeStored), true, 1, core.MaybeStored},
		{"no permission", core.TransactionCommit, refusal(core.ClassAuth, core.NotStored), true, 1, core.NotStored},
		{"unknown", core.TransactionUnknown, unsent, false, 1, core.NotSent},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				l := &teller{tell: func(_ context.Context, op *core.Operation) error {
					if tt.written {
						op.MarkWritten()
					}
					return tt.fails
				}}
				cfg := transactional(l)
				var types []core.MessageType
				telling := false // before that the policy is asked what it would do
				cfg.Retry = core.RetryPolicyFunc(func(f *core.Failure) core.Decision {
					if !telling {
						return core.Decision{}
					}
					types = append(types, f.Type)
					again := f.Attempt < 4 && (f.Class == core.ClassBusy || f.Class == core.ClassNetwork)
					if !f.Consistent || f.Message == nil || f.Remaining <= 0 || f.Answered != (f.Code != nil) {
						t.Errorf("%+v", f)
					}
					return core.Decision{Retry: again, After: 10 * time.Millisecond}
				})
				p := coretest.Start(t, cfg)
				telling = true
				res, err := p.SendTransaction(t.Context(), &core.Message{Topic: "T", Body: []byte("x")}, decides(tt.decision, nil))
				if len(l.told()) != tt.times {
					t.Errorf("told %q", l.told())
				}
				if slices.ContainsFunc(types, func(typ core.MessageType) bool { return typ != core.TransactionMessage }) {
					t.Errorf("types %v", types)
				}
				if tt.decision == core.TransactionUnknown {
					if err != nil || len(types) != 0 {
						t.Errorf("%v, policy asked %d times", err, len(types))
					}
					return
				}
				te, oe := txError(t, err), opError(t, err)
				if te.Told || te.Certainty != core.MaybeStored || te.Decision != tt.decision || res.Decision != tt.decision || !res.Acked() ||
					oe.Kind != core.OperationEndTransaction || oe.Certainty != tt.end || !strings.Contains(err.Error(), "the half message is stored") {
					t.Errorf("%+v: %v; %+v", res, err, oe)
				}
				if says := map[bool]string{true: "was not told", false: "may have been told"}[tt.end.Safe()]; !strings.Contains(err.Error(), says) {
					t.Errorf("%v, want %q", err, says)
				}
			})
		})
	}
}

// A policy that never gives up is ended all the same, and a spent budget ends it too.
func TestEndIsBounded(t *testing.T) {
	for _, tt := range []struct{ budget, times int }{{2000, 1000}, {5, 6}, {0, 1}} {
		synctest.Test(t, func(t *testing.T) {
			l := &teller{tell: func(context.Context, *core.Operation) error { return core.ErrConnect }}
			cfg := transactional(l)
			cfg.Retry = core.RetryPolicyFunc(func(*core.Failure) core.Decision { return core.Decision{Retry: true} })
			cfg.Budget = &purse{tt.budget}
			p := coretest.Start(t, cfg)
			if _, err := p.SendTransaction(t.Context(), &core.Message{Topic: "T", Body: []byte("x")}, decides(core.TransactionRollback, nil)); err == nil {
				t.Error("no error")
			}
			if n := len(l.told()); n != tt.times {
				t.Errorf("told %d times with a budget of %d, want %d", n, tt.budget, tt.times)
			}
		})
	}
}

// An end of which one attempt may have been carried out may have been carried out, whatever came of the next ones.
func TestEndKnowsAllAttempts(t *testing.T) {
	for name, after := range map[string]time.Duration{"the last one is not sent": 0, "the pause before it is cancelled": time.Minute} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				l := &teller{}
				l.tell = func(_ context.Context, op *core.Operation) error {
					if len(l.told()) > 1 {
						return core.ErrConnect
					}
					op.MarkWritten()
					return core.ErrConnectionLost
				}
				cfg := transactional(l)
				cfg.Timeout = time.Hour
				cfg.Retry = core.RetryPolicyFunc(func(f *core.Failure) core.Decision {
					return core.Decision{Retry: f.Attempt < 3, After: time.Duration(f.Attempt-1) * after}
				})
				p := coretest.Start(t, cfg)
				ctx, cancel := context.WithCancel(t.Context())
				defer cancel()
				time.AfterFunc(time.Second, cancel)
				_, err := p.SendTransaction(ctx, coretest.Message("x"), decides(core.TransactionRollback, nil))
				if oe := opError(t, err); oe.Certainty != core.MaybeStored || !errors.Is(err, core.ErrConnect) || errors.Is(err, context.Canceled) != (after > 0) {
					t.Errorf("%v: %v", oe.Certainty, err)
				}
			})
		})
	}
}

// purse is a budget that is spent.
type purse struct{ left int }

func (p *purse) Deposit() {}

func (p *purse) Withdraw(*core.Failure) bool {
	p.left--
	return p.left >= 0
}

// A pause before the end is told again ends with the caller's context, and with the producer.
func TestEndGivesUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := &teller{tell: func(context.Context, *core.Operation) error { return core.ErrConnect }}
		cfg := transactional(l)
		cfg.Timeout = time.Hour
		cfg.Retry = core.RetryPolicyFunc(func(*core.Failure) core.Decision { return core.Decision{Retry: true, After: time.Minute} })
		p, err := core.NewProducer(cfg)
		if err == nil {
			err = p.Start(t.Context())
		}
		if err != nil {
			t.Fatal(err)
		}
		msg := &core.Message{Topic: "T", Body: []byte("x")}
		ctx, cancel := context.WithCancel(t.Context())
		time.AfterFunc(time.Second, cancel)
		start := time.Now()
		if _, err := p.SendTransaction(ctx, msg, decides(core.TransactionCommit, nil)); !errors.Is(err, core.ErrConnect) || !errors.Is(err, context.Canceled) || time.Since(start) != time.Second {
			t.Errorf("%v after %v", err, time.Since(start))
		}
		ended := make(chan error)
		go func() {
			_, err := p.SendTransaction(t.Context(), msg, decides(core.TransactionCommit, nil))
			ended <- err
		}()
		time.Sleep(time.Second)
		stop, over := context.WithTimeout(t.Context(), time.Second)
		defer over()
		if err := p.Shutdown(stop); err == nil {
			t.Error("Shutdown says that all went well")
		}
		txError(t, <-ended)
	})
}

// Shutdown waits for a local transaction, and its end is told.
func TestShutdownWaitsForTransactions(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := &teller{}
		p, err := core.NewProducer(transactional(l))
		if err == nil {
			err = p.Start(t.Context())
		}
		if err != nil {
			t.Fatal(err)
		}
		start := time.Now()
		go func() {
			_, err := p.SendTransaction(t.Context(), &core.Message{Topic: "T", Body: []byte("x")}, func(context.Context, *core.Result) (core.TransactionDecision, error) {
				time.Sleep(time.Minute)
				return core.TransactionCommit, nil
			})
			if err != nil {
				t.Error(err)
			}
		}()
		time.Sleep(time.Second)
		if err := p.Shutdown(t.Context()); err != nil || time.Since(start) != time.Minute || len(l.told()) != 1 {
			t.Errorf("%v after %v, told %q", err, time.Since(start), l.told())
		}
		_, err = p.SendTransaction(t.Context(), &core.Message{Topic: "T", Body: []byte("x")}, decides(core.TransactionCommit, nil))
		if core.ClassOf(err) != core.ClassClosed {
			t.Error(err)
		}
	})
}

// What cannot work is refused when the producer is made, all at once.
func TestTransactionConfig(t *testing.T) {
	handler := map[core.ServerRequestKind]core.ServerRequestHandler{
		core.RequestTransactionCheck: core.ServerRequestHandlerFunc(func(context.Context, *core.ServerRequest) {}),
	}
	for _, tt := range []struct {
		name   string
		change func(l *teller, c *core.Config)
		want   []string
	}{
		{"nil checker", func(_ *teller, c *core.Config) { c.TransactionChecker = core.TransactionCheckerFunc(nil) }, []string{"Config.TransactionChecker is nil"}},
		{"two handlers", func(_ *teller, c *core.Config) { c.Handlers = handler }, []string{"Config.Handlers[transaction-check] beside Config.TransactionChecker"}},
		{"transport that cannot", func(l *teller, _ *core.Config) { l.lacks = []core.Feature{core.FeatureTransaction} }, []string{"not supported by the transport: transaction"}},
		{"transport that knows none", func(_ *teller, c *core.Config) { c.Transport = &coretest.Transport{} }, []string{"not supported by the transport: transaction"}},
		{"topics", func(_ *teller, c *core.Config) { c.Topics = []string{"a b", "T", ""} }, []string{`Config.Topics[0] is "a b"`, `Config.Topics[2] is ""`}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			l := &teller{}
			cfg := transactional(l)
			tt.change(l, &cfg)
			_, err := core.NewProducer(cfg)
			for _, want := range tt.want {
				if err == nil || !strings.Contains(err.Error(), want) {
					t.Errorf("%v, want %q in it", err, want)
				}
			}
		})
	}
}

// The listing names the checker and the topics.
func TestTransactionsAreDescribed(t *testing.T) {
	cfg := transactional(&teller{})
	cfg.Topics = []string{"A", "B"}
	p := coretest.Start(t, cfg)
	text := fmt.Sprint(p.Pipeline())
	for _, want := range []string{"handlers for transaction-check", "a broker that asks is answered by", "A, B: looked up at the start"} {
		if !strings.Contains(strings.Join(strings.Fields(text), " "), want) {
			t.Errorf("no %q in\n%s", want, text)
		}
	}
}

// Topics of the configuration are looked up at the start, again while they cannot be had, and kept; the transport hears
// of all their brokers. Those of transactions are kept for an hour, others for ten minutes.
func TestKeptTopics(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := &teller{}
		cfg := transactional(l)
		cfg.Topics = []string{"kept"}
		source, down := cfg.Routes, true
		var mu sync.Mutex
		looks := map[string]int{}
		cfg.Routes = coretest.RouteFunc(func(ctx context.Context, topic string) (*core.Route, error) {
			mu.Lock()
			defer mu.Unlock()
			if looks[topic]++; down && topic == "kept" {
				return nil, errors.New("down")
			}
			return source.Route(ctx, topic)
		})
		p := coretest.Start(t, cfg)
		time.Sleep(10 * time.Second)
		mu.Lock()
		if n := looks["kept"]; n != 4 { // at 0, 1, 3 and 7 s
			t.Errorf("%d look-ups", n)
		}
		down = false
		mu.Unlock()
		time.Sleep(10 * time.Second)
		l.mu.Lock()
		if want := []string{"test [{broker-a broker-a:10911 DefaultCluster } {broker-b broker-b:10911 DefaultCluster }]"}; !slices.Equal(l.kept, want) {
			t.Errorf("kept %q, want %q", l.kept, want)
		}
		l.mu.Unlock()
		if _, err := p.Send(t.Context(), &core.Message{Topic: "plain", Body: []byte("x")}); err != nil {
			t.Error(err)
		}
		if _, err := p.SendTransaction(t.Context(), &core.Message{Topic: "half", Body: []byte("x")}, decides(core.TransactionCommit, nil)); err != nil {
			t.Error(err)
		}
		known := func() (out []string) {
			for _, topic := range p.Snapshot().Topics {
				out = append(out, topic.Topic)
			}
			return out
		}
		for _, tt := range []struct {
			after time.Duration
			want  []string
		}{{9 * time.Minute, []string{"half", "kept", "plain"}}, {3 * time.Minute, []string{"half", "kept"}}, {time.Hour, []string{"kept"}}} {
			time.Sleep(tt.after)
			if got := known(); !slices.Equal(got, tt.want) {
				t.Errorf("after %v more: %q, want %q", tt.after, got, tt.want)
			}
		}
	})
}
