package main

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
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
	p := &programs{bin: filepath.Join(dir, "bin"), java: filepath.Join(dir, "java", "target")}
	home, err := os.MkdirTemp("", "liftoff-bench-home-")
	if err != nil {
		return nil, err
	}
	p.home = home
	run := func(name string, args ...string) error {
		cmd := exec.CommandContext(ctx, name, args...)
		cmd.Dir = dir
		if out, err := cmd.CombinedOutput(); err != nil {
			return fmt.Errorf("%s %s: %w\n%s", name, strings.Join(args, " "), err, out)
		}
		return nil
	}
	if err := run("go", "build", "-o", p.bin+string(filepath.Separator), "./liftoff", "./limit", "./goclient"); err != nil {
		return nil, err
	}
	if slices.Contains(names, "java") {
		return p, run("mvn", "-q", "-B", "-f", filepath.Join("java", "pom.xml"), "compile", "dependency:copy-dependencies",
			"-DincludeScope=runtime", "-DoutputDirectory="+filepath.Join(p.java, "lib"))
	}
	return p, nil
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
