package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/liftoff-mq/liftoff/core"
	"github.com/liftoff-mq/liftoff/core/rocketmq"
	"github.com/liftoff-mq/liftoff/transport/embedded"
	"github.com/liftoff-mq/liftoff/transport/wire"
)

// result is any line of --json.
type result struct {
	Line           int
	Status         string
	MsgID          string
	OffsetMsgID    string
	Broker         string
	QueueID        int
	QueueOffset    int64
	Attempts       int
	MaybeDuplicate bool
	Error          string
	Class          string
	Certainty      string
	Addr           string
	Code           string
}

func results(t *testing.T, out string) []result {
	t.Helper()
	var list []result
	for line := range strings.Lines(out) {
		var r result
		if err := json.Unmarshal([]byte(line), &r); err != nil {
			t.Fatalf("result %q: %v", line, err)
		}
		list = append(list, r)
	}
	slices.SortFunc(list, func(a, b result) int { return a.Line - b.Line })
	for i, r := range list {
		if r.Line != i+1 {
			t.Fatalf("the results are for lines %v, want each line once", list)
		}
	}
	return list
}

func sendArgs(c *embedded.Cluster, args ...string) []string {
	return append([]string{"send", "--namesrv", strings.Join(c.NameServers(), ";"), "--topic", "orders"}, args...)
}

// stored waits for n messages: one-way sends are on their way when Run returns.
func stored(t *testing.T, c *embedded.Cluster, n int) []embedded.Stored {
	t.Helper()
	for deadline := time.Now().Add(time.Minute); ; {
		if list := c.Stored("orders"); len(list) >= n || time.Now().After(deadline) {
			if len(list) != n {
				t.Fatalf("%d messages are stored, want %d", len(list), n)
			}
			return list
		}
		runtime.Gosched()
	}
}

func TestSendEveryMode(t *testing.T) {
	const lines = 200
	for _, mode := range []string{"sync", "async", "oneway"} {
		for _, concurrency := range []int{1, 16} {
			t.Run(fmt.Sprint(mode, concurrency), func(t *testing.T) {
				c := embedded.New(t, embedded.Config{Brokers: embedded.BrokerNames(2)})
				var input strings.Builder
				for i := range lines {
					fmt.Fprintf(&input, "line %d\n", i+1)
				}
				got := program(t, input.String(), sendArgs(c, "--mode", mode, "--concurrency", strconv.Itoa(concurrency),
					"--json", "--tag", "paid", "--keys", "k1 k2", "--keys", "k3", "--property", "city=Zürich", "-p", "a=b=c")...)
				if got.status != exitOK {
					t.Fatalf("status %d, %s", got.status, got.err)
				}
				byOffset := map[string]embedded.Stored{}
				bodies := map[string]bool{}
				for _, m := range stored(t, c, lines) {
					if m.Property("TAGS") != "paid" || m.Property("KEYS") != "k1 k2 k3" ||
						m.Property("city") != "Zürich" || m.Property("a") != "b=c" {
						t.Fatalf("stored properties %v", m.Properties)
					}
					byOffset[m.MsgID], bodies[string(m.Body)] = m, true
				}
				if len(bodies) != lines {
					t.Errorf("%d different bodies are stored, want %d", len(bodies), lines)
				}
				for _, r := range results(t, got.out) {
					if mode == "oneway" {
						if r.Status != "WRITTEN" {
							t.Errorf("result %+v", r)
						}
						continue
					}
					m := byOffset[r.OffsetMsgID]
					want := result{
						Line: r.Line, Status: "SEND_OK", MsgID: m.UniqueID(), OffsetMsgID: m.MsgID, Broker: m.Broker,
						QueueID: m.QueueID, QueueOffset: m.QueueOffset, Attempts: 1,
					}
					if r != want || string(m.Body) != fmt.Sprintf("line %d", r.Line) {
						t.Errorf("result %+v, stored %+v with body %q", r, want, m.Body)
					}
				}
				wantSummary := fmt.Sprintf("lines %d, acknowledged %d, failed 0, retries 0, in ", lines, lines)
				if mode == "oneway" {
					wantSummary = fmt.Sprintf("lines %d, acknowledged 0, written one-way %d, failed 0, retries 0, in ", lines, lines)
				}
				if !strings.HasPrefix(got.err, wantSummary) || strings.Count(got.err, "\n") != 1 {
					t.Errorf("standard error is %q, want the summary %q alone", got.err, wantSummary)
				}
			})
		}
	}
}

