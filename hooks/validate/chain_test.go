package validate_test

import (
	"context"
	"errors"
	"reflect"
	"strings"
	"sync"
	"testing"

	"github.com/liftoff-mq/liftoff/core"
	"github.com/liftoff-mq/liftoff/core/coretest"
	"github.com/liftoff-mq/liftoff/core/rocketmq"
	"github.com/liftoff-mq/liftoff/hooks/compress"
	"github.com/liftoff-mq/liftoff/hooks/namespace"
	"github.com/liftoff-mq/liftoff/hooks/validate"
	"github.com/liftoff-mq/liftoff/internal/race"
)

// chain are the local steps that a default producer has.
func chain(tb testing.TB) []core.Step {
	tb.Helper()
	ns, err := namespace.New("ns")
	if err != nil {
		tb.Fatal(err)
	}
	codec, err := compress.Zlib(compress.DefaultLevel)
	if err != nil {
		tb.Fatal(err)
	}
	c, err := compress.New(codec)
	if err != nil {
		tb.Fatal(err)
	}
	return []core.Step{c.Step(), ns.Step(), newValidator(tb).Step()}
}

func TestChainOrderAndSizeBeforeCompression(t *testing.T) {
	tr := &coretest.Transport{}
	p := coretest.Start(t, config(tr, chain(t)...))
	if call, _ := p.Pipeline().Names(); !reflect.DeepEqual(call, []string{"validate", "namespace", "compress.zlib"}) {
		t.Errorf("order %v", call)
	}
	// A body that packs into little is still too long.
	_, err := p.Send(context.Background(), &core.Message{Topic: "T", Body: make([]byte, 4<<20+1)})
	checkBroken(t, err, []want{{"Body", validate.TooLong, "4194305"}})
	if _, err := p.Send(context.Background(), &core.Message{Topic: "T", Body: make([]byte, 4<<20)}); err != nil {
		t.Fatal(err)
	}
	if s := tr.Attempts()[0]; s.Topic != "ns%T" || s.Codec != "zlib" || len(s.Body) > 1<<20 {
		t.Errorf("topic %q, codec %q, %d bytes", s.Topic, s.Codec, len(s.Body))
	}
}

// Core counts the properties again, after every step.
func TestPropertiesThatLaterStepsAddCount(t *testing.T) {
	const other = 8 + 32 + 2 + 1 + 2
	p := coretest.Start(t, config(&coretest.Transport{}, chain(t)...))
	_, err := p.Send(context.Background(), with(func(m *core.Message) {
		m.Properties = map[string]string{"n": strings.Repeat("v", rocketmq.MaxPropertiesLength-other)}
	}))
	if !errors.Is(err, core.ErrInvalidMessage) || core.CertaintyOf(err) != core.NotSent {
		t.Errorf("got %v", err)
	}
}

func TestChainLeavesASharedMessageAlone(t *testing.T) {
	p := coretest.Start(t, config(&coretest.Transport{Forget: true}, chain(t)...))
	long := func() *core.Message {
		m := fullMessage()
		m.Body = []byte(strings.Repeat("the same again and again ", 400))
		return m
	}
	m, orig := long(), long()
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			for range 100 {
				if _, err := p.Send(context.Background(), m); err != nil {
					t.Error(err)
					return
				}
			}
		})
	}
	wg.Wait()
	if !reflect.DeepEqual(m, orig) {
		t.Errorf("the message changed")
	}
}

func TestChainAllocatesNothing(t *testing.T) {
	if race.Enabled {
		t.Skip("the race detector allocates")
	}
	p := coretest.Start(t, config(&coretest.Transport{Forget: true}, chain(t)...))
	m := fullMessage()
	if n := testing.AllocsPerRun(1000, func() {
		if _, err := p.Send(context.Background(), m); err != nil {
			t.Fatal(err)
		}
	}); n != 0 {
		t.Errorf("the chain costs %v allocations, want 0", n)
	}
}

func BenchmarkChain(b *testing.B) {
	p := coretest.Start(b, config(&coretest.Transport{Forget: true}, chain(b)...))
	m := fullMessage()
	b.ReportAllocs()
	for b.Loop() {
		if _, err := p.Send(context.Background(), m); err != nil {
			b.Fatal(err)
		}
	}
}
