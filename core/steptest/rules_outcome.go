package steptest

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/liftoff-mq/liftoff/core"
)

// resultRule is about successes.
func resultRule() Rule[Step] {
	return Rule[Step]{
		"I10", "result", "it returns a result or an error, and a success is what next returned",
		in(func(r *rig, sc scope) {
			if r.step.Answers {
				r.k.Skipf("the step answers for the brokers")
			}
			statuses := []core.SendStatus{core.SendOK, core.FlushDiskTimeout, core.FlushSlaveTimeout, core.SlaveNotAvailable}
			if r.step.mode() == core.Oneway {
				statuses = []core.SendStatus{core.Written, core.SendOK}
			}
			for _, status := range statuses {
				v := r.begin(sc, how{mode: r.step.mode(), below: func(context.Context, *visit) fate { return fate{status: status} }})
				if v.plainly() != "" {
					r.k.Skipf("a plain %v does not come through", sc)
				}
				if wrong := v.one().success(); wrong != "" {
					r.k.Fatalf("%s %s", v.what(), wrong)
				}
			}
		}, inMessage, inAttempt, inOperation),
	}
}

// success says what is wrong with the end of a stay below which all is well.
func (st record) success() string {
	switch {
	case st.res == nil && st.err == nil:
		return "returned neither a result nor an error"
	case st.res != nil && st.err != nil:
		return fmt.Sprintf("returned a result and the error %v", st.err)
	case st.err != nil: // a veto, or a failure that another rule finds
		return ""
	case len(st.passes) == 0:
		return "made a success without next; set Answers if it may"
	}
	for _, p := range st.passes {
		if p.res != nil && *p.res == *st.res {
			return ""
		}
	}
	if p := st.passes[0]; p.res != nil {
		return fmt.Sprintf("returned the result %+v, and next had returned %+v", *st.res, *p.res)
	}
	return fmt.Sprintf("made a success of the error %v", st.passes[0].err)
}

// errorRule is about failures.
func errorRule() Rule[Step] {
	return Rule[Step]{
		"I11", "error", "an error of next is passed on, wrapped at most",
		in(func(r *rig, sc scope) {
			if r.step.Answers {
				r.k.Skipf("the step answers for the brokers")
			}
			r.works(sc)
			for _, why := range failures() {
				below := failed(why)
				if sc == inMessage {
					below = &core.SendError{Class: core.ClassOf(why), Certainty: core.MaybeStored, Topic: "T", Cause: below}
				}
				v := r.begin(sc, how{mode: r.step.mode(), below: func(context.Context, *visit) fate { return fate{err: below} }})
				if wrong := v.plainly(); wrong != "" {
					r.k.Fatalf("with an error below %s", wrong)
				}
				if wrong := v.one().failure(); wrong != "" {
					r.k.Errorf("%s %s", v.what(), wrong)
				}
			}
		}, inMessage, inAttempt, inOperation),
	}
}

// failure says what is wrong with the end of a stay below which all fails.
func (st record) failure() string {
	switch {
	case len(st.passes) == 0, st.overlaps, st.late: // a veto, or another rule's business
		return ""
	case st.err == nil:
		return fmt.Sprintf("made a success of the error %v; set Answers if it may", st.passes[0].err)
	}
	for _, p := range st.passes {
		if errors.Is(st.err, p.err) {
			return ""
		}
	}
	return fmt.Sprintf("made the error %v of %v, in whose chain that is not", st.err, st.passes[0].err)
}

// failures are reasons of many classes.
func failures() []error {
	return []error{
		core.ErrConnectionLost, core.ErrConnect, core.ErrTimeout, core.ErrInvalidMessage, core.ErrForbidden, core.ErrNoRoute,
		core.ErrAborted, context.Canceled, context.DeadlineExceeded,
		&core.BrokerError{Class: core.ClassBusy, Certainty: core.NotStored, Addr: "steptest:1", Remark: "busy"},
		errors.New("of no class"),
	}
}

