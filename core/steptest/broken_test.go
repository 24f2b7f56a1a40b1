package steptest_test

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/liftoff-mq/liftoff/core"
	"github.com/liftoff-mq/liftoff/core/rocketmq"
	"github.com/liftoff-mq/liftoff/core/steptest"
)

// errMine is what broken steps return.
var errMine = errors.New("mine")

func brokenSteps() []broken[steptest.Step] {
	return []broken[steptest.Step]{
		{"", "", "", callFunc(func(ctx context.Context, c *core.Call, next core.Handler) (*core.Result, error) { return next(ctx, c) })},
		{"", "", "", attemptFunc(func(ctx context.Context, at *core.Attempt, next core.AttemptHandler) (*core.Result, error) {
			return next(ctx, at)
		})},
		{"", "", "", operationFunc(func(ctx context.Context, op *core.Operation, next core.OperationHandler) error { return next(ctx, op) })},
		{"", "", "", limited(func(*limiter) {})},

		// I1
		{"blocks", "I1", `Interceptor.Intercept of step "mine" has not returned after 1ms, for a message in mode sync`, func(tb steptest.TB) steptest.Step {
			over := freed(tb)
			return calling(intercept(func(ctx context.Context, c *core.Call, next core.Handler) (*core.Result, error) {
				<-over
				return next(ctx, c)
			}))
		}},
		{"panics", "I1", `panic in Interceptor.Intercept of step "mine": boo`, callFunc(
			func(context.Context, *core.Call, core.Handler) (*core.Result, error) { panic("boo") })},
		{"panics at batches", "I1", "boo\n", callFunc(func(ctx context.Context, c *core.Call, next core.Handler) (*core.Result, error) {
			if c.Batch() {
				panic("boo")
			}
			return next(ctx, c)
		})},
		{"panics after failures", "I1", "for a message in mode sync that fails below", callFunc(
			func(ctx context.Context, c *core.Call, next core.Handler) (*core.Result, error) {
				res, err := next(ctx, c)
				_ = res.Status
				return res, err
			})},
		{"ends its goroutine", "I1", `Interceptor.Intercept of step "mine" ended its goroutine`, callFunc(
			func(context.Context, *core.Call, core.Handler) (*core.Result, error) {
				runtime.Goexit()
				return nil, nil
			})},
		{"blocks in attempts", "I1", `AttemptInterceptor.InterceptAttempt of step "mine" has not returned`, func(tb steptest.TB) steptest.Step {
			over := freed(tb)
			return trying(interceptAttempt(func(ctx context.Context, at *core.Attempt, next core.AttemptHandler) (*core.Result, error) {
				<-over
				return next(ctx, at)
			}))
		}},
		{"panics around operations", "I1", `panic in OperationInterceptor.InterceptOperation of step "mine": boo`, operationFunc(
			func(context.Context, *core.Operation, core.OperationHandler) error { panic("boo") })},

		// I2
		{"never calls next", "I2", "did not call next, but returned the error mine", callFunc(
			func(context.Context, *core.Call, core.Handler) (*core.Result, error) { return nil, errMine })},
		{"calls next late", "I2", "called next after it had returned, or left it running", callFunc(
			func(ctx context.Context, c *core.Call, next core.Handler) (*core.Result, error) {
				res, err := next(ctx, c)
				go func() { _, _ = next(ctx, c) }()
				return res, err
			})},
		{"calls next late only", "I2", "called next after it had returned, or left it running", callFunc(
			func(ctx context.Context, c *core.Call, next core.Handler) (*core.Result, error) {
				go func() { _, _ = next(ctx, c) }()
				return nil, errMine
			})},
		{"leaves next running", "I2", "called next after it had returned, or left it running", callFunc(
			func(ctx context.Context, c *core.Call, next core.Handler) (*core.Result, error) {
				go func() { _, _ = next(ctx, c) }()
				time.Sleep(time.Microsecond) // next has begun then
				return nil, errMine
			})},
		{"calls next twice", "I2", "called next 2 times, and it had not failed; set Repeats", callFunc(
			func(ctx context.Context, c *core.Call, next core.Handler) (*core.Result, error) {
				if _, err := next(ctx, c); err != nil {
					return nil, err
				}
				return next(ctx, c)
			})},
		{"repeats and does not say so", "I2", "called next 2 times after a failure; set Repeats", callFunc(
			func(ctx context.Context, c *core.Call, next core.Handler) (*core.Result, error) {
				res, err := next(ctx, c)
				if err != nil {
					res, err = next(ctx, c)
				}
				return res, err
			})},
		{"calls next twice at a time", "I2", "called next while an earlier next was still running", callFunc(
			func(ctx context.Context, c *core.Call, next core.Handler) (*core.Result, error) {
				var wg sync.WaitGroup
				results := make([]*core.Result, 2)
				errs := make([]error, 2)
				for i := range results {
					wg.Go(func() { results[i], errs[i] = next(ctx, c) })
				}
				wg.Wait()
				i := slices.Index(errs, nil)
				return results[max(i, 0)], errs[max(i, 0)]
			})},
		{"lets pass what it has to refuse", "I2", "message 0 of Refused came to next", func(steptest.TB) steptest.Step {
			s := calling(intercept(func(ctx context.Context, c *core.Call, next core.Handler) (*core.Result, error) { return next(ctx, c) }))
			s.Refused = []*core.Message{{Topic: "forbidden", Body: []byte("x")}}
			return s
		}},
		{"never calls next in attempts", "I2", "AttemptInterceptor.InterceptAttempt", attemptFunc(
			func(context.Context, *core.Attempt, core.AttemptHandler) (*core.Result, error) { return nil, errMine })},
		{"never calls next around operations", "I2", "OperationInterceptor.InterceptOperation", operationFunc(
			func(context.Context, *core.Operation, core.OperationHandler) error { return errMine })},

		// I3
		{"waits for ever", "I3", "has not returned 1ms after its context was done", waits(
			func(context.Context, *core.Call) <-chan struct{} { return nil })},
		{"waits without a deadline", "I3", "has not returned 1ms after the call's deadline", waits(
			func(ctx context.Context, _ *core.Call) <-chan struct{} { return ctx.Done() })},
		{"waits through an abort", "I3", "has not returned 1ms after the abort", waits(func(ctx context.Context, c *core.Call) <-chan struct{} {
			bound, cancel := context.WithDeadline(ctx, c.Deadline())
			context.AfterFunc(bound, cancel)
			return bound.Done()
		})},
		{"waits and does not say so", "I3", "waits while 8 others are under way; set MayWait", func(tb steptest.TB) steptest.Step {
			s := limited(func(*limiter) {})(tb)
			s.MayWait = false
			return s
		}},

		{"waits for ever in attempts and operations", "I3", "OperationInterceptor.InterceptOperation of step \"mine\" has not returned 1ms after the abort", gated(8, nil)},

		// I4
		{"makes a context of its own", "I4", "gives next a context without the caller's values", callFunc(
			func(_ context.Context, c *core.Call, next core.Handler) (*core.Result, error) {
				return next(context.Background(), c)
			})},
		{"frees the context from its end", "I4", "gives next a context that does not end with the caller's", callFunc(
			func(ctx context.Context, c *core.Call, next core.Handler) (*core.Result, error) {
				return next(context.WithoutCancel(ctx), c)
			})},
		{"ends the context early", "I4", "gives next a context that is over", attemptFunc(
			func(ctx context.Context, at *core.Attempt, next core.AttemptHandler) (*core.Result, error) {
				ctx, cancel := context.WithCancel(ctx)
				cancel()
				return next(ctx, at)
			})},
		{"loses the context around operations", "I4", "OperationInterceptor.InterceptOperation", operationFunc(
			func(_ context.Context, op *core.Operation, next core.OperationHandler) error {
				return next(context.Background(), op)
			})},

		// I5
		{"writes to the body", "I5", "the Body of message 0 is not what it was", func(steptest.TB) steptest.Step {
			s := calling(intercept(func(ctx context.Context, c *core.Call, next core.Handler) (*core.Result, error) {
				c.Message().Body[0]++
				return next(ctx, c)
			}))
			s.ChangesBody = true
			return s
		}},
		{"appends to the body", "I5", "the memory behind the Body of message 0 is not what it was", func(steptest.TB) steptest.Step {
			s := calling(intercept(func(ctx context.Context, c *core.Call, next core.Handler) (*core.Result, error) {
				if out := c.Outgoing(); out.Codec() == "" {
					body := out.Body()
					out.SetBody(append(body, "!"...))
					defer out.SetBody(body)
				}
				return next(ctx, c)
			}))
			s.ChangesBody = true
			return s
		}},
		{"sorts the keys of messages", "I5", "the Keys of message 0 is not what it was", attemptFunc(
			func(ctx context.Context, at *core.Attempt, next core.AttemptHandler) (*core.Result, error) {
				for out := range at.Call().All() {
					slices.SortFunc(out.Message().Keys, func(a, b string) int { return strings.Compare(b, a) })
				}
				return next(ctx, at)
			})},

		// I6
		{"changes the topic", "I6", `the topic "T" became "T-mine"; set ChangesTopic`, callFunc(
			func(ctx context.Context, c *core.Call, next core.Handler) (*core.Result, error) {
				for out := range c.All() {
					out.SetTopic("T-mine")
				}
				return next(ctx, c)
			})},
		{"changes the body", "I6", "a body of 15 bytes became one of 4", callFunc(
			func(ctx context.Context, c *core.Call, next core.Handler) (*core.Result, error) {
				if c.Outgoing().Codec() == "" {
					c.Outgoing().SetBody([]byte("mine"))
				}
				return next(ctx, c)
			})},
		{"replaces a property", "I6", `the property "color" was "red" and is "blue"`, callFunc(
			func(ctx context.Context, c *core.Call, next core.Handler) (*core.Result, error) {
				c.Outgoing().SetProperty("color", "blue")
				return next(ctx, c)
			})},

		// I7
		{"sets an empty property", "I7", `the property "mine" with the value ""`, callFunc(setting("mine", ""))},
		{"sets a separator", "I7", `the property "mine"`, callFunc(setting("mine", "a\x01b"))},
		{"sets the unique id", "I7", "is the unique id and cannot be set", callFunc(setting(rocketmq.PropertyUniqKey, "AC11"))},
		{"sets too much", "I7", "at most 32255 are allowed", callFunc(setting("mine", strings.Repeat("x", 33_000)))},

		{"sets what batches cannot have", "I7", "in a batch, where brokers ignore it", callFunc(
			func(ctx context.Context, c *core.Call, next core.Handler) (*core.Result, error) {
				if c.Batch() {
					c.Outgoing().SetProperty(rocketmq.SingleProperties()[0], "1")
				}
				return next(ctx, c)
			})},

		// I8
		{"changes a packed body", "I8", "set the body of a message that a codec had packed", func(steptest.TB) steptest.Step {
			s := calling(intercept(func(ctx context.Context, c *core.Call, next core.Handler) (*core.Result, error) {
				body := c.Outgoing().Body()
				c.Outgoing().SetBody([]byte("mine"))
				defer c.Outgoing().SetBody(body)
				return next(ctx, c)
			}))
			s.ChangesBody = true
			return s
		}},
		{"packs what is packed", "I8", `changed a body that was packed by "zlib" into another one by "mine"`, func(steptest.TB) steptest.Step {
			s := calling(intercept(func(ctx context.Context, c *core.Call, next core.Handler) (*core.Result, error) {
				out := c.Outgoing()
				body, codec := out.Body(), out.Codec()
				out.SetPacked([]byte("mine"), "mine")
				defer out.SetPacked(body, codec)
				return next(ctx, c)
			}))
			s.ChangesBody = true
			return s
		}},

		// I9
		{"wraps the topic each time", "I9", `the topic is "mine-T" at first and then "mine-mine-T"`, func(steptest.TB) steptest.Step {
			s := calling(intercept(func(ctx context.Context, c *core.Call, next core.Handler) (*core.Result, error) {
				for out := range c.All() {
					out.SetTopic("mine-" + out.Topic())
				}
				return next(ctx, c)
			}))
			s.ChangesTopic = true
			return s
		}},
		{"leaves a longer body behind", "I9", "the body has 20 bytes at first and then 25", func(steptest.TB) steptest.Step {
			s := calling(intercept(func(ctx context.Context, c *core.Call, next core.Handler) (*core.Result, error) {
				if out := c.Outgoing(); out.Codec() == "" {
					out.SetBody(slices.Concat(out.Body(), []byte(" mine")))
				}
				return next(ctx, c)
			}))
			s.ChangesBody = true
			return s
		}},

		// I10
		{"forges a result", "I10", "made a success without next; set Answers", callFunc(
			func(context.Context, *core.Call, core.Handler) (*core.Result, error) {
				return &core.Result{Status: core.SendOK}, nil
			})},
		{"forges a result of an attempt", "I10", "made a success without next", attemptFunc(
			func(context.Context, *core.Attempt, core.AttemptHandler) (*core.Result, error) {
				return &core.Result{Status: core.SendOK}, nil
			})},
		{"improves a result", "I10", "returned the result", callFunc(
			func(ctx context.Context, c *core.Call, next core.Handler) (*core.Result, error) {
				res, err := next(ctx, c)
				if err == nil && res.Status != core.SendOK {
					better := *res
					better.Status = core.SendOK
					res = &better
				}
				return res, err
			})},
		{"returns neither", "I10", "returned neither a result nor an error", callFunc(
			func(context.Context, *core.Call, core.Handler) (*core.Result, error) { return nil, nil })},
		{"forges an operation", "I10", "made a success without next", operationFunc(
			func(context.Context, *core.Operation, core.OperationHandler) error { return nil })},

		// I11
		{"swallows errors", "I11", "made a success of the error", callFunc(
			func(ctx context.Context, c *core.Call, next core.Handler) (*core.Result, error) {
				res, err := next(ctx, c)
				if core.ClassOf(err) == core.ClassBusy {
					return &core.Result{Status: core.SendOK}, nil
				}
				return res, err
			})},
		{"replaces errors", "I11", "in whose chain that is not", attemptFunc(
			func(ctx context.Context, at *core.Attempt, next core.AttemptHandler) (*core.Result, error) {
				res, err := next(ctx, at)
				if core.ClassOf(err) == core.ClassForbidden {
					err = fmt.Errorf("mine: %v", err)
				}
				return res, err
			})},
		{"swallows the errors of operations", "I11", "made a success of the error", operationFunc(
			func(ctx context.Context, op *core.Operation, next core.OperationHandler) error {
				if err := next(ctx, op); core.ClassOf(err) != core.ClassNoRoute {
					return err
				}
				return nil
			})},

		// I12
		{"loses permits at failures", "I12", "after 32 that failed only 0", limited(func(l *limiter) {
			l.run = func(permits <-chan struct{}, next func() (*core.Result, error)) (*core.Result, error) {
				res, err := next()
				if !errors.Is(err, core.ErrConnectionLost) {
					<-permits
				}
				return res, err
			}
		})},
		{"loses permits when the goroutine ends", "I12", "that ended their goroutine further in only 0", limited(func(l *limiter) {
			l.run = func(permits <-chan struct{}, next func() (*core.Result, error)) (*core.Result, error) {
				res, err := next()
				<-permits
				return res, err
			}
		})},
		{"loses one permit", "I12", "at first 8 calls could be under way at a time, after 32 that were cancelled only 7", limited(func(l *limiter) {
			var lost sync.Once
			l.run = func(permits <-chan struct{}, next func() (*core.Result, error)) (*core.Result, error) {
				back := true
				defer func() {
					if back {
						<-permits
					}
				}()
				res, err := next()
				if errors.Is(err, context.Canceled) {
					lost.Do(func() { back = false })
				}
				return res, err
			}
		})},
		{"loses permits and refuses", "I12", "only 0", func(tb steptest.TB) steptest.Step {
			s := limited(func(l *limiter) {
				l.wait = func(_ context.Context, _ *core.Call, permits chan<- struct{}) error {
					select {
					case permits <- struct{}{}:
						return nil
					default:
						return core.ErrTooManyInFlight
					}
				}
				l.run = func(permits <-chan struct{}, next func() (*core.Result, error)) (*core.Result, error) {
					res, err := next()
					if !errors.Is(err, context.Canceled) {
						<-permits
					}
					return res, err
				}
			})(tb)
			s.MayWait, s.Vetoes = false, true
			return s
		}},

		{"loses permits in attempts and operations", "I12", "after 102 that failed only", func(tb steptest.TB) steptest.Step {
			s := gated(50, core.ErrConnectionLost)(tb)
			s.Skip = map[string]string{"I3": "it waits for ever as well"}
			return s
		}},

		// I13
		{"keeps results and operations", "I13", "an operation, or a part of it", func(steptest.TB) steptest.Step { return trying(&attemptKeeper{}) }},
		{"keeps outgoing messages", "I13", "a call, or a part of it", func(steptest.TB) steptest.Step { return calling(&keeper{}) }},

		// I14
		{"cannot do two at a time", "I14", "returns the error mine without next", func(steptest.TB) steptest.Step {
			var busy sync.Mutex
			s := calling(intercept(func(ctx context.Context, c *core.Call, next core.Handler) (*core.Result, error) {
				if !busy.TryLock() {
					return nil, errMine
				}
				defer busy.Unlock()
				return next(ctx, c)
			}))
			return s
		}},
		{"mixes contexts up", "I14", "gives next another caller's context", func(steptest.TB) steptest.Step {
			var mu sync.Mutex
			var last context.Context
			return calling(intercept(func(ctx context.Context, c *core.Call, next core.Handler) (*core.Result, error) {
				mu.Lock()
				last = ctx
				mu.Unlock()
				time.Sleep(time.Microsecond) // others come meanwhile
				mu.Lock()
				ctx = last
				mu.Unlock()
				return next(ctx, c)
			}))
		}},
		{"mixes messages up", "I14", "is sent with the key", func(steptest.TB) steptest.Step {
			var mu sync.Mutex
			var last string
			return calling(intercept(func(ctx context.Context, c *core.Call, next core.Handler) (*core.Result, error) {
				keys, ok := c.Outgoing().Property("KEYS")
				if !ok {
					return next(ctx, c)
				}
				mu.Lock()
				last = keys
				mu.Unlock()
				time.Sleep(time.Microsecond) // others come meanwhile
				mu.Lock()
				c.Outgoing().SetProperty("KEYS", last)
				mu.Unlock()
				return next(ctx, c)
			}))
		}},
		{"mixes results up", "I14", "returns the result of message", func(steptest.TB) steptest.Step {
			var mu sync.Mutex
			var last core.Result
			return calling(intercept(func(ctx context.Context, c *core.Call, next core.Handler) (*core.Result, error) {
				res, err := next(ctx, c)
				if err != nil {
					return nil, err
				}
				mu.Lock()
				last = *res
				mu.Unlock()
				time.Sleep(time.Microsecond) // others come meanwhile
				mu.Lock()
				defer mu.Unlock()
				mine := last
				return &mine, nil
			}))
		}},
		{"mixes errors up", "I14", "for failure", func(steptest.TB) steptest.Step {
			var mu sync.Mutex
			var last error
			return trying(interceptAttempt(func(ctx context.Context, at *core.Attempt, next core.AttemptHandler) (*core.Result, error) {
				res, err := next(ctx, at)
				if err == nil {
					return res, nil
				}
				mu.Lock()
				last = err
				mu.Unlock()
				time.Sleep(time.Microsecond) // others come meanwhile
				mu.Lock()
				defer mu.Unlock()
				return nil, last
			}))
		}},

		{"cannot do two operations at a time", "I14", "returns the error mine without next", func(steptest.TB) steptest.Step {
			var busy sync.Mutex
			return aroundOperations(func(ctx context.Context, op *core.Operation, next core.OperationHandler) error {
				if !busy.TryLock() {
					return errMine
				}
				defer busy.Unlock()
				return next(ctx, op)
			})
		}},

		// I15
		{"leaves goroutines behind", "I15", "goroutines left", callFunc(
			func(ctx context.Context, c *core.Call, next core.Handler) (*core.Result, error) {
				go time.Sleep(time.Hour)
				return next(ctx, c)
			})},

		// A1
		{"calls next twice in attempts", "A1", "called next 2 times", attemptFunc(
			func(ctx context.Context, at *core.Attempt, next core.AttemptHandler) (*core.Result, error) {
				res, err := next(ctx, at)
				_, _ = next(ctx, at)
				return res, err
			})},
		{"repeats operations", "A1", "called next 2 times, for an operation that fails below", operationFunc(
			func(ctx context.Context, op *core.Operation, next core.OperationHandler) error {
				err := next(ctx, op)
				if err != nil {
					_ = next(ctx, op)
				}
				return err
			})},

		// A2
		{"sets a property in attempts", "A2", "tried to change a batch", attemptFunc(
			func(ctx context.Context, at *core.Attempt, next core.AttemptHandler) (*core.Result, error) {
				if at.Call().Batch() {
					at.Call().Outgoing().SetProperty("mine", "x")
				}
				return next(ctx, at)
			})},
	}
}

// setting sets a property of each message.
func setting(name, value string) intercept {
	return func(ctx context.Context, c *core.Call, next core.Handler) (*core.Result, error) {
		for out := range c.All() {
			out.SetProperty(name, value)
		}
		return next(ctx, c)
	}
}

// Each of these steps and listeners breaks the rules that are named, and the kit finds these and
// no other. Each check finds one of them at least.
func TestBrokenSteps(t *testing.T) {
	expectAll(t, steptest.StepRules(), append(brokenSteps(), brokenListeners()...))
}
