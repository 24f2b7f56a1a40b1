// Package javaprog builds and runs the Java programs of integration/java: RocketMQ's own classes as the judge.
//
// A program is built by Maven once per client version and source text; the build lands in java/target, which git
// ignores. Building is serialized over processes by a lock file.
package javaprog

import (
	"bufio"
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/liftoff-mq/liftoff/integration/realcluster"
)

// GoldenVersion is the one version whose classes GoldenFrames is written against.
const GoldenVersion = "5.3.3"

// Run runs class with the client jars of a RocketMQ version and returns its standard output, one string a line.
// Arguments that begin with -D are properties of the JVM. The test fails when the program cannot be built or ends with
// another status than 0.
func Run(t testing.TB, version, class string, args ...string) []string {
	t.Helper()
	lines, err := TryRun(t, version, class, args...)
	if err != nil {
		t.Fatal(err)
	}
	return lines
}

// TryRun is Run that hands the program's failure to the caller, together with the lines printed before it.
func TryRun(t testing.TB, version, class string, args ...string) ([]string, error) {
	t.Helper()
	target, err := Build(version)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Minute)
	defer cancel()
	var out, diag bytes.Buffer
	properties := 0
	for properties < len(args) && strings.HasPrefix(args[properties], "-D") {
		properties++
	}
	cmd := exec.CommandContext(ctx, "java", slices.Concat(args[:properties], []string{
		"-Xmx512m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1", "-Djava.net.preferIPv4Stack=true",
		"--add-opens=java.base/java.nio=ALL-UNNAMED", "--add-opens=java.base/sun.nio.ch=ALL-UNNAMED",
		// The client writes its log below the home folder.
		"-Duser.home=" + t.TempDir(),
		"-cp", filepath.Join(target, "classes") + ":" + filepath.Join(target, "lib", "*"),
		"liftoff." + class,
	}, args[properties:])...)
	cmd.Stdout, cmd.Stderr = &out, &diag
	err = cmd.Run()
	if err != nil {
		err = fmt.Errorf("java %s %s (%s): %w\n%s", class, strings.Join(args, " "), version, err, clip(diag.String(), 4000))
	}
	var lines []string
	s := bufio.NewScanner(&out)
	s.Buffer(nil, 64<<20)
	for s.Scan() {
		lines = append(lines, s.Text())
	}
	return lines, errors.Join(err, s.Err())
}

// Message is a message as the official consumer shows it.
type Message struct {
	Topic          string            `json:"topic"`
	Broker         string            `json:"broker"`
	QueueID        int               `json:"queueId"`
	QueueOffset    int64             `json:"queueOffset"`
	MsgID          string            `json:"msgId"`
	OffsetMsgID    string            `json:"offsetMsgId"`
	Tags           string            `json:"tags"`
	Keys           string            `json:"keys"`
	Flag           int               `json:"flag"`
	SysFlag        int               `json:"sysFlag"`
	BornTimestamp  int64             `json:"bornTimestamp"`
	StoreTimestamp int64             `json:"storeTimestamp"`
	BornHost       string            `json:"bornHost"`
	ReconsumeTimes int               `json:"reconsumeTimes"`
	StoreSize      int               `json:"storeSize"`
	DelayLevel     int               `json:"delayLevel"`
	WaitStore      bool              `json:"waitStore"`
	Properties     map[string]string `json:"properties"`
	BodyLength     int               `json:"bodyLength"`
	BodySHA256     string            `json:"bodySha256"`
	BodyBase64     string            `json:"bodyBase64"` // only up to 1 KiB
}

// Body is a small body's bytes; nil for a body above 1 KiB, which has only its length and hash.
func (m *Message) Body() []byte {
	if m.BodyBase64 == "" {
		return nil
	}
	b, err := base64.StdEncoding.DecodeString(m.BodyBase64)
	if err != nil {
		return nil
	}
	return b
}

// ReadBack reads a whole topic with the official consumer: every message exactly as stored, by broker, queue and
// offset. It waits up to timeout for expected messages and returns what is there, more or fewer.
func ReadBack(t testing.TB, version, nameServer, topic string, expected int, timeout time.Duration) []Message {
	t.Helper()
	return read[Message](t, version, nameServer, topic, expected, timeout)
}

