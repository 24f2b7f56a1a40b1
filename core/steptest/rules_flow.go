package steptest

import (
	"context"
	"fmt"
	"runtime"
	"slices"
	"time"

	"github.com/liftoff-mq/liftoff/core"
)

// returnsRule is about steps that do not come back.
func returnsRule() Rule[Step] {
	return Rule[Step]{
		"I1", "returns", "it does not block, panic or end its goroutine, whatever the call is and whatever becomes of it",
		in(func(r *rig, sc scope) {
			for _, h := range r.kinds(sc) {
				v := r.begin(sc, h)
				if wrong := v.plainly(); wrong != "" {
					r.k.Fatalf("%s, for %s", wrong, h.describe(sc))
				}
			}
		}, inMessage, inAttempt, inOperation),
	}
}

// kinds are sends of every kind, with every end.
func (r *rig) kinds(sc scope) []how {
	fails := func(context.Context, *visit) fate { return fate{err: failed(core.ErrConnectionLost)} }
	if sc == inOperation {
		return []how{{}, {below: fails}}
	}
	var out []how
	for _, mode := range r.step.modes() {
		for _, m := range r.step.messages() {
			out = append(out, how{mode: mode, message: m})
		}
		out = append(out, how{mode: mode, below: fails})
	}
	return append(out, how{batch: true}, how{batch: true, below: fails})
}

// describe says how a message is sent.
func (h *how) describe(sc scope) string {
	what := fmt.Sprintf("a message in mode %v", h.mode)
	switch {
	case sc == inOperation:
		what = "an operation"
	case h.batch:
		what = "a batch"
	}
	if h.below != nil {
		what += " that fails below"
	}
	return what
}

func failed(why error) error { return fmt.Errorf("%w: %w", errKit, why) }

// nextRule is about when next is called.
func nextRule() Rule[Step] {
	checks := in(func(r *rig, sc scope) {
		before, _ := r.k.Goroutines("plugin")
		v := r.begin(sc, how{mode: r.step.mode(), below: func(context.Context, *visit) fate {
			time.Sleep(r.k.moment()) // so that another next comes meanwhile
			return fate{}
		}})
		if v.plainly() != "" {
			r.k.Skipf("a plain %v does not come through", sc)
		}
		time.Sleep(r.k.moment())
		r.k.Patiently(func() bool { // what it started may call next still
			now, _ := r.k.Goroutines("plugin")
			return now <= before
		})
		st := v.one()
		if st.late {
			r.k.Errorf("%s called next after it had returned, or left it running", v.what())
		}
		if st.overlaps {
			r.k.Errorf("%s called next while an earlier next was still running", v.what())
		}
		if sc == inMessage && st.calls > 1 && !r.step.Repeats && !st.late && !st.overlaps {
			r.k.Errorf("%s called next %d times, and it had not failed; set Repeats if it may", v.what(), st.calls)
		}
		if st.calls == 0 && st.err != nil && !r.step.Vetoes {
			r.k.Errorf("%s did not call next, but returned the error %v; set Vetoes if it may", v.what(), st.err)
		}
	}, inMessage, inAttempt, inOperation)
	checks = append(checks, check[Step]{"failure", func(k *kit, s Step) {
		r := k.rig(s)
		r.needs(inMessage)
		r.works(inMessage)
		if s.Repeats {
			k.Skipf("the step repeats what failed")
		}
		v := r.begin(inMessage, how{mode: s.mode(), below: func(context.Context, *visit) fate {
			return fate{err: failed(core.ErrConnectionLost)}
		}})
		if v.plainly() != "" {
			return
		}
		if st := v.one(); st.calls > 1 && !st.overlaps && !st.late {
			k.Errorf("%s called next %d times after a failure; set Repeats if it may", v.what(), st.calls)
		}
	}}, check[Step]{"refused", func(k *kit, s Step) {
		if len(s.Refused) == 0 {
			k.Skipf("there are no Refused messages")
		}
		r := k.rig(s)
		sc := inMessage
		if !r.has(sc) {
			sc = inAttempt
			r.needs(sc)
		}
		for i, m := range s.Refused {
			v := r.begin(sc, how{mode: s.mode(), message: m})
			if v.plainly() != "" {
				k.Skipf("a refused message does not come back")
			}
			switch st := v.one(); {
			case len(st.passes) > 0:
				k.Errorf("message %d of Refused came to next", i)
			case st.err == nil:
				k.Errorf("message %d of Refused gives no error", i)
			}
		}
	}})
	return Rule[Step]{
		"I2", "next", "it calls next, or returns an error that says why not; never later, never twice at a time, and again only with Repeats",
		checks,
	}
}

