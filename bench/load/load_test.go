package load_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/liftoff-mq/liftoff/bench/load"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestArgs(t *testing.T) {
	full := load.Spec{
		NameServer: "127.0.0.1:1", Brokers: "a=127.0.0.1:2,b=127.0.0.1:3", Topic: "T", Queues: 8, Mode: load.Async, InFlight: 256,
		Size: 1024, BodyFile: "/x y/z", Batch: 32, Variant: "zstd", WarmMS: 1, WindowMS: 2, Profile: "cpu,allocs", ProfileTo: "/p",
		Credentials: "/c", CA: "/ca",
	}
	for _, want := range []load.Spec{full, {Topic: "T", Queues: 1, Mode: load.Sync, InFlight: 1, WindowMS: 1}} {
		got, err := load.Parse(want.Args())
		if err != nil || !reflect.DeepEqual(got, want) {
			t.Errorf("got %+v, %v, want %+v", got, err, want)
		}
	}
	for _, args := range [][]string{
		nil, {"mode=sync"}, {"mode=walk", "inflight=1", "window=1", "topic=T", "queues=1"}, {"mode"}, {"speed=1"}, {"inflight=many"},
	} {
		if s, err := load.Parse(args); err == nil {
			t.Errorf("%q was taken for %+v", args, s)
		}
	}
}

func TestBody(t *testing.T) {
	file := filepath.Join(t.TempDir(), "body")
	if err := os.WriteFile(file, []byte("text"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		spec load.Spec
		want string
	}{{load.Spec{Size: 3}, "xxx"}, {load.Spec{Size: 3, BodyFile: file}, "text"}} {
		if got, err := tt.spec.Body(); err != nil || string(got) != tt.want {
			t.Errorf("got %q, %v, want %q", got, err, tt.want)
		}
	}
}

// client is a contender that needs a moment for each request and fails every tenth.
type client struct {
	calls, most, now atomic.Int64
	closed           atomic.Bool
}

var errTenth = errors.New("every tenth fails")

func (c *client) call() error {
	c.most.Store(max(c.most.Load(), c.now.Add(1)))
	time.Sleep(time.Millisecond)
	c.now.Add(-1)
	if c.calls.Add(1)%10 == 0 {
		return errTenth
	}
	return nil
}

func (c *client) open(*load.Spec) (*load.Contender, error) {
	return &load.Contender{
		Send:     c.call,
		Async:    func(done func(error)) func() { return func() { go func() { done(c.call()) }() } },
		Counters: func() map[string]float64 { return map[string]float64{"calls": float64(c.calls.Load())} },
		Close:    func() error { c.closed.Store(true); return nil },
	}, nil
}

func TestRun(t *testing.T) {
	for _, s := range []load.Spec{
		{Mode: load.Sync, InFlight: 4, WarmMS: 30, WindowMS: 200},
		{Mode: load.Sync, InFlight: 1, Batch: 32, WarmMS: 30, WindowMS: 200},
		{Mode: load.Async, InFlight: 16, WarmMS: 30, WindowMS: 200},
	} {
		t.Run(s.Mode, func(t *testing.T) {
			var c client
			var out bytes.Buffer
			if err := load.Run(&s, c.open, &out); err != nil {
				t.Fatal(err)
			}
			lines := strings.Split(strings.TrimSpace(out.String()), "\n")
			if len(lines) != 3 || lines[0] != "begin" || lines[1] != "end" {
				t.Fatalf("printed %q", lines)
			}
			var r load.Result
			if err := json.Unmarshal([]byte(lines[2]), &r); err != nil {
				t.Fatal(err)
			}
			per := int64(s.Messages())
			if r.Accepted+r.Failed*per != c.calls.Load()*per {
				t.Errorf("%d messages accepted and %d requests failed of %d", r.Accepted, r.Failed, c.calls.Load())
			}
			if r.Messages <= 0 || r.Messages >= r.Accepted || r.Failed == 0 || r.Failure != errTenth.Error() {
				t.Errorf("got %+v", r)
			}
			if r.P50 < 1000 || r.P99 < r.P50 || r.P999 < r.P99 || r.Max < r.P999 {
				t.Errorf("a request takes 1 ms at least, got %v, %v, %v and %v µs", r.P50, r.P99, r.P999, r.Max)
			}
			if want := 1 / float64(per); r.Counters["calls"] < want {
				t.Errorf("%v calls a message, want %v at least", r.Counters["calls"], want)
			}
			if r.Seconds < 0.2 || c.most.Load() > int64(s.InFlight) || !c.closed.Load() {
				t.Errorf("%v s, %d at once, closed %t", r.Seconds, c.most.Load(), c.closed.Load())
			}
		})
	}
}

func TestProfiles(t *testing.T) {
	var c client
	to := filepath.Join(t.TempDir(), "p")
	s := load.Spec{Mode: load.Sync, InFlight: 2, WarmMS: 1, WindowMS: 50, Profile: strings.Join(load.Profiles, ","), ProfileTo: to}
	if err := load.Run(&s, c.open, &bytes.Buffer{}); err != nil {
		t.Fatal(err)
	}
	for _, kind := range load.Profiles {
		if info, err := os.Stat(to + "." + kind); err != nil || info.Size() == 0 {
			t.Errorf("%s: %v", kind, err)
		}
	}
}

func TestLoadThatEnds(t *testing.T) {
	gone := errors.New("the broker has gone")
	s := load.Spec{Mode: load.Sync, InFlight: 1, WarmMS: 60_000, WindowMS: 1}
	err := load.Run(&s, func(*load.Spec) (*load.Contender, error) {
		return &load.Contender{Loop: func(*load.Meter) error { return gone }, Close: func() error { return nil }}, nil
	}, &bytes.Buffer{})
	if !errors.Is(err, gone) {
		t.Errorf("got %v, want %v", err, gone)
	}
}
