package remoting

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/liftoff-mq/liftoff/core"
	"github.com/liftoff-mq/liftoff/internal/words"
)

// ConnectError is an attempt that found no connection: nothing was sent. It
// matches [core.ErrConnect].
type ConnectError struct {
	Addr string
	Err  error
}

// Error names the address and the cause.
func (e *ConnectError) Error() string {
	return fmt.Sprintf("%v to %s: %s", core.ErrConnect, e.Addr, words.Err(e.Err))
}

// Is matches core.ErrConnect.
func (e *ConnectError) Is(target error) bool { return target == core.ErrConnect }

// Unwrap gives the cause.
func (e *ConnectError) Unwrap() error { return e.Err }

// ErrorClass is ClassNetwork, also where the cause is a timeout of the dial, or
// ClassClosed after the client's Shutdown, or ClassAuth where the server did not accept the
// client's certificate or a SOCKS proxy did not take the credentials: another attempt would not
// help, and no broker is to blame.
func (e *ConnectError) ErrorClass() core.Class {
	if proxy := (*SOCKSError)(nil); errors.As(e.Err, &proxy) && proxy.Refused {
		return core.ClassAuth
	}
	return networkClass(e.Err)
}

func networkClass(cause error) core.Class {
	if errors.Is(cause, core.ErrClosed) {
		return core.ClassClosed
	}
	if refused, ok := errors.AsType[*TLSError](cause); ok {
		return refused.ErrorClass()
	}
	return core.ClassNetwork
}

// ConnectionError is a connection that went away under a request. It matches
// [core.ErrConnectionLost].
type ConnectionError struct {
	Addr string
	// Written says that bytes of the request may have left.
	Written bool
	Err     error
}

// Error names the address, the cause, and whether the request was written.
func (e *ConnectionError) Error() string {
	when := "before the request was written"
	if e.Written {
		when = "before the answer"
	}
	return fmt.Sprintf("%v: %s, %s: %s", core.ErrConnectionLost, e.Addr, when, words.Err(e.Err))
}

// Is matches core.ErrConnectionLost.
func (e *ConnectionError) Is(target error) bool { return target == core.ErrConnectionLost }

// Unwrap gives the cause.
func (e *ConnectionError) Unwrap() error { return e.Err }

// ErrorClass is ClassNetwork, or ClassClosed after the client's Shutdown.
func (e *ConnectionError) ErrorClass() core.Class { return networkClass(e.Err) }

// AnswerError is an answer that means success and cannot be understood. What
// became of the message is not known.
type AnswerError struct {
	Addr string
	Err  error
}

// Error names the address and the cause.
func (e *AnswerError) Error() string {
	return fmt.Sprintf("answer of %s: %s", e.Addr, words.Err(e.Err))
}

// Unwrap gives the cause.
func (e *AnswerError) Unwrap() error { return e.Err }

// ErrorClass is ClassBroker.
func (e *AnswerError) ErrorClass() core.Class { return core.ClassBroker }

// NameServerError says that no name server gave an answer, and why each did not, or that none is
// known.
type NameServerError struct {
	// None says that no name server was known in time: see [Config].Discovery.
	None bool
	// Errs has one error for each server asked. With None it has one for each source that has not
	// answered or has failed, and last why they were waited for no longer.
	Errs []error
}

// Error lists the causes.
func (e *NameServerError) Error() string {
	texts := make([]string, len(e.Errs))
	for i, err := range e.Errs {
		texts[i] = words.Err(err)
	}
	what := "no name server answered: "
	if e.None {
		what = "no name server is known yet: "
	}
	return what + strings.Join(texts, "; ")
}

// Unwrap gives the causes.
func (e *NameServerError) Unwrap() []error { return e.Errs }

// ErrorClass is ClassNetwork, or ClassClosed after the client's Shutdown, or ClassAuth where a
// request could not be signed or its credentials were refused.
func (e *NameServerError) ErrorClass() core.Class {
	class := networkClass(e)
	denied := func(err error) bool { return core.ClassOf(err) == core.ClassAuth }
	if class == core.ClassNetwork && slices.ContainsFunc(e.Errs, denied) {
		return core.ClassAuth
	}
	return class
}

// RouteError is a topic that cannot be sent to. It matches [core.ErrNoRoute].
type RouteError struct {
	Topic  string
	Reason string
	Err    error // may be nil

	readOnly bool // nobody may write to any queue
}

// Error names topic and reason.
func (e *RouteError) Error() string {
	s := fmt.Sprintf("%v %s: %s", core.ErrNoRoute, words.Quote(e.Topic), e.Reason)
	if e.Err != nil {
		s += ": " + words.Err(e.Err)
	}
	return s
}

// Is matches core.ErrNoRoute, and core.ErrNotWritable if that is the reason.
func (e *RouteError) Is(target error) bool {
	return target == core.ErrNoRoute || e.readOnly && target == core.ErrNotWritable
}

// Unwrap gives the cause, nil if there is none.
func (e *RouteError) Unwrap() error { return e.Err }

// ErrorClass is ClassNoRoute.
func (e *RouteError) ErrorClass() core.Class { return core.ClassNoRoute }