// Ends of a call that waits.
const (
	soon = 100 * time.Millisecond

	byContext  = "context"
	byDeadline = "deadline"
	byAbort    = "abort"
)

// waitingRule is about calls that wait for others.
func waitingRule() Rule[Step] {
	var checks []check[Step]
	for _, sc := range []scope{inMessage, inAttempt, inOperation} {
		for _, end := range []string{byContext, byDeadline, byAbort} {
			if sc == inOperation && end == byDeadline {
				continue // the deadline of an operation is the policy's, which holds for all of them
			}
			checks = append(checks, check[Step]{fmt.Sprintf("%v-%s", sc, end), func(k *kit, s Step) {
				r := k.rig(s)
				r.needs(sc)
				r.works(sc)
				h := how{}
				if end == byDeadline {
					h.timeout = soon
				}
				held := r.fill(sc, h)
				defer held.release()
				v := held.waiter
				switch {
				case v == nil:
					k.needsWaiter(s)
					return
				case !s.MayWait:
					k.Fatalf("%s waits while %d others are under way; set MayWait if it may", v.what(), len(held.visits))
				}
				switch end {
				case byContext:
					v.cancel()
					v.back("its context was done")
				case byDeadline:
					k.Until(v.done, soon)
					v.back("the call's deadline")
				case byAbort:
					r.abort()
					v.back("the abort")
				}
			}})
		}
	}
	return Rule[Step]{
		"I3", "waiting", "it waits for nothing longer than the call lasts: until ctx is done, the deadline, an abort", checks,
	}
}

// needsWaiter skips the check where a step that may wait did not.
func (k *kit) needsWaiter(s Step) {
	if s.MayWait {
		k.Skipf("no call had to wait, with %d under way; set Permits", s.permits())
	}
}

// holding are calls that are held below the step.
type holding struct {
	visits []*visit
	waiter *visit // that waits in the step for the others; nil if none does
	let    chan struct{}
}

// release lets the calls go on and waits for them.
func (h *holding) release() {
	close(h.let)
	for _, v := range h.visits {
		v.over()
	}
	if h.waiter != nil {
		h.waiter.cancel()
		h.waiter.over()
	}
}

// fill holds so many calls below the step that the next one would have to wait. It ends
// with the first that waits, or that is refused.
func (r *rig) fill(sc scope, h how) *holding {
	held := &holding{let: make(chan struct{})}
	h.mode = r.step.mode()
	h.below = func(context.Context, *visit) fate {
		select {
		case <-held.let:
		case <-r.k.Expired().Done():
		}
		return fate{}
	}
	patience := r.k.Late
	if r.step.MayWait {
		patience = min(patience, 10*r.k.moment())
	}
	if h.timeout > 0 { // after which a call does not wait any more
		patience = min(patience, h.timeout/2)
	}
	for range r.step.permits() {
		v := r.begin(sc, h)
		arrived := make(chan struct{})
		go func() {
			defer close(arrived)
			select {
			case <-v.reached:
			case <-v.done:
			}
		}()
		if !r.k.Until(arrived, patience) {
			held.waiter = v
			break
		}
		select {
		case <-v.reached:
		default: // it is refused
			return held
		}
		held.visits = append(held.visits, v)
	}
	return held
}

