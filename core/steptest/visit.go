package steptest

import (
	"context"
	"errors"
	"fmt"
	"runtime/debug"
	"runtime/pprof"
	"sync"
	"sync/atomic"
	"time"
	"weak"

	"github.com/liftoff-mq/liftoff/core"
)

// how says how a message is sent. The zero value is a plain send of the first message, which
// is stored.
type how struct {
	mode    core.Mode
	batch   bool
	message *core.Message // to send a copy of
	ctx     context.Context
	timeout time.Duration
	below   func(ctx context.Context, v *visit) fate // what stands below the step does
	through bool                                     // message scope: what stands below is the engine
	packed  bool                                     // it comes with a body that a codec has packed
	again   bool                                     // it comes to the step twice
	vetoed  bool                                     // its attempt is vetoed outside of the step
	nothing bool                                     // there is no message
}

// visit is a send or an operation as it comes to the step.
type visit struct {
	r      *rig
	sc     scope
	how    how
	number int64
	msgs   []*core.Message
	before []content
	cancel context.CancelFunc

	done    chan struct{} // closed when the send has returned
	reached chan struct{} // closed when the step calls next
	once    sync.Once
	fate    atomic.Pointer[fate]

	mu    sync.Mutex
	stays []*stay
	// gone tell whether what the visit saw is still kept by somebody.
	gone []func() bool
	err  error // of the send
}

// stay is one run of the step.
type stay struct {
	v     *visit
	under sync.WaitGroup // passes under way
	rec   record
}

// record is what is known of a stay. The lock of the visit guards it: a step may call next
// at any time.
type record struct {
	calls    int     // of next
	passes   []*pass // those that went on
	running  int     // passes under way
	ended    bool    // it has returned
	late     bool    // next was called, or still ran, after that
	overlaps bool    // next was called while it ran
	panicked string
	exited   bool // it ended its goroutine
	res      *core.Result
	err      error
}

// pass is one call of next.
type pass struct {
	sent []sent // what is sent then
	res  *core.Result
	err  error
}

type visitKey struct{}

func visitOf(ctx context.Context) *visit {
	v, _ := ctx.Value(visitKey{}).(*visit)
	return v
}

var (
	errBroken = errors.New("steptest: the step broke a rule")
	errNext   = fmt.Errorf("%w: next was called again", core.ErrNextTwice)
)

// begin sends a message, or makes an operation, on a goroutine of its own.
func (r *rig) begin(sc scope, h how) *visit {
	v := &visit{
		r: r, sc: sc, how: h, number: r.sent.Add(1), done: make(chan struct{}), reached: make(chan struct{}), err: errBroken,
	}
	if h.ctx == nil {
		h.ctx = context.Background()
	}
	ctx, cancel := context.WithCancel(context.WithValue(h.ctx, visitKey{}, v))
	v.cancel = cancel
	m := h.message
	if m == nil {
		m = r.step.messages()[0]
	}
	n := 1
	if h.batch {
		n = 3
	}
	for range n {
		v.msgs = append(v.msgs, copied(m))
	}
	v.before = contents(v.msgs)
	var opts []core.SendOption
	if h.timeout > 0 {
		opts = append(opts, core.SendTimeout(h.timeout))
	}
	go pprof.Do(ctx, r.k.Labels("plugin"), func(ctx context.Context) { r.send(ctx, v, opts) })
	return v
}

func (r *rig) send(ctx context.Context, v *visit, opts []core.SendOption) {
	async := false
	defer func() {
		if !async {
			close(v.done)
		}
	}()
	var err error
	switch {
	case v.sc == inOperation:
		_, err = r.p.Recall(ctx, v.msgs[0].Topic, handle(v.msgs[0].Topic))
	case v.how.nothing:
		_, err = r.p.Send(ctx, nil)
	case v.how.batch:
		_, err = r.p.SendBatch(ctx, v.msgs, opts...)
	case v.how.mode == core.Oneway:
		err = r.p.SendOneway(ctx, v.msgs[0], opts...)
	case v.how.mode == core.Async:
		async = true
		r.p.SendAsync(ctx, v.msgs[0], func(_ core.Result, err error) {
			v.outcome(err)
			close(v.done)
		}, opts...)
		return
	default:
		_, err = r.p.Send(ctx, v.msgs[0], opts...)
	}
	v.outcome(err)
}

func (v *visit) outcome(err error) {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.err = err
}

// saw notes something that nobody may keep.
func (v *visit) saw(what any) {
	v.mu.Lock()
	defer v.mu.Unlock()
	switch p := what.(type) {
	case *core.Call:
		v.gone = append(v.gone, isGone(p))
	case *core.Operation:
		v.gone = append(v.gone, isGone(p))
	}
}

// isGone gives a function that tells whether the garbage collector has taken p. A pointer
// into what p points to keeps it as well, such as one to a call's result.
func isGone[T any](p *T) func() bool {
	w := weak.Make(p)
	return func() bool { return w.Value() == nil }
}

// around runs the step and notes what it does.
func (v *visit) around(f func(st *stay) (*core.Result, error)) (res *core.Result, err error) {
	st := &stay{v: v}
	v.mu.Lock()
	v.stays = append(v.stays, st)
	v.mu.Unlock()
	leave := v.r.k.Enter(v.what())
	returned := false
	defer func() {
		leave()
		var panicked string
		if p := recover(); p != nil {
			panicked = fmt.Sprintf("%v\n%s", p, debug.Stack())
			res, err = nil, errBroken
		}
		v.mu.Lock()
		rec := &st.rec
		rec.late = rec.late || rec.running > 0
		rec.ended, rec.panicked, rec.exited = true, panicked, !returned && panicked == ""
		rec.res, rec.err = copiedResult(res), err
		v.mu.Unlock()
		st.under.Wait() // a next that still runs must not find another's call
	}()
	res, err = f(st)
	returned = true
	return res, err
}

