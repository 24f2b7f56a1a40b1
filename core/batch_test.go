package core_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"

	"github.com/liftoff-mq/liftoff/core"
	"github.com/liftoff-mq/liftoff/core/coretest"
	"github.com/liftoff-mq/liftoff/core/rocketmq"
)

// gatherer is the simplest interceptor that uses a Batch: n calls meet, the last
// one sends for all.
type gatherer struct {
	mu    sync.Mutex
	n     int
	limit int
	drop  string // body of a message that is taken out again
	batch *core.Batch
	ids   []core.MessageID
	full  chan struct{}
	sizes []int
	// joined gets one value for each message that was added; nil in tests that do not count.
	joined chan struct{}
}

func (g *gatherer) Intercept(ctx context.Context, c *core.Call, next core.Handler) (*core.Result, error) {
	g.mu.Lock()
	if g.batch == nil {
		g.batch, g.full = c.Producer().NewBatch(), make(chan struct{})
	}
	ok, err := g.batch.Add(c, g.limit)
	if err != nil || !ok {
		g.mu.Unlock()
		if err == nil {
			err = errors.New("does not fit")
		}
		return nil, err
	}
	g.ids = append(g.ids, c.MessageID())
	last, full, dropped := len(g.ids) == g.n, g.full, string(c.Message().Body) == g.drop
	g.sizes = append(g.sizes, g.batch.Size())
	if dropped {
		g.batch.Drop(c)
	}
	g.mu.Unlock()
	if g.joined != nil {
		g.joined <- struct{}{}
	}
	if last {
		g.batch.Send(ctx, next)
		close(full)
	}
	<-full
	return g.batch.Outcome(c)
}

func TestBatchOfSeparateCalls(t *testing.T) {
	const n = 5
	tests := []struct {
		name string
		drop string
		fail bool
		want int // messages in the request
	}{
		{"all", "", false, n}, {"one dropped", "body 2", false, n - 1}, {"refused", "", true, n},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			tr := &coretest.Transport{}
			seen := map[string]string{} // body by id
			tr.Do = func(_ context.Context, at *core.Attempt) (*core.Result, error) {
				if tt.fail {
					return nil, coretest.Refuse(at, rocketmq.CodeMessageIllegal, "")
				}
				r := tr.Ack(at)
				var ids []string
				for o := range at.Call().All() {
					seen[o.MessageID().String()] = string(o.Body())
					ids = append(ids, "off-"+o.MessageID().String())
					shape, _ := o.Property("shape")
					if id, _ := o.Property("UNIQ_KEY"); id != o.MessageID().String() || shape != "yes" {
						t.Errorf("id %q, shape %q", id, shape)
					}
				}
				r.QueueOffset = 100
				at.SetOffsetIDs(strings.Join(ids, ","), idIn)
				return r, nil
			}
			g := &gatherer{n: n, limit: 1 << 20, drop: tt.drop}
			p := coretest.Start(t, coretest.Config(tr,
				core.CallStep("gather", core.StageEncode, g),
				core.CallStep("shape", core.StageShape, core.InterceptorFunc(func(ctx context.Context, c *core.Call, next core.Handler) (*core.Result, error) {
					c.Outgoing().SetProperty("shape", "yes")
					return next(ctx, c)
				}))))
			var wg sync.WaitGroup
			offsets := make([]int64, n)
			for i := range n {
				wg.Go(func() {
					body := fmt.Sprint("body ", i)
					res, err := p.Send(context.Background(), coretest.Message(body))
					switch {
					case tt.fail:
						se := sendError(t, err)
						if se.Class != core.ClassRejected || se.Certainty != core.NotStored || len(se.Attempts) != 1 {
							t.Errorf("%v", err)
						}
						return
					case body == tt.drop:
						if err == nil {
							t.Error("a dropped message has a result")
						}
						return
					case err != nil:
						t.Error(err)
						return
					}
					offsets[i] = res.QueueOffset
					if got := seen[res.MessageID.String()]; got != body || res.OffsetMessageID != "off-"+res.MessageID.String() {
						t.Errorf("result %+v belongs to %q, want %q", res, got, body)
					}
				})
			}
			wg.Wait()
			if a := tr.Attempts(); len(a) != 1 || a[0].Messages != tt.want {
				t.Errorf("requests %v, want one of %d messages", a, tt.want)
			}
			distinct := map[int64]bool{}
			for _, o := range offsets {
				if o != 0 {
					distinct[o] = true
				}
			}
			if !tt.fail && len(distinct) != tt.want {
				t.Errorf("queue offsets %v", offsets)
			}
			g.batch.Release()
		})
	}
}

