package core

import (
	"errors"
	"fmt"
	"runtime/debug"
)

// Plugins are other people's code: steps, strategies, transports, callbacks. Three things
// can go wrong in one besides an error. It can panic, or return an error that panics when it
// is asked for its class: both become errors that name the plugin. Or it can end its
// goroutine with runtime.Goexit. That cannot be stopped: what waits for the goroutine gets
// errGoexit, and a synchronous caller's goroutine is gone.

// errGoexit is the outcome of code whose goroutine ended under it (runtime.Goexit).
var errGoexit = fmt.Errorf("%w: a step ended the goroutine", ErrContract)

// containPanic is deferred around plugin code that gives an error: a panic becomes *err.
// Where the deferring function also gives a value, the value is meaningless then.
func containPanic(plugin string, err *error) {
	if v := recover(); v != nil {
		*err = panicError(plugin, v)
	}
}

// containResult is containPanic for code that gives a result.
func containResult(plugin string, res **Result, err *error) {
	if v := recover(); v != nil {
		*res, *err = nil, panicError(plugin, v)
	}
}

// panicError is the panic v of the named plugin. A panic that has its name already, given
// further in, keeps it.
func panicError(plugin string, v any) *PanicError {
	if pe, ok := v.(*PanicError); ok {
		return pe
	}
	return &PanicError{Step: plugin, Value: v, Stack: debug.Stack()}
}

// unlessReturned is deferred around a plugin that may end its goroutine. It runs then unless
// *returned is true, which the deferring function sets as its last act: after a Goexit, and
// also while a panic unwinds that no one recovers and that ends the process.
func unlessReturned(returned *bool, then func()) {
	if !*returned {
		then()
	}
}

// checkError asks a plugin's error everything that core and its users ask errors later.
// An error that panics when asked - a nil pointer in an interface is enough - does so
// here, where the panic is still its plugin's.
func checkError(err error) {
	if err != nil && !errors.Is(err, errNever) {
		ClassOf(err)
		CertaintyOf(err)
	}
}

// errNever is the cause of no error, so looking for it looks at all causes.
var errNever = errors.New("never")

// checkContract enforces that a result is non-nil if and only if the error is nil,
// and that the error is a sound one. It may panic: containResult is around it.
func checkContract(plugin string, res *Result, err error) (*Result, error) {
	checkError(err)
	switch {
	case res == nil && err == nil:
		return nil, fmt.Errorf("%w: %s returned neither a result nor an error", ErrContract, plugin)
	case res != nil && err != nil:
		return nil, fmt.Errorf("%w: %s returned a result and an error: %w", ErrContract, plugin, err)
	case res != nil && res.Status == StatusNone:
		return nil, fmt.Errorf("%w: %s returned a result without a status", ErrContract, plugin)
	}
	return res, err
}
