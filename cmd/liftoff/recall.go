package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"iter"
	"log/slog"
	"slices"
	"strings"
	"time"

	"github.com/liftoff-mq/liftoff"
	"github.com/liftoff-mq/liftoff/core"
	"github.com/liftoff-mq/liftoff/hooks/validate"
	"github.com/liftoff-mq/liftoff/internal/words"
)

// recallCmd are the flags of "liftoff recall".
type recallCmd struct {
	Connect connectFlags  `embed:""`
	Topic   string        `required:"" help:"Topic that the messages were sent to."`
	Group   string        `default:"liftoff_recall" help:"Producer group."`
	Timeout time.Duration `default:"3s" placeholder:"D" help:"Time for one message (${default})."`
	JSON    bool          `name:"json" help:"Print one JSON result a handle to standard output."`
	Handle  []string      `arg:"" help:"What a message is taken back with: the recallHandle of its result. - reads handles from standard input, one a line."`
}

// Help is the long help of "liftoff recall".
func (recallCmd) Help() string {
	return `Takes messages of the future back before their time: what was sent with --deliver-at or --delay to a broker from 5.3.2 on. "liftoff send --json" prints the handle of each. Brokers take recalls only with recallMessageEnable=true in their configuration.

A broker says whether it took a recall, and not whether the message was still there: that it was delivered or recalled before is no error, unless its time has come by the handle.

For each handle the unique id of its message is printed, or with --json an object:

    {"handle":"...","msgId":"..."}
    {"handle":"...","error":"...","class":"rejected","certainty":"not-stored"}

A line that is longer than 64 KiB is no handle: the object has its number as "line" in place of the handle.

Certainty says what became of a recall that failed: after maybe-stored the broker may have taken it. It does no harm to recall again.

The first interrupt stops the reading, also while it waits for input; the second ends the program at once.

The exit status is 0 if every message was recalled, 1 if some were not, and 2 for wrong usage.

` + connectHelp + `

Examples:

    liftoff recall --namesrv 127.0.0.1:9876 --topic reminders djEgcmVtaW5kZXJz...
    jq -r .recallHandle results.jsonl | liftoff recall --namesrv 127.0.0.1:9876 --topic reminders -`
}

// recalledLine is a result of --json.
type recalledLine struct {
	Handle    string          `json:"handle,omitempty"`
	Line      int             `json:"line,omitempty"` // in place of the handle
	MsgID     string          `json:"msgId,omitempty"`
	Error     string          `json:"error,omitempty"`
	Class     *core.Class     `json:"class,omitempty"`
	Certainty *core.Certainty `json:"certainty,omitempty"`
}

// Run recalls the messages, one after the other.
func (c *recallCmd) Run(ctx context.Context, con console) error {
	if err := c.check(); err != nil {
		return usage(err)
	}
	client, err := c.Connect.client(slog.New(slog.NewTextHandler(con.err, nil)))
	if err != nil {
		return usage(err)
	}
	producer, err := liftoff.New(liftoff.Config{Group: c.Group, Timeout: c.Timeout}, liftoff.WithOwnClient(client))
	if err != nil {
		return usage(err)
	}
	if err := producer.Start(ctx); err != nil {
		return err
	}
	failed := 0
	for h, readErr := range c.handles(ctx, con) {
		if err = readErr; err != nil {
			break
		}
		id, recallErr := "", h.err
		if recallErr == nil {
			id, recallErr = producer.Recall(ctx, c.Topic, h.text)
		}
		if recallErr != nil {
			failed++
		}
		if err = c.print(con, h, id, recallErr); err != nil || ctx.Err() != nil {
			break
		}
	}
	if ctx.Err() != nil {
		err = errors.Join(err, context.Cause(ctx))
	}
	if err = errors.Join(err, end(ctx, producer)); err == nil && failed > 0 {
		err = errReported
	}
	return err
}

func (c *recallCmd) check() error {
	if err := validate.Topic(c.Topic); err != nil {
		return fmt.Errorf("--topic: %w", err)
	}
	if c.Timeout < time.Millisecond || c.Timeout > 24*time.Hour {
		return fmt.Errorf("--timeout %v: want 1ms to 24h", c.Timeout)
	}
	if len(c.Handle) > 1 && slices.Contains(c.Handle, "-") {
		return errors.New("- beside handles: give either")
	}
	return c.Connect.check()
}

// maxHandle is the longest line that can be a handle: those of RocketMQ have some hundred bytes.
const maxHandle = 64 << 10

// handle is what one message is taken back with.
type handle struct {
	text string
	line int   // of standard input; 0 for one of the command line
	err  error // of a line that is too long: it has no text
}

// handles are those of the command line or, for -, of standard input without blank lines. They
// end with ctx: a read that blocks then is left behind.
func (c *recallCmd) handles(ctx context.Context, con console) iter.Seq2[handle, error] {
	return func(yield func(handle, error) bool) {
		if !slices.Equal(c.Handle, []string{"-"}) {
			for _, h := range c.Handle {
				if !yield(handle{text: h}, nil) {
					return
				}
			}
			return
		}
		ctx, stop := context.WithCancel(ctx)
		defer stop()
		lines := make(chan handle)
		ended := make(chan error, 1)
		go func() {
			defer close(lines)
			ended <- readHandles(ctx, con.in, lines)
		}()
		for {
			h, ok := take(ctx, lines)
			if !ok {
				break
			}
			if !yield(h, nil) {
				return
			}
		}
		select {
		case err := <-ended:
			if err != nil {
				yield(handle{}, err)
			}
		case <-ctx.Done():
		}
	}
}

// readHandles hands the lines over that are not blank.
func readHandles(ctx context.Context, in io.Reader, lines chan<- handle) error {
	reader := newLineReader(in, maxHandle)
	for n := 1; ; n++ {
		line, _, err := reader.next()
		h := handle{text: strings.TrimSpace(string(line)), line: n}
		var long *lineTooLong
		switch {
		case errors.Is(err, io.EOF):
			return nil
		case errors.As(err, &long):
			h.err = unsendable(err)
		case err != nil:
			return fmt.Errorf("read line %d: %w", n, err)
		case h.text == "":
			continue
		}
		select {
		case lines <- h:
		case <-ctx.Done():
			return nil
		}
	}
}

// tooLate explains a broker's words "timestamp invalid".
func tooLate(failure error) string {
	var answer *core.BrokerError
	if errors.As(failure, &answer) && strings.Contains(answer.Remark, "timestamp invalid") {
		return "; its time has come or is too near"
	}
	return ""
}

func (c *recallCmd) print(con console, h handle, id string, failure error) error {
	if !c.JSON {
		var err error
		if failure != nil {
			name := words.Line(h.text, 80)
			if h.err != nil {
				name = fmt.Sprintf("line %d", h.line)
			}
			fmt.Fprintf(con.err, "%s: %s\n", name, shortError(failure)+tooLate(failure))
		} else {
			_, err = fmt.Fprintln(printable{con.out}, id)
		}
		return err
	}
	line := recalledLine{Handle: h.text, MsgID: id}
	if h.err != nil {
		line.Line = h.line
	}
	if failure != nil {
		class, certainty := core.ClassOf(failure), core.CertaintyOf(failure)
		line.Error, line.Class, line.Certainty = words.Err(failure)+tooLate(failure), &class, &certainty
	}
	text, err := json.Marshal(line)
	if err == nil {
		_, err = con.out.Write(append(printableJSON(text), '\n'))
	}
	return err
}
