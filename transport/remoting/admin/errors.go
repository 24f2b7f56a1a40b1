package admin

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/liftoff-mq/liftoff/core"
	"github.com/liftoff-mq/liftoff/internal/words"
)

// ErrNotFound is a message that none of the brokers has that could have it.
var ErrNotFound = errors.New("rocketmq: message not found")

// errNoMaster is a broker that cannot be asked now.
var errNoMaster = fmt.Errorf("%w: the broker has no master", core.ErrConnect)

// ArgumentError is an argument that makes no sense. Nothing was asked.
type ArgumentError struct{ Reason string }

// Error gives the reason.
func (e *ArgumentError) Error() string { return "admin: " + e.Reason }

// ErrorClass is ClassInvalid.
func (e *ArgumentError) ErrorClass() core.Class { return core.ClassInvalid }

// NotFoundError says what was not found. It matches [ErrNotFound].
type NotFoundError struct {
	What string // such as "key o-1 in topic orders"
}

// Error says what was not found.
func (e *NotFoundError) Error() string { return ErrNotFound.Error() + ": " + e.What }

// Is matches ErrNotFound.
func (e *NotFoundError) Is(target error) bool { return target == ErrNotFound }

// BrokerFailure is what went wrong at one broker.
type BrokerFailure struct {
	Broker string
	Addr   string // as the name server gave it; "" of a broker without a master
	Err    error
}

// BrokersError is a request to several brokers, some of which failed. What the others answered
// is returned beside it.
type BrokersError struct {
	What   string // such as "create topic orders"
	Asked  int
	Failed []BrokerFailure // by the brokers' names
}

// maxShown is how many failures the text of an error has.
const maxShown = 8

// Error says how many failed, and why each did.
func (e *BrokersError) Error() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s: %d of %d brokers failed", e.What, len(e.Failed), e.Asked)
	for i, f := range e.Failed {
		if i == maxShown {
			fmt.Fprintf(&b, "; and %d more", len(e.Failed)-i)
			break
		}
		fmt.Fprintf(&b, "; %s: %s", words.Line(f.Broker, words.MaxName), words.Err(f.Err))
	}
	return b.String()
}

// Unwrap gives the failures.
func (e *BrokersError) Unwrap() []error {
	errs := make([]error, len(e.Failed))
	for i, f := range e.Failed {
		errs[i] = f.Err
	}
	return errs
}

// ErrorClass is ClassAuth if a broker did not accept the credentials, and else that of the
// first failure.
func (e *BrokersError) ErrorClass() core.Class {
	denied := func(f BrokerFailure) bool { return core.ClassOf(f.Err) == core.ClassAuth }
	switch {
	case slices.ContainsFunc(e.Failed, denied):
		return core.ClassAuth
	case len(e.Failed) > 0:
		return core.ClassOf(e.Failed[0].Err)
	}
	return core.ClassUnknown
}
