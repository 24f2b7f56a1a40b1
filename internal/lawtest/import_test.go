package lawtest_test

import (
	"fmt"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/liftoff-mq/liftoff/internal/lawtest"
)

// observer is a program that says what is alive when main begins: goroutines
// and what its file descriptors point to. Signal handlers, listeners and open
// files all show up there.
const observer = `package main

import (
	"fmt"
	"os"
	"runtime"
%s)

func main() {
	fmt.Println("goroutines", runtime.NumGoroutine())
	entries, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		fmt.Println(err)
		os.Exit(1)
	}
	for _, e := range entries {
		if target, err := os.Readlink("/proc/self/fd/" + e.Name()); err == nil {
			fmt.Println("fd", e.Name(), target)
		}
	}
}
`

// Importing every library package at once leaves the process as an import of
// nothing does: no goroutine, no file, no socket.
func TestImportStartsNothing(t *testing.T) {
	if _, err := os.Stat("/proc/self/fd"); err != nil {
		t.Skip("needs /proc to see what is open")
	}
	libraries := libraryPackages(t)
	for _, must := range []string{
		lawtest.Module, lawtest.Module + "/core", lawtest.Module + "/transport/remoting",
		lawtest.Module + "/modules/rocketmqfx",
	} {
		if !slices.Contains(libraries, must) {
			t.Errorf("%s is not among the library packages %v", must, libraries)
		}
	}
	idle := observe(t, "os/signal", "net") // what a program with a network always has
	loaded := observe(t, append(libraries, "os/signal", "net")...)
	if idle != loaded {
		t.Errorf("with every package imported:\n%s\nwith none:\n%s", loaded, idle)
	}
	if !strings.HasPrefix(loaded, "goroutines 1\n") {
		t.Errorf("got %q, want one goroutine", loaded)
	}
}

// The observer would notice: a package that opens a file and starts a goroutine
// in a variable of its own.
func TestObserverSeesSideEffects(t *testing.T) {
	if _, err := os.Stat("/proc/self/fd"); err != nil {
		t.Skip("needs /proc to see what is open")
	}
	src := fmt.Sprintf(observer, "") +
		"\nvar f = func() *os.File { go func() { select {} }(); f, _ := os.Open(\"/proc/self/status\"); return f }()\n"
	got := run(t, src)
	if !strings.HasPrefix(got, "goroutines 2\n") || !strings.Contains(got, "/status") {
		t.Errorf("got %q, want two goroutines and an open file", got)
	}
}

// libraryPackages are the packages of the root module that can be imported.
func libraryPackages(t *testing.T) []string {
	t.Helper()
	var paths []string
	for _, f := range readTree(t).Files {
		p := path.Join(lawtest.Module, f.Dir())
		if f.Module == "." && !f.Test() && f.Syntax.Name.Name != "main" &&
			!slices.Contains(strings.Split(f.Dir(), "/"), "internal") && !slices.Contains(paths, p) {
			paths = append(paths, p)
		}
	}
	return paths
}

func observe(t *testing.T, imports ...string) string {
	t.Helper()
	var list strings.Builder
	for _, p := range imports {
		fmt.Fprintf(&list, "\t_ %q\n", p)
	}
	return run(t, fmt.Sprintf(observer, list.String()))
}

// run builds a program as part of the root module, so that it sees its
// packages, and gives what it prints.
func run(t *testing.T, src string) string {
	t.Helper()
	dir := t.TempDir()
	file, program := filepath.Join(dir, "main.go"), filepath.Join(dir, "observer")
	if err := os.WriteFile(file, []byte(src), 0o600); err != nil {
		t.Fatal(err)
	}
	build := exec.Command("go", "build", "-o", program, file)
	build.Dir = root
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("go build: %v\n%s", err, out)
	}
	out, err := exec.Command(program).CombinedOutput()
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	return inode.ReplaceAllString(string(out), "") // a pipe's number is different each time
}

var inode = regexp.MustCompile(`:\[\d+\]`)
