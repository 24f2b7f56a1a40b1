package policyfile_test

import (
	"errors"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/liftoff-mq/liftoff/core"
	"github.com/liftoff-mq/liftoff/core/coretest"
	"github.com/liftoff-mq/liftoff/strategies/policyfile"
)

// file is a text with a time-out, by which the tests tell the versions apart.
func file(timeout string) string {
	return "version: 1\npolicies:\n  default: {timeout: " + timeout + ", health: {breaker: {openFor: 9s}}}\n"
}

func write(t *testing.T, path, text string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

// watched is a running producer with a watcher. It lives in the test's bubble.
func watched(t *testing.T, path string, opts ...policyfile.Option) (*policyfile.Watcher, *core.Producer) {
	t.Helper()
	w, err := policyfile.NewWatcher(path, opts...)
	if err != nil {
		t.Fatal(err)
	}
	cfg := coretest.Config(&coretest.Transport{})
	cfg.Policies = w
	return w, coretest.Start(t, cfg)
}

// lines are what was logged since they were taken last.
type lines struct {
	mu   sync.Mutex
	text strings.Builder
}

func (l *lines) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.Write(p)
}

func (l *lines) take() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	defer l.text.Reset()
	return l.text.String()
}

func timeoutOf(p *core.Producer) string { return p.Pipeline().Policies()[0].Timeout }

// A change of the file is in use after two looks, and a file with mistakes changes nothing.
func TestWatch(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		path := filepath.Join(t.TempDir(), "policies.yaml")
		write(t, path, file("3s"))
		var log lines
		w, p := watched(t, path, policyfile.WithLogger(slog.New(slog.NewTextHandler(&log, nil))))
		began := time.Now()
		step := func(what, timeout string, changes int, wrong, logged string) {
			t.Helper()
			time.Sleep(2*policyfile.DefaultInterval + time.Millisecond) // virtual
			synctest.Wait()
			s := w.Status()
			if got := timeoutOf(p); got != timeout || s.Changes != changes || s.Path != path || w.Current().Policy("T").Timeout.String() != timeout {
				t.Errorf("%s: the policies have %s, after %d changes, want %s after %d", what, got, s.Changes, timeout, changes)
			}
			if (s.Err == nil) != (wrong == "") || s.Err != nil && !strings.Contains(s.Err.Error(), wrong) {
				t.Errorf("%s: status %v, want %q", what, s.Err, wrong)
			}
			if got := log.take(); strings.Count(got, "\n") > 1 || !strings.Contains(got, logged) || logged == "" && got != "" {
				t.Errorf("%s: logged %q, want one line with %q", what, got, logged)
			}
		}
		step("nothing happened", "3s", 0, "", "")
		write(t, path, file("4s"))
		step("another text", "4s", 1, "", "policies replaced")
		if taken := w.Status().Taken; !taken.After(began) {
			t.Errorf("taken at %v", taken)
		}
		write(t, path, file("5"))
		step("a mistake", "4s", 1, "policies.yaml:3:22: policies.default.timeout: 5 has no unit", "policies.yaml:3:22")
		step("the mistake is still there", "4s", 1, "5 has no unit", "")
		write(t, path, file("6"))
		step("another mistake", "4s", 1, "6 has no unit", "6 has no unit")
		write(t, path, file("4s"))
		step("the old text", "4s", 1, "", "")
		write(t, path, file("6"))
		step("the mistake again", "4s", 1, "6 has no unit", "6 has no unit")
		if err := os.Remove(path); err != nil {
			t.Fatal(err)
		}
		step("no file", "4s", 1, "no such file", "no such file")
		write(t, path, file("7s"))
		step("a file again", "7s", 2, "", "policies replaced")
		write(t, path, "version: 1\npolicies: {default: {timeout: 8s, require: [acme]}}")
		step("the producer refuses", "7s", 2, `requires step "acme"`, `requires step`)
	})
}

// A text is taken when two looks have seen it: the first one may have seen half of it.
func TestHalfWritten(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		path := filepath.Join(t.TempDir(), "policies.yaml")
		write(t, path, file("3s"))
		_, p := watched(t, path)
		time.Sleep(policyfile.DefaultInterval / 2)
		for i, text := range []string{file("4s"), file("5s"), file("6s")} { // each is there for one look
			write(t, path, text)
			time.Sleep(policyfile.DefaultInterval)
			if got := timeoutOf(p); got != "3s" {
				t.Errorf("the policies have %s after text %d was there for one look", got, i)
			}
		}
		time.Sleep(policyfile.DefaultInterval)
		synctest.Wait()
		if got := timeoutOf(p); got != "6s" {
			t.Errorf("the policies have %s", got)
		}
	})
}

// Kubernetes changes a ConfigMap by exchanging a symbolic link of a directory above the file.
func TestSymbolicLinks(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		dir := t.TempDir()
		link := func(version string) {
			t.Helper()
			if err := os.Mkdir(filepath.Join(dir, version), 0o700); err != nil {
				t.Fatal(err)
			}
			write(t, filepath.Join(dir, version, "policies.yaml"), file(version))
			if err := os.Symlink(version, filepath.Join(dir, "..tmp")); err != nil {
				t.Skipf("no symbolic links here: %v", err)
			}
			if err := os.Rename(filepath.Join(dir, "..tmp"), filepath.Join(dir, "..data")); err != nil {
				t.Fatal(err)
			}
		}
		link("3s")
		path := filepath.Join(dir, "policies.yaml")
		if err := os.Symlink(filepath.Join("..data", "policies.yaml"), path); err != nil {
			t.Skipf("no symbolic links here: %v", err)
		}
		_, p := watched(t, path)
		link("4s")
		time.Sleep(2*policyfile.DefaultInterval + time.Millisecond)
		synctest.Wait()
		if got := timeoutOf(p); got != "4s" {
			t.Errorf("the policies have %s", got)
		}
	})
}

