package main

import (
	"errors"
	"fmt"
	"log/slog"

	"github.com/liftoff-mq/liftoff"
	"github.com/liftoff-mq/liftoff/core"
	"github.com/liftoff-mq/liftoff/hooks/accumulate"
	"github.com/liftoff-mq/liftoff/hooks/compress"
	"github.com/liftoff-mq/liftoff/strategies/pace"
	"github.com/liftoff-mq/liftoff/strategies/retry"
	"github.com/liftoff-mq/liftoff/transport/remoting"
	"github.com/liftoff-mq/liftoff/transport/remoting/acl"
)

// accessFlags are the credentials for a cluster with access control.
type accessFlags struct {
	AccessKey     string     `env:"LIFTOFF_ACCESS_KEY" placeholder:"KEY" help:"Access key, for a cluster with access control."`
	SecretKey     acl.Secret `env:"LIFTOFF_SECRET_KEY" placeholder:"SECRET" help:"Its secret key. Better in the environment or in a file: others can see command lines."`
	SecurityToken acl.Secret `env:"LIFTOFF_SECURITY_TOKEN" placeholder:"TOKEN" help:"Security token of temporary keys. Better in the environment or in a file."`
	Credentials   string     `env:"LIFTOFF_CREDENTIALS" placeholder:"FILE" help:"File of lines accessKey=, secretKey=, securityToken= instead of these three; it is watched for changes."`
}

// sign makes a client sign its requests, if credentials are given. What becomes of a file of
// them is logged.
func (f *accessFlags) sign(settings *remoting.Config, log *slog.Logger) error {
	keys := acl.Config{AccessKey: f.AccessKey, SecretKey: f.SecretKey, SecurityToken: f.SecurityToken}
	file := acl.Config{CredentialsFile: f.Credentials}
	var err error
	switch {
	case keys.IsZero() && file.IsZero():
	case file.IsZero():
		if settings.Signer, err = keys.Signer(log); err != nil {
			err = fmt.Errorf("--access-key, --secret-key, --security-token: %w", err)
		}
	case keys.IsZero():
		if settings.Signer, err = file.Signer(log); err != nil {
			err = fmt.Errorf("--credentials: %w", err)
		}
	default:
		err = errors.New("--credentials is given beside --access-key, --secret-key or --security-token, by flags or by LIFTOFF_... in the environment: give one of them")
	}
	return err
}

// producer is the default producer with what the flags change, and its client.
func (c *sendCmd) producer(log *slog.Logger) (*core.Producer, *remoting.Client, error) {
	client, err := c.Connect.client(log)
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
