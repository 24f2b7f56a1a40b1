package core_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"unicode"

	"github.com/liftoff-mq/liftoff/core"
	"github.com/liftoff-mq/liftoff/core/rocketmq"
)

func TestClassOf(t *testing.T) {
	tests := []struct {
		err  error
		want core.Class
		typ  string
	}{
		{core.ErrInvalidMessage, core.ClassInvalid, "invalid_message"},
		{core.ErrForbidden, core.ClassForbidden, "forbidden"},
		{core.ErrNoRoute, core.ClassNoRoute, "no_route"},
		{core.ErrCircuitOpen, core.ClassCircuitOpen, "circuit_open"},
		{core.ErrTooManyInFlight, core.ClassInFlight, "in_flight"},
		{core.ErrClosed, core.ClassClosed, "closed"},
		{core.ErrTimeout, core.ClassTimeout, "timeout"},
		{context.DeadlineExceeded, core.ClassTimeout, "timeout"},
		{context.Canceled, core.ClassCanceled, "canceled"},
		{core.ErrConnect, core.ClassNetwork, "network"},
		{core.ErrConnectionLost, core.ClassNetwork, "network"},
		{&core.PanicError{Step: "x", Value: 1}, core.ClassPlugin, "plugin"},
		{&core.BrokerError{Code: rocketmq.CodeSystemBusy, Class: core.ClassBusy}, core.ClassBusy, "SYSTEM_BUSY"},
		{&core.BrokerError{Class: core.ClassBusy}, core.ClassBusy, "busy"},
		{&core.BrokerError{}, core.ClassBroker, "broker"},
		{core.ErrUnsupported, core.ClassUnsupported, "unsupported"},
		{core.ErrEncoded, core.ClassPlugin, "plugin"},
		{errors.New("mine"), core.ClassUnknown, "unknown"},
	}
	for _, tt := range tests {
		t.Run(tt.err.Error(), func(t *testing.T) {
			if got := core.ClassOf(fmt.Errorf("outer: %w", tt.err)); got != tt.want {
				t.Errorf("class %v, want %v", got, tt.want)
			}
			se := &core.SendError{Class: tt.want, Cause: tt.err}
			if got := se.ErrorType(); got != tt.typ {
				t.Errorf("error type %q, want %q", got, tt.typ)
			}
		})
	}
	if core.ClassOf(nil) != core.ClassNone {
		t.Error("nil has a class")
	}
	if !errors.Is(core.ErrTimeout, context.DeadlineExceeded) {
		t.Error("ErrTimeout is not context.DeadlineExceeded")
	}
}

func TestSendErrorShowsEveryCause(t *testing.T) {
	busy := &core.BrokerError{Code: rocketmq.CodeSystemBusy, Addr: "a:1", Remark: "full"}
	e := error(&core.SendError{
		Class: core.ClassTimeout, Certainty: core.MaybeStored, Topic: "T", Cause: core.ErrTimeout,
		Attempts: []core.AttemptError{{Number: 1, Queue: core.Queue{Broker: "broker-a", ID: 2}, Addr: "a:1", Err: busy, Class: core.ClassBusy, Certainty: core.NotStored}},
	})
	var be *core.BrokerError
	if !errors.As(e, &be) || be != busy {
		t.Error("errors.As does not find the attempt's broker error")
	}
	if !errors.Is(e, core.ErrTimeout) || !errors.Is(e, context.DeadlineExceeded) {
		t.Error("errors.Is does not find the cause")
	}
	for _, tt := range []struct {
		err  error
		want core.Certainty
	}{
		{fmt.Errorf("x: %w", e), core.MaybeStored},
		{&core.SendError{}, core.CertaintyUnknown},
		{errors.New("a step's"), core.CertaintyUnknown},
		{fmt.Errorf("lost on the way: %v", e), core.CertaintyUnknown},
		{nil, core.CertaintyUnknown},
	} {
		if got := core.CertaintyOf(tt.err); got != tt.want {
			t.Errorf("the certainty of %v is %v, want %v", tt.err, got, tt.want)
		}
	}
	want := `send to "T": timeout, maybe-stored: rocketmq: timeout; attempt 1 to broker-a/2 (a:1) after 0s: broker a:1: SYSTEM_BUSY (2): full`
	if e.Error() != want {
		t.Errorf("got  %s\nwant %s", e, want)
	}
	for _, tt := range []struct {
		e    core.SendError
		want string
	}{
		{core.SendError{Class: core.ClassInvalid, Certainty: core.NotSent, Cause: core.ErrInvalidMessage}, `send: invalid, not-sent: rocketmq: invalid message`},
		{
			core.SendError{Class: core.ClassBusy, Certainty: core.NotStored, Topic: "T", Cause: busy, Attempts: []core.AttemptError{
				{Number: 1, Queue: core.Queue{Broker: "broker-b", ID: 0}, Addr: "b:1", Err: core.ErrConnect},
				{Number: 2, Queue: core.Queue{Broker: "broker-a", ID: 2}, Addr: "a:1", Err: busy},
			}},
			`send to "T": busy, not-stored: attempt 1 to broker-b/0 (b:1) after 0s: rocketmq: cannot connect; ` +
				`attempt 2 to broker-a/2 (a:1) after 0s: broker a:1: SYSTEM_BUSY (2): full`,
		},
	} {
		if got := tt.e.Error(); got != tt.want {
			t.Errorf("got  %s\nwant %s", got, tt.want)
		}
	}
}

// The text of an error with many attempts has the first and the last four, and says once how
// many are between them.
func TestErrorOfManyAttempts(t *testing.T) {
	for n, more := range map[int]string{8: "", 9: "; 1 more;", 20: "; 12 more;"} {
		e := core.SendError{Class: core.ClassNetwork, Cause: core.ErrConnect}
		for i := range n {
			e.Attempts = append(e.Attempts, core.AttemptError{Number: i + 1, Err: core.ErrConnect})
		}
		text := e.Error()
		if got := strings.Count(text, "attempt "); got != 8 || strings.Count(text, " more;") != min(len(more), 1) || !strings.Contains(text, more) {
			t.Errorf("of %d: %s", n, text)
		}
		for _, i := range []int{1, 4, n - 3, n} {
			if !strings.Contains(text, fmt.Sprintf("attempt %d ", i)) {
				t.Errorf("of %d, number %d is missing: %s", n, i, text)
			}
		}
	}
}

// TestUnknownIsNotSafe: what is lost must not read as "send it again".
func TestUnknownIsNotSafe(t *testing.T) {
	for c, want := range map[core.Certainty]bool{
		core.CertaintyUnknown: false, core.NotSent: true, core.NotStored: true, core.MaybeStored: false, core.Stored: false, 99: false,
	} {
		if c.Safe() != want {
			t.Errorf("%v.Safe() = %v", c, !want)
		}
	}
}

// A transport need not have cleaned what a server says: the text of the error is one line.
func TestBrokerErrorIsOneLine(t *testing.T) {
	err := &core.BrokerError{Remark: "\x01later\n\x1b[31m" + strings.Repeat("x", 5000), Addr: "a:1"}
	if got := err.Error(); len(got) > 1100 || strings.ContainsFunc(got, unicode.IsControl) || !strings.Contains(got, "later [31mxxx") {
		t.Errorf("%.100q of %d bytes", got, len(got))
	}
}