// By call the file is taken at once, and the error has what is wrong.
func TestReload(t *testing.T) {
	path := filepath.Join(t.TempDir(), "policies.yaml")
	write(t, path, file("3s"))
	w, err := policyfile.NewWatcher(path, policyfile.WithInterval(0))
	if err != nil {
		t.Fatal(err)
	}
	if err := w.Reload(t.Context()); err == nil || !strings.Contains(err.Error(), "no producer has these policies") {
		t.Errorf("got %v", err)
	}
	cfg := coretest.Config(&coretest.Transport{})
	cfg.Policies = w
	p := coretest.Start(t, cfg)
	before := p.Pipeline().Policies()[0]
	if err := w.Reload(t.Context()); err != nil || w.Status().Changes != 0 {
		t.Errorf("nothing has changed: %v, %+v", err, w.Status())
	}
	write(t, path, file("x"))
	err = w.Reload(t.Context())
	if m := (*policyfile.Mistake)(nil); !errors.As(err, &m) || m.Line != 3 || !errors.Is(w.Status().Err, err) {
		t.Errorf("got %v, status %v", err, w.Status().Err)
	}
	write(t, path, file("4s"))
	if err := w.Reload(t.Context()); err != nil || w.Status().Changes != 1 || w.Status().Err != nil || timeoutOf(p) != "4s" {
		t.Errorf("got %v, %+v, %s", err, w.Status(), timeoutOf(p))
	}
	if before.Timeout != "3s" {
		t.Errorf("it began with %s", before.Timeout)
	}
}

// What a new text says in the same words at the same place stays: a breaker keeps what it knows.
func TestPartsStay(t *testing.T) {
	path := filepath.Join(t.TempDir(), "policies.yaml")
	text := "version: 1\npolicies:\n  a: {timeout: 3s, health: {worst: {of: [{breaker: {openFor: 9s}}]}}, budget: {tokens: {burst: 5}}}\n  default: {extends: a, selector: hash}\n"
	write(t, path, text)
	w, _ := watched(t, path, policyfile.WithInterval(0))
	reload := func(text string) *core.Policy {
		t.Helper()
		write(t, path, text)
		if err := w.Reload(t.Context()); err != nil {
			t.Fatal(err)
		}
		return w.Current().Policy("T")
	}
	first := w.Current().Policy("T")
	second := reload("# a comment\n" + strings.Replace(text, "3s, health: {worst: {of: [{breaker: {openFor: 9s", "4s, health:  {worst: {of: [{breaker: {openFor: 9000ms", 1))
	if first.Health != second.Health || first.Budget != second.Budget || first.Selector != second.Selector || second.Timeout != 4*time.Second {
		t.Error("a part was made anew")
	}
	if len(second.Steps) != 1 || second.Steps[0].Parts()[0] != first.Steps[0].Parts()[0] {
		t.Errorf("the breaker's step is another one: %v", second.Steps)
	}
	third := reload(strings.Replace(text, "9s", "8s", 1))
	if third.Health == first.Health || third.Budget != first.Budget {
		t.Error("a part of other words stayed")
	}
}

func TestWatcherThatIsNotThere(t *testing.T) {
	if _, err := policyfile.NewWatcher(filepath.Join(t.TempDir(), "none")); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("got %v", err)
	}
}

// Producers share a watcher: it looks as long as one of them runs, and forgets those that end.
func TestSharedWatcher(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		path := filepath.Join(t.TempDir(), "policies.yaml")
		write(t, path, file("3s"))
		w, err := policyfile.NewWatcher(path)
		if err != nil {
			t.Fatal(err)
		}
		if err := w.Shutdown(t.Context()); err != nil { // nobody has started it
			t.Error(err)
		}
		var all []*core.Producer
		for _, strict := range []bool{false, true} {
			cfg := coretest.Config(&coretest.Transport{})
			cfg.Policies = w
			if strict {
				cfg.Steps = []core.Step{audit{}.Step()}
			}
			p, err := core.NewProducer(cfg)
			if err != nil {
				t.Fatal(err)
			}
			if err := p.Start(t.Context()); err != nil {
				t.Fatal(err)
			}
			all = append(all, p)
		}
		settle := func(text string) string {
			t.Helper()
			write(t, path, text)
			time.Sleep(2*policyfile.DefaultInterval + time.Millisecond)
			synctest.Wait()
			return timeoutOf(all[0]) + " " + timeoutOf(all[1])
		}
		if got := settle(file("4s")); got != "4s 4s" {
			t.Errorf("got %s", got)
		}
		if got := settle("version: 1\npolicies: {default: {timeout: 5s, require: [audit]}}"); got != "4s 5s" || w.Status().Err == nil {
			t.Errorf("one refuses: got %s, %v", got, w.Status().Err)
		}
		if err := all[0].Shutdown(t.Context()); err != nil {
			t.Error(err)
		}
		if got := settle("version: 1\npolicies: {default: {timeout: 6s, require: [audit]}}"); got != "4s 6s" || w.Status().Err != nil {
			t.Errorf("one has ended: got %s, %v", got, w.Status().Err)
		}
		if err := all[1].Shutdown(t.Context()); err != nil {
			t.Error(err)
		}
		if got := settle(file("7s")); got != "4s 6s" || w.Current().Policy("T").Timeout != 6*time.Second {
			t.Errorf("all have ended: got %s", got)
		}
		if got := w.Policy("T"); got.Timeout != 6*time.Second || len(w.Policies()) != 1 {
			t.Errorf("got %+v", got)
		}
	})
}
