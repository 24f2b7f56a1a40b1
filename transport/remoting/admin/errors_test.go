package admin_test

import (
	"errors"
	"testing"

	"github.com/liftoff-mq/liftoff/core"
	"github.com/liftoff-mq/liftoff/transport/remoting/admin"
)

// Refused credentials are what a program has to mend first, whatever else went wrong.
func TestClassOfSeveralFailures(t *testing.T) {
	busy, denied := &core.BrokerError{Class: core.ClassBusy}, &core.BrokerError{Class: core.ClassAuth}
	for _, tt := range []struct {
		errs []error
		want core.Class
	}{
		{nil, core.ClassUnknown},
		{[]error{busy, core.ErrTimeout}, core.ClassBusy},
		{[]error{core.ErrTimeout, busy}, core.ClassTimeout},
		{[]error{busy, denied}, core.ClassAuth},
	} {
		e := &admin.BrokersError{}
		for _, err := range tt.errs {
			e.Failed = append(e.Failed, admin.BrokerFailure{Err: err})
		}
		if got := core.ClassOf(e); got != tt.want {
			t.Errorf("%v: %v, want %v", tt.errs, got, tt.want)
		}
		for _, err := range tt.errs {
			if !errors.Is(e, err) {
				t.Errorf("%v is not in %v", err, e)
			}
		}
	}
}