func TestConcurrencyOneKeepsTheOrder(t *testing.T) {
	for _, mode := range []string{"sync", "async"} {
		t.Run(mode, func(t *testing.T) {
			c := embedded.New(t, embedded.Config{})
			got := program(t, strings.Repeat("x\n", 50), sendArgs(c, "--concurrency", "1", "--mode", mode, "--json")...)
			for i, line := range strings.Split(strings.TrimSpace(got.out), "\n") {
				if !strings.HasPrefix(line, fmt.Sprintf(`{"line":%d,`, i+1)) {
					t.Fatalf("result %d is %s", i+1, line)
				}
			}
		})
	}
}

func TestLinesThatCannotBeSentDoNotStopTheRest(t *testing.T) {
	c := embedded.New(t, embedded.Config{})
	longest := strings.Repeat("a", maxBody)
	file := filepath.Join(t.TempDir(), "lines")
	if err := os.WriteFile(file, []byte("first\n\n"+longest+"\n"+longest+"b\nlast\r\nno newline"), 0o600); err != nil {
		t.Fatal(err)
	}
	got := program(t, "not read", sendArgs(c, "--file", file, "--json", "--compress", "none")...)
	if got.status != exitFail {
		t.Errorf("status %d, want %d", got.status, exitFail)
	}
	for i, r := range results(t, got.out) {
		switch i + 1 {
		case 2, 4: // empty, too long
			if r.Class != "invalid" || r.Certainty != "not-sent" || r.Error == "" || r.Attempts != 0 {
				t.Errorf("result %+v, want an invalid message that was not sent", r)
			}
		default:
			if r.Status != "SEND_OK" {
				t.Errorf("result %+v", r)
			}
		}
	}
	var lengths []int
	for _, m := range stored(t, c, 4) {
		lengths = append(lengths, len(m.Body))
	}
	slices.Sort(lengths)
	if want := []int{4, 5, 10, maxBody}; !slices.Equal(lengths, want) {
		t.Errorf("stored bodies of %v bytes, want %v", lengths, want)
	}
	if want := "lines 6, acknowledged 4, failed 2, retries 0"; !strings.Contains(got.err, want) ||
		!strings.Contains(got.err, "failed 2: invalid, not-sent") {
		t.Errorf("standard error %q, want %q", got.err, want)
	}
}

func TestFailuresAreToldWithoutJSON(t *testing.T) {
	c := embedded.New(t, embedded.Config{})
	got := program(t, "good\n\n", sendArgs(c)...)
	if got.status != exitFail || got.out != "" {
		t.Errorf("got %+v", got)
	}
	if !strings.HasPrefix(got.err, "line 2: invalid, not-sent: ") {
		t.Errorf("standard error %q", got.err)
	}
}

func TestNoLines(t *testing.T) {
	c := embedded.New(t, embedded.Config{})
	if got := program(t, "", sendArgs(c, "--json")...); got.status != exitOK || got.out != "" || !strings.Contains(got.err, "lines 0,") {
		t.Errorf("got %+v", got)
	}
}

func TestNameServerFromEnvironment(t *testing.T) {
	c := embedded.New(t, embedded.Config{})
	t.Setenv("NAMESRV_ADDR", c.NameServers()[0])
	if got := program(t, "x\n", "send", "--topic", "orders"); got.status != exitOK {
		t.Errorf("got %+v", got)
	}
	if got := program(t, "x\n", "send", "--topic", "orders", "--namesrv", "127.0.0.1:1", "--timeout", "100ms"); got.status != exitFail {
		t.Errorf("the flag does not go before the environment: %+v", got)
	}
	stored(t, c, 1)
}

