package integration

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/liftoff-mq/liftoff/integration/realcluster"
)

var cppInstall struct {
	once sync.Once
	site string
	err  error
}

// runCpp runs cpp/consume.py with the C++ client's library and returns what it printed, one string a line. There is a
// library for x86-64 Linux only; elsewhere the test is left out.
func runCpp(t *testing.T, args ...string) []string {
	t.Helper()
	if runtime.GOOS != "linux" || runtime.GOARCH != "amd64" {
		t.Skip("the C++ client's library is for x86-64 Linux")
	}
	folder, err := realcluster.Folder("cpp")
	must(t, err)
	cppInstall.once.Do(func() { cppInstall.site, cppInstall.err = installCpp(folder) })
	must(t, cppInstall.err)
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Minute)
	defer cancel()
	home := t.TempDir() // it writes its log below
	var out, diag bytes.Buffer
	t.Cleanup(func() {
		if t.Failed() {
			t.Logf("the C++ client logged\n%s\nand the program said\n%s", tail(cppErrors(home), 4000), tail(diag.String(), 4000))
		}
	})
	cmd := exec.CommandContext(ctx, "python3", append([]string{filepath.Join(folder, "consume.py")}, args...)...)
	cmd.Env = append(os.Environ(), "PYTHONPATH="+cppInstall.site, "HOME="+home)
	cmd.Stdout, cmd.Stderr = &out, &diag
	if err := cmd.Run(); err != nil {
		t.Fatalf("consume.py %s: %v\n%s", strings.Join(args, " "), err, tail(diag.String(), 4000))
	}
	return strings.FieldsFunc(out.String(), func(r rune) bool { return r == '\n' })
}

// cppErrors is what the C++ client had to complain about.
func cppErrors(home string) string {
	var text strings.Builder
	logs, _ := filepath.Glob(filepath.Join(home, "logs", "rocketmq-cpp", "*"))
	for _, l := range logs {
		b, err := os.ReadFile(l)
		if err != nil {
			fmt.Fprintln(&text, err)
		}
		for line := range strings.Lines(string(b)) {
			if strings.Contains(line, "error") || strings.Contains(line, "ERROR") || strings.Contains(line, "warning") {
				text.WriteString(line)
			}
		}
	}
	return text.String()
}

// installCpp puts the library below cpp/target, unless that was done with the same requirements before.
func installCpp(folder string) (site string, err error) {
	if err := realcluster.NeedTools("python3"); err != nil {
		return "", err
	}
	requirements := filepath.Join(folder, "requirements.txt")
	text, err := os.ReadFile(requirements)
	if err != nil {
		return "", err
	}
	sum := sha256.Sum256(text)
	site = filepath.Join(folder, "target", hex.EncodeToString(sum[:8]))
	if _, err := os.Stat(site); err == nil {
		return site, nil
	}
	if err := os.MkdirAll(filepath.Dir(site), 0o755); err != nil {
		return "", err
	}
	part, err := os.MkdirTemp(filepath.Dir(site), "part-")
	if err != nil {
		return "", err
	}
	defer func() { _ = os.RemoveAll(part) }()
	cmd := exec.Command("python3", "-m", "pip", "install", "-q", "--disable-pip-version-check", "--no-deps", "--require-hashes", "-r", requirements, "--target", part)
	if out, err := cmd.CombinedOutput(); err != nil {
		return "", fmt.Errorf("install the C++ client: %w\n%s", err, out)
	}
	if err := os.Rename(part, site); err != nil {
		if _, there := os.Stat(site); there != nil { // another process was not quicker either
			return "", err
		}
	}
	return site, nil
}
