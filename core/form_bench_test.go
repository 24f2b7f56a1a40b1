package core_test

import (
	"context"
	"strings"
	"testing"

	"github.com/liftoff-mq/liftoff/core"
	"github.com/liftoff-mq/liftoff/core/coretest"
	"github.com/liftoff-mq/liftoff/core/rocketmq"
)

// appendText appends the text form of the properties.
func appendText(dst []byte, out *core.Outgoing) ([]byte, error) {
	for name, value := range out.Properties() {
		dst = append(dst, name...)
		dst = append(dst, rocketmq.NameValueSeparator)
		dst = value.AppendTo(dst)
		dst = append(dst, rocketmq.PropertySeparator)
	}
	return dst, nil
}

// BenchmarkForm is a batch of 32 whose transport encodes the properties.
func BenchmarkForm(b *testing.B) {
	t := &coretest.Transport{Forget: true}
	t.Do = func(_ context.Context, at *core.Attempt) (*core.Result, error) {
		for o := range at.Call().All() {
			if _, err := o.Form(appendText); err != nil {
				return nil, err
			}
		}
		return t.Ack(at), nil
	}
	p := coretest.Start(b, coretest.Config(t))
	msgs := make([]*core.Message, 32)
	for i := range msgs {
		msgs[i] = coretest.Message(strings.Repeat("x", 128))
		msgs[i].Tag, msgs[i].Keys = "tag", []string{"key"}
	}
	b.ReportAllocs()
	for b.Loop() {
		if _, err := p.SendBatch(context.Background(), msgs); err != nil {
			b.Fatal(err)
		}
	}
}