func TestNoAnswer(t *testing.T) {
	for _, mode := range []string{"sync", "async"} {
		t.Run(mode, func(t *testing.T) {
			c := embedded.New(t, embedded.Config{})
			c.Control(wire.SendMessageV2, func(r *embedded.Request) embedded.Action {
				if string(r.Command.Body) == "silence" {
					return embedded.Hang()
				}
				return embedded.Pass()
			})
			got := program(t, "x\nsilence\nx\n", sendArgs(c, "--mode", mode, "--timeout", "2s", "--json", "--concurrency", "1")...)
			if got.status != exitFail {
				t.Errorf("status %d", got.status)
			}
			list := results(t, got.out)
			if r := list[1]; r.Class != "timeout" || r.Certainty != "maybe-stored" || r.Attempts < 1 || r.Error == "" || r.Status != "" ||
				len(r.MsgID) != 32 || r.Broker != "broker-a" || r.Addr != c.Broker("broker-a").Addr() || r.Code != "" {
				t.Errorf("result %+v", r)
			}
			if !strings.Contains(got.err, "failed 1: timeout, maybe-stored") {
				t.Errorf("standard error %q", got.err)
			}
		})
	}
}

// A failed line says which message it was, where it was refused and by which code.
func TestRefusalsAreTold(t *testing.T) {
	c := embedded.New(t, embedded.Config{})
	c.Control(wire.SendMessageV2, func(*embedded.Request) embedded.Action {
		return embedded.Reply(rocketmq.CodeMessageIllegal, "not this one")
	})
	got := program(t, "x\n", sendArgs(c, "--json")...)
	r := results(t, got.out)[0]
	broker := c.Broker("broker-a")
	if got.status != exitFail || len(r.MsgID) != 32 || r.Broker != broker.Name() || r.Addr != broker.Addr() || r.Code != "MESSAGE_ILLEGAL" ||
		r.Class != "rejected" || r.Certainty != "not-stored" || r.Attempts != 1 || !strings.Contains(r.Error, "not this one") {
		t.Errorf("status %d, result %+v", got.status, r)
	}
}

func TestRetriesAreCounted(t *testing.T) {
	c := embedded.New(t, embedded.Config{Brokers: embedded.BrokerNames(2)})
	c.ControlOnce(wire.SendMessageV2, func(*embedded.Request) embedded.Action { return embedded.StoreThenCut() })
	got := program(t, "x\n", sendArgs(c, "--json")...)
	if got.status != exitOK {
		t.Fatalf("got %+v", got)
	}
	if r := results(t, got.out)[0]; r.Attempts != 2 || !r.MaybeDuplicate {
		t.Errorf("result %+v, want two attempts and perhaps a duplicate", r)
	}
	if !strings.Contains(got.err, "retries 1,") || !strings.Contains(got.err, "1 may be stored twice") {
		t.Errorf("standard error %q", got.err)
	}
}

func TestCompression(t *testing.T) {
	body := strings.Repeat("all work and no play ", 1000)
	for codec, bits := range map[string]int32{"none": 0, "zlib": 0x301, "lz4": 0x101, "zstd": 0x201} {
		t.Run(codec, func(t *testing.T) {
			c := embedded.New(t, embedded.Config{})
			if got := program(t, body+"\n", sendArgs(c, "--compress", codec)...); got.status != exitOK {
				t.Fatalf("got %+v", got)
			}
			m := stored(t, c, 1)[0]
			if got := m.SysFlag & 0x701; got != bits || (bits == 0) != (string(m.Body) == body) {
				t.Errorf("stored with flag %#x and %d bytes, want %#x", got, len(m.Body), bits)
			}
		})
	}
}

func TestAccumulate(t *testing.T) {
	const lines = 2000
	c := embedded.New(t, embedded.Config{})
	var input strings.Builder
	for i := range lines {
		fmt.Fprintf(&input, "line %d\n", i+1)
	}
	got := program(t, input.String(), sendArgs(c, "--accumulate", "--concurrency", "64", "--json")...)
	if got.status != exitOK {
		t.Fatalf("status %d, %s", got.status, got.err)
	}
	byOffset := map[string]embedded.Stored{}
	for _, m := range stored(t, c, lines) {
		byOffset[m.MsgID] = m
	}
	for _, r := range results(t, got.out) {
		if m := byOffset[r.OffsetMsgID]; string(m.Body) != fmt.Sprintf("line %d", r.Line) || m.UniqueID() != r.MsgID {
			t.Errorf("result %+v, there is %q with id %s", r, m.Body, m.UniqueID())
		}
	}
	if c.RequestCount(wire.SendBatchMessage) == 0 {
		t.Error("no line shared a request")
	}
}