func TestBatchLimits(t *testing.T) {
	g := &gatherer{n: 1, limit: 10}
	p := coretest.Start(t, coretest.Config(&coretest.Transport{}, core.CallStep("gather", core.StageEncode, g)))
	if _, err := p.Send(t.Context(), coretest.Message("larger than the limit, but the first")); err != nil {
		t.Error(err)
	}
	g.n = 99
	if _, err := p.Send(t.Context(), coretest.Message("x")); err == nil || !strings.Contains(err.Error(), "does not fit") {
		t.Errorf("a second message: %v", err)
	}
	if _, err := p.SendBatch(t.Context(), []*core.Message{coretest.Message("x"), coretest.Message("y")}); !errors.Is(err, core.ErrContract) {
		t.Errorf("a batch in a batch: %v", err)
	}
	b := p.NewBatch()
	b.Send(t.Context(), nil) // sends nothing
	if b.Len() != 0 || b.Size() != 0 {
		t.Error("an empty batch is not empty")
	}
	b.Release()
}

func TestSendBatch(t *testing.T) {
	tr := &coretest.Transport{}
	tr.Do = func(_ context.Context, at *core.Attempt) (*core.Result, error) {
		r := tr.Ack(at)
		r.QueueOffset = 40
		if at.Call().Message().Tag == "inner" {
			for i := range 3 {
				at.SetMessage(i, core.MessageResult{OffsetMessageID: "A", QueueOffset: 40})
			}
		} else {
			at.SetOffsetIDs("A,B,C", idIn)
		}
		return r, nil
	}
	p := coretest.Start(t, coretest.Config(tr))
	batch := func(tag string) []*core.Message {
		var ms []*core.Message
		for _, b := range []string{"1", "2", "3"} {
			ms = append(ms, &core.Message{Topic: "T", Body: []byte(b), Tag: tag})
		}
		return ms
	}
	res, err := p.SendBatch(t.Context(), batch(""))
	if err != nil {
		t.Fatal(err)
	}
	for i, r := range res.All() {
		if r.QueueOffset != int64(40+i) || r.OffsetMessageID != string(rune('A'+i)) || r.MessageID == (core.MessageID{}) {
			t.Errorf("result %d: %+v", i, r)
		}
	}
	if res.Len() != 3 || res.At(0).MessageID == res.At(1).MessageID || tr.Attempts()[0].Messages != 3 {
		t.Errorf("results %+v", res)
	}
	if res, err = p.SendBatch(t.Context(), batch("inner")); err != nil || res.At(2).OffsetMessageID != "A" || res.At(2).QueueOffset != 40 {
		t.Errorf("a batch stored as one: %+v, %v", res, err)
	}
	for name, bad := range map[string][]*core.Message{
		"empty": {}, "nil": {coretest.Message("x"), nil}, "two topics": {coretest.Message("x"), {Topic: "U", Body: []byte("x")}},
	} {
		if _, err := p.SendBatch(t.Context(), bad); !errors.Is(err, core.ErrInvalidMessage) {
			t.Errorf("%s batch: %v", name, err)
		}
	}
}

// inBatch runs f with each call of a producer in message scope; nothing is sent.
func inBatch(t *testing.T, f func(c *core.Call)) *core.Producer {
	t.Helper()
	return coretest.Start(t, coretest.Config(&coretest.Transport{}, core.CallStep("batch", core.StageEncode, core.InterceptorFunc(
		func(_ context.Context, c *core.Call, _ core.Handler) (*core.Result, error) {
			f(c)
			return nil, core.ErrConnect
		}))))
}