// aroundOperation is around for operations.
func (v *visit) aroundOperation(
	ctx context.Context, part core.OperationInterceptor, op *core.Operation, below func(ctx context.Context, f fate) error,
) error {
	_, err := v.around(func(st *stay) (*core.Result, error) {
		err := part.InterceptOperation(ctx, op, func(ctx context.Context, _ *core.Operation) error {
			_, err := st.next(ctx, func() []sent { return nil }, func(f fate) (*core.Result, error) {
				if err := below(ctx, f); err != nil {
					return nil, err
				}
				return &core.Result{Status: core.SendOK, QueueOffset: v.number}, nil
			})
			return err
		})
		if err != nil {
			return nil, err
		}
		return &core.Result{Status: core.SendOK, QueueOffset: v.number}, nil
	})
	return err
}

// next is what the step gets as next. One that is called when it must not be does nothing:
// what is under way then is perhaps another's.
func (st *stay) next(ctx context.Context, now func() []sent, below func(f fate) (*core.Result, error)) (*core.Result, error) {
	v := st.v
	v.mu.Lock()
	rec := &st.rec
	rec.late = rec.late || rec.ended
	rec.overlaps = rec.overlaps || rec.running > 0
	rec.calls++
	if rec.ended || rec.running > 0 || v.sc != inMessage && len(rec.passes) > 0 {
		v.mu.Unlock()
		return nil, errNext
	}
	p := &pass{sent: now()}
	rec.passes = append(rec.passes, p)
	rec.running++
	st.under.Add(1)
	v.mu.Unlock()
	back := v.r.k.Leave(v.what())
	defer func() {
		back()
		v.mu.Lock()
		defer v.mu.Unlock()
		rec.running--
		st.under.Done()
	}()
	v.once.Do(func() { close(v.reached) })
	var f fate
	if v.how.below != nil {
		f = v.how.below(ctx, v)
	}
	res, err := below(f)
	v.mu.Lock()
	defer v.mu.Unlock()
	p.res, p.err = copiedResult(res), err
	return res, err
}

// fateBelow is what becomes of the visit at the transport: what was decided when the step
// called next, or is decided now, where the step has no part in the way.
func (v *visit) fateBelow(ctx context.Context) fate {
	if f := v.fate.Load(); f != nil {
		return *f
	}
	if v.how.below != nil {
		return v.how.below(ctx, v)
	}
	return fate{}
}

// what is the method that the visit comes to.
func (v *visit) what() string {
	return fmt.Sprintf("%s of step %q", v.sc.method(), v.r.step.Step.Name())
}

func copiedResult(res *core.Result) *core.Result {
	if res == nil {
		return nil
	}
	r := *res
	return &r
}

// over waits until the send has returned, which takes no time, and reports whether it has.
func (v *visit) over() bool { return v.r.k.Until(v.done, v.r.k.Late) }

// back waits until the send has returned, or the step has come to next. A step that does
// neither has broken the rule.
func (v *visit) back(after string) {
	k := v.r.k
	if !k.Until(v.done, k.Late) {
		select {
		case <-v.reached:
		default:
			k.Fatalf("%s has not returned %v after %s", v.what(), k.Late, after)
		}
	}
}

// all are the step's stays as they are now.
func (v *visit) all() []record {
	v.mu.Lock()
	defer v.mu.Unlock()
	out := make([]record, len(v.stays))
	for i, st := range v.stays {
		out[i] = st.rec
	}
	return out
}

// one is the step's stay of a send that is over. Without one the check ends: the message did
// not come to the step.
func (v *visit) one() record {
	all := v.all()
	if len(all) == 0 {
		v.r.k.Fatalf("the %v did not come to the step: %v", v.sc, v.err)
	}
	return all[0]
}

// plainly says what is wrong with a plain send; "" if it came through.
func (v *visit) plainly() string {
	if !v.over() {
		return fmt.Sprintf("%s has not returned after %v", v.what(), v.r.k.Late)
	}
	switch st := v.one(); {
	case st.panicked != "":
		return fmt.Sprintf("panic in %s: %s", v.what(), st.panicked)
	case st.exited:
		return fmt.Sprintf("%s ended its goroutine", v.what())
	}
	return ""
}

// repeated reports whether next was called before.
func (v *visit) repeated() bool {
	return len(v.one().passes) > 1
}

// works skips the check for a step that does not let a plain message through in this scope,
// or does not come back with a failure: why, other rules tell.
func (r *rig) works(sc scope) {
	v := r.begin(sc, how{mode: r.step.mode()})
	if v.plainly() != "" || !v.through() {
		r.k.Skipf("a plain %v does not come through", sc)
	}
	v = r.begin(sc, how{mode: r.step.mode(), below: func(context.Context, *visit) fate { return fate{err: failed(core.ErrConnectionLost)} }})
	if v.plainly() != "" {
		r.k.Skipf("a plain %v that fails does not come back", sc)
	}
}

// through reports whether a plain send that is over ended as it should.
func (v *visit) through() bool {
	st := v.one()
	if st.err != nil {
		return v.r.step.Vetoes
	}
	return st.res != nil && (len(st.passes) > 0 || v.r.step.Answers)
}
