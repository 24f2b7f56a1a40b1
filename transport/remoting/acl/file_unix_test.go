//go:build unix

package acl_test

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/liftoff-mq/liftoff/transport/remoting/acl"
)

// A pipe in the file's place: the old credentials stay, the next file is read, and Shutdown does
// not wait.
func TestPipeInPlaceOfFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "keys")
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
	if _, err := acl.NewFile(path); err == nil || !strings.Contains(err.Error(), "not a regular file") {
		t.Errorf("NewFile: %v", err)
	}
	remove()
	synctest.Test(t, func(t *testing.T) {
		write(t, path, text("first"))
		f, err := acl.NewFile(path)
		if err != nil {
			t.Fatal(err)
		}
		if err := f.Start(t.Context()); err != nil {
			t.Fatal(err)
		}
		step := func(secret, wrong string) {
			t.Helper()
			time.Sleep(2*acl.DefaultInterval + time.Millisecond) // virtual
			synctest.Wait()
			s := f.Status()
			if got := secretOf(t, f); got != secret || (s.Err == nil) != (wrong == "") || s.Err != nil && !strings.Contains(s.Err.Error(), wrong) {
				t.Errorf("the secret key is %q and the status %v, want %q and %q", got, s.Err, secret, wrong)
			}
		}
		remove()
		pipe()
		step("first", "not a regular file")
		remove()
		write(t, path, text("second"))
		step("second", "")
		remove()
		pipe()
		step("second", "not a regular file")
		start := time.Now()
		if err := f.Shutdown(context.Background()); err != nil || time.Since(start) != 0 {
			t.Errorf("Shutdown after %v: %v", time.Since(start), err)
		}
	})
}
