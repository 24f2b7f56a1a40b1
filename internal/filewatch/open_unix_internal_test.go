//go:build unix

package filewatch

import (
	"os"
	"path/filepath"
	"syscall"
	"testing"
)

// A file may become a pipe between the look at it and its opening.
func TestOpenOfPipe(t *testing.T) {
	path := filepath.Join(t.TempDir(), "pipe")
	if err := syscall.Mkfifo(path, 0o600); err != nil {
		t.Fatal(err)
	}
	file, err := open(path)
	if err == nil {
		file.Close()
		t.Error("a pipe was opened")
	}
	// A regular file is opened in the same way.
	path = filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(path, []byte("x"), 0o600); err != nil {
		t.Fatal(err)
	}
	if file, err = open(path); err != nil {
		t.Fatal(err)
	}
	file.Close()
}
