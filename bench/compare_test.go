package main

import (
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

func TestParseAB(t *testing.T) {
	o, err := parse([]string{"ab", "-runs", "3", "old", "new"})
	if err != nil || !o.compares() || o.ab != [2]string{"old", "new"} || o.runs != 3 || o.cells != compareCells {
		t.Errorf("got %+v, %v", o, err)
	}
	for _, args := range [][]string{{"ab"}, {"ab", "old"}, {"ab", "a", "b", "c"}, {"ab", "-contenders", "java", "a", "b"}} {
		if o, err := parse(args); err == nil {
			t.Errorf("%v: %+v", args, o)
		}
	}
}

func TestPairing(t *testing.T) {
	// The cells of a comparison are named in full, so each name must choose one.
	chosen, err := choose(&options{cells: compareCells})
	if err != nil || len(chosen) != 4 {
		t.Fatalf("%d cells, %v", len(chosen), err)
	}
	chosen, err = choose(&options{cells: "sync-1-1024,text-16k"})
	if err != nil {
		t.Fatal(err)
	}
	paired, err := pairing(chosen)
	if err != nil || len(paired) != 2 {
		t.Fatalf("%d cells, %v", len(paired), err)
	}
	for i, want := range [][]string{{"A", "B"}, {"A", "B", "A+zstd", "B+zstd"}} {
		if got := paired[i].contenders; !slices.Equal(got, want) {
			t.Errorf("%s: %v, want %v", paired[i].name, got, want)
		}
	}
	if out, err := pairing([]cell{{name: "x", contenders: []string{"java"}}}); err == nil {
		t.Errorf("a cell without Liftoff was paired: %+v", out)
	}
}

// A side is a folder as it is, or a revision in a folder of its own that goes again.
func TestFindSides(t *testing.T) {
	ctx := context.Background()
	repo := t.TempDir()
	file := filepath.Join(repo, "file")
	commit := func(text string) {
		if err := os.WriteFile(file, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
		for _, args := range [][]string{{"add", "file"}, {"-c", "user.name=x", "-c", "user.email=x@example.org", "-c", "commit.gpgsign=false", "commit", "-q", "-m", text}} {
			if _, err := git(ctx, repo, args...); err != nil {
				t.Fatal(err)
			}
		}
	}
	if out, err := exec.Command("git", "init", "-q", repo).CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	commit("old")
	commit("new")

	s, err := findSides(ctx, repo, [2]string{"HEAD~1", repo})
	if err != nil {
		t.Fatal(err)
	}
	for i, want := range []string{"old", "new"} {
		if got, err := os.ReadFile(filepath.Join(s.checkouts[i], "file")); err != nil || string(got) != want {
			t.Errorf("side %d holds %q, %v, want %q", i, got, err, want)
		}
	}
	if !strings.HasPrefix(s.names[1], filepath.Base(repo)) || len(s.names[0]) < 7 {
		t.Errorf("called %q", s.names)
	}
	if err := s.close(); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(s.checkouts[0]); !os.IsNotExist(err) {
		t.Errorf("the old revision's folder is still there: %v", err)
	}
	if _, err := os.Stat(file); err != nil {
		t.Errorf("the folder that was given is gone: %v", err)
	}
	if s, err := findSides(ctx, repo, [2]string{repo, "no-such-thing"}); err == nil {
		t.Errorf("found %v", s.checkouts)
	}
}
