package core_test

import (
	"context"
	"errors"
	"fmt"
	"testing"

	"github.com/liftoff-mq/liftoff/core"
)

func TestContextError(t *testing.T) {
	own := errors.New("own")
	for _, tt := range []struct {
		name  string
		cause error // nil: none given
		want  string
		is    []error
	}{
		{"no cause", nil, "context canceled", []error{context.Canceled}},
		{"a cause", own, "context canceled: own", []error{context.Canceled, own}},
		{"a cause that says so", fmt.Errorf("stop: %w", context.Canceled), "stop: context canceled", []error{context.Canceled}},
	} {
		ctx, cancel := context.WithCancelCause(context.Background())
		if err := core.ContextError(ctx); err != nil {
			t.Errorf("%s: %v while it lives", tt.name, err)
		}
		cancel(tt.cause)
		err := core.ContextError(ctx)
		if err == nil || err.Error() != tt.want {
			t.Errorf("%s: %v, want %q", tt.name, err, tt.want)
		}
		for _, is := range tt.is {
			if !errors.Is(err, is) {
				t.Errorf("%s: %v is not %v", tt.name, err, is)
			}
		}
	}
}
