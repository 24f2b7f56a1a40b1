package liftoff_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/liftoff-mq/liftoff"
	"github.com/liftoff-mq/liftoff/core"
	"github.com/liftoff-mq/liftoff/strategies/policyfile"
	"github.com/liftoff-mq/liftoff/strategies/retry"
	"github.com/liftoff-mq/liftoff/strategies/selector"
	"github.com/liftoff-mq/liftoff/transport/embedded"
)

// versions are parts that know of which version of the file they are, and note which ones a call
// has met.
type versions struct {
	slot  core.Slot[*met]
	calls sync.Map // *core.Message -> *met
}

// met are the versions that one call has met.
type met struct {
	mu  sync.Mutex
	all map[int]bool
}

func (m *met) note(version int) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.all[version] = true
}

// numbered is a part of one version.
type numbered struct {
	*versions
	version int
}

func (n numbered) Step() core.Step { return core.CallStep("numbered", core.StageGuard, n) }

func (n numbered) Intercept(ctx context.Context, call *core.Call, next core.Handler) (*core.Result, error) {
	m, _ := n.slot.Get(call)
	m.note(n.version)
	if got := call.Policy().Timeout; got != time.Minute+time.Duration(n.version)*time.Second {
		m.note(-1)
	}
	return next(ctx, call)
}

func (n numbered) ForTopic(string) core.QueueSelector {
	inner := selector.Random().ForTopic("")
	return core.QueueSelectorFunc(func(ctx context.Context, s *core.Selection) (int, error) {
		m, _ := n.slot.Get(s.Call())
		m.note(n.version)
		return inner.Select(ctx, s)
	})
}

func (n numbered) Next(f *core.Failure) core.Decision {
	if m, ok := n.calls.Load(f.Message); ok { // else it is only asked what it would do
		m.(*met).note(n.version)
	}
	return retry.AtLeastOnce(retry.Retries(20)).Next(f)
}

// registered are the parts as a file names them.
func (v *versions) registered() []policyfile.Option {
	number := func(o *policyfile.Options) numbered {
		n := numbered{versions: v}
		o.Int("version", &n.version, 0, 1000)
		return n
	}
	return []policyfile.Option{
		policyfile.WithSelector("test.numbered", func(o *policyfile.Options) (core.SelectorFactory, error) { return number(o), nil }),
		policyfile.WithRetry("test.numbered", func(o *policyfile.Options) (core.RetryPolicy, error) { return number(o), nil }),
		policyfile.WithStep("test.numbered", func(o *policyfile.Options) (policyfile.Stepper, error) { return number(o), nil }),
	}
}

// write makes a version of the file.
func (v *versions) write(t *testing.T, path string, version int) {
	t.Helper()
	part := fmt.Sprintf("{test.numbered: {version: %d}}", version)
	text := fmt.Sprintf("version: 1\npolicies:\n  default: {timeout: %ds, selector: %s, retry: %s, steps: %s}\n", 60+version, part, part, part)
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

// The file is read anew a hundred times while callers send in every way. Every tenth time it has a
// mistake. No send is lost, and each goes by one version of the file alone.
func TestPolicyFileUnderLoad(t *testing.T) {
	const reloads, callers = 100, 16
	cluster := embedded.New(t, embedded.Config{Brokers: embedded.BrokerNames(2)})
	path := filepath.Join(t.TempDir(), "policies.yaml")
	v := &versions{slot: core.NewSlot[*met]("met")}
	v.write(t, path, 0)
	w, err := policyfile.NewWatcher(path, append(v.registered(), policyfile.WithInterval(0))...)
	if err != nil {
		t.Fatal(err)
	}
	p, err := liftoff.New(liftoff.Config{Group: "reload", NameServers: cluster.NameServers()}, liftoff.WithPolicies(w))
	if err != nil {
		t.Fatal(err)
	}
	if err := p.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	var stop atomic.Bool
	var sent atomic.Int64
	seen := sync.Map{} // versions that were sent by
	var load sync.WaitGroup
	for i := range callers {
		load.Go(func() {
			for n := 0; !stop.Load(); n++ {
				m := &met{all: map[int]bool{}}
				msg := &liftoff.Message{Topic: fmt.Sprint("T", i%3), Body: []byte("x")}
				v.calls.Store(msg, m)
				var err error
				switch (i + n) % 3 {
				case 0:
					_, err = p.Send(t.Context(), msg, v.slot.With(m))
				case 1:
					_, err = p.SendBatch(t.Context(), []*liftoff.Message{msg}, v.slot.With(m))
				default:
					done := make(chan error, 1)
					p.SendAsync(t.Context(), msg, func(_ core.Result, err error) { done <- err }, v.slot.With(m))
					err = <-done
				}
				v.calls.Delete(msg)
				sent.Add(1)
				if err != nil {
					t.Errorf("a send is lost: %v", err)
				}
				if len(m.all) != 1 {
					t.Errorf("a send has met the versions %v", m.all)
				}
				for version := range m.all {
					seen.Store(version, true)
				}
			}
		})
	}
	for n := 1; n <= reloads; n++ {
		v.write(t, path, n)
		if n%10 == 0 {
			v.write(t, path, 1000+n) // out of range
		}
		err := w.Reload(t.Context())
		if mistake := (*policyfile.Mistake)(nil); (n%10 == 0) != errors.As(err, &mistake) {
			t.Errorf("reload %d: %v", n, err)
		}
		for before := sent.Load(); sent.Load() < before+callers; { // some sends go by each version
			time.Sleep(time.Millisecond)
		}
	}
	stop.Store(true)
	load.Wait()
	if err := p.Shutdown(t.Context()); err != nil {
		t.Error(err)
	}
	count := 0
	seen.Range(func(any, any) bool { count++; return true })
	if s := w.Status(); s.Changes != reloads*9/10 || count < reloads/2 {
		t.Errorf("%d changes, sends by %d versions", s.Changes, count)
	}
	stored := 0
	for i := range 3 {
		stored += cluster.StoredCount(fmt.Sprint("T", i))
	}
	if int64(stored) != sent.Load() {
		t.Errorf("%d messages are stored, %d were sent", stored, sent.Load())
	}
}

func TestWithPolicyFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "policies.yaml")
	if err := os.WriteFile(path, []byte(policyfile.Starter()), 0o600); err != nil {
		t.Fatal(err)
	}
	cfg := liftoff.Config{Group: "g", NameServers: []string{"127.0.0.1:1"}}
	p, err := liftoff.New(cfg, liftoff.WithPolicyFile(path))
	if err != nil {
		t.Fatal(err)
	}
	pipeline, err := p.PipelineFor("Payments")
	if err != nil {
		t.Fatal(err)
	}
	if d := pipeline.Policies()[0]; d.Name != "payments" || d.Timeout != "10s" {
		t.Errorf("got %+v", d)
	}
	for _, s := range pipeline.Steps() {
		if s.Name == "compress.zlib" {
			t.Error("payments are compressed")
		}
	}
	if err := os.WriteFile(path, []byte("version: 3"), 0o600); err != nil {
		t.Fatal(err)
	}
	_, err = liftoff.New(cfg, liftoff.WithPolicyFile(path))
	if m := (*policyfile.Mistake)(nil); !errors.As(err, &m) {
		t.Errorf("got %v", err)
	}
}
