package main

import (
	"bytes"
	"errors"
	"io"
	"slices"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/liftoff-mq/liftoff/core"
)

// readAll reads every line; a line that is too long is "<long>".
func readAll(t *testing.T, r io.Reader, limit int) (lines []string, taken int64) {
	t.Helper()
	l := newLineReader(r, limit)
	for {
		line, n, err := l.next()
		taken += n
		var long *lineTooLong
		switch {
		case errors.Is(err, io.EOF):
			if line != nil || n != 0 {
				t.Errorf("the end comes with line %q and %d bytes", line, n)
			}
			return lines, taken
		case errors.As(err, &long):
			lines = append(lines, "<long>")
		case err != nil:
			t.Fatal(err)
		default:
			lines = append(lines, string(line))
		}
	}
}

func TestLines(t *testing.T) {
	const limit = 8
	tests := []struct {
		name, in string
		want     []string
	}{
		{"nothing", "", nil},
		{"one newline", "\n", []string{""}},
		{"two lines", "a\nb\n", []string{"a", "b"}},
		{"no newline at the end", "a\nb", []string{"a", "b"}},
		{"empty lines are lines", "\na\n\n", []string{"", "a", ""}},
		{"carriage return and newline", "a\r\nb\r\n\r\n", []string{"a", "b", ""}},
		{"only the last carriage return", "a\r\r\nb\rc\n", []string{"a\r", "b\rc"}},
		{"a carriage return at the end is data", "a\r", []string{"a\r"}},
		{"as long as may be", "12345678\n12345678\r\n12345678", []string{"12345678", "12345678", "12345678"}},
		{"too long, then on", "123456789\nb\n", []string{"<long>", "b"}},
		{"too long with carriage return", "123456789\r\nb\n", []string{"<long>", "b"}},
		{"too long at the end", "b\n123456789", []string{"b", "<long>"}},
		{"too long by the carriage return that is data", "12345678\r", []string{"<long>"}},
		{"bytes that are no text", "\x00\xff\xfe\n", []string{"\x00\xff\xfe"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			for name, r := range map[string]io.Reader{
				"whole":       strings.NewReader(tt.in),
				"byte wise":   iotest.OneByteReader(strings.NewReader(tt.in)),
				"end at once": iotest.DataErrReader(strings.NewReader(tt.in)),
			} {
				got, taken := readAll(t, r, limit)
				if !slices.Equal(got, tt.want) {
					t.Errorf("%s: got lines %q, want %q", name, got, tt.want)
				}
				if taken != int64(len(tt.in)) {
					t.Errorf("%s: lines took %d bytes, want %d", name, taken, len(tt.in))
				}
			}
		})
	}
}

// Lines longer than the reader's buffer come whole, up to the limit of a body.
func TestLongLines(t *testing.T) {
	at := func(n int) string { return strings.Repeat("x", n) }
	lengths := []int{1, 65_535, 65_536, 65_537, 131_072, maxBody - 1, maxBody, maxBody + 1, 3 * maxBody, 2}
	var in bytes.Buffer
	for _, n := range lengths {
		in.WriteString(at(n) + "\n")
	}
	l := newLineReader(&in, maxBody)
	for _, n := range lengths {
		line, taken, err := l.next()
		var long *lineTooLong
		if n > maxBody {
			if !errors.As(err, &long) || line != nil {
				t.Fatalf("a line of %d bytes gives %d bytes and %v, want an error of its own", n, len(line), err)
			}
			if !errors.Is(err, core.ErrInvalidMessage) || core.ClassOf(err) != core.ClassInvalid {
				t.Errorf("%v has class %v", err, core.ClassOf(err))
			}
		} else if err != nil || len(line) != n {
			t.Fatalf("a line of %d bytes gives %d bytes and %v", n, len(line), err)
		}
		if taken != int64(n)+1 {
			t.Errorf("a line of %d bytes took %d", n, taken)
		}
	}
}

// Lines do not share memory: a message is under way while the next is read.
func TestLinesOwnTheirMemory(t *testing.T) {
	l := newLineReader(strings.NewReader("first\nother\n"), maxBody)
	first, _, err := l.next()
	if err != nil {
		t.Fatal(err)
	}
	if _, _, err := l.next(); err != nil || string(first) != "first" {
		t.Errorf("after the next line the first is %q (%v)", first, err)
	}
}

func TestLinesReportReadErrors(t *testing.T) {
	broken := errors.New("disk on fire")
	l := newLineReader(io.MultiReader(strings.NewReader("a\nb"), iotest.ErrReader(broken)), maxBody)
	if line, _, err := l.next(); string(line) != "a" || err != nil {
		t.Fatalf("got %q, %v", line, err)
	}
	// Half a line is not a message.
	if line, _, err := l.next(); line != nil || !errors.Is(err, broken) {
		t.Errorf("got %q, %v, want the read error alone", line, err)
	}
}

func FuzzLines(f *testing.F) {
	f.Add([]byte("a\nbc\r\n\n"))
	f.Add([]byte("123456789\nx"))
	f.Fuzz(func(t *testing.T, in []byte) {
		const limit = 8
		got, taken := readAll(t, bytes.NewReader(in), limit)
		if taken != int64(len(in)) {
			t.Fatalf("took %d of %d bytes", taken, len(in))
		}
		var want []string
		for part := range bytes.Lines(in) {
			line, ended := bytes.CutSuffix(part, []byte("\n"))
			if ended {
				line = bytes.TrimSuffix(line, []byte("\r"))
			}
			if len(line) > limit {
				line = []byte("<long>")
			}
			want = append(want, string(line))
		}
		if !slices.Equal(got, want) {
			t.Fatalf("got %q, want %q", got, want)
		}
	})
}
