package core_test

import (
	"context"
	"errors"
	"strings"
	"testing"

	"github.com/liftoff-mq/liftoff/core"
	"github.com/liftoff-mq/liftoff/core/coretest"
)

// Without the validation step a value with a separator ended the value and began a property
// that nobody set, such as a delay.
func TestPropertiesThatWouldInjectOthers(t *testing.T) {
	const inject = "x\x02DELAY\x0118"
	for name, m := range map[string]*core.Message{
		"tag":          {Tag: inject},
		"key":          {Keys: []string{"k", inject}},
		"sharding key": {ShardingKey: inject},
		"value":        {Properties: map[string]string{"a": inject}},
		"name":         {Properties: map[string]string{"a\x01b": "c"}},
		"empty value":  {Properties: map[string]string{"a": ""}},
		"empty name":   {Properties: map[string]string{"": "a"}},
		"empty key":    {Keys: []string{""}},
	} {
		t.Run(name, func(t *testing.T) {
			tr := &coretest.Transport{}
			p := coretest.Start(t, coretest.Config(tr))
			m.Topic, m.Body = "T", []byte("x")
			_, single := p.Send(t.Context(), m)
			_, batch := p.SendBatch(t.Context(), []*core.Message{coretest.Message("first"), m})
			for _, err := range []error{single, batch} {
				if !errors.Is(err, core.ErrInvalidMessage) || core.CertaintyOf(err) != core.NotSent || !strings.Contains(err.Error(), "property ") {
					t.Errorf("got %v", err)
				}
			}
			if n := len(tr.Attempts()); n > 0 {
				t.Errorf("%d attempts", n)
			}
		})
	}
	tr := &coretest.Transport{}
	p := coretest.Start(t, coretest.Config(tr))
	m := coretest.Message("x")
	m.Tag, m.Keys, m.ShardingKey, m.Properties = "t", []string{"k1", "k2"}, "s", map[string]string{"a": "\x00\x03 b"}
	if _, err := p.Send(t.Context(), m); err != nil {
		t.Error(err)
	}
}

// Brokers dispatch light queues, lite topics and priorities for single messages only, and drop
// them in a batch without a word.
func TestBatchesOfWhatBrokersIgnoreThere(t *testing.T) {
	for _, name := range []string{"INNER_MULTI_DISPATCH", "__LITE_TOPIC", "_SYS_MSG_PRIORITY_"} {
		set := core.CallStep("set", core.StageShape, core.InterceptorFunc(func(ctx context.Context, c *core.Call, next core.Handler) (*core.Result, error) {
			for o := range c.All() {
				if o.Message().Tag == "set" {
					o.SetProperty(name, "1")
				}
			}
			return next(ctx, c)
		}))
		tr := &coretest.Transport{}
		p := coretest.Start(t, coretest.Config(tr, set))
		own, step := coretest.Message("own"), coretest.Message("step")
		own.Properties = map[string]string{name: "1"}
		step.Tag = "set"
		for _, m := range []*core.Message{own, step} {
			_, err := p.SendBatch(t.Context(), []*core.Message{coretest.Message("x"), m})
			if !errors.Is(err, core.ErrInvalidMessage) || core.CertaintyOf(err) != core.NotSent || !strings.Contains(err.Error(), `"`+name+`" in a batch`) {
				t.Errorf("%s: %v", name, err)
			}
			if _, err := p.Send(t.Context(), m); err != nil {
				t.Errorf("%s alone: %v", name, err)
			}
		}
		if n := len(tr.Attempts()); n != 2 {
			t.Errorf("%s: %d attempts", name, n)
		}
	}
}
