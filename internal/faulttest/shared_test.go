package faulttest_test

import (
	"bytes"
	"context"
	"fmt"
	"reflect"
	"sync"
	"testing"
	"time"

	"github.com/liftoff-mq/liftoff"
	"github.com/liftoff-mq/liftoff/core"
	"github.com/liftoff-mq/liftoff/core/rocketmq"
	"github.com/liftoff-mq/liftoff/hooks/compress"
	"github.com/liftoff-mq/liftoff/transport/embedded"
)

// The same message value, sent 100 times in every mode from 8 goroutines at once,
// over loopback and through the whole default chain with a namespace and with
// compression: it is unchanged afterwards, and each copy that arrived is whole.
// The race detector sees a write to it that put the old value back.
func TestOneMessageSentByManyGoroutines(t *testing.T) {
	const goroutines, sends = 8, 100
	codecs := map[string]func() (core.Compressor, error){
		"zlib": func() (core.Compressor, error) { return compress.Zlib(compress.DefaultLevel) },
		"lz4":  func() (core.Compressor, error) { return compress.LZ4(), nil },
		"zstd": func() (core.Compressor, error) { return compress.Zstd(compress.DefaultLevel) },
	}
	for name, codec := range codecs {
		t.Run(name, func(t *testing.T) {
			c, err := codec()
			if err != nil {
				t.Fatal(err)
			}
			w := newWorldOf(t, embedded.Config{Brokers: embedded.BrokerNames(2)})
			if err := w.CreateTopic("ns%T", 4); err != nil {
				t.Fatal(err)
			}
			p := w.startWith(t, liftoff.Config{Namespace: "ns", Timeout: time.Minute, AttemptTimeout: time.Minute}, liftoff.WithCompressor(c))
			m := &core.Message{
				Topic: "T", Body: bytes.Repeat([]byte("a body that packs well; "), 500), Tag: "tag", Keys: []string{"k1", "k2"},
				Properties: map[string]string{"color": "blue", "size": "12"}, Flag: 42,
			}
			before := clone(m)
			body := &m.Body[0]
			var all sync.WaitGroup
			for g := range goroutines {
				all.Go(func() {
					for i := range sends {
						if err := sendShared(p.Producer, m, (g+i)%4); err != nil {
							t.Error(err)
						}
					}
				})
			}
			all.Wait()
			if err := p.Flush(bg); err != nil {
				t.Error(err)
			}
			if !reflect.DeepEqual(m, before) || body != &m.Body[0] {
				t.Errorf("the message became %+v", m)
			}
			const batches = goroutines * sends / 4
			waitFor(t, "all one-way sends have arrived", func() bool {
				return w.StoredCount("ns%T") >= goroutines*sends+batches
			})
			ids := map[string]bool{}
			packed := 0
			for _, s := range w.Stored("ns%T") {
				ids[s.UniqueID()] = true
				got, err := compress.Decompress(nil, s.Body, s.SysFlag, len(m.Body))
				if err != nil || !bytes.Equal(got, m.Body) {
					t.Fatalf("stored %d bytes that are not the body: %v", len(s.Body), err)
				}
				if s.SysFlag&rocketmq.SysCompressed != 0 {
					packed++
				}
				if s.Flag != m.Flag || s.Property("TAGS") != "tag" || s.Property("KEYS") != "k1 k2" || s.Property("color") != "blue" || s.Property("size") != "12" {
					t.Fatalf("stored %+v", s.Properties)
				}
			}
			want(t, "different ids", len(ids), goroutines*sends+batches)
			want(t, "packed", packed, goroutines*sends-batches)
		})
	}
}

// sendShared sends m in one of the four ways. Mode 3 is a batch of it twice.
func sendShared(p *core.Producer, m *core.Message, mode int) error {
	var err error
	switch mode {
	case 0:
		_, err = p.Send(bg, m)
	case 1:
		done := make(chan error, 1)
		p.SendAsync(bg, m, func(_ core.Result, err error) { done <- err })
		err = <-done
	case 2:
		err = p.SendOneway(bg, m)
	default:
		_, err = p.SendBatch(bg, []*core.Message{m, m})
	}
	if err != nil {
		return fmt.Errorf("mode %d: %w", mode, err)
	}
	return nil
}

// waitFor waits for what other goroutines bring about, in real time.
func waitFor(t testing.TB, what string, ok func() bool) {
	t.Helper()
	ctx, cancel := context.WithTimeout(bg, time.Minute)
	defer cancel()
	for !ok() {
		select {
		case <-ctx.Done():
			t.Fatalf("never: %s", what)
		case <-time.After(5 * time.Millisecond):
		}
	}
}
