package integration

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/liftoff-mq/liftoff/integration/realcluster"
)

// shared holds one two-broker cluster per version, started when the first test asks for it. Starting one costs
// 5 to 30 s, and the tests keep apart by topic.
var shared struct {
	mu       sync.Mutex
	clusters map[string]func() (*cluster, error)
}

// took is what the tests of each version took. It is printed, so that a run says what it was made against.
var took struct {
	mu    sync.Mutex
	tests map[string]int
	time  map[string]time.Duration
}

// built is the liftoff command, built once.
var built struct {
	once sync.Once
	dir  string
	path string
	err  error
}

func TestMain(m *testing.M) {
	if place := os.Getenv(transactionChild); place != "" {
		fmt.Fprintln(os.Stderr, hangBetween(place))
		os.Exit(1)
	}
	code := m.Run()
	shared.mu.Lock()
	defer shared.mu.Unlock()
	var errs []error
	for _, start := range shared.clusters {
		if c, err := start(); err == nil {
			errs = append(errs, c.Stop())
		}
	}
	if built.dir != "" {
		errs = append(errs, os.RemoveAll(built.dir))
	}
	if err := errors.Join(errs...); err != nil {
		fmt.Fprintln(os.Stderr, err)
		code = max(code, 1)
	}
	for _, v := range slices.Sorted(maps.Keys(took.tests)) {
		fmt.Printf("RocketMQ %s: %d tests in %s\n", v, took.tests[v], took.time[v].Round(time.Second))
	}
	os.Exit(code)
}

// versions are the RocketMQ versions under test.
func versions(t testing.TB) []string {
	t.Helper()
	named := strings.Fields(os.Getenv("LIFTOFF_ROCKETMQ_VERSION"))
	if len(named) == 0 {
		return realcluster.Versions
	}
	for _, v := range named {
		if !slices.Contains(realcluster.Versions, v) {
			t.Fatalf("LIFTOFF_ROCKETMQ_VERSION=%s: want some of %s", v, strings.Join(realcluster.Versions, ", "))
		}
	}
	return named
}

// eachVersion runs a sub-test for each version, side by side: most of the time they wait for servers. The test itself is
// parallel too, unless it breaks a node of the shared clusters, or is about a machine with much or little to do. Parallel
// tests run together after all others, so no version waits for the slowest one before the next test.
func eachVersion(t *testing.T, test func(t *testing.T, version string)) {
	t.Helper()
	for _, v := range versions(t) {
		t.Run(v, func(t *testing.T) {
			t.Parallel()
			defer count(v, time.Now())
			test(t, v)
		})
	}
}

// oneVersion runs a sub-test for 4.9.7, or for the one version that is under test: what it shows lies in the client, and
// it needs the machine for itself.
func oneVersion(t *testing.T, test func(t *testing.T, version string)) {
	t.Helper()
	v := versions(t)[0]
	if slices.Contains(versions(t), "4.9.7") {
		v = "4.9.7"
	}
	t.Run(v, func(t *testing.T) {
		defer count(v, time.Now())
		test(t, v)
	})
}

// version5 runs a sub-test for 5.3.3, or for the first version of 5.x that is under test: it shows a kind of cluster that
// 4.9.7 does not have.
func version5(t *testing.T, test func(t *testing.T, version string)) {
	t.Helper()
	for _, v := range versions(t) {
		if v != "4.9.7" {
			t.Run(v, func(t *testing.T) {
				t.Parallel()
				defer count(v, time.Now())
				test(t, v)
			})
			return
		}
	}
}

// count notes a test of a version.
func count(version string, began time.Time) {
	took.mu.Lock()
	defer took.mu.Unlock()
	if took.tests == nil {
		took.tests, took.time = map[string]int{}, map[string]time.Duration{}
	}
	took.tests[version]++
	took.time[version] += time.Since(began)
}

// eachCluster runs a sub-test against the shared cluster of each version. A test that breaks a node repairs it.
func eachCluster(t *testing.T, test func(t *testing.T, c *cluster)) {
	t.Helper()
	eachVersion(t, func(t *testing.T, version string) { test(t, sharedCluster(t, version)) })
}

func sharedCluster(t testing.TB, version string) *cluster {
	t.Helper()
	shared.mu.Lock()
	if shared.clusters == nil {
		shared.clusters = map[string]func() (*cluster, error){}
	}
	start := shared.clusters[version]
	if start == nil { // a start that failed once is not tried by every test
		start = sync.OnceValues(func() (*cluster, error) {
			launched, err := launch(context.Background(), realcluster.Options{Version: version, Brokers: 2})
			return &cluster{launched}, err
		})
		shared.clusters[version] = start
	}
	shared.mu.Unlock()
	c, err := start()
	if err != nil {
		t.Fatal(err)
	}
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
