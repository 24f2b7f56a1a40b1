package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/liftoff-mq/liftoff/core/rocketmq"
	"github.com/liftoff-mq/liftoff/transport/embedded"
	"github.com/liftoff-mq/liftoff/transport/wire"
)

// What is sent for the future has a handle, and the command takes it back.
func TestRecallCommand(t *testing.T) {
	c := embedded.New(t, embedded.Config{Brokers: embedded.BrokerNames(2)})
	due := time.Now().Add(time.Hour)
	var handles, ids []string
	for _, flags := range [][]string{{"--delay", "1h"}, {"--deliver-at", due.Format(time.RFC3339)}} {
		var line ackedLine
		if err := json.Unmarshal([]byte(mustRun(t, "later\n", sendArgs(c, append(flags, "--json")...)...)), &line); err != nil || line.RecallHandle == "" {
			t.Fatalf("%v: %+v, %v", flags, line, err)
		}
		handle, err := rocketmq.ParseRecallHandle(line.RecallHandle)
		if err != nil || handle.DeliverAt.Sub(due).Abs() > time.Minute {
			t.Errorf("%v: handle %+v, %v", flags, handle, err)
		}
		handles, ids = append(handles, line.RecallHandle), append(ids, line.MsgID)
	}
	recall := func(args ...string) []string {
		return at(c, append([]string{"recall", "--topic", "orders"}, args...)...)
	}
	if got := mustRun(t, "", recall(handles[0])...); got != ids[0]+"\n" {
		t.Errorf("recalled %q, want %q", got, ids[0])
	}
	got := program(t, "\n"+handles[1]+"\r\nnonsense\n", recall("--json", "-")...)
	lines := strings.Split(strings.TrimSpace(got.out), "\n")
	if got.status != exitFail || len(lines) != 2 {
		t.Fatalf("%+v", got)
	}
	if want := `{"handle":"` + handles[1] + `","msgId":"` + ids[1] + `"}`; lines[0] != want {
		t.Errorf("got  %s\nwant %s", lines[0], want)
	}
	if !strings.HasPrefix(lines[1], `{"handle":"nonsense","error":"`) || !strings.HasSuffix(lines[1], `,"class":"invalid","certainty":"not-sent"}`) {
		t.Errorf("got %s", lines[1])
	}
	if n := len(c.Requests(wire.RecallMessage)); n != 2 {
		t.Errorf("%d requests", n)
	}
	if got := program(t, "", recall("nonsense")...); got.status != exitFail || got.out != "" || !strings.HasPrefix(got.err, "nonsense: invalid, not-sent: rocketmq: not a recall handle") {
		t.Errorf("%+v", got)
	}
	past, err := rocketmq.ParseRecallHandle(handles[0])
	if err != nil {
		t.Fatal(err)
	}
	past.DeliverAt = time.Now().Add(-time.Minute)
	for _, flags := range [][]string{{past.String()}, {"--json", past.String()}} {
		if got := program(t, "", recall(flags...)...); got.status != exitFail || !strings.Contains(got.out+got.err, "timestamp invalid; its time has come or is too near") {
			t.Errorf("%+v", got)
		}
	}
	for name, args := range map[string][]string{
		"HANDLE is missing":      recall(),
		"- beside handles":       recall("-", handles[0]),
		"--timeout 0s":           recall("--timeout", "0s", handles[0]),
		"--topic: ":              at(c, "recall", "--topic", "a.b", handles[0]),
		"missing flags: --topic": at(c, "recall", handles[0]),
	} {
		if got := program(t, "", args...); got.status != exitUsage || !strings.Contains(got.err, name) {
			t.Errorf("%v: %+v, want %q", args, got, name)
		}
	}
}

// whileWaiting is an input that does something when all of it was read, and then does not end.
type whileWaiting struct {
	io.Reader
	do   func()
	ends chan struct{}
}

func (r *whileWaiting) Read(p []byte) (int, error) {
	n, err := r.Reader.Read(p)
	if err == io.EOF {
		r.do()
		<-r.ends
	}
	return n, err
}

