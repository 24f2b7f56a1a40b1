package absent_test

import (
	"testing"

	"go.uber.org/goleak"

	"github.com/liftoff-mq/liftoff/core"
	"github.com/liftoff-mq/liftoff/internal/absent"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

type view map[string]bool

func (view) Health(core.Broker) core.Health { return core.HealthGood }

type value struct{}

func (value) Health(core.Broker) core.Health { return core.HealthGood }

func TestIs(t *testing.T) {
	for _, tt := range []struct {
		v    any
		want bool
	}{
		{nil, true},
		{(*int)(nil), true},
		{core.RetryPolicy(nil), true},
		{core.RetryPolicyFunc(nil), true},
		{core.HealthView(view(nil)), true},
		{[]int(nil), true},
		{(chan int)(nil), true},
		{new(int), false},
		{core.RetryPolicyFunc(func(*core.Failure) core.Decision { return core.Decision{} }), false},
		{core.HealthView(view{}), false},
		{core.HealthView(value{}), false},
		{0, false},
	} {
		if got := absent.Is(tt.v); got != tt.want {
			t.Errorf("%T: %v, want %v", tt.v, got, tt.want)
		}
	}
}
