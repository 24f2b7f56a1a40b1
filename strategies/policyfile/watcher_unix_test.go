//go:build unix

package policyfile_test

import (
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/liftoff-mq/liftoff/strategies/policyfile"
)

// A pipe in the file's place: the old policies stay, and the next file is read. The producer's
// Shutdown at the end of the test does not wait.
func TestPipeInPlaceOfFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "policies.yaml")
	pipe := func() {
		t.Helper()
		if err := syscall.Mkfifo(path, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	remove := func() {
		t.Helper()
		if err := os.Remove(path); err != nil {
			t.Fatal(err)
		}
	}
	pipe()
	_, loads := policyfile.Load(path)
	_, watches := policyfile.NewWatcher(path)
	for name, err := range map[string]error{"Load": loads, "NewWatcher": watches} {
		if err == nil || !strings.Contains(err.Error(), "not a regular file") {
			t.Errorf("%s: %v", name, err)
		}
	}
	remove()
	synctest.Test(t, func(t *testing.T) {
		write(t, path, file("3s"))
		w, p := watched(t, path)
		step := func(timeout, wrong string) {
			t.Helper()
			time.Sleep(2*policyfile.DefaultInterval + time.Millisecond) // virtual
			synctest.Wait()
			s := w.Status()
			if got := timeoutOf(p); got != timeout || (s.Err == nil) != (wrong == "") || s.Err != nil && !strings.Contains(s.Err.Error(), wrong) {
				t.Errorf("the policies have %s and the status %v, want %s and %q", got, s.Err, timeout, wrong)
			}
		}
		remove()
		pipe()
		step("3s", "not a regular file")
		if err := w.Reload(t.Context()); err == nil || !strings.Contains(err.Error(), "not a regular file") {
			t.Errorf("Reload: %v", err)
		}
		remove()
		write(t, path, file("4s"))
		step("4s", "")
		remove()
		pipe()
		step("4s", "not a regular file")
	})
}
