package main

import (
	"github.com/liftoff-mq/liftoff"
	"github.com/liftoff-mq/liftoff/core"
	"github.com/liftoff-mq/liftoff/hooks/accumulate"
	"github.com/liftoff-mq/liftoff/hooks/compress"
	"github.com/liftoff-mq/liftoff/strategies/pace"
	"github.com/liftoff-mq/liftoff/strategies/retry"
	"github.com/liftoff-mq/liftoff/transport/remoting"
)

// producer is the default producer with what the flags change, and its client.
func (c *sendCmd) producer() (*core.Producer, *remoting.Client, error) {
	client, err := c.client()
	if err != nil {
		return nil, nil, err
	}
	options, err := c.options()
	if err != nil {
		return nil, nil, err
	}
	producer, err := liftoff.New(liftoff.Config{
		Group:   c.Group,
		Timeout: c.Timeout,
		// The sender holds concurrency lines and no more; the producer's own
		// limits stay out of its way.
		MaxInFlight:      c.Concurrency,
		MaxInFlightBytes: int64(c.Concurrency) * maxBody,
	}, append(options, liftoff.WithOwnClient(client))...)
	return producer, client, err
}

func (c *sendCmd) options() ([]liftoff.Option, error) {
	compression, err := compressionOf(c.Compress)
	if err != nil {
		return nil, err
	}
	options := []liftoff.Option{compression, liftoff.WithRetry(retryOf(c.Retry))}
	if c.Accumulate {
		a, err := accumulate.New(accumulate.Config{})
		if err != nil {
			return nil, err
		}
		options = append(options, liftoff.WithHooks(a))
	}
	if c.Pace {
		p, err := pace.New(pace.Config{})
		if err != nil {
			return nil, err
		}
		options = append(options, liftoff.WithHooks(p))
	}
	return options, nil
}

func retryOf(name string) core.RetryPolicy {
	switch name {
	case "safe":
		return retry.Safe()
	case "none":
		return retry.AtLeastOnce(retry.Retries(0))
	default:
		return retry.AtLeastOnce()
	}
}

func compressionOf(name string) (liftoff.Option, error) {
	var codec core.Compressor
	var err error
	switch name {
	case "zlib":
		codec, err = compress.Zlib(compress.DefaultLevel)
	case "lz4":
		codec = compress.LZ4()
	case "zstd":
		codec, err = compress.Zstd(compress.DefaultLevel)
	default:
		return liftoff.WithoutCompression(), nil
	}
	return liftoff.WithCompressor(codec), err
}
