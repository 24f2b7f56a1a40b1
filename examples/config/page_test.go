package main

import (
	"os"
	"strings"
	"testing"

	"github.com/caarlos0/env/v11"
	"github.com/liftoff-mq/liftoff"
)

// The variables of docs/configuration.md are those that the library makes of the tags.
func TestPageNamesVariablesAsTheLibraryDoes(t *testing.T) {
	page, err := os.ReadFile("../../docs/configuration.md")
	if err != nil {
		t.Fatal(err)
	}
	fields, err := env.GetFieldParams(&liftoff.Config{})
	if err != nil {
		t.Fatal(err)
	}
	n := 0
	for _, f := range fields {
		if f.Key == "" || f.Key == "CLIENT_NAME_SERVERS" { // the producer's own stand for them
			continue
		}
		n++
		if !strings.Contains(string(page), "| `"+f.Key+"` |") {
			t.Errorf("docs/configuration.md says nothing of %s", f.Key)
		}
	}
	if n < 40 {
		t.Errorf("only %d variables", n)
	}
}
