package main

import (
	"strings"
	"testing"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestRequestReply(t *testing.T) {
	var out strings.Builder
	if err := run(t.Context(), &out); err != nil {
		t.Fatal(err)
	}
	if want := "apples: 2.50\npears: 3.20\nmelons: no reply; the request is stored\n"; out.String() != want {
		t.Errorf("got %s, want %s", out.String(), want)
	}
}