// An interrupt ends the command also while it waits for handles.
func TestRecallEndsWhileItWaits(t *testing.T) {
	c := embedded.New(t, embedded.Config{})
	ctx, interrupt := context.WithCancel(t.Context())
	in := &whileWaiting{strings.NewReader("nonsense\n"), interrupt, make(chan struct{})}
	ended := make(chan output, 1)
	go func() { ended <- runWith(ctx, in, at(c, "recall", "--topic", "t", "-")...) }()
	select {
	case got := <-ended:
		if got.status != exitFail || got.out != "" || !strings.Contains(got.err, "canceled") {
			t.Errorf("%+v", got)
		}
	case <-time.After(time.Minute):
		t.Error("it goes on")
	}
	close(in.ends) // the read that is left behind
}

// A line that is too long for a handle is an error of its own, and those behind it are read.
func TestRecallOfLongLines(t *testing.T) {
	c := embedded.New(t, embedded.Config{})
	in := "nonsense\n" + strings.Repeat("x", maxHandle+1) + "\nother nonsense"
	got := program(t, in, at(c, "recall", "--topic", "t", "-")...)
	if lines := strings.Split(got.err, "\n"); got.status != exitFail || len(lines) != 4 || !strings.HasPrefix(lines[0], "nonsense: ") ||
		lines[1] != "line 2: invalid, not-sent: line of 65538 bytes is longer than the limit of 65536" || !strings.HasPrefix(lines[2], "other nonsense: ") {
		t.Errorf("%+v", got)
	}
	got = program(t, in, at(c, "recall", "--topic", "t", "--json", "-")...)
	if lines := strings.Split(got.out, "\n"); got.status != exitFail || len(lines) != 4 || !strings.HasPrefix(lines[1], `{"line":2,"error":"`) || !strings.HasSuffix(lines[1], `"class":"invalid","certainty":"not-sent"}`) {
		t.Errorf("%+v", got)
	}
	broken, input := io.Pipe()
	go func() {
		fmt.Fprintln(input, "nonsense")
		_ = input.CloseWithError(errors.New("disk on fire"))
	}()
	if got := runWith(t.Context(), broken, at(c, "recall", "--topic", "t", "-")...); got.status != exitFail || !strings.HasPrefix(got.err, "nonsense: ") || !strings.Contains(got.err, "read line 2: disk on fire") {
		t.Errorf("%+v", got)
	}
}

// What cannot be told is not done in the dark, although the input does not end.
func TestRecallEndsWithItsOutput(t *testing.T) {
	c := embedded.New(t, embedded.Config{})
	in, input := io.Pipe()
	defer input.Close()
	go fmt.Fprint(input, "nonsense\nother\nthird\n")
	var diag strings.Builder
	if status := Run(t.Context(), at(c, "recall", "--topic", "t", "--json", "-"), in, failingWriter{}, &diag); status != exitFail || !strings.Contains(diag.String(), "pipe broken") {
		t.Errorf("status %d, %s", status, diag.String())
	}
}

func TestTypesOfSends(t *testing.T) {
	c := embedded.New(t, embedded.Config{})
	for _, tt := range []struct {
		flags []string
		name  string
		value string
	}{
		{[]string{"--priority", "0"}, rocketmq.PropertyPriority, "0"},
		{[]string{"--lite-topic", "chat-1"}, rocketmq.PropertyLiteTopic, "chat-1"},
	} {
		mustRun(t, "x\n", sendArgs(c, tt.flags...)...)
		if !slices.ContainsFunc(c.Stored("orders"), func(m embedded.Stored) bool { return m.Property(tt.name) == tt.value }) {
			t.Errorf("%v: stored %+v", tt.flags, c.Stored("orders"))
		}
	}
	for want, flags := range map[string][]string{
		"only one of them can be given":   {"--delay", "1s", "--delay-level", "3"},
		"--delay -1s: want":               {"--delay=-1s"},
		"--priority -1: it begins at 0":   {"--priority=-1"},
		"--delay-level, --deliver-at and": {"--delay", "1s", "--deliver-at", "2040-01-02T03:04:05Z"},
	} {
		if got := program(t, "x\n", sendArgs(c, flags...)...); got.status != exitUsage || !strings.Contains(got.err, want) {
			t.Errorf("%v: %+v, want %q", flags, got, want)
		}
	}
	if len(c.Stored("orders")) != 2 {
		t.Error("something was sent with wrong flags")
	}
}
