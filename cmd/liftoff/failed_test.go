package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/liftoff-mq/liftoff/core/rocketmq"
	"github.com/liftoff-mq/liftoff/transport/embedded"
	"github.com/liftoff-mq/liftoff/transport/wire"
)

// kept is a line of the file of --failed.
type kept struct {
	Body   string
	Failed result
}

func keptLines(t *testing.T, file string) []kept {
	t.Helper()
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	var list []kept
	for line := range strings.Lines(string(text)) {
		var k kept
		if err := json.Unmarshal([]byte(line), &k); err != nil {
			t.Fatalf("kept %q: %v", line, err)
		}
		list = append(list, k)
	}
	return list
}

// After a run in which lines failed nobody could send just those again.
func TestFailedLinesAreSentAgain(t *testing.T) {
	c := embedded.New(t, embedded.Config{})
	refusing := true
	var mu sync.Mutex
	c.Control(wire.SendMessageV2, func(r *embedded.Request) embedded.Action {
		mu.Lock()
		defer mu.Unlock()
		if refusing && strings.HasPrefix(string(r.Command.Body), "bad") {
			return embedded.Reply(rocketmq.CodeMessageIllegal, "not now")
		}
		return embedded.Pass()
	})
	file := filepath.Join(t.TempDir(), "failed")
	due := time.Now().Add(time.Hour).Truncate(time.Second)
	input := `{"body":"good"}
{"body":"bad 1","tag":"t","keys":["k1","k2"],"properties":{"city":"Zürich"},"flag":7,"noWaitStore":true}
no message
{"bodyBase64":"YmFkAAH/"}
{"body":"bad \u0000\u001b","shardingKey":"s","delayLevel":1}
{"body":"bad 3","delay":"1h0m0.5s"}
{"body":"bad 4","priority":0}
{"body":"bad 5","liteTopic":"chat-1"}
{"body":"bad 2","deliverAt":"` + due.Format(time.RFC3339) + `"}
{"body":""}
`
	args := func(more ...string) []string {
		return sendArgs(c, append([]string{"--format", "json", "--json", "--property", "from=cli", "--concurrency", "1"}, more...)...)
	}
	got := program(t, input, args("--failed", file)...)
	if want := "7 of them are in " + file + "; the same command with --format json --file " + file + " and another file for --failed sends them again\n"; got.status != exitFail || !strings.Contains(got.err, want) {
		t.Errorf("status %d, %s", got.status, got.err)
	}
	told := results(t, got.out)
	lines := keptLines(t, file)
	if len(lines) != 7 {
		t.Fatalf("%d lines are kept", len(lines))
	}
	for i, line := range []int{2, 4, 5, 6, 7, 8, 9} {
		if f := lines[i].Failed; f != told[line-1] || f.MsgID == "" || f.Code != "MESSAGE_ILLEGAL" {
			t.Errorf("kept %+v, told %+v", f, told[line-1])
		}
	}
	mu.Lock()
	refusing = false
	mu.Unlock()
	if got := program(t, "", args("--file", file, "--failed", file+" again")...); got.status != exitOK {
		t.Fatalf("got %+v", got)
	}
	byBody := map[string]embedded.Stored{}
	for _, m := range stored(t, c, 5) { // the others wait for their time
		byBody[string(m.Body)] = m
	}
	if m := byBody["bad 1"]; m.Property("TAGS") != "t" || m.Property("KEYS") != "k1 k2" || m.Property("city") != "Zürich" ||
		m.Property("from") != "cli" || m.Flag != 7 || m.Property("WAIT") != "false" {
		t.Errorf("stored %+v", m)
	}
	sent := map[string]string{}
	for _, r := range c.Requests(wire.SendMessageV2) {
		sent[string(r.Command.Body)] = fmt.Sprint(r.Command.Ext)
	}
	for body, want := range map[string]string{"bad\x00\x01\xff": "from", "bad \x00\x1b": "DELAY\x011", "bad 3": "TIMER_DELAY_MS\x013600500", "bad 4": "_SYS_MSG_PRIORITY_\x010", "bad 5": "__LITE_TOPIC\x01chat-1", "bad 2": "TIMER_DELIVER_MS\x01" + strconv.FormatInt(due.UnixMilli(), 10)} {
		if !strings.Contains(sent[body], want) {
			t.Errorf("%q was sent with %q, want %q", body, sent[body], want)
		}
	}
	// Lines of an earlier run are not lost by a second one.
	got = program(t, input, args("--failed", file)...)
	if got.status != exitUsage || !strings.Contains(got.err, "not empty") || len(keptLines(t, file)) != 7 {
		t.Errorf("got %+v", got)
	}
	got = program(t, "x\n", sendArgs(c, "--failed", filepath.Join(file, "nowhere"))...)
	if got.status != exitUsage || !strings.Contains(got.err, "--failed") {
		t.Errorf("got %+v", got)
	}
}

