package core_test

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/liftoff-mq/liftoff/core"
	"github.com/liftoff-mq/liftoff/core/coretest"
)

// A broker that asks is told what the checker says.
func TestTransactionCheck(t *testing.T) {
	boom := errors.New("boom")
	for _, tt := range []struct {
		name    string
		request core.ServerRequest
		checker core.TransactionCheckerFunc
		want    string // of the end; none if the checker is not asked
		log     string
	}{
		{"commit", core.ServerRequest{}, checks(core.TransactionCommit, nil).CheckTransaction, "commit", ""},
		{"rollback", core.ServerRequest{}, checks(core.TransactionRollback, nil).CheckTransaction, "rollback", ""},
		{"unknown", core.ServerRequest{}, checks(core.TransactionUnknown, nil).CheckTransaction, "unknown", ""},
		{"error", core.ServerRequest{}, checks(core.TransactionCommit, boom).CheckTransaction, "unknown", "boom"},
		{"panic", core.ServerRequest{}, func(context.Context, *core.TransactionCheck) (core.TransactionDecision, error) { panic(boom) }, "unknown", "boom"},
		{"no decision", core.ServerRequest{}, checks(17, nil).CheckTransaction, "unknown", "decided"},
		{"hangs", core.ServerRequest{}, func(ctx context.Context, _ *core.TransactionCheck) (core.TransactionDecision, error) {
			<-ctx.Done()
			return core.TransactionCommit, ctx.Err()
		}, "unknown", "timeout"},
		{"of another group", core.ServerRequest{Group: "other"}, nil, "", "another group"},
		{"of no group", core.ServerRequest{Group: "-"}, nil, "", "another group"},
		{"garbage", core.ServerRequest{Body: []byte{}}, nil, "", "no half message"},
		{"packed", core.ServerRequest{Fields: map[string]string{"codec": "zip"}}, nil, "commit", ""},
		{"packed by a strange codec", core.ServerRequest{Fields: map[string]string{"codec": "rar"}}, nil, "", "packed by rar"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				l := &teller{}
				cfg := transactional(l)
				var log logLines
				cfg.Logger = log.logger()
				cfg.Unpack = func(codec string, packed []byte, _ int) ([]byte, error) {
					if codec != "zip" {
						return nil, errors.New("strange")
					}
					return append([]byte("un"), packed...), nil
				}
				asked := 0
				cfg.TransactionChecker = core.TransactionCheckerFunc(func(ctx context.Context, c *core.TransactionCheck) (core.TransactionDecision, error) {
					asked++
					want := "half"
					if tt.name == "packed" {
						want = "unhalf"
					}
					if string(c.Message.Body) != want || c.MessageID != "ID" || c.Codec != "" {
						t.Errorf("%+v, %s", c, c.Message.Body)
					}
					if tt.checker == nil {
						return core.TransactionCommit, nil
					}
					return tt.checker(ctx, c)
				})
				p, err := core.NewProducer(cfg)
				if err == nil {
					err = p.Start(t.Context())
				}
				if err != nil {
					t.Fatal(err)
				}
				r := tt.request
				r.Kind, r.Addr = core.RequestTransactionCheck, "broker-b:10911"
				switch r.Group {
				case "":
					r.Group = "test"
				case "-":
					r.Group = ""
				}
				if r.Body == nil {
					r.Body = []byte("half")
				}
				start := time.Now()
				if err := l.inbox.Deliver(&r); err != nil {
					t.Fatal(err)
				}
				if err := p.Shutdown(t.Context()); err != nil {
					t.Error(err)
				}
				if took := time.Since(start); tt.name == "hangs" && took != time.Minute {
					t.Errorf("the checker had %v", took)
				}
				var want []string
				if tt.want != "" {
					want = []string{tt.want + " true broker-b:10911 ID place 7 T"}
				}
				if !slices.Equal(l.told(), want) || (asked == 1) != (tt.want != "") {
					t.Errorf("told %q, want %q; asked %d times", l.told(), want, asked)
				}
				if log.count(tt.log) == 0 || tt.log == "" && log.count("level=WARN")+log.count("level=ERROR") > 0 {
					t.Errorf("no %q in the log, or a line too many: %s", tt.log, &log.buf)
				}
			})
		})
	}
}

