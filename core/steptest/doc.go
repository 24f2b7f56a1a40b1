// Package steptest checks steps, retry budgets and compressors against the rules of their
// contracts in core: one's own above all. It needs nothing but core and the standard library.
// Each rule is a sub-test that is named by its number and its word, such as "I4 context". To
// begin, copy this:
//
//	func TestStep(t *testing.T) {
//		steptest.TestStep(t, func(tb steptest.TB) steptest.Step {
//			return steptest.Step{Step: mystep.New().Step()} // all that is required
//		})
//	}
//
// The step stands in a real producer, where the kit stands around it and sees what it does with
// each call. It is attached to that producer ([core.Attacher]), and each check has a step and a
// producer of its own. The other fields of [Step] say what is special about it: that it may refuse a
// message (Vetoes) or make it wait (MayWait), that it changes the topic or the body, which
// messages it is about. What a step has no part for is skipped, and go test -v shows why. Skip
// leaves out a rule or a check, for a reason. [TestBudget] and [TestCompressor] do the same for
// a [Budget] and a [Compressor].
//
// A check has a time limit. What blocks, panics or ends its goroutine fails rule I1, L1, B1 or
// C1, and the failure names the method; the rules that need a plain call to come through are
// skipped then. Only a panic on a goroutine that the plugin itself starts nobody can contain.
//
// Run it with -race: what two calls do to shared memory, the race detector knows best. A test
// in virtual time (testing/synctest) goes over [StepRules] itself and sets Late to a
// millisecond, because a sub-test cannot begin in a bubble. It also finds what takes too long
// by a little.
//
// The rules of interceptors, with the names of their checks. They hold in attempt scope and
// around operations too; those of operations hold for [core.OperationInterceptor]:
//
//	I1  returns      message, attempt, operation
//	I2  next         message, attempt, operation, failure, refused
//	I3  waiting      message-context, message-deadline, message-abort, attempt-context, attempt-deadline, attempt-abort, operation-context, operation-abort
//	I4  context      message, attempt, operation
//	I5  message      message, attempt
//	I6  changes      message
//	I7  properties   message
//	I8  packed       message
//	I9  again        message
//	I10 result       message, attempt, operation
//	I11 error        message, attempt, operation
//	I12 permits      message, attempt, operation
//	I13 kept         message, attempt, operation
//	I14 concurrency  message, attempt, operation
//	I15 goroutines   after
//
// Those of attempt interceptors alone:
//
//	A1  once         attempt, operation
//	A2  frozen       attempt
//
// The rules of listeners, of which a step may be one as well:
//
//	L1  returns      call, attempt, retry, route, state
//	L2  reading      call, attempt, retry, route, state
//	L3  kept         call, attempt, retry, route, state
//	L4  concurrency  call, attempt, retry, route, state
//	L5  goroutines   call, attempt, retry, route, state
//
// The rules of retry budgets:
//
//	B1  returns      full, empty
//	B2  bound        usual, outage
//	B3  refill       usual
//	B4  debt         usual
//	B5  failure      usual, outage
//	B6  concurrency  usual, outage
//	B7  goroutines   usual, outage
//
// The rules of compressors:
//
//	C1  returns      bodies, empty
//	C2  name         name
//	C3  append       bodies
//	C4  source       bodies
//	C5  unpack       bodies
//	C6  same         bodies
//	C7  kept         bodies
//	C8  concurrency  bodies
//	C9  goroutines   bodies
//
// The steps that come with Liftoff pass all of them.
package steptest
