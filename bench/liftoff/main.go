// Command liftoff is the contender Liftoff: the default producer, as [liftoff.New] makes it.
//
// Variants: "zstd" compresses with zstd instead of zlib; "autobatch" adds the step that joins sends;
// "pace" the one that paces one-way sends.
package main

import (
	"context"
	"fmt"
	"time"

	"github.com/liftoff-mq/liftoff"
	"github.com/liftoff-mq/liftoff/bench/load"
	"github.com/liftoff-mq/liftoff/core"
	"github.com/liftoff-mq/liftoff/hooks/compress"
	"github.com/liftoff-mq/liftoff/transport/remoting"
	"github.com/liftoff-mq/liftoff/transport/remoting/acl"
)

func main() { load.Main(open) }

func open(s *load.Spec) (*load.Contender, error) {
	body, err := s.Body()
	if err != nil {
		return nil, err
	}
	options, err := variant(s.Variant)
	if err != nil {
		return nil, err
	}
	cfg, err := liftoff.Defaults(liftoff.Config{
		Group: "bench_liftoff", NameServers: []string{s.NameServer}, ACL: acl.Config{CredentialsFile: s.Credentials},
		Client: remoting.Config{TLS: remoting.TLS{Enabled: s.CA != "", CAFile: s.CA}},
	}, options...)
	if err != nil {
		return nil, err
	}
	p, err := core.NewProducer(cfg)
	if err != nil {
		return nil, err
	}
	ctx := context.Background()
	if err := p.Start(ctx); err != nil {
		return nil, err
	}
	// A message of its own for each send, as applications do.
	message := func() *core.Message { return &core.Message{Topic: s.Topic, Body: body} }
	c := &load.Contender{
		Send: func() error {
			_, err := p.Send(ctx, message())
			return err
		},
		Async: func(done func(error)) func() {
			back := func(_ core.Result, err error) { done(err) }
			return func() { p.SendAsync(ctx, message(), back) }
		},
		Counters: func() map[string]float64 { return counters(cfg.Transport) },
		Close: func() error {
			ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
			defer cancel()
			return p.Shutdown(ctx)
		},
	}
	switch {
	case s.Mode == load.Oneway:
		c.Send = func() error { return p.SendOneway(ctx, message()) }
	case s.Batch > 1:
		c.Send = func() error {
			messages, batch := make([]core.Message, s.Batch), make([]*core.Message, s.Batch)
			for i := range batch {
				messages[i] = core.Message{Topic: s.Topic, Body: body}
				batch[i] = &messages[i]
			}
			_, err := p.SendBatch(ctx, batch)
			return err
		}
	}
	return c, nil
}

func variant(name string) ([]liftoff.Option, error) {
	switch name {
	case "":
		return nil, nil
	case "zstd":
		codec, err := compress.Zstd(compress.DefaultLevel)
		return []liftoff.Option{liftoff.WithCompressor(codec)}, err
	case "autobatch":
		return autobatch()
	case "pace":
		return paced()
	default:
		return nil, fmt.Errorf("variant %q is none", name)
	}
}

// counters are the client's system calls.
func counters(t core.Transport) map[string]float64 {
	c, ok := t.(*remoting.Client)
	if !ok {
		return nil
	}
	s := c.Stats()
	return map[string]float64{"writes": float64(s.Writes), "reads": float64(s.Reads)}
}