// Steps stand around ends and questions: they see the decision.
func TestStepsAroundTransactions(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := &teller{}
		cfg := transactional(l)
		cfg.TransactionChecker = checks(core.TransactionRollback, nil)
		var seen []string
		step := opStep(func(ctx context.Context, op *core.Operation, next core.OperationHandler) error {
			err := next(ctx, op)
			end := op.Transaction()
			seen = append(seen, fmt.Sprintf("%v %v %v %s", op.Kind(), end.Decision, end.FromCheck, op.Addr()))
			return err
		})
		cfg.Steps = append(cfg.Steps, step.step("mine"))
		p := coretest.Start(t, cfg)
		if _, err := p.SendTransaction(t.Context(), &core.Message{Topic: "T", Body: []byte("x")}, decides(core.TransactionCommit, nil)); err != nil {
			t.Error(err)
		}
		if err := l.inbox.Deliver(&core.ServerRequest{Kind: core.RequestTransactionCheck, Group: "test", Addr: "strange:1", Body: []byte("half")}); err != nil {
			t.Error(err)
		}
		synctest.Wait()
		want := []string{
			"end-transaction commit false broker-a:10911", "transaction-check rollback true strange:1", "end-transaction rollback true strange:1",
		}
		if !slices.Equal(seen, want) {
			t.Errorf("seen %q, want %q", seen, want)
		}
	})
}

// 10,000 questions at once take bounded memory, and those of others never reach the checker.
func TestStormOfChecks(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := &teller{}
		cfg := transactional(l)
		asked := 0
		cfg.TransactionChecker = core.TransactionCheckerFunc(func(context.Context, *core.TransactionCheck) (core.TransactionDecision, error) {
			asked++
			return core.TransactionUnknown, nil
		})
		p := coretest.Start(t, cfg)
		before := runtime.NumGoroutine()
		full, most := 0, 0
		for i := range 10_000 {
			err := l.inbox.Deliver(&core.ServerRequest{Kind: core.RequestTransactionCheck, Group: "stranger", Addr: "b:1", Body: fmt.Appendf(nil, "%d", i)})
			if errors.Is(err, core.ErrInboxFull) {
				full++
			}
			// Goroutines of tests before this one may end meanwhile, and handlers have some of their own.
			most = max(most, runtime.NumGoroutine()-before, p.Snapshot().Inbox.Waiting/64)
		}
		synctest.Wait()
		if asked != 0 || len(l.told()) != 0 || most > 100 || p.Snapshot().Inbox.Waiting != 0 {
			t.Errorf("asked %d times, told %d ends, %d goroutines at most, %d refused", asked, len(l.told()), most, full)
		}
	})
}

// A check that Shutdown aborts ends as aborted, and Shutdown tells of it.
func TestShutdownAbortsChecks(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := &teller{}
		cfg := transactional(l)
		causes := make(chan error, 1)
		cfg.TransactionChecker = core.TransactionCheckerFunc(func(ctx context.Context, _ *core.TransactionCheck) (core.TransactionDecision, error) {
			<-ctx.Done()
			causes <- core.ContextError(ctx)
			return core.TransactionUnknown, ctx.Err()
		})
		p := must(core.NewProducer(cfg))
		if err := p.Start(t.Context()); err != nil {
			t.Fatal(err)
		}
		if err := l.inbox.Deliver(&core.ServerRequest{Kind: core.RequestTransactionCheck, Group: "test", Addr: "broker-b:10911", Body: []byte("half")}); err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		var se *core.ShutdownError
		if err := p.Shutdown(ctx); !errors.As(err, &se) || se.Undelivered == 0 || len(se.Left) != 0 {
			t.Errorf("shutdown: %v", err)
		}
		if err := <-causes; !errors.Is(err, core.ErrAborted) {
			t.Errorf("the checker's context ended with %v", err)
		}
	})
}
