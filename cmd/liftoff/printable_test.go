package main

import (
	"encoding/json"
	"errors"
	"strings"
	"testing"
	"unicode"

	"github.com/liftoff-mq/liftoff/core"
)

// Names and remarks of servers reach the terminal; escape sequences in them must not.
func TestTerminalGetsNoControlCharacters(t *testing.T) {
	hostile := "\x1b[2J\u009b31m\x07\x7f\u202e\U000e0001 end"
	for _, asJSON := range []bool{false, true} {
		var out, diag strings.Builder
		r := &reporter{out: &out, diag: printable{&diag}, json: asJSON}
		ok := acked(1, core.SendOK)
		ok.result.OffsetMessageID, ok.result.Queue.Broker = hostile, hostile
		r.report(ok)
		bad := failed(2, 1, core.ClassTimeout, core.MaybeStored, errors.New(hostile))
		var se *core.SendError
		errors.As(bad.err, &se)
		se.Topic, se.Attempts[0].Addr, se.Attempts[0].Queue.Broker = hostile, hostile, hostile
		r.report(bad)
		for line := range strings.Lines(out.String() + diag.String()) {
			if i := strings.IndexFunc(strings.TrimSuffix(line, "\n"), func(r rune) bool { return !unicode.IsPrint(r) }); i >= 0 {
				t.Errorf("json %v: %q at %d", asJSON, line, i)
			}
		}
		if asJSON {
			var first ackedLine
			if err := json.NewDecoder(strings.NewReader(out.String())).Decode(&first); err != nil || first.Broker != hostile {
				t.Errorf("the name comes back as %q, %v", first.Broker, err)
			}
		}
	}
}

func TestPrintable(t *testing.T) {
	var out strings.Builder
	text := "usage:\n  --flag  aligned\n\n  \x1b[31mred\x1b[0m\ttab\nlast"
	n, err := printable{&out}.Write([]byte(text))
	if want := "usage:\n  --flag  aligned\n\n  [31mred [0m tab\nlast"; err != nil || n != len(text) || out.String() != want {
		t.Errorf("got %q, %d, %v; want %q", out.String(), n, err, want)
	}
	if _, err := (printable{failingWriter{}}).Write([]byte("x")); err == nil {
		t.Error("no error")
	}
}
