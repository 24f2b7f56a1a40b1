package main

import (
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// shownFile is a whole file in a document: its name, and then what is in it.
var shownFile = regexp.MustCompile("(?ms)^`([a-z_]+\\.go)`:\n\n```go\n(.*?)```$")

// filesShown are the files in a document, by name.
func filesShown(t *testing.T, doc string) map[string]string {
	t.Helper()
	page, err := os.ReadFile(doc)
	if err != nil {
		t.Fatal(err)
	}
	files := map[string]string{}
	for _, m := range shownFile.FindAllStringSubmatch(string(page), -1) {
		files[m[1]] = m[2]
	}
	return files
}

// The plugins that the two pages about plugins show pass the kits.
func TestPluginsOfTheDocuments(t *testing.T) {
	for _, tt := range []struct {
		doc, name string
		remove    []string // that the page says are to be deleted
		files     []string // that it shows
	}{
		{"writing-a-strategy.md", "express", []string{"example_test.go"}, []string{"health.go", "health_test.go", "retry.go", "retry_test.go", "selector.go", "selector_test.go"}},
		{"writing-a-step.md", "integrity", []string{"selector.go", "selector_test.go", "example_test.go"}, []string{"drained.go", "more_test.go", "slow.go", "step.go", "step_test.go"}},
	} {
		t.Run(tt.doc, func(t *testing.T) {
			dir, _ := newPlugin(t, tt.name)
			page, err := os.ReadFile(filepath.Join("../../docs", tt.doc))
			if err != nil {
				t.Fatal(err)
			}
			text, _, ok := strings.Cut(string(page), "`example_test.go`")
			if i := strings.LastIndex(text, "Delete"); !ok || i < 0 || strings.Contains(text[i:], ". ") {
				t.Error("the page does not say that example_test.go is to be deleted")
			}
			for _, f := range tt.remove {
				if err := os.Remove(filepath.Join(dir, f)); err != nil {
					t.Fatal(err)
				}
			}
			files := filesShown(t, filepath.Join("../../docs", tt.doc))
			if got := slices.Sorted(maps.Keys(files)); !slices.Equal(got, tt.files) {
				t.Fatalf("the page shows the files %v, want %v", got, tt.files)
			}
			for name, text := range files {
				if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o644); err != nil {
					t.Fatal(err)
				}
			}
			out, err := goCommand(t, dir, "vet", "./...")
			if err == nil {
				out, err = goCommand(t, dir, "test", "-v", "./...")
			}
			if err != nil || strings.Count(out, "--- PASS: Test") < 4 {
				t.Errorf("%v\n%s", err, out)
			}
		})
	}
}