func TestPace(t *testing.T) {
	const lines = 2000
	c := embedded.New(t, embedded.Config{})
	var answered atomic.Int64
	c.Control(wire.SendMessageV2, func(r *embedded.Request) embedded.Action {
		if !r.Command.IsOneway() {
			answered.Add(1)
		}
		return embedded.Pass()
	})
	got := program(t, strings.Repeat("line\n", lines), sendArgs(c, "--pace", "--mode", "oneway", "--json")...)
	if got.status != exitOK {
		t.Fatalf("status %d, %s", got.status, got.err)
	}
	stored(t, c, lines)
	for _, r := range results(t, got.out) {
		if r.Status != "WRITTEN" || r.Error != "" {
			t.Errorf("result %+v", r)
		}
	}
	// At least every fourth message is answered while the window is small, and most
	// are not.
	if n := answered.Load(); n < 4 || n > lines/3 {
		t.Errorf("%d of %d messages were answered", n, lines)
	}
	for _, mode := range []string{"sync", "async"} {
		got := program(t, "line\n", sendArgs(c, "--pace", "--mode", mode)...)
		if got.status != exitUsage || !strings.Contains(got.err, "--pace with --mode "+mode) {
			t.Errorf("mode %s: got %+v", mode, got)
		}
	}
}

func TestJSONLinesAreSentWithTheirFields(t *testing.T) {
	c := embedded.New(t, embedded.Config{Brokers: embedded.BrokerNames(2)})
	input := `{"body":"a","tag":"t1","keys":["k1","k2"],"properties":{"city":"Bern"},"flag":7}
{"body":"b"}
not json
{"bodyBase64":"AAH/"}
`
	var sharded strings.Builder
	for i := range 20 {
		fmt.Fprintf(&sharded, `{"body":"s%d","shardingKey":"order-1"}`+"\n", i)
	}
	got := program(t, input+sharded.String(), sendArgs(c, "--format", "json", "--json", "--tag", "flag", "--sharding-key", "of-the-flag", "--property", "from=cli")...)
	list := results(t, got.out)
	if got.status != exitFail || len(list) != 24 || list[2].Class != "invalid" {
		t.Fatalf("got %+v", got)
	}
	queues := map[string]bool{}
	byBody := map[string]embedded.Stored{}
	for _, m := range stored(t, c, 23) {
		byBody[string(m.Body)] = m
		if m.Property("__SHARDINGKEY") == "order-1" {
			queues[fmt.Sprint(m.Broker, m.QueueID)] = true
		}
		if m.Property("from") != "cli" {
			t.Errorf("properties %v", m.Properties)
		}
	}
	if a := byBody["a"]; a.Property("TAGS") != "t1" || a.Property("KEYS") != "k1 k2" || a.Property("city") != "Bern" || a.Flag != 7 {
		t.Errorf("first message is stored as %+v", a)
	}
	if b := byBody["b"]; b.Property("TAGS") != "flag" || b.Property("__SHARDINGKEY") != "of-the-flag" {
		t.Errorf("second message is stored as %+v", b)
	}
	if _, ok := byBody["\x00\x01\xff"]; !ok {
		t.Error("the base64 body is not stored")
	}
	if len(queues) != 1 {
		t.Errorf("the messages of one sharding key are on %d queues", len(queues))
	}
}

// A result is there before the next line is: nothing waits for a buffer to fill.
func TestResultsComeAsSoonAsTheyAreKnown(t *testing.T) {
	for _, mode := range []string{"sync", "async", "oneway"} {
		t.Run(mode, func(t *testing.T) {
			c := embedded.New(t, embedded.Config{})
			in, input := io.Pipe()
			printed, out := io.Pipe()
			ended := make(chan int, 1)
			go func() {
				ended <- Run(t.Context(), sendArgs(c, "--json", "--mode", mode), in, out, io.Discard)
				_ = out.Close()
			}()
			dec := json.NewDecoder(printed)
			for i := range 3 {
				fmt.Fprintln(input, "line")
				var r result
				if err := dec.Decode(&r); err != nil || r.Line != i+1 {
					t.Fatalf("after line %d: %+v, %v", i+1, r, err)
				}
			}
			_ = input.Close()
			if status := <-ended; status != exitOK {
				t.Errorf("status %d", status)
			}
		})
	}
}

