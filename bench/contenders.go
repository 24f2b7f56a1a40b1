package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"

	"github.com/liftoff-mq/liftoff/bench/report"
)

// programs knows how to start the contenders.
type programs struct {
	bin  string // Go contenders
	java string // target folder of the Java contender
	home string // where the clients write their logs
}

// build makes the contenders that are needed.
func build(ctx context.Context, repo string, names []string) (*programs, error) {
	dir := filepath.Join(repo, "bench")
	p, err := newPrograms(dir)
	if err != nil {
		return nil, err
	}
	err = run(ctx, dir, "go", "build", "-o", p.bin+string(filepath.Separator), "./liftoff", "./limit", "./goclient")
	if err == nil && slices.Contains(names, "java") {
		err = run(ctx, dir, "mvn", "-q", "-B", "-f", filepath.Join("java", "pom.xml"), "compile", "dependency:copy-dependencies",
			"-DincludeScope=runtime", "-DoutputDirectory="+filepath.Join(p.java, "lib"))
	}
	if err != nil {
		return nil, errors.Join(err, p.close())
	}
	return p, nil
}

// buildSides makes the contender Liftoff of two checkouts, each in its own bench module and so against its own API. What
// both must share is the protocol of package load. The limit, which warms the broker up, is this bench's.
func buildSides(ctx context.Context, repo string, checkouts [2]string) (*programs, error) {
	dir := filepath.Join(repo, "bench")
	p, err := newPrograms(dir)
	if err != nil {
		return nil, err
	}
	p.bin = p.home // so that two comparisons at a time keep apart
	err = run(ctx, dir, "go", "build", "-o", filepath.Join(p.bin, "limit"), "./limit")
	for i, name := range []string{report.SideA, report.SideB} {
		if err == nil {
			err = run(ctx, filepath.Join(checkouts[i], "bench"), "go", "build", "-o", filepath.Join(p.bin, name), "./liftoff")
		}
	}
	if err != nil {
		return nil, errors.Join(err, p.close())
	}
	return p, nil
}

func newPrograms(dir string) (*programs, error) {
	home, err := os.MkdirTemp("", "liftoff-bench-home-")
	if err != nil {
		return nil, err
	}
	return &programs{bin: filepath.Join(dir, "bin"), java: filepath.Join(dir, "java", "target"), home: home}, nil
}

func run(ctx context.Context, dir, name string, args ...string) error {
	cmd := exec.CommandContext(ctx, name, args...)
	cmd.Dir = dir
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("%s %s: %w\n%s", name, strings.Join(args, " "), err, out)
	}
	return nil
}

func (p *programs) close() error { return os.RemoveAll(p.home) }

// command is a contender's process, not started yet.
func (p *programs) command(ctx context.Context, name string, args []string) *exec.Cmd {
	var cmd *exec.Cmd
	if name == "java" {
		// The JVM's own defaults, except for a heap that leaves the machine room.
		cmd = exec.CommandContext(ctx, "java", append([]string{
			"-Xmx1g", "-Duser.home=" + p.home, "-cp", filepath.Join(p.java, "classes") + ":" + filepath.Join(p.java, "lib", "*"),
			"liftoff.bench.Main",
		}, args...)...)
	} else {
		cmd = exec.CommandContext(ctx, filepath.Join(p.bin, name), args...)
	}
	cmd.Dir = p.home
	return cmd
}
