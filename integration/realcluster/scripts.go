package realcluster

import (
	"context"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"time"
)

// NeedTools reports, in one error that says what to install, which of the programs are missing.
func NeedTools(names ...string) error {
	var missing []string
	for _, n := range names {
		if _, err := exec.LookPath(n); err != nil {
			missing = append(missing, n)
		}
	}
	if len(missing) == 0 {
		return nil
	}
	return fmt.Errorf("a real Apache RocketMQ is run here, which needs Java 17 and Maven 3.8; not found: %s",
		strings.Join(missing, ", "))
}

// Root finds the root of the repository from the working directory, which is anywhere inside it.
func Root() (string, error) {
	dir, err := os.Getwd()
	if err != nil {
		return "", err
	}
	for d := dir; ; d = filepath.Dir(d) {
		if _, err := os.Stat(filepath.Join(d, "integration", "rocketmq", "start")); err == nil {
			return d, nil
		}
		if d == filepath.Dir(d) {
			return "", fmt.Errorf("integration/rocketmq is not above %s: %w", dir, fs.ErrNotExist)
		}
	}
}

// Folder finds a folder of the integration module.
func Folder(name string) (string, error) {
	root, err := Root()
	return filepath.Join(root, "integration", name), err
}

// script runs one of the scripts and returns what it printed. The error of one that fails has it too.
func (c *Cluster) script(ctx context.Context, name string, args ...string) (string, error) {
	cmd := exec.CommandContext(ctx, filepath.Join(c.scripts, name), args...)
	// A script that is asked to end, ends what it has started so far.
	cmd.Cancel = func() error { return cmd.Process.Signal(syscall.SIGTERM) }
	cmd.WaitDelay = 30 * time.Second
	// The servers outlive the script and must not hold its output open, so it goes to a file and not to a pipe.
	out, err := os.CreateTemp("", "liftoff-script-")
	if err != nil {
		return "", err
	}
	defer func() { _ = os.Remove(out.Name()); _ = out.Close() }()
	cmd.Stdout, cmd.Stderr = out, out
	failed := cmd.Run()
	text, err := os.ReadFile(out.Name())
	if failed != nil {
		return "", fmt.Errorf("%s %s: %w\n%s", name, strings.Join(args, " "), failed, text)
	}
	return string(text), err
}