// An interrupt stops the reading; what is under way is finished and reported,
// although the input does not end.
func TestInterruptDrains(t *testing.T) {
	for _, mode := range []string{"sync", "async"} {
		t.Run(mode, func(t *testing.T) {
			c := embedded.New(t, embedded.Config{})
			ctx, interrupt := context.WithCancel(t.Context())
			c.ControlOnce(wire.SendMessageV2, func(*embedded.Request) embedded.Action {
				interrupt() // while the line is under way
				return embedded.Delay(50*time.Millisecond, embedded.Pass())
			})
			in, input := io.Pipe()
			defer input.Close() // ends the read that is left behind
			go fmt.Fprintln(input, "under way")
			got := runWith(ctx, in, sendArgs(c, "--json", "--mode", mode)...)
			if got.status != exitFail || !strings.Contains(got.err, "interrupted") || !strings.Contains(got.err, "lines 1, acknowledged 1, failed 0") {
				t.Errorf("got %+v", got)
			}
			if r := results(t, got.out); len(r) != 1 || r[0].Status != "SEND_OK" {
				t.Errorf("results %+v", r)
			}
			stored(t, c, 1)
		})
	}
}

func TestReadErrorIsReportedAfterTheLinesBeforeIt(t *testing.T) {
	c := embedded.New(t, embedded.Config{})
	in, input := io.Pipe()
	go func() {
		fmt.Fprintln(input, "line")
		_ = input.CloseWithError(errors.New("disk on fire"))
	}()
	got := runWith(t.Context(), in, sendArgs(c, "--json")...)
	if got.status != exitFail || !strings.Contains(got.err, "read line 2: disk on fire") || len(results(t, got.out)) != 1 {
		t.Errorf("got %+v", got)
	}
}

// No result can be told any more: sending on in the dark would be worse.
func TestClosedOutputEndsTheRun(t *testing.T) {
	c := embedded.New(t, embedded.Config{})
	in, input := io.Pipe()
	defer input.Close()
	go fmt.Fprintln(input, "line") // and no end
	var diag strings.Builder
	status := Run(t.Context(), sendArgs(c, "--json"), in, failingWriter{}, &diag)
	if status != exitFail || !strings.Contains(diag.String(), "write result of line 1: pipe broken") {
		t.Errorf("status %d, standard error %q", status, diag.String())
	}
}

// The input is streamed: however much comes, the memory holds what is under way.
func TestMemoryDoesNotGrowWithTheInput(t *testing.T) {
	const lines, size = 60, 1 << 20
	c := embedded.New(t, embedded.Config{MaxStoredBytes: 4 << 20, RecordedRequests: -1})
	line := append([]byte(strings.Repeat("x", size-1)), '\n')
	var peak atomic.Uint64
	in, input := io.Pipe()
	go func() {
		defer input.Close()
		for i := range lines {
			if i%10 == 0 {
				runtime.GC()
				var m runtime.MemStats
				runtime.ReadMemStats(&m)
				peak.Store(max(peak.Load(), m.HeapAlloc))
			}
			if _, err := input.Write(line); err != nil {
				return
			}
		}
	}()
	got := runWith(t.Context(), in, sendArgs(c, "--concurrency", "2", "--compress", "none")...)
	if got.status != exitOK || !strings.Contains(got.err, fmt.Sprintf("acknowledged %d,", lines)) {
		t.Fatalf("got %+v", got)
	}
	if p := peak.Load(); p > lines*size/2 {
		t.Errorf("the heap grew to %d bytes while %d were sent", p, lines*size)
	}
}

func TestSenderTakesNoLineAfterTheEnd(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	items := make(chan item, 1)
	items <- item{line: 1, message: &core.Message{}}
	if it, ok := take(ctx, items); ok {
		t.Errorf("took line %d after the interrupt", it.line)
	}
}
