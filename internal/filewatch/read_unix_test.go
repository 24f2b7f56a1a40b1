//go:build unix

package filewatch_test

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/liftoff-mq/liftoff/internal/filewatch"
)

// What is no regular file may never end, or begin: nothing waits for it.
func TestReadOfWhatIsNoFile(t *testing.T) {
	dir := t.TempDir()
	pipe, link := filepath.Join(dir, "pipe"), filepath.Join(dir, "link")
	if err := syscall.Mkfifo(pipe, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(pipe, link); err != nil {
		t.Fatal(err)
	}
	for _, path := range []string{pipe, link, os.DevNull, "/dev/zero"} {
		_, err := filewatch.Read(path, 8)
		if with := (*os.PathError)(nil); !errors.As(err, &with) || with.Path != path || !strings.Contains(err.Error(), "not a regular file") {
			t.Errorf("%s: %v", path, err)
		}
		if sight := filewatch.Look(path, 8); sight.Text != "" || sight.Err != "it is not a regular file" {
			t.Errorf("%s: a look has %+v", path, sight)
		}
	}
}