// contextRule is about the context that next gets.
func contextRule() Rule[Step] {
	return Rule[Step]{
		"I4", "context", "it passes on the ctx that it got, or one derived from it",
		in(func(r *rig, sc scope) {
			r.works(sc)
			for _, h := range r.kinds(sc) {
				h.below = func(ctx context.Context, v *visit) fate {
					switch {
					case v.repeated(): // after the end that this check made
						return fate{err: errKit}
					case ctx == nil:
						r.k.Errorf("%s gives next a nil context", v.what())
						return fate{}
					case visitOf(ctx) != v:
						r.k.Errorf("%s gives next a context without the caller's values", v.what())
					case ctx.Err() != nil:
						r.k.Errorf("%s gives next a context that is over, and the caller's is not", v.what())
						return fate{}
					}
					v.cancel()
					if !r.k.Until(ctx.Done(), r.k.Late) {
						r.k.Errorf("%s gives next a context that does not end with the caller's", v.what())
					}
					return fate{err: failed(core.ContextError(ctx))}
				}
				if r.begin(sc, h).over(); r.k.Failed() {
					return
				}
			}
		}, inMessage, inAttempt, inOperation),
	}
}

// permitsRule is about what a step holds for a call.
func permitsRule() Rule[Step] {
	ends := []struct {
		name  string
		below func(ctx context.Context, v *visit) fate
	}{
		{"succeeded", nil},
		{"failed", func(context.Context, *visit) fate { return fate{err: failed(core.ErrConnectionLost)} }},
		{"were cancelled", func(_ context.Context, v *visit) fate {
			v.cancel()
			return fate{err: failed(context.Canceled)}
		}},
		{"ended their goroutine further in", func(context.Context, *visit) fate {
			runtime.Goexit()
			return fate{}
		}},
	}
	return Rule[Step]{
		"I12", "permits", "what it holds for a call it lets go of when the call ends, however that is",
		in(func(r *rig, sc scope) {
			r.works(sc)
			most := r.capacity(sc)
			for _, end := range ends {
				for range 2 * r.step.permits() {
					if !r.begin(sc, how{mode: r.step.mode(), below: end.below}).over() {
						break
					}
				}
				if now := r.capacity(sc); now < most {
					r.k.Fatalf("at first %d calls could be under way at a time, after %d that %s only %d",
						most, 2*r.step.permits(), end.name, now)
				}
			}
		}, inMessage, inAttempt, inOperation),
	}
}

// capacity is how many calls can be under way at a time, up to Permits. A slow machine makes
// them fewer, so it is tried three times.
func (r *rig) capacity(sc scope) int {
	most := 0
	for range 3 {
		held := r.fill(sc, how{})
		if w := held.waiter; w != nil { // which gives up
			w.cancel()
			w.over()
		}
		held.release()
		if most = max(most, len(held.visits)); most == r.step.permits() {
			break
		}
	}
	return most
}

// onceRule is about attempts and operations.
func onceRule() Rule[Step] {
	return Rule[Step]{
		"A1", "once", "it calls next at most once", in(func(r *rig, sc scope) {
			for _, h := range r.kinds(sc) {
				v := r.begin(sc, h)
				if v.plainly() != "" {
					r.k.Skipf("a plain %v does not come through", sc)
				}
				st := v.one()
				if st.calls > 1 && !st.late && !st.overlaps {
					r.k.Fatalf("%s called next %d times, for %s", v.what(), st.calls, h.describe(sc))
				}
			}
		}, inAttempt, inOperation),
	}
}

// goroutinesRule is about what a step starts.
func goroutinesRule() Rule[Step] {
	return Rule[Step]{
		"I15", "goroutines", "it leaves no goroutine behind, once its calls and, of a service, Shutdown are over",
		[]check[Step]{{"after", func(k *kit, s Step) {
			r := k.rig(s)
			scopes := slices.DeleteFunc([]scope{inMessage, inAttempt, inOperation}, func(sc scope) bool { return !r.has(sc) })
			if len(scopes) == 0 {
				k.Skipf("the step has no interceptor")
			}
			for _, sc := range scopes {
				r.works(sc)
				for _, h := range r.kinds(sc) {
					r.begin(sc, h).over()
				}
			}
			r.close(k.Errorf)
			k.NoneLeft("plugin", "the end of its calls")
		}}},
	}
}