// The first call decides of which mode a batch is, whatever that is.
func TestBatchIsOfOneMode(t *testing.T) {
	for _, first := range []core.Mode{core.Sync, core.Oneway} {
		t.Run(first.String(), func(t *testing.T) {
			var b *core.Batch
			p := inBatch(t, func(c *core.Call) {
				ok, err := b.Add(c, 1<<20)
				if want := c.Mode() == first; ok != want || errors.Is(err, core.ErrContract) == want {
					t.Errorf("%v: %v, %v", c.Mode(), ok, err)
				}
			})
			b = p.NewBatch()
			defer b.Release()
			send := map[core.Mode]func(){
				core.Sync:   func() { _, _ = p.Send(t.Context(), coretest.Message("x")) },
				core.Oneway: func() { _ = p.SendOneway(t.Context(), coretest.Message("x")) },
			}
			send[first]()
			send[core.Sync]()
			send[core.Oneway]()
			if b.Len() != 2 {
				t.Errorf("%d messages, want the two of mode %v", b.Len(), first)
			}
		})
	}
}

// A batch may be as large as its limit and no byte larger.
func TestBatchLimitIsExact(t *testing.T) {
	for short, want := range []bool{true, false} {
		b, size := (*core.Batch)(nil), 0
		p := inBatch(t, func(c *core.Call) {
			second := b.Len() == 1
			ok, err := b.Add(c, 2*size-short)
			if err != nil || second && ok != want {
				t.Errorf("%d bytes short: %v, %v", short, ok, err)
			}
			size = b.Size()
		})
		b = p.NewBatch()
		_, _ = p.Send(t.Context(), coretest.Message("x"))
		_, _ = p.Send(t.Context(), coretest.Message("y"))
		b.Release()
	}
}

// Of a batch any message can be dropped, once, in any order, and its size with it.
func TestDropFromABatch(t *testing.T) {
	for _, order := range [][]int{{0, 1, 2, 3}, {3, 2, 1, 0}, {1, 0, 3, 2}, {2, 0, 1, 3}} {
		t.Run(fmt.Sprint(order), func(t *testing.T) {
			var b *core.Batch
			var p *core.Producer
			var calls []*core.Call
			p = inBatch(t, func(c *core.Call) {
				if b.Drop(c) {
					t.Error("a message that is not in was dropped")
				}
				if ok, err := b.Add(c, 1<<20); !ok || err != nil {
					t.Errorf("%v, %v", ok, err)
				}
				if calls = append(calls, c); len(calls) < len(order) {
					_, _ = p.Send(t.Context(), coretest.Message("x")) // all are under way at once
					return
				}
				one := b.Size() / len(order)
				for n, i := range order {
					if !b.Drop(calls[i]) || b.Drop(calls[i]) {
						t.Errorf("message %d was not dropped, or twice", i)
					}
					if left := len(order) - n - 1; b.Len() != left || b.Size() != left*one {
						t.Errorf("%d messages of %d bytes, want %d of %d each", b.Len(), b.Size(), left, one)
					}
				}
			})
			b = p.NewBatch()
			defer b.Release()
			_, _ = p.Send(t.Context(), coretest.Message("x"))
			if len(calls) != len(order) {
				t.Errorf("%d calls", len(calls))
			}
		})
	}
}

// A step further in that changes the messages of a batch fails all of them. The error says
// where such a step belongs. Errors of other kinds do not speak of it.
func TestChangeOfABatchsMessages(t *testing.T) {
	const advice = "belongs outside of the one that puts them together"
	for _, change := range []bool{true, false} {
		g := &gatherer{n: 1, limit: 1 << 20}
		p := coretest.Start(t, coretest.Config(&coretest.Transport{Do: refused}, core.CallStep("gather", core.StageEncode, g),
			core.CallStep("change", core.StageEncode, core.InterceptorFunc(func(ctx context.Context, c *core.Call, next core.Handler) (*core.Result, error) {
				if change {
					c.Outgoing().SetBody([]byte("other"))
				}
				return next(ctx, c)
			})).After("gather")))
		_, err := p.Send(t.Context(), coretest.Message("x"))
		if errors.Is(err, core.ErrFrozen) != change || strings.Contains(fmt.Sprint(err), advice) != change {
			t.Errorf("change %v: %v", change, err)
		}
	}
}

