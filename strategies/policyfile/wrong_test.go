package policyfile_test

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/liftoff-mq/liftoff/strategies/policyfile"
)

// variables are those that the files of these tests may name.
func variables(name string) (string, bool) {
	value, ok := map[string]string{
		"TIMEOUT": "7s", "RETRIES": "3", "WORD": "soon", "EMPTY": "", "DOLLAR": "${RETRIES}",
		"INJECT": "hash\n    retry: java5",
	}[name]
	return value, ok
}

func parse(name string, data []byte, opts ...policyfile.Option) (*policyfile.Policies, error) {
	return policyfile.Parse(name, data, append([]policyfile.Option{policyfile.WithVariables(variables)}, opts...)...)
}

// Each wrong file is told with all its mistakes, each with its place and what was meant.
func TestWrongFiles(t *testing.T) {
	files, err := filepath.Glob("testdata/wrong/*.yaml")
	if err != nil {
		t.Fatal(err)
	}
	if len(files) < 40 {
		t.Fatalf("there are %d wrong files", len(files))
	}
	for _, file := range files {
		name := strings.TrimSuffix(filepath.Base(file), ".yaml")
		t.Run(name, func(t *testing.T) {
			data, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			p, err := parse(filepath.Base(file), data)
			if err == nil {
				t.Fatalf("it is accepted:\n%s", p)
			}
			if p != nil {
				t.Error("there are policies beside the error")
			}
			if m := (*policyfile.Mistake)(nil); !errors.As(err, &m) || m.Line < 1 || m.Column < 1 || m.File != filepath.Base(file) {
				t.Errorf("the error is no mistake with a place: %#v", m)
			}
			golden(t, strings.TrimSuffix(file, ".yaml")+".txt", err.Error()+"\n")
		})
	}
}

// golden compares a text with a file.
func golden(t *testing.T, file, got string) {
	t.Helper()
	if *update {
		if err := os.WriteFile(file, []byte(got), 0o600); err != nil {
			t.Fatal(err)
		}
		return
	}
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if got != string(want) {
		t.Errorf("got\n%swant\n%s", got, want)
	}
}
