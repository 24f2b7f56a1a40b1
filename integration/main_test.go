package integration

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/liftoff-mq/liftoff/integration/cluster"
)

// shared holds one two-broker cluster per version, started when the first test asks for it. Starting one costs
// 5 to 30 s, and the tests keep apart by topic.
var shared struct {
	mu       sync.Mutex
	clusters map[string]*cluster.Cluster
	errs     map[string]error
}

// built is the liftoff command, built once.
var built struct {
	once sync.Once
	dir  string
	path string
	err  error
}

func TestMain(m *testing.M) {
	code := m.Run()
	shared.mu.Lock()
	defer shared.mu.Unlock()
	var errs []error
	for _, c := range shared.clusters {
		errs = append(errs, c.Stop())
	}
	if built.dir != "" {
		errs = append(errs, os.RemoveAll(built.dir))
	}
	if err := errors.Join(errs...); err != nil {
		fmt.Fprintln(os.Stderr, err)
		code = max(code, 1)
	}
	os.Exit(code)
}

// versions are the RocketMQ versions under test.
func versions(t testing.TB) []string {
	t.Helper()
	v := os.Getenv("LIFTOFF_ROCKETMQ_VERSION")
	if v == "" {
		return cluster.Versions
	}
	if !slices.Contains(cluster.Versions, v) {
		t.Fatalf("LIFTOFF_ROCKETMQ_VERSION=%s: want one of %s", v, strings.Join(cluster.Versions, ", "))
	}
	return []string{v}
}

// eachVersion runs a sub-test against the shared cluster of each version. A test that breaks a node repairs it.
func eachVersion(t *testing.T, test func(t *testing.T, c *cluster.Cluster)) {
	t.Helper()
	for _, v := range versions(t) {
		t.Run(v, func(t *testing.T) { test(t, sharedCluster(t, v)) })
	}
}

func sharedCluster(t testing.TB, version string) *cluster.Cluster {
	t.Helper()
	shared.mu.Lock()
	defer shared.mu.Unlock()
	if c := shared.clusters[version]; c != nil {
		return c
	}
	if err := shared.errs[version]; err != nil {
		t.Fatal(err) // a start that failed once is not tried by every test
	}
	c, err := cluster.Launch(cluster.Options{Version: version, Preset: cluster.Two})
	if err != nil {
		if shared.errs == nil {
			shared.errs = map[string]error{}
		}
		shared.errs[version] = err
		t.Fatal(err)
	}
	if shared.clusters == nil {
		shared.clusters = map[string]*cluster.Cluster{}
	}
	shared.clusters[version] = c
	return c
}

// liftoffBinary is the path of the built command line program.
func liftoffBinary(t testing.TB) string {
	t.Helper()
	built.once.Do(func() {
		if built.dir, built.err = os.MkdirTemp("", "liftoff-bin-"); built.err != nil {
			return
		}
		built.path = filepath.Join(built.dir, "liftoff")
		cmd := exec.Command("go", "build", "-o", built.path, "./cmd/liftoff")
		cmd.Dir = ".." // the program belongs to the root module and is built with that module's dependencies
		if out, err := cmd.CombinedOutput(); err != nil {
			built.err = fmt.Errorf("build cmd/liftoff: %w\n%s", err, out)
		}
	})
	if built.err != nil {
		t.Fatal(built.err)
	}
	return built.path
}

// topicFor is a topic name of its own for a test, so that tests share a cluster without meeting.
func topicFor(t testing.TB, suffix string) string {
	t.Helper()
	name := strings.Map(func(r rune) rune {
		switch {
		case r >= 'a' && r <= 'z', r >= 'A' && r <= 'Z', r >= '0' && r <= '9', r == '_', r == '-':
			return r
		}
		return '_'
	}, t.Name()+"-"+suffix)
	if len(name) > 120 { // RocketMQ allows 127
		t.Fatalf("topic name %s is too long", name)
	}
	return name
}
