package integration

import (
	"bufio"
	"bytes"
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/liftoff-mq/liftoff/integration/realcluster"
)

// Two hundred thousand lines through the built program, whose only broker is killed half way: each line is acknowledged
// or in the file of failed lines, each that may be stored names its id, and one command with that file leaves nothing
// out. What is stored in the end is what was acknowledged, and at the most what may have been stored beside it.
func TestLinesOfAKilledBrokerAreSentAgain(t *testing.T) {
	t.Parallel()
	const count = 200_000
	version := versions(t)[0]
	if slices.Contains(versions(t), "4.9.7") {
		version = "4.9.7" // one version is enough: nothing here depends on it
	}
	c := startCluster(t, realcluster.Options{Version: version, Brokers: 1})
	topic := topicFor(t, "t")
	c.CreateTopic(t, topic, 4, "broker-a")
	dir := t.TempDir()
	lines, failed := filepath.Join(dir, "lines.txt"), filepath.Join(dir, "failed.jsonl")
	var text bytes.Buffer
	for i := range count {
		text.WriteString("line ")
		text.WriteString(strconv.Itoa(i + 1))
		text.WriteByte('\n')
	}
	must(t, os.WriteFile(lines, text.Bytes(), 0o600))
	send := func(more ...string) *exec.Cmd {
		return exec.Command(liftoffBinary(t), append([]string{
			"send", "--namesrv", c.NameServer(), "--topic", topic, "--mode", "async", "--concurrency", "256", "--retry", "safe", "--json",
		}, more...)...)
	}

	cmd := send("--file", lines, "--failed", failed)
	var diag bytes.Buffer
	cmd.Stderr = &diag
	out, err := cmd.StdoutPipe()
	must(t, err)
	must(t, cmd.Start())
	killed := make(chan struct{})
	results, acked, maybe := 0, 0, 0
	scan := bufio.NewScanner(out)
	scan.Buffer(nil, 1<<20)
	for ; scan.Scan(); results++ {
		if results == count/2 {
			go func() {
				defer close(killed)
				if err := c.Cluster.Kill("broker-a"); err != nil {
					t.Error(err)
				}
			}()
		}
		var s sendLine
		mustJSON(t, scan.Text(), &s)
		switch {
		case s.Error == "":
			acked++
		case s.Certainty == "maybe-stored":
			maybe++
			if len(s.MsgID) != 32 {
				t.Errorf("no id to look up: %s", scan.Text())
			}
		}
	}
	if err := cmd.Wait(); err == nil {
		t.Error("the run with failed lines succeeded")
	}
	<-killed
	if results != count {
		t.Fatalf("%d of %d lines have a result\n%s", results, count, tail(diag.String(), 2000))
	}
	kept, err := os.ReadFile(failed)
	must(t, err)
	if n := bytes.Count(kept, []byte("\n")); n != count-acked || n == 0 {
		t.Fatalf("%d lines are in the file, %d failed", n, count-acked)
	}

	c.Restart(t, "broker-a")
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	if _, err := c.WaitPort(ctx, "broker-a"); err != nil {
		t.Fatal(err)
	}
	again := 0
	for { // until the name server knows the broker again, which is one error and no line's
		cmd := send("--file", failed, "--format", "json", "--timeout", "20s")
		var out, diag bytes.Buffer
		cmd.Stdout, cmd.Stderr = &out, &diag
		err := cmd.Run()
		if again = strings.Count(out.String(), `"status":"SEND_OK"`); err == nil {
			break
		}
		if again > 0 || ctx.Err() != nil || !strings.Contains(diag.String(), "no line was sent") {
			t.Fatalf("%d lines sent again: %v\n%s", again, err, tail(diag.String(), 2000))
		}
		time.Sleep(100 * time.Millisecond)
	}
	if acked+again != count {
		t.Errorf("%d lines acknowledged, %d of them at the second time, want %d", acked+again, again, count)
	}
	stored := c.Stored(t, topic, 4, "broker-a")
	if stored < count || stored > count+maybe {
		t.Errorf("%d messages are stored, want %d, and at most %d more", stored, count, maybe)
	}
	t.Logf("%s: %d lines acknowledged, %d sent again, %d of them maybe stored, %d stored", c.Version(), acked, again, maybe, stored)
}
