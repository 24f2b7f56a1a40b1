package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"runtime/debug"

	"github.com/alecthomas/kong"
)

// The exit statuses.
const (
	exitOK    = 0 // everything was done; send: every line was acknowledged
	exitFail  = 1 // something was not
	exitUsage = 2 // the command line is wrong, nothing was done
)

// commands is the command line, for kong.
type commands struct {
	Broker   brokerCmd   `cmd:"" help:"Run name server and brokers in this process, for development and tests."`
	Send     sendCmd     `cmd:"" help:"Send a file or standard input, one message a line."`
	Pipeline pipelineCmd `cmd:"" help:"Show the chain that a message travels through."`

	Version kong.VersionFlag `help:"Show the version."`
}

// console is where a command reads and writes.
type console struct {
	in       io.Reader
	out, err io.Writer
}

// Run parses args, runs the command and returns the exit status. The end of ctx
// asks a command to finish in good order.
func Run(ctx context.Context, args []string, stdin io.Reader, stdout, stderr io.Writer) (status int) {
	defer catchExit(&status)
	var c commands
	parser, err := kong.New(&c,
		kong.Name("liftoff"),
		kong.Description("Send messages to RocketMQ, or be one."),
		kong.Writers(stdout, stderr),
		kong.Exit(func(code int) { panic(exitNow(code)) }),
		kong.ConfigureHelp(kong.HelpOptions{Compact: true, WrapUpperBound: 100}),
		kong.Vars{"version": version()},
		kong.BindTo(ctx, (*context.Context)(nil)),
	)
	if err != nil {
		fmt.Fprintln(stderr, "liftoff:", err)
		return exitFail
	}
	parsed, err := parser.Parse(args)
	if err == nil {
		err = parsed.Run(console{stdin, stdout, stderr})
	} else {
		err = usage(err)
	}
	var u *usageError
	switch {
	case err == nil:
		return exitOK
	case errors.As(err, &u):
		fmt.Fprintf(stderr, "liftoff: %v\nTry: %s --help\n", err, commandOf(parser, args))
		return exitUsage
	case !errors.Is(err, errReported):
		fmt.Fprintln(stderr, "liftoff:", err)
	}
	return exitFail
}

// commandOf is the command that args name, for as much of it as there is.
func commandOf(parser *kong.Kong, args []string) string {
	for _, c := range parser.Model.Children {
		if len(args) > 0 && args[0] == c.Name {
			return "liftoff " + c.Name
		}
	}
	return "liftoff"
}

// errReported ends a command whose failure its own output has told.
var errReported = errors.New("some lines were not acknowledged")

// usageError is a mistake in the command line.
type usageError struct{ err error }

func usage(err error) error { return &usageError{err} }

func (e *usageError) Error() string { return e.err.Error() }
func (e *usageError) Unwrap() error { return e.err }

// exitNow carries the status of --help and --version, which kong ends at once,
// through kong's frames to Run.
type exitNow int

func catchExit(status *int) {
	switch v := recover().(type) {
	case nil:
	case exitNow:
		*status = int(v)
	default:
		panic(v)
	}
}

// version is the module's version as the go command recorded it.
func version() string {
	info, ok := debug.ReadBuildInfo()
	if !ok || info.Main.Version == "" {
		return "liftoff (devel)"
	}
	return "liftoff " + info.Main.Version
}
