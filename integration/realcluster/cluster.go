// Package realcluster runs a real Apache RocketMQ (name server and brokers, in Java) on loopback, for the integration
// tests and for the bench.
//
// It is a thin layer over the scripts in integration/rocketmq: it picks ports that no other cluster of this machine has,
// knows the nodes by name, breaks them (kill, pause, restart) and ends them again by process id. Administration (topics,
// stored counts) goes straight to the servers in a small protocol client of its own, which shares no code with Liftoff:
// what judges the library must not be the library.
package realcluster

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"time"
)

// Default is the RocketMQ version that runs unless another one is asked for.
const Default = "5.3.3"

// Versions are the RocketMQ versions that the scripts are known to run, the default first.
var Versions = []string{Default, "4.9.7", "5.5.0"}

// Options say what to start. The zero value is one broker of the default version.
type Options struct {
	Version string // of Versions
	Brokers int    // 1 (default) or 2: broker-a, and broker-b, a second master
	// Slave gives the one broker a slave, the node broker-a-s. The master answers a send only when the slave has the
	// message (SYNC_MASTER), or says that it has not.
	Slave bool
	// Proxy puts the proxy of 5.x in front of the one broker, the node proxy.
	Proxy bool
	// ACL switches access control on at the one broker. There are two users, whose credentials AdminCredentials and
	// SenderCredentials name.
	ACL bool
	// Controller gives the one broker, broker-a, two replicas, the nodes broker-a and broker-a-s, and leaves it to the
	// controller in the name server which of them is master (5.x). It is broker-a at first. A send is acknowledged when
	// all replicas in sync have the message.
	Controller bool
	// ActingMaster is two masters, broker-a and broker-b, and a slave of the first, the node broker-a-s, which acts for
	// its master while that is gone (5.x).
	ActingMaster bool
	// Container runs broker-a and broker-b in one process, the node container (5.x).
	Container bool
	// Settings are broker settings, KEY=VALUE for every broker or NODE:KEY=VALUE for one.
	Settings []string
	// Java are JVM flags, FLAG for every node or NODE:FLAG for one.
	Java   []string
	HeapMB int // heap of each broker, 384 by default
	// TLS makes the one broker and the name server refuse what is not encrypted. Their certificate is for 127.0.0.1 and
	// localhost; [Cluster.TLSFile] has what a client needs.
	TLS bool
	// IPv6 makes the brokers listen on ::1 and register that.
	IPv6 bool
}

// Cluster is a running RocketMQ. Its methods may be called from several goroutines, but those that break or
// repair a node block until that is done.
type Cluster struct {
	version string
	dir     string
	scripts string
	ports   *ports
	brokers []Broker
	acl     bool
	tls     bool
	ipv6    bool

	mu      sync.Mutex
	stopped bool
}

// Broker is a master of a cluster.
type Broker struct {
	Name, Addr string
}

// Launch starts a cluster with an empty store and returns when every node serves. The caller must call Stop. Without
// Java or Maven it fails and says so: whoever asks for a real broker must not go on without one.
func Launch(ctx context.Context, o Options) (*Cluster, error) {
	if o.Version == "" {
		o.Version = Default
	}
	preset, err := o.preset()
	if err != nil {
		return nil, err
	}
	if err := NeedTools("java", "mvn", "bash"); err != nil {
		return nil, err
	}
	scripts, err := Folder("rocketmq")
	if err != nil {
		return nil, err
	}
	// A program that knows nothing of our reservations may take a port before the broker binds it, so a failed start is
	// tried again elsewhere.
	var failures []error
	for range 3 {
		c, err := launch(ctx, scripts, preset, &o)
		if err == nil {
			return c, nil
		}
		failures = append(failures, err)
		if ctx.Err() != nil || !strings.Contains(err.Error(), "already taken") && !strings.Contains(err.Error(), "ended while starting") {
			break
		}
	}
	return nil, fmt.Errorf("start RocketMQ %s: %w", o.Version, errors.Join(failures...))
}

// preset is the start script's word for what is to run.
func (o *Options) preset() (string, error) {
	if o.Brokers < 0 || o.Brokers > 2 {
		return "", fmt.Errorf("%d brokers: one or two can be started", o.Brokers)
	}
	preset := "single"
	for _, kind := range []struct {
		preset, what string
		asked        bool
		since5       bool
	}{
		{"cluster", "two brokers", o.Brokers == 2, false},
		{"replica", "a slave", o.Slave, false},
		{"acl", "access control", o.ACL, false},
		{"tls", "TLS", o.TLS, false},
		{"proxy", "a proxy", o.Proxy, true},
		{"controller", "a controller", o.Controller, true},
		{"acting", "an acting master", o.ActingMaster, true},
		{"container", "a container", o.Container, true},
	} {
		switch {
		case !kind.asked:
		case preset != "single":
			return "", fmt.Errorf("%s beside another kind of cluster (%s): one of them can be had", kind.what, preset)
		case kind.since5 && strings.HasPrefix(o.Version, "4."):
			return "", fmt.Errorf("RocketMQ %s does not have %s", o.Version, kind.what)
		default:
			preset = kind.preset
		}
	}
	return preset, nil
}

