package faulttest_test

import (
	"bufio"
	"fmt"
	"io"
	"math"
	"os"
	"os/exec"
	"runtime/metrics"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/liftoff-mq/liftoff"
	"github.com/liftoff-mq/liftoff/core/coretest"
	"github.com/liftoff-mq/liftoff/internal/race"
	"github.com/liftoff-mq/liftoff/transport/embedded"
	"github.com/liftoff-mq/liftoff/transport/remoting"
)

// serveEnv makes the test's binary an embedded cluster instead, in a process of
// its own: what the client costs is then the client's alone.
const serveEnv = "LIFTOFF_FAULTTEST_SERVE"

// serve is the cluster: it prints its name server and lives until its input ends.
func serve() error {
	c, err := embedded.Start(bg, embedded.Config{})
	if err != nil {
		return err
	}
	if err := c.CreateTopic("T", 8); err != nil {
		return err
	}
	fmt.Println(c.NameServers()[0])
	_, _ = io.Copy(io.Discard, os.Stdin)
	return c.Close()
}

// otherProcess starts the cluster and returns its name server.
func otherProcess(t *testing.T) string {
	t.Helper()
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(exe)
	cmd.Env = append(os.Environ(), serveEnv+"=1")
	cmd.Stderr = os.Stderr
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = in.Close()
		if err := cmd.Wait(); err != nil {
			t.Errorf("the cluster's process: %v", err)
		}
	})
	line, err := bufio.NewReader(out).ReadString('\n')
	if err != nil {
		t.Fatal(err)
	}
	return strings.TrimSpace(line)
}

// wakeUps is how often a goroutine has begun to run so far. The runtime looks at
// one of eight.
func wakeUps() float64 {
	s := []metrics.Sample{{Name: "/sched/latencies:seconds"}}
	metrics.Read(s)
	n := uint64(0)
	for _, c := range s[0].Value.Float64Histogram().Counts {
		n += c
	}
	return 8 * float64(n)
}

// What a send costs beside processor time does not depend on the machine much:
// system calls and wake-ups of goroutines, with 64 callers who share them.
// docs/performance.md says what each step of the ladder did to these.
func TestSystemCallsAndWakeUps(t *testing.T) {
	server := otherProcess(t)
	cfg, err := liftoff.Defaults(liftoff.Config{Group: "g", NameServers: []string{server}, Timeout: time.Minute})
	if err != nil {
		t.Fatal(err)
	}
	client := cfg.Transport.(*remoting.Client)
	p := coretest.Start(t, cfg)
	msg := coretest.Message(strings.Repeat("x", 1024))

	const callers, each = 64, 500
	load := func() {
		var wg sync.WaitGroup
		for range callers {
			wg.Go(func() {
				for range each {
					if _, err := p.Send(bg, msg); err != nil {
						t.Error(err)
						return
					}
				}
			})
		}
		wg.Wait()
	}
	load() // routes, connections, pools
	// The runtime counts every goroutine of the process: what else runs, its own
	// workers too, only adds. So the least of a few rounds is ours.
	var writes, reads float64
	woken := math.Inf(1)
	for range 3 {
		before, began := client.Stats(), wakeUps()
		load()
		after, now := client.Stats(), wakeUps()
		writes += float64(after.Writes-before.Writes) / 3
		reads += float64(after.Reads-before.Reads) / 3
		woken = min(woken, now-began)
	}
	wakes := 2.5
	if race.Enabled {
		wakes = math.Inf(1) // the detector's own are among them, and depend on the load
	}
	for _, c := range []struct {
		name      string
		got, most float64
	}{
		{"writes", writes, 0.3},
		{"reads", reads, 0.3},
		{"wake-ups", woken, wakes},
	} {
		per := c.got / (callers * each)
		t.Logf("%.3f %s a message", per, c.name)
		if per > c.most {
			t.Errorf("%.3f %s a message, want %v at most", per, c.name, c.most)
		}
	}
}
