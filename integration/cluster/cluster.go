// Package cluster runs a real Apache RocketMQ (name server and brokers, in Java) on loopback for a test.
//
// It is a thin layer over the scripts in integration/rocketmq: it picks free ports, knows the nodes by name, breaks
// them (kill, pause, restart) and ends them again by process id. Administration (topics, stored counts) goes
// straight to the brokers in a small protocol client of its own, which shares no code with Liftoff: what judges the
// library must not be the library.
package cluster

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"
)

// Versions are the RocketMQ versions that the scripts are known to run.
var Versions = []string{"5.3.3", "4.9.7"}

// Preset is a layout that the start script knows.
type Preset string

// Layouts. Every one has a name server and broker-a; Two adds broker-b, a second master.
const (
	Single Preset = "single"
	Two    Preset = "cluster"
)

// Options say what to start. The zero value is one 5.3.3 broker.
type Options struct {
	Version string // "5.3.3" (default) or "4.9.7"
	Preset  Preset // Single by default
	// Settings are broker settings, KEY=VALUE for every broker or NODE:KEY=VALUE for one.
	Settings []string
	HeapMB   int // heap of each broker, 384 by default
}

// Cluster is a running RocketMQ. Its methods may be called from several goroutines, but those that break or
// repair a node block until that is done.
type Cluster struct {
	version string
	dir     string
	scripts string
	base    int
	preset  Preset

	mu      sync.Mutex
	stopped bool
}

// Start runs a cluster for one test and ends it when the test ends. Without Java or Maven the test fails and says so:
// whoever asks for a real broker must not be told "ok" without one.
func Start(t testing.TB, o Options) *Cluster {
	t.Helper()
	c, err := Launch(o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := c.Stop(); err != nil {
			t.Error(err)
		}
	})
	return c
}

// Launch is Start for callers without a test, such as a TestMain that shares one cluster. The caller must call Stop.
func Launch(o Options) (*Cluster, error) {
	if o.Version == "" {
		o.Version = Versions[0]
	}
	if o.Preset == "" {
		o.Preset = Single
	}
	if err := NeedTools("java", "mvn", "bash"); err != nil {
		return nil, err
	}
	scripts, err := Folder("rocketmq")
	if err != nil {
		return nil, err
	}
	// Another process may take a port between our look and the broker's bind, so a failed start is tried again elsewhere.
	var failures []error
	for range 3 {
		dir, err := os.MkdirTemp("", "liftoff-rocketmq-")
		if err != nil {
			return nil, err
		}
		c := &Cluster{version: o.Version, dir: dir, scripts: scripts, preset: o.Preset}
		if c.base, err = freeBase(); err != nil {
			return nil, errors.Join(err, os.RemoveAll(dir))
		}
		args := []string{dir, string(o.Preset), "--base", strconv.Itoa(c.base), "--version", o.Version, "--wait", "180"}
		if o.HeapMB > 0 {
			args = append(args, "--heap", strconv.Itoa(o.HeapMB))
		}
		for _, s := range o.Settings {
			args = append(args, "--set", s)
		}
		if err = c.script("start", args...); err == nil {
			return c, nil
		}
		failures = append(failures, err, os.RemoveAll(dir))
		if !strings.Contains(err.Error(), "already taken") && !strings.Contains(err.Error(), "ended while starting") {
			break
		}
	}
	return nil, fmt.Errorf("start RocketMQ %s: %w", o.Version, errors.Join(failures...))
}

// NeedTools reports, in one error that says what to install, which of the programs are missing.
func NeedTools(names ...string) error {
	var missing []string
	for _, n := range names {
		if _, err := exec.LookPath(n); err != nil {
			missing = append(missing, n)
		}
	}
	if len(missing) == 0 {
		return nil
	}
	return fmt.Errorf("the integration tests run a real Apache RocketMQ and need Java 17 and Maven 3.8; not found: %s",
		strings.Join(missing, ", "))
}

// Folder finds a folder of the integration module from the working directory of any of its tests.
func Folder(name string) (string, error) {
	dir, err := os.Getwd()
	if err != nil {
		return "", err
	}
	for d := dir; ; d = filepath.Dir(d) {
		if _, err := os.Stat(filepath.Join(d, "rocketmq", "start")); err == nil {
			return filepath.Join(d, name), nil
		}
		if d == filepath.Dir(d) {
			return "", fmt.Errorf("%s is not inside the integration module: %w", dir, fs.ErrNotExist)
		}
	}
}

