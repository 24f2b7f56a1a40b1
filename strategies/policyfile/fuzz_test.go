package policyfile_test

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/liftoff-mq/liftoff/core"
	"github.com/liftoff-mq/liftoff/strategies/policyfile"
)

// Whatever a text is, it is refused with places that lie in it, or understood and written so that
// it is understood as the same.
func FuzzParse(f *testing.F) {
	files, err := filepath.Glob("testdata/wrong/*.yaml")
	if err != nil {
		f.Fatal(err)
	}
	for _, file := range append(files, "starter.yaml", "testdata/whole.txt") {
		data, err := os.ReadFile(file)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(data)
	}
	f.Add([]byte(whole))
	f.Fuzz(func(t *testing.T, data []byte) {
		first, err := parse("f", data)
		if err != nil {
			checkPlaces(t, data, err)
			return
		}
		second, err := parse("f", []byte(first.String()))
		if err != nil {
			t.Fatalf("written as\n%s\nit is refused: %v", first, err)
		}
		if first.String() != second.String() || policyfile.Diff(first, second) != nil {
			t.Fatalf("written as\n%s\nit is read as\n%s\n%v", first, second, policyfile.Diff(first, second))
		}
		for _, tp := range first.Policies() {
			if tp.Policy == nil {
				t.Fatalf("no policy for %s", tp.Topics)
			}
			core.Describe(tp.Policy.Retry)
		}
	})
}

func checkPlaces(t *testing.T, data []byte, err error) {
	t.Helper()
	list := []error{err}
	if joined, ok := err.(interface{ Unwrap() []error }); ok {
		list = joined.Unwrap()
	}
	lines := strings.Count(string(data), "\n") + strings.Count(string(data), "\r") + 1
	for i, one := range list {
		m := (*policyfile.Mistake)(nil)
		if !errors.As(one, &m) {
			if i == len(list)-1 && i == 100 {
				continue // "and more"
			}
			t.Fatalf("no mistake: %v", one)
		}
		if m.Line < 1 || m.Line > lines || m.Column < 1 || m.Column > len(data)+2 || m.File != "f" || strings.ContainsAny(m.Error(), "\n\x1b") {
			t.Fatalf("a bad place: %q", m.Error())
		}
	}
}