func launch(ctx context.Context, scripts, preset string, o *Options) (*Cluster, error) {
	p, err := reserve()
	if err != nil {
		return nil, err
	}
	// integration/run looks for folders of this name to end what an interrupted run has left.
	dir, err := os.MkdirTemp("", "liftoff-rocketmq-")
	if err != nil {
		return nil, errors.Join(err, p.release())
	}
	at, settings, java := local, o.Settings, o.Java
	if o.IPv6 {
		at = local6
		settings = append([]string{"brokerIP1=::1", "bindAddress=::1"}, settings...)
		java = append([]string{"-Djava.net.preferIPv4Stack=false"}, java...)
	}
	all := []Broker{{"broker-a", at(p.base + 10)}, {"broker-b", at(p.base + 30)}}
	if o.Brokers < 2 && !o.ActingMaster && !o.Container {
		all = all[:1]
	}
	c := &Cluster{version: o.Version, dir: dir, scripts: scripts, ports: p, brokers: all, acl: o.ACL, tls: o.TLS, ipv6: o.IPv6}
	args := []string{dir, preset, "--base", strconv.Itoa(p.base), "--version", o.Version, "--wait", "180"}
	if o.HeapMB > 0 {
		args = append(args, "--heap", strconv.Itoa(o.HeapMB))
	}
	for _, s := range settings {
		args = append(args, "--set", s)
	}
	for _, f := range java {
		args = append(args, "--java", f)
	}
	if _, err := c.script(ctx, "start", args...); err != nil {
		return nil, errors.Join(err, c.Stop())
	}
	return c, nil
}

// Version is the RocketMQ version that runs.
func (c *Cluster) Version() string { return c.version }

// NameServer is the name server's address.
func (c *Cluster) NameServer() string { return local(c.ports.base) }

// Proxy is the address of the proxy's remoting port, which is name server and broker to clients.
func (c *Cluster) Proxy() string { return local(c.ports.base + 41) }

// AdminCredentials is the file with the keys of the administrator, who may do everything, at a cluster with access control.
func (c *Cluster) AdminCredentials() string { return filepath.Join(c.dir, "admin.cred") }

// SenderCredentials is the file with the keys of a user who may send to the topic "allowed" and only read the topic
// "readonly".
func (c *Cluster) SenderCredentials() string { return filepath.Join(c.dir, "sender.cred") }

// TLSFile is the path of ca.crt, which has signed the certificate of the servers, or of client.crt or client.key, which
// they take from a client.
func (c *Cluster) TLSFile(name string) string { return filepath.Join(c.dir, "tls", name) }

// Brokers are the cluster's masters.
func (c *Cluster) Brokers() []Broker { return append([]Broker(nil), c.brokers...) }

// BrokerAddr is the address of a broker by name, "" for an unknown name.
func (c *Cluster) BrokerAddr(name string) string {
	for _, b := range c.brokers {
		if b.Name == name {
			return b.Addr
		}
	}
	return ""
}

// PIDs are the brokers' processes.
func (c *Cluster) PIDs() ([]int, error) {
	var pids []int
	for _, b := range c.brokers {
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

// Kill ends a node with SIGKILL, as a crash does: sockets are reset, nothing is flushed by the process. It returns when
// the node's port refuses connections.
func (c *Cluster) Kill(node string) error { return c.node("stop", "--kill", node) }

// Pause stops a node with SIGSTOP: its sockets stay open and accept connections, but nothing answers.
func (c *Cluster) Pause(node string) error { return c.node("stop", "--pause", node) }

// Resume lets a paused node go on.
func (c *Cluster) Resume(node string) error { return c.node("stop", "--resume", node) }

// Restart starts a killed node on its own store and port, and returns when the name server lists it.
func (c *Cluster) Restart(node string) error { return c.node("start", "--again", node) }

func (c *Cluster) node(script, how, node string) error {
	_, err := c.script(context.Background(), script, c.dir, how, node)
	return err
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
	_, err := c.script(context.Background(), "stop", c.dir, "--kill")
	return errors.Join(err, os.RemoveAll(c.dir), c.ports.release())
}

func local(port int) string  { return net.JoinHostPort("127.0.0.1", strconv.Itoa(port)) }
func local6(port int) string { return net.JoinHostPort("::1", strconv.Itoa(port)) }
