package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/liftoff-mq/liftoff/transport/remoting"
	"github.com/liftoff-mq/liftoff/transport/remoting/admin"
)

// adminFlags are the flags of every command that asks a cluster something.
type adminFlags struct {
	Connect connectFlags  `embed:""`
	Timeout time.Duration `default:"6s" placeholder:"D" help:"Time for one request to one server (${default})."`
}

// run lets do ask. A mistake in an argument is one in the command line.
func (f *adminFlags) run(ctx context.Context, con console, do func(context.Context, *admin.Admin) error) error {
	if f.Timeout < time.Millisecond || f.Timeout > 24*time.Hour {
		return usage(fmt.Errorf("--timeout %v: want 1ms to 24h", f.Timeout))
	}
	if err := f.Connect.check(); err != nil {
		return usage(err)
	}
	client, err := f.Connect.client(slog.New(slog.NewTextHandler(con.err, nil)))
	if err != nil {
		return usage(err)
	}
	asker, err := admin.New(client, admin.Config{Timeout: f.Timeout})
	if err != nil {
		return usage(err)
	}
	if err := client.Start(ctx); err != nil {
		return err
	}
	err = do(ctx, asker)
	var wrong *admin.ArgumentError
	if errors.As(err, &wrong) {
		err = usage(errors.New(wrong.Reason))
	}
	return errors.Join(err, disconnect(ctx, client))
}

func disconnect(ctx context.Context, client *remoting.Client) error {
	stop, cancel := context.WithTimeout(context.WithoutCancel(ctx), shutdownTime)
	defer cancel()
	return client.Shutdown(stop)
}
