package integration

import (
	"bytes"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/liftoff-mq/liftoff/integration/javaprog"
)

// sendLine is one line of `liftoff send --json`.
type sendLine struct {
	Line        int    `json:"line"`
	Status      string `json:"status"`
	MsgID       string `json:"msgId"`
	OffsetMsgID string `json:"offsetMsgId"`
	Broker      string `json:"broker"`
	QueueID     int    `json:"queueId"`
	QueueOffset int64  `json:"queueOffset"`
	Attempts    int    `json:"attempts"`
	Error       string `json:"error"`
	Class       string `json:"class"`
	Certainty   string `json:"certainty"`
}

// Ten thousand distinct lines through the built program to a real RocketMQ: all acknowledged, and the official
// consumer finds each of them once, with its body, tag, keys, properties and the id that the program printed.
func TestTenThousandLinesArriveOnceAndUnchanged(t *testing.T) {
	t.Parallel()
	const count = 10_000
	eachCluster(t, func(t *testing.T, c *cluster) {
		topic := topicFor(t, "t")
		c.CreateTopic(t, topic, 4)
		lines := distinctLines(count)
		file := filepath.Join(t.TempDir(), "lines.txt")
		if err := os.WriteFile(file, []byte(strings.Join(lines, "\n")+"\n"), 0o600); err != nil {
			t.Fatal(err)
		}
		var out, diag bytes.Buffer
		cmd := exec.Command(liftoffBinary(t), "send", "--namesrv", c.NameServer(), "--topic", topic, "--group", "ten_thousand",
			"--tag", "paid", "--keys", "k1 k2", "--property", "city=Zürich", "--property", "source=file",
			"--concurrency", "16", "--file", file, "--json",
			"--retry", "safe", "--timeout", "30s") // on a slow machine a time-out would store a line twice
		cmd.Stdout, cmd.Stderr = &out, &diag
		began := time.Now()
		if err := cmd.Run(); err != nil {
			t.Fatalf("liftoff send: %v\n%s", err, tail(diag.String(), 2000))
		}
		took := time.Since(began)

		acked := map[string]sendLine{}
		for l := range strings.Lines(out.String()) {
			var s sendLine
			mustJSON(t, l, &s)
			if s.Status != "SEND_OK" || s.Error != "" {
				t.Fatalf("line %d: %s", s.Line, l)
			}
			if other, twice := acked[s.MsgID]; twice {
				t.Fatalf("lines %d and %d have the same id %s", s.Line, other.Line, s.MsgID)
			}
			acked[s.MsgID] = s
		}
		if len(acked) != count {
			t.Fatalf("%d of %d lines acknowledged", len(acked), count)
		}

		stored := javaprog.ReadBack(t, c.Version(), c.NameServer(), topic, count, 2*time.Minute)
		if len(stored) != count {
			t.Errorf("%d messages are stored, want %d", len(stored), count)
		}
		seen := map[string]bool{}
		for _, m := range stored {
			if err := judgeLine(m, acked[m.MsgID], lines); err != nil {
				t.Errorf("message %s: %v", m.MsgID, err)
			}
			if seen[m.MsgID] {
				t.Errorf("message %s is stored twice", m.MsgID)
			}
			seen[m.MsgID] = true
		}
		t.Logf("%s: %d lines acknowledged in %s (%.0f a second), %d stored", c.Version(), count,
			took.Round(time.Millisecond), count/took.Seconds(), len(stored))
	})
}

func judgeLine(m javaprog.Message, s sendLine, lines []string) error {
	if s.Line == 0 {
		return errors.New("stored, but no line was acknowledged with this id")
	}
	var errs []error
	want := func(what string, got, want any) {
		if got != want {
			errs = append(errs, fmt.Errorf("%s is %v, want %v", what, got, want))
		}
	}
	line := lines[s.Line-1]
	want("body length", m.BodyLength, len(line))
	want("body hash", m.BodySHA256, sha256Hex([]byte(line)))
	want("tag", m.Tags, "paid")
	want("keys", m.Keys, "k1 k2")
	want("property city", m.Properties["city"], "Zürich")
	want("property source", m.Properties["source"], "file")
	want("broker", m.Broker, s.Broker)
	want("queue", m.QueueID, s.QueueID)
	want("queue offset", m.QueueOffset, s.QueueOffset)
	want("offset message id", m.OffsetMsgID, s.OffsetMsgID)
	return errors.Join(errs...)
}

// distinctLines are lines as a log file has them: some short, some with tabs and other alphabets, one in fifty
// long enough to be compressed. The seed is fixed, so a failure can be repeated.
func distinctLines(n int) []string {
	r := rand.New(rand.NewPCG(1, 2))
	words := []string{"order", "paid", "Zürich", "東京", "\t", "refund", "🚀", "a=b", "\\", `"quoted"`, "{}", "  "}
	lines := make([]string, n)
	for i := range lines {
		var b strings.Builder
		fmt.Fprintf(&b, "%d", i)
		length := r.IntN(120)
		if i%50 == 0 {
			length = 4000 + r.IntN(8000)
		}
		for b.Len() < length {
			b.WriteByte(' ')
			b.WriteString(words[r.IntN(len(words))])
		}
		lines[i] = b.String()
	}
	return lines
}