// Where all lines were acknowledged the file is there and empty, and can be given again.
func TestNothingFailed(t *testing.T) {
	c := embedded.New(t, embedded.Config{})
	file := filepath.Join(t.TempDir(), "failed")
	for range 2 {
		if got := program(t, "x\n", sendArgs(c, "--failed", file)...); got.status != exitOK || len(keptLines(t, file)) != 0 || strings.Contains(got.err, file) {
			t.Errorf("got %+v", got)
		}
	}
	got := program(t, "\n", sendArgs(c, "--failed", file)...)
	if got.status != exitFail || !strings.Contains(got.err, "none of them can be sent again as it is") {
		t.Errorf("got %+v", got)
	}
}

// A full disk must not be found out after the last line.
func TestFailedLinesThatCannotBeKept(t *testing.T) {
	if _, err := os.Stat("/dev/full"); err != nil {
		t.Skip("there is no /dev/full")
	}
	c := embedded.New(t, embedded.Config{})
	c.Control(wire.SendMessageV2, func(*embedded.Request) embedded.Action { return embedded.Reply(rocketmq.CodeMessageIllegal, "") })
	got := program(t, strings.Repeat("x\n", 100), sendArgs(c, "--concurrency", "1", "--failed", "/dev/full")...)
	if got.status != exitFail || !strings.Contains(got.err, "keep line 1: ") || !strings.Contains(got.err, "lines 1,") {
		t.Errorf("got %+v", got)
	}
}

// What may be stored has to be looked up before it is sent again, and nothing said by which id.
func TestMaybeStoredLinesHaveTheirID(t *testing.T) {
	c := embedded.New(t, embedded.Config{})
	c.ControlOnce(wire.SendMessageV2, func(*embedded.Request) embedded.Action { return embedded.StoreThenCut() })
	file := filepath.Join(t.TempDir(), "failed")
	got := program(t, "x\n", sendArgs(c, "--failed", file, "--retry", "none")...)
	id := stored(t, c, 1)[0].UniqueID()
	if want := "line 1: network, maybe-stored, message id " + id + ": "; got.status != exitFail || !strings.HasPrefix(got.err, want) {
		t.Errorf("said %q, want %q", got.err, want)
	}
	if k := keptLines(t, file); len(k) != 1 || k[0].Failed.MsgID != id || k[0].Failed.Certainty != "maybe-stored" {
		t.Errorf("kept %+v", k)
	}
}

func TestRetryModes(t *testing.T) {
	lost := func() embedded.Action { return embedded.StoreThenCut() }
	unavailable := func() embedded.Action { return embedded.Reply(rocketmq.CodeServiceNotAvailable, "no") }
	for _, tt := range []struct {
		mode     string
		first    func() embedded.Action
		attempts int
	}{
		{"none", lost, 1},
		{"none", unavailable, 1},
		{"safe", lost, 1},
		{"safe", unavailable, 2},
		{"at-least-once", lost, 2},
		{"at-least-once", unavailable, 2},
	} {
		c := embedded.New(t, embedded.Config{Brokers: embedded.BrokerNames(2)})
		c.ControlOnce(wire.SendMessageV2, func(*embedded.Request) embedded.Action { return tt.first() })
		got := program(t, "x\n", sendArgs(c, "--json", "--retry", tt.mode)...)
		if r := results(t, got.out)[0]; r.Attempts != tt.attempts || (r.Status == "SEND_OK") != (tt.attempts > 1) {
			t.Errorf("--retry %s: %+v", tt.mode, r)
		}
	}
}

// A run that stops says where to go on, and goes on there.
func TestStopAtFailureAndGoOn(t *testing.T) {
	c := embedded.New(t, embedded.Config{})
	c.ControlOnce(wire.SendMessageV2, func(*embedded.Request) embedded.Action { return embedded.Pass() })
	file := filepath.Join(t.TempDir(), "lines")
	var input strings.Builder
	for i := range 100 {
		if i == 49 {
			input.WriteByte('\n') // an empty line is no message
			continue
		}
		fmt.Fprintf(&input, "line %d\n", i+1)
	}
	if err := os.WriteFile(file, []byte(input.String()), 0o600); err != nil {
		t.Fatal(err)
	}
	got := program(t, "", sendArgs(c, "--file", file, "--stop-at-failure", "--concurrency", "1", "--json")...)
	if got.status != exitFail || !strings.Contains(got.err, "stopped at line 50: it failed; --from-line 51 goes on there\n") ||
		len(results(t, got.out)) != 50 {
		t.Errorf("status %d, %s", got.status, got.err)
	}
	stored(t, c, 49)
	got = program(t, "", sendArgs(c, "--file", file, "--stop-at-failure", "--from-line", "51", "--json")...)
	if got.status != exitOK || !strings.Contains(got.out, `{"line":51,`) || strings.Contains(got.out, `{"line":50,`) {
		t.Errorf("status %d, %s", got.status, got.err)
	}
	stored(t, c, 99)
	// With lines under way at the same time no line before the one to go on with is left out.
	got = program(t, "", sendArgs(c, "--file", file, "--stop-at-failure", "--concurrency", "8", "--json")...)
	_, next, _ := strings.Cut(got.err, "--from-line ")
	next, _, _ = strings.Cut(next, " ")
	if n := len(results(t, got.out)); got.status != exitFail || next != strconv.Itoa(n+1) || n < 50 {
		t.Errorf("%d results, said %s", n, got.err)
	}
	if got := program(t, "x\n", sendArgs(c, "--from-line", "7")...); got.status != exitFail || !strings.Contains(got.err, "lines 0,") || !strings.Contains(got.err, "liftoff: --from-line 7: the input ends with line 1, so there was nothing to send\n") {
		t.Errorf("got %+v", got)
	}
}