// keptRule is about calls, attempts and results, which become other callers'.
func keptRule() Rule[Step] {
	return Rule[Step]{
		"I13", "kept", "it keeps neither call, attempt, operation nor result after it returned",
		in(func(r *rig, sc scope) {
			r.works(sc)
			var gone []func() bool
			for _, h := range r.kinds(sc) {
				gone = append(gone, r.seen(sc, h)...)
			}
			r.close(r.k.Logf)
			r.p = nil
			if !r.k.forgotten(func() bool { return allGone(gone) }) {
				r.k.Errorf("%s, or a part of it such as its result, is still kept %v after its end", map[scope]string{
					inMessage: "a call", inAttempt: "a call or an attempt", inOperation: "an operation",
				}[sc], r.k.Late)
			}
		}, inMessage, inAttempt, inOperation),
	}
}

// seen sends, and gives what tells whether something of the send is kept.
func (r *rig) seen(sc scope, h how) []func() bool {
	v := r.begin(sc, h)
	v.over()
	v.mu.Lock()
	defer v.mu.Unlock()
	return v.gone
}

func allGone(gone []func() bool) bool {
	for _, g := range gone {
		if !g() {
			return false
		}
	}
	return true
}

// concurrencyRule is about many calls at a time.
func concurrencyRule() Rule[Step] {
	const goroutines, each = 8, 12
	return Rule[Step]{
		"I14", "concurrency", "many calls may come at a time, and each gets what is its own",
		in(func(r *rig, sc scope) {
			r.works(sc)
			visits := make([]*visit, goroutines*each)
			var wg sync.WaitGroup
			for g := range goroutines {
				wg.Go(func() {
					for i := range each {
						n := g*each + i
						visits[n] = r.begin(sc, r.numbered(n))
						r.k.Until(visits[n].done, r.k.Limit)
					}
				})
			}
			wg.Wait()
			for n, v := range visits {
				if wrong := v.plainly(); wrong != "" {
					r.k.Fatalf("among others: %s", wrong)
				}
				if wrong := r.ownEnd(v, n); wrong != "" {
					r.k.Fatalf("among others %s", wrong)
				}
			}
		}, inMessage, inAttempt, inOperation),
	}
}

// numbered is a send of a message of its own, every third of which fails.
func (r *rig) numbered(n int) how {
	m := copied(r.step.messages()[0])
	m.Keys = []string{fmt.Sprintf("steptest-%d", n)}
	return how{mode: r.step.mode(), message: m, below: func(ctx context.Context, v *visit) fate {
		if other := visitOf(ctx); other != nil && other != v {
			r.k.Errorf("among others %s gives next another caller's context", v.what())
		}
		if v.sc == inMessage {
			s := v.one().passes[0].sent[0]
			if key, _ := s.property("KEYS"); key != m.Keys[0] && !r.step.ChangesProperties {
				r.k.Errorf("among others the message with the key %q is sent with the key %q", m.Keys[0], key)
			}
		}
		time.Sleep(time.Millisecond) // others come meanwhile
		if n%3 == 0 {
			return fate{err: failed(numberedError(n))}
		}
		return fate{}
	}}
}

// numberedError is a failure of one message.
type numberedError int

func (e numberedError) Error() string { return fmt.Sprintf("failure %d", int(e)) }

// ownEnd says what is wrong with the end of a numbered message.
func (r *rig) ownEnd(v *visit, n int) string {
	st := v.one()
	var own numberedError
	switch {
	case r.step.Answers, st.overlaps, st.late:
		return ""
	case len(st.passes) == 0:
		// In a batch of the step's own, its call does not come to next.
		if st.err != nil && !r.step.Vetoes {
			return fmt.Sprintf("%s returns the error %v without next", v.what(), st.err)
		}
		return ""
	case n%3 == 0 && !(errors.As(st.err, &own) && int(own) == n):
		return fmt.Sprintf("%s returns the error %v for failure %d", v.what(), st.err, n)
	case n%3 != 0 && st.res == nil:
		return fmt.Sprintf("%s returns the error %v for a success", v.what(), st.err)
	case n%3 != 0 && st.res.QueueOffset != v.number:
		return fmt.Sprintf("%s returns the result of message %d for message %d", v.what(), st.res.QueueOffset, v.number)
	}
	return ""
}
