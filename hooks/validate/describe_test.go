package validate_test

import (
	"testing"
	"time"

	"github.com/liftoff-mq/liftoff/core"
	"github.com/liftoff-mq/liftoff/hooks/validate"
)

func TestDescribe(t *testing.T) {
	for _, tt := range []struct {
		opts []validate.Option
		want string
	}{
		{nil, "messages as brokers take them (body at most 4 MiB, properties at most 32255 bytes, delivery at most 72h ahead, delay level at most 18)"},
		{
			[]validate.Option{validate.MaxBodySize(1000), validate.MaxPropertiesSize(2048), validate.MaxDelay(time.Hour)},
			"messages as brokers take them (body at most 1000 bytes, properties at most 2 KiB, delivery at most 1h ahead, delay level at most 18)",
		},
	} {
		p, err := core.Resolve(core.Order{}, newValidator(t, tt.opts...).Step())
		if err != nil {
			t.Fatal(err)
		}
		s := p.Steps()[0]
		if s.Name != "validate" || s.Scope != "call" || s.Stage != "guard" || s.Description.String() != tt.want {
			t.Errorf("got %+v: %s\nwant %s", s, s.Description, tt.want)
		}
	}
}
