package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"reflect"
	"regexp"
	"runtime/debug"
	"slices"
	"strings"
	"time"

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
	Recall   recallCmd   `cmd:"" help:"Take messages of the future back before their time."`
	Topic    topicCmd    `cmd:"" help:"Create topics, show their routes and offsets."`
	Message  messageCmd  `cmd:"" help:"Get stored messages by id or key."`
	Pipeline pipelineCmd `cmd:"" help:"Show the chain that a message travels through."`
	Plugin   pluginCmd   `cmd:"" help:"Begin a plugin: a selector and a step with their tests."`
	Policy   policyCmd   `cmd:"" help:"Write, check, explain and compare files of send policies."`

	VersionCmd versionCmd `cmd:"" name:"version" help:"Show the version."`
	HelpCmd    helpCmd    `cmd:"" name:"help" help:"Show the help of a command."`

	Version kong.VersionFlag `help:"Show the version."`
}

// versionCmd is "liftoff version", the same as --version.
type versionCmd struct{}

// Run prints the version.
func (versionCmd) Run(con console) error {
	_, err := fmt.Fprintln(con.out, version())
	return err
}

// helpCmd is "liftoff help send", the same as "liftoff send --help".
type helpCmd struct {
	Command []string `arg:"" optional:"" help:"The command, such as send or plugin new; without one, all of them."`
}

// Run prints the help. It does not return: see exitNow.
func (c *helpCmd) Run(parser *kong.Kong) error {
	_, err := parser.Parse(append(slices.Clip(c.Command), "--help"))
	return usage(err)
}

// console is where a command reads and writes. What is written to err is for people, so it is
// made printable; terminal is the same without that, for the progress bar.
type console struct {
	in       io.Reader
	out, err io.Writer
	terminal io.Writer
}

// Run parses args, runs the command and returns the exit status. The end of ctx
// asks a command to finish in good order.
func Run(ctx context.Context, args []string, stdin io.Reader, stdout, stderr io.Writer) (status int) {
	defer catchExit(&status)
	con := console{in: stdin, out: stdout, err: printable{stderr}, terminal: stderr}
	stderr = con.err
	var c commands
	parser, err := kong.New(&c,
		kong.Name("liftoff"),
		kong.Description("Send messages to RocketMQ, or be one."),
		kong.Writers(stdout, stderr),
		kong.Exit(func(code int) { panic(exitNow(code)) }),
		kong.ConfigureHelp(kong.HelpOptions{Compact: true, WrapUpperBound: 100}),
		kong.TypeMapper(reflect.TypeFor[time.Time](), kong.MapperFunc(decodeTime)),
		kong.Vars{"version": version()},
		kong.BindTo(ctx, (*context.Context)(nil)),
	)
	if err != nil {
		fmt.Fprintln(stderr, "liftoff:", err)
		return exitFail
	}
	parsed, err := parser.Parse(args)
	if err == nil {
		err = parsed.Run(con, parser)
	} else {
		err = usage(err)
	}
	var u *usageError
	var s statusError
	switch {
	case err == nil:
		return exitOK
	case errors.As(err, &s):
		return int(s)
	case errors.As(err, &u):
		fmt.Fprintf(stderr, "liftoff: %s\nTry: %s --help\n", inWords(err), commandOf(parser, args))
		return exitUsage
	case !errors.Is(err, errReported):
		fmt.Fprintln(stderr, "liftoff:", oneLine(err.Error()))
	}
	return exitFail
}

// oneLine puts what errors.Join has in lines behind each other.
func oneLine(text string) string { return strings.ReplaceAll(text, "\n", "; ") }

// decodeTime takes a time of a flag.
func decodeTime(words *kong.DecodeContext, target reflect.Value) error {
	var text string
	if err := words.Scan.PopValueInto("time", &text); err != nil {
		return err
	}
	at, err := time.Parse(time.RFC3339, text)
	if err != nil {
		return fmt.Errorf("%q is no time in the form of 2030-01-31T08:00:00Z (RFC 3339)", text)
	}
	target.Set(reflect.ValueOf(at))
	return nil
}

// inWords says a mistake of the command line without the parser's own terms.
func inWords(err error) string {
	text := fromVariable.ReplaceAllString(err.Error(), " (from $1)")
	text = likeFlag.ReplaceAllString(text, "$1: a value that begins with - is given as in $1=$2")
	text = noValue.ReplaceAllString(text, "a value is missing")
	text = oneLine(text)
	return noArgument.ReplaceAllStringFunc(text, func(found string) string {
		return strings.ToUpper(noArgument.FindStringSubmatch(found)[1]) + " is missing"
	})
}

// fromVariable is what the parser adds to an error about a variable of the environment. It goes up
// to the end of the text, because the value, which may have a password in it, has any characters.
var fromVariable = regexp.MustCompile(`(?s) \(from envar (\w+)=.*$`)

// noValue is what the parser says of a flag that is the last word and has no value.
var noValue = regexp.MustCompile(`expected [a-z0-9 ]+ value but got "EOL" \(<EOL>\)`)

// likeFlag is what the parser says of a flag whose value could be one.
var likeFlag = regexp.MustCompile(`(--[a-z0-9-]+): expected [a-z0-9 ]+ value but got "(-[^"]*)" \((?:short |long )?flag\)(?:; perhaps try .*\?)?`)

// noArgument is what the parser says of an argument that is not there.
var noArgument = regexp.MustCompile(`expected "<([a-z-]+)>(?: \.\.\.)?"`)

// commandOf is the command that args name, for as much of it as there is.
func commandOf(parser *kong.Kong, args []string) string {
	name, at := "liftoff", parser.Model.Node
	for _, arg := range args {
		i := slices.IndexFunc(at.Children, func(c *kong.Node) bool { return c.Name == arg })
		if i < 0 {
			break
		}
		at = at.Children[i]
		name += " " + at.Name
	}
	return name
}

// errReported ends a command whose failure, or whose answer "no", its own output has told.
var errReported = errors.New("it was told")

// statusError ends a command, whose failure its own output has told, with an exit status.
type statusError int

func (e statusError) Error() string { return fmt.Sprintf("exit status %d", int(e)) }

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
