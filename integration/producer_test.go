package integration

import (
	"context"
	"testing"
	"time"

	"github.com/liftoff-mq/liftoff"
	"github.com/liftoff-mq/liftoff/core"
	"github.com/liftoff-mq/liftoff/hooks/compress"
	"github.com/liftoff-mq/liftoff/transport/remoting"
)

// producerOptions is what a test changes about the default producer.
type producerOptions struct {
	group         string        // a common one when empty
	compression   string        // "" for the default, or a key of compressionBits
	serialization string        // "JSON", or binary
	timeout       time.Duration // of the call and of each attempt; the defaults when 0
}

// newProducer starts a default producer and shuts it down when the test ends.
func newProducer(t *testing.T, nameServer string, o producerOptions) *core.Producer {
	t.Helper()
	cfg := liftoff.Config{Group: "integration", NameServers: []string{nameServer}, Timeout: o.timeout, AttemptTimeout: o.timeout}
	if o.group != "" {
		cfg.Group = o.group
	}
	if o.serialization == "JSON" {
		cfg.Client.Serialization = remoting.JSON
	}
	var opts []liftoff.Option
	switch o.compression {
	case "":
	case "none":
		opts = append(opts, liftoff.WithoutCompression())
	default:
		opts = append(opts, liftoff.WithCompressor(codec(t, o.compression)))
	}
	p, err := liftoff.New(cfg, opts...)
	return startProducer(t, p, err)
}

// startProducer starts what a constructor gave, and shuts it down when the test ends.
func startProducer(t *testing.T, p *core.Producer, err error) *core.Producer {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
	if err := p.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
		defer cancel()
		if err := p.Shutdown(ctx); err != nil {
			t.Errorf("shutdown: %v", err)
		}
	})
	return p
}

func codec(t *testing.T, name string) core.Compressor {
	t.Helper()
	var c core.Compressor
	var err error
	switch name {
	case "zlib":
		c, err = compress.Zlib(compress.DefaultLevel)
	case "lz4":
		c = compress.LZ4()
	case "zstd":
		c, err = compress.Zstd(compress.DefaultLevel)
	default:
		t.Fatalf("no codec %q", name)
	}
	if err != nil {
		t.Fatal(err)
	}
	return c
}