// read runs the Java reader.
func read[T any](t testing.TB, version, nameServer, topic string, expected int, timeout time.Duration, what ...string) []T {
	t.Helper()
	args := append([]string{nameServer, topic, strconv.Itoa(expected), strconv.Itoa(int(timeout.Seconds()))}, what...)
	lines := Run(t, version, "ReadBack", args...)
	if len(lines) == 0 || !strings.HasPrefix(lines[len(lines)-1], `{"end":true`) {
		t.Fatalf("the Java reader of %s did not finish: %d lines", topic, len(lines))
	}
	lines = lines[:len(lines)-1]
	all := make([]T, len(lines))
	for i, l := range lines {
		if err := json.Unmarshal([]byte(l), &all[i]); err != nil {
			t.Fatalf("the Java reader printed %q: %v", clip(l, 200), err)
		}
	}
	return all
}

// Trace is a record of the message trace as the official client's decoder reads it.
type Trace struct {
	Kind          string `json:"kind"`
	Group         string `json:"group"`
	Success       bool   `json:"success"`
	Cost          int    `json:"cost"` // milliseconds
	Time          int64  `json:"time"`
	Topic         string `json:"topic"`
	MsgID         string `json:"msgId"`
	StoreHost     string `json:"storeHost"`
	MsgType       string `json:"msgType"`
	TransactionID string `json:"transactionId"`
	State         string `json:"state"`
	FromCheck     bool   `json:"fromCheck"`
}

// ReadTraces reads all records of a trace topic. It waits up to timeout for expected ones, and returns what is there.
func ReadTraces(t testing.TB, version, nameServer, topic string, expected int, timeout time.Duration) []Trace {
	t.Helper()
	return read[Trace](t, version, nameServer, topic, expected, timeout, "traces")
}

// Build compiles the programs for a client version, unless that was done with the same sources before, and returns
// the folder that holds classes/ and lib/.
func Build(version string) (string, error) {
	if err := realcluster.NeedTools("java", "mvn"); err != nil {
		return "", err
	}
	src, err := realcluster.Folder("java")
	if err != nil {
		return "", err
	}
	want, err := sourceHash(src)
	if err != nil {
		return "", err
	}
	target := filepath.Join(src, "target", version)
	mark := filepath.Join(target, "sources.sha256")
	if err := os.MkdirAll(filepath.Join(src, "target"), 0o755); err != nil {
		return "", err
	}
	unlock, err := lock(filepath.Join(src, "target", version+".lock"))
	if err != nil {
		return "", err
	}
	defer unlock()
	if have, err := os.ReadFile(mark); err == nil && string(have) == want {
		return target, nil
	}
	if err := os.RemoveAll(target); err != nil {
		return "", err
	}
	args := []string{"-q", "-B", "-f", filepath.Join(src, "pom.xml")}
	if version != GoldenVersion {
		args = append(args, "-Dleft.out=liftoff/GoldenFrames.java")
	}
	if strings.HasPrefix(version, "4.") {
		args = append(args, "-Dleft.out.4=liftoff/Recall.java")
	}
	args = append(args, "-Drocketmq.version="+version, "compile", "dependency:copy-dependencies",
		"-DincludeScope=runtime", "-DoutputDirectory="+filepath.Join(target, "lib"))
	cmd := exec.Command("mvn", args...)
	if out, err := cmd.CombinedOutput(); err != nil {
		return "", fmt.Errorf("build the Java programs for %s: %w\n%s", version, err, clip(string(out), 4000))
	}
	return target, os.WriteFile(mark, []byte(want), 0o644)
}

func sourceHash(src string) (string, error) {
	h := sha256.New()
	err := filepath.WalkDir(src, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if d.IsDir() {
			if d.Name() == "target" {
				return fs.SkipDir
			}
			return nil
		}
		text, err := os.ReadFile(path)
		fmt.Fprintf(h, "%s %d\n%s", path, len(text), text)
		return err
	})
	return hex.EncodeToString(h.Sum(nil)), err
}

// lock takes an advisory lock that the system releases when the process ends, however it ends.
func lock(path string) (unlock func(), err error) {
	f, err := os.OpenFile(path, os.O_CREATE|os.O_RDWR, 0o644)
	if err != nil {
		return nil, err
	}
	if err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX); err != nil {
		return nil, errors.Join(err, f.Close())
	}
	return func() { _ = f.Close() }, nil
}

func clip(s string, n int) string {
	if len(s) <= n {
		return s
	}
	return s[:n] + "..."
}
