// Package server starts the real Apache RocketMQ that the contenders send to, and asks it what it has stored.
package server

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
)

// Version is the RocketMQ that the bench measures with.
const Version = "5.3.3"

// Cluster is a running name server with one or two brokers on loopback.
type Cluster struct {
	scripts string
	dir     string
	base    int
	brokers int
}

// Scripts finds the scripts that start RocketMQ, from a folder inside the repository.
func Scripts(from string) (string, error) {
	for d := from; ; d = filepath.Dir(d) {
		s := filepath.Join(d, "integration", "rocketmq")
		if _, err := os.Stat(filepath.Join(s, "start")); err == nil {
			return s, nil
		}
		if d == filepath.Dir(d) {
			return "", fmt.Errorf("integration/rocketmq is not above %s: %w", from, fs.ErrNotExist)
		}
	}
}

// Start starts a name server and brokers with an empty store. settings are the brokers', KEY=VALUE each. The caller
// must call Stop.
func Start(ctx context.Context, scripts string, brokers int, settings ...string) (*Cluster, error) {
	preset := map[int]string{1: "single", 2: "cluster"}[brokers]
	if preset == "" {
		return nil, fmt.Errorf("%d brokers: one or two can be started", brokers)
	}
	base, err := freeBase()
	if err != nil {
		return nil, err
	}
	dir, err := os.MkdirTemp("", "liftoff-bench-broker-")
	if err != nil {
		return nil, err
	}
	c := &Cluster{scripts: scripts, dir: dir, base: base, brokers: brokers}
	args := []string{dir, preset, "--base", strconv.Itoa(base), "--version", Version, "--wait", "180", "--heap", "1024"}
	// A broker in service is compiled fully, and a flood needs buffers; the scripts save time and memory instead.
	args = append(args, "--java", "-XX:TieredStopAtLevel=4", "--java", "-XX:MaxDirectMemorySize=2g")
	for _, s := range settings {
		args = append(args, "--set", s)
	}
	if err := c.script(ctx, "start", args...); err != nil {
		return nil, errors.Join(err, c.Stop())
	}
	return c, nil
}

// Stop ends the servers and removes their store.
func (c *Cluster) Stop() error {
	err := c.script(context.Background(), "stop", c.dir, "--kill")
	return errors.Join(err, os.RemoveAll(c.dir))
}

// NameServer is the name server's address.
func (c *Cluster) NameServer() string { return local(c.base) }

// Broker is one broker of a cluster.
type Broker struct {
	Name, Addr string
}

// Brokers are the cluster's brokers.
func (c *Cluster) Brokers() []Broker {
	all := []Broker{{"broker-a", local(c.base + 10)}, {"broker-b", local(c.base + 30)}}
	return all[:c.brokers]
}

// PIDs are the brokers' processes.
func (c *Cluster) PIDs() ([]int, error) {
	var pids []int
	for _, b := range c.Brokers() {
		text, err := os.ReadFile(filepath.Join(c.dir, b.Name, "pid"))
		if err != nil {
			return nil, err
		}
		pid, err := strconv.Atoi(strings.TrimSpace(string(text)))
		if err != nil {
			return nil, err
		}
		pids = append(pids, pid)
	}
	return pids, nil
}

func (c *Cluster) script(ctx context.Context, name string, args ...string) error {
	cmd := exec.CommandContext(ctx, filepath.Join(c.scripts, name), args...)
	// The servers outlive the script and must not hold its output open, so it goes to a file and not to a pipe.
	out, err := os.CreateTemp("", "liftoff-bench-script-")
	if err != nil {
		return err
	}
	defer func() { _ = os.Remove(out.Name()); _ = out.Close() }()
	cmd.Stdout, cmd.Stderr = out, out
	if err := cmd.Run(); err != nil {
		text, _ := os.ReadFile(out.Name())
		return fmt.Errorf("%s: %w\n%s", name, err, text)
	}
	return nil
}

// freeBase finds a base whose ports are free, below the range of outgoing connections (32768 and up on Linux). All
// ports have five digits, which the renaming proxy relies on.
func freeBase() (int, error) {
	for try := range 50 {
		base := 20000 + (os.Getpid()*131+try*997)%12000
		free := true
		for _, p := range []int{0, 8, 10, 11, 28, 30, 31} {
			ln, err := net.Listen("tcp", local(base+p))
			if err != nil {
				free = false
				break
			}
			_ = ln.Close()
		}
		if free {
			return base, nil
		}
	}
	return 0, errors.New("no free ports for RocketMQ between 20000 and 32000")
}

func local(port int) string { return net.JoinHostPort("127.0.0.1", strconv.Itoa(port)) }