// A call that comes to its batch a second time, because its first one may have been stored,
// may be a duplicate although the second batch was sent once.
func TestSecondBatchOfACall(t *testing.T) {
	for first, duplicate := range map[error]bool{core.ErrConnectionLost: true, core.ErrConnect: false, nil: false} {
		sent := 0
		tr := &coretest.Transport{Unwritten: true}
		tr.Do = func(_ context.Context, at *core.Attempt) (*core.Result, error) {
			if sent++; sent == 1 && first != nil {
				if duplicate {
					at.MarkWritten()
				}
				return nil, first
			}
			at.MarkWritten()
			return tr.Ack(at), nil
		}
		p := coretest.Start(t, coretest.Config(tr, around("again", func(ctx context.Context, c *core.Call, next core.Handler) (*core.Result, error) {
			if res, err := next(ctx, c); err == nil {
				return res, nil
			}
			return next(ctx, c)
		}), core.CallStep("batch", core.StageEncode, core.InterceptorFunc(func(ctx context.Context, c *core.Call, next core.Handler) (*core.Result, error) {
			b := c.Producer().NewBatch()
			defer b.Release()
			if _, err := b.Add(c, 1<<20); err != nil {
				return nil, err
			}
			b.Send(ctx, next)
			return b.Outcome(c)
		}))))
		if res, err := p.Send(t.Context(), coretest.Message("x")); err != nil || res.MaybeDuplicate != duplicate || res.Attempts != sent {
			t.Errorf("after %v: %+v, %v", first, res, err)
		}
	}
}

// A broker that gives one id for a whole batch gives the first message's.
func TestOneIDForABatch(t *testing.T) {
	tr := &coretest.Transport{}
	tr.Do = func(_ context.Context, at *core.Attempt) (*core.Result, error) {
		r := tr.Ack(at)
		r.OffsetMessageID = "first"
		return r, nil
	}
	res, err := coretest.Start(t, coretest.Config(tr)).SendBatch(t.Context(), messages("1", "2", "3"))
	if err != nil || res.At(0).OffsetMessageID != "first" || res.At(1).OffsetMessageID != "" || res.At(2).OffsetMessageID != "" {
		t.Errorf("%+v, %v", res, err)
	}
}

// The results of a batch have the ids that the messages were sent with, also where a step
// makes a result of its own.
func TestIDsOfABatch(t *testing.T) {
	tr := &coretest.Transport{}
	p := coretest.Start(t, coretest.Config(tr, around("own", func(ctx context.Context, c *core.Call, next core.Handler) (*core.Result, error) {
		_, err := next(ctx, c)
		return &core.Result{Status: core.SendOK}, err
	})))
	res, err := p.SendBatch(t.Context(), messages("1", "2"))
	if err != nil || res.At(0).MessageID != tr.Attempts()[0].MessageID || res.At(1).MessageID == res.At(0).MessageID {
		t.Errorf("%+v, %v; sent %v", res, err, tr.Attempts())
	}
}

// A handler that panics on the producer's goroutine ends no program.
func TestBatchHandlerPanics(t *testing.T) {
	boom := errors.New("boom")
	p := coretest.Start(t, coretest.Config(&coretest.Transport{}, core.CallStep("batch", core.StageEncode, core.InterceptorFunc(
		func(ctx context.Context, c *core.Call, _ core.Handler) (*core.Result, error) {
			b := c.Producer().NewBatch()
			defer b.Release()
			if _, err := b.Outcome(c); !errors.Is(err, core.ErrContract) {
				t.Errorf("before: %v", err)
			}
			if _, err := b.Add(c, 1); err != nil {
				return nil, err
			}
			if _, err := b.Outcome(c); !errors.Is(err, core.ErrContract) {
				t.Errorf("before Send: %v", err)
			}
			done := make(chan struct{})
			b.Go(ctx, func(context.Context, *core.Call) (*core.Result, error) { panic(boom) }, func() { close(done) })
			<-done
			return b.Outcome(c)
		}))))
	_, err := p.Send(t.Context(), coretest.Message("x"))
	var pe *core.PanicError
	if se := sendError(t, err); !errors.As(err, &pe) || !errors.Is(err, boom) || se.Certainty != core.MaybeStored || se.Class != core.ClassPlugin {
		t.Errorf("%v", err)
	}
}

// idIn is id i of ids joined by commas.
func idIn(ids string, i int) string { return strings.Split(ids, ",")[i] }