// Version is the RocketMQ version that runs.
func (c *Cluster) Version() string { return c.version }

// NameServer is the name server's address.
func (c *Cluster) NameServer() string { return addr(c.base) }

// Brokers are the names of the masters.
func (c *Cluster) Brokers() []string {
	if c.preset == Two {
		return []string{"broker-a", "broker-b"}
	}
	return []string{"broker-a"}
}

// BrokerAddr is the address of a broker by name; it panics never and is "" for an unknown name.
func (c *Cluster) BrokerAddr(name string) string {
	switch name {
	case "broker-a":
		return addr(c.base + 10)
	case "broker-b":
		return addr(c.base + 30)
	}
	return ""
}

// Kill ends a node with SIGKILL, as a crash does: sockets are reset, nothing is flushed by the process.
func (c *Cluster) Kill(t testing.TB, node string) {
	t.Helper()
	c.must(t, "stop", c.dir, "--kill", node)
}

// Pause stops a node with SIGSTOP: its sockets stay open and accept connections, but nothing answers.
func (c *Cluster) Pause(t testing.TB, node string) {
	t.Helper()
	c.must(t, "stop", c.dir, "--pause", node)
}

// Resume lets a paused node go on.
func (c *Cluster) Resume(t testing.TB, node string) {
	t.Helper()
	c.must(t, "stop", c.dir, "--resume", node)
}

// Restart starts a killed node on its own store and port, and returns when the name server lists it.
func (c *Cluster) Restart(t testing.TB, node string) {
	t.Helper()
	c.must(t, "start", c.dir, "--again", node)
}

// WaitPort returns at the moment the broker's port accepts a connection again.
func (c *Cluster) WaitPort(ctx context.Context, broker string) (time.Time, error) {
	for {
		conn, err := (&net.Dialer{}).DialContext(ctx, "tcp", c.BrokerAddr(broker))
		if err == nil {
			return time.Now(), conn.Close()
		}
		if ctx.Err() != nil {
			return time.Time{}, ctx.Err()
		}
		time.Sleep(5 * time.Millisecond)
	}
}

// Stop ends every node by SIGKILL and removes the store. It is safe to call twice.
func (c *Cluster) Stop() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.stopped {
		return nil
	}
	c.stopped = true
	// Nothing is asked of the store afterwards, and a clean 5.x shutdown takes up to 20 s.
	err := c.script("stop", c.dir, "--kill")
	return errors.Join(err, os.RemoveAll(c.dir))
}

func (c *Cluster) must(t testing.TB, script string, args ...string) {
	t.Helper()
	if err := c.script(script, args...); err != nil {
		t.Fatal(err)
	}
}

func (c *Cluster) script(name string, args ...string) error {
	cmd := exec.Command(filepath.Join(c.scripts, name), args...)
	// The servers outlive the script and must not hold its output open, so it goes to a file and not to a pipe.
	out, err := os.CreateTemp("", "liftoff-script-")
	if err != nil {
		return err
	}
	defer func() { _ = os.Remove(out.Name()); _ = out.Close() }()
	cmd.Stdout, cmd.Stderr = out, out
	if err := cmd.Run(); err != nil {
		text, _ := os.ReadFile(out.Name())
		return fmt.Errorf("%s %s: %w\n%s", name, strings.Join(args, " "), err, text)
	}
	return nil
}

// freeBase finds a base whose ports are free: the name server's, and each broker's port-2 (VIP), port and port+1 (HA).
func freeBase() (int, error) {
	for try := range 50 {
		// Below the range from which the system takes the ports of outgoing connections (32768 and up on Linux).
		base := 20000 + (os.Getpid()*131+int(time.Now().UnixNano()/1000)+try*997)%12000
		if allFree(base, base+8, base+10, base+11, base+28, base+30, base+31) {
			return base, nil
		}
	}
	return 0, errors.New("no free ports for RocketMQ between 20000 and 32000")
}

func allFree(ports ...int) bool {
	for _, p := range ports {
		l, err := net.Listen("tcp", addr(p))
		if err != nil {
			return false
		}
		_ = l.Close()
	}
	return true
}

func addr(port int) string { return net.JoinHostPort("127.0.0.1", strconv.Itoa(port)) }
