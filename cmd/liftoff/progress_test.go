package main

import (
	"io"
	"os"
	"strings"
	"testing"
)

func TestNoBarWithoutTerminal(t *testing.T) {
	null, err := os.OpenFile(os.DevNull, os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer null.Close()
	for name, w := range map[string]io.Writer{"buffer": &strings.Builder{}, "device": null} {
		if newBar(w, 10) != nil {
			t.Errorf("a %s gets a bar", name)
		}
	}
	var none *bar // and nothing of it may matter
	none.add(1, 1, 0)
	none.hide()
	none.close()
}

func TestBar(t *testing.T) {
	for name, size := range map[string]int64{"size known": 1000, "size unknown": -1} {
		t.Run(name, func(t *testing.T) {
			var out strings.Builder
			b := drawBar(&out, size, 0)
			for i := range 64 {
				b.add(10, i+1, 0)
			}
			if !strings.Contains(out.String(), "64 lines") || (size > 0) != strings.Contains(out.String(), "%") {
				t.Errorf("drew %q", out.String())
			}
			b.add(10, 65, 1)
			if !strings.Contains(out.String(), "65 lines, 1 failed") {
				t.Errorf("drew %q", out.String())
			}
			before := out.Len()
			b.hide()
			if hidden := out.String()[before:]; strings.TrimSpace(hidden) != "" || !strings.HasSuffix(hidden, "\r") {
				t.Errorf("hid the bar by %q", hidden)
			}
			b.close()
			if !strings.HasSuffix(out.String(), "\r") {
				t.Errorf("left %q behind", out.String())
			}
		})
	}
}