// neverRead fails the test if a line is read.
type neverRead struct{ t *testing.T }

func (r neverRead) Read([]byte) (int, error) {
	r.t.Error("the input was read")
	return 0, io.EOF
}

// With a wrong address of the name server each of a million lines took its whole time to fail
// with the same error.
func TestNobodyKnowsTheTopic(t *testing.T) {
	got := runWith(t.Context(), neverRead{t}, "send", "--namesrv", "127.0.0.1:1;127.0.0.1:2", "--topic", "orders")
	if got.status != exitFail || strings.Count(got.err, "\n") != 1 || !strings.HasPrefix(got.err, "liftoff: no line was sent: no name server answered: ") {
		t.Errorf("got %+v", got)
	}
	c := embedded.New(t, embedded.Config{NoAutoCreateTopics: true})
	got = runWith(t.Context(), neverRead{t}, sendArgs(c)...)
	if got.status != exitFail || strings.Count(got.err, "\n") != 1 || !strings.Contains(got.err, `no route to topic "orders"`) {
		t.Errorf("got %+v", got)
	}
}

// killed runs "liftoff broker" in a process of its own and kills it when asked.
func killed(t *testing.T) (nameServer string, kill func()) {
	t.Helper()
	cmd := exec.Command(os.Args[0], "broker", "--listen", "127.0.0.1:0")
	cmd.Env = append(os.Environ(), asProgram+"=1")
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	kill = sync.OnceFunc(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
	})
	t.Cleanup(kill)
	for lines := bufio.NewScanner(out); lines.Scan(); {
		if addr, ok := strings.CutPrefix(lines.Text(), "nameserver "); ok {
			nameServer = addr
		}
		if lines.Text() == "ready" {
			return nameServer, kill
		}
	}
	t.Fatal("the broker is not ready")
	return "", nil
}

// counter calls a function once when so many lines were written to it.
type counter struct {
	bytes.Buffer
	left int
	then func()
}

func (c *counter) Write(p []byte) (int, error) {
	if c.left--; c.left == 0 {
		c.then()
	}
	return c.Buffer.Write(p)
}

// The broker is killed while lines are under way. Each line is then acknowledged or in the file
// of failed lines, and sending that file again leaves nothing out.
func TestBrokerKilledHalfWay(t *testing.T) {
	const lines = 20_000
	nameServer, kill := killed(t)
	var input strings.Builder
	for i := range lines {
		fmt.Fprintf(&input, "line %d\n", i+1)
	}
	file := filepath.Join(t.TempDir(), "failed")
	out := &counter{left: lines / 2, then: kill}
	var diag lockedBuffer
	status := Run(context.Background(), []string{
		"send", "--namesrv", nameServer, "--topic", "orders", "--mode", "async", "--concurrency", "64", "--json", "--failed", file,
	}, strings.NewReader(input.String()), out, &diag)
	if status != exitFail {
		t.Fatalf("status %d, %s", status, diag.String())
	}
	acked, maybe := map[string]bool{}, 0
	for i, r := range results(t, out.String()) {
		if r.Error == "" {
			acked[fmt.Sprintf("line %d", i+1)] = true
		}
		if r.Certainty == "maybe-stored" {
			maybe++
			if len(r.MsgID) != 32 {
				t.Errorf("no id to look up: %+v", r)
			}
		}
	}
	again := embedded.New(t, embedded.Config{RecordedRequests: -1})
	got := program(t, "", sendArgs(again, "--format", "json", "--file", file, "--mode", "async", "--concurrency", "64")...)
	if got.status != exitOK {
		t.Fatalf("got %+v", got)
	}
	t.Logf("%d lines failed, %d of them are maybe stored", lines-len(acked), maybe)
	for _, m := range stored(t, again, lines-len(acked)) {
		if acked[string(m.Body)] {
			t.Errorf("%q was acknowledged and is sent again", m.Body)
		}
		acked[string(m.Body)] = true
	}
	if len(acked) != lines {
		t.Errorf("%d of %d lines arrived", len(acked), lines)
	}
}
