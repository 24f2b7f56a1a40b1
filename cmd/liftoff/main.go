// Liftoff sends messages to RocketMQ from the command line, runs the embedded
// cluster as a server, and shows how a producer is put together.
//
//	liftoff broker --listen 127.0.0.1:9876
//	liftoff send --namesrv 127.0.0.1:9876 --topic orders --file orders.txt
//	liftoff pipeline
package main

import (
	"context"
	"os"
	"os/signal"
	"syscall"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	// The first signal asks for an orderly end. The second one meets the
	// default again and ends the process at once.
	context.AfterFunc(ctx, stop)
	os.Exit(Run(ctx, os.Args[1:], os.Stdin, os.Stdout, os.Stderr))
}
