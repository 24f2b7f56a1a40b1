package simulate_test

import (
	"bytes"
	"encoding/xml"
	"errors"
	"flag"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/liftoff-mq/liftoff/internal/simulate"
)

var update = flag.Bool("update", false, "write the golden files anew")

// made is a report whose numbers can be followed by hand: a line that rises in steps of a second.
func made(policy string) *simulate.Report {
	late := 250.0
	r := &simulate.Report{
		Policy:   policy,
		Scenario: simulate.Scenario{Incident: simulate.Hung, Brokers: 2, Callers: 3, Rate: 12.5, Keyed: 0.5, Seed: 9},
		Seconds:  16, Onset: 4, End: 12,
		Traffic:   simulate.Traffic{Calls: 160, Errors: 7, P50: 1.5, P99: 1234.5, Max: 3000, HealthyP99: 4.25, SettledP99: 15},
		Plain:     simulate.Traffic{Calls: 80, Errors: 3},
		WithKey:   simulate.Traffic{Calls: 80, Errors: 4},
		Classes:   map[string]int{"timeout": 5, "busy": 2},
		LastError: &late, Lost: 1, Duplicates: 2, Unexplained: 1, Attempts: 200, AttemptsPerCall: 1.25, SickShare: 0.125,
		Share: map[string]float64{"broker-a": 0.25, "broker-b": 0.75},
	}
	for i := range 17 {
		r.Series = append(r.Series, simulate.Second{
			Calls: 10, Errors: i % 4, P50: 1, P99: float64(i), Duplicates: i / 8,
			Attempts: map[string]int{"broker-a": 17 - i, "broker-b": i},
		})
	}
	return r
}

func golden(t *testing.T, name string, got []byte) {
	t.Helper()
	file := filepath.Join("testdata", name)
	if *update {
		if err := os.WriteFile(file, got, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(got, want) {
		t.Errorf("got\n%s\nwant %s:\n%s", got, file, want)
	}
}

func TestDraw(t *testing.T) {
	quiet := made("quiet")
	quiet.Incident, quiet.LastError, quiet.Errors, quiet.Onset, quiet.End = simulate.None, nil, 0, 0, 0
	for _, tt := range []struct {
		name    string
		width   int
		reports []*simulate.Report
	}{
		{"one.txt", 60, []*simulate.Report{made("default")}},
		{"two.txt", 80, []*simulate.Report{made("default"), made("java")}},
		{"quiet.txt", 50, []*simulate.Report{quiet}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			var b bytes.Buffer
			if err := simulate.Draw(&b, tt.width, tt.reports...); err != nil {
				t.Fatal(err)
			}
			golden(t, tt.name, b.Bytes())
			_, chart, _ := strings.Cut(b.String(), "\n") // the headline is as long as it is
			for l := range strings.Lines(chart) {
				if n := utf8.RuneCountInString(strings.TrimSuffix(l, "\n")); n > tt.width {
					t.Errorf("a line of %d characters, the width is %d: %s", n, tt.width, l)
				}
			}
		})
	}
}

// However narrow the terminal and however many brokers there are, there is a drawing.
func TestDrawAtLimits(t *testing.T) {
	many := made("many")
	many.Brokers = 6
	for _, name := range []string{"broker-c", "broker-d", "broker-e", "broker-aa"} {
		many.Share[name] = 0
	}
	empty := &simulate.Report{Policy: "empty", Share: map[string]float64{}}
	short := made("short")
	short.Series = short.Series[:1]
	for _, r := range []*simulate.Report{many, empty, short} {
		for _, width := range []int{0, 1, 40, 500} {
			var b bytes.Buffer
			if err := simulate.Draw(&b, width, r, made("other")); err != nil {
				t.Fatal(err)
			}
			if !strings.Contains(b.String(), r.Policy) {
				t.Errorf("%s, width %d: %s", r.Policy, width, b.String())
			}
		}
	}
	var b bytes.Buffer
	if err := simulate.Draw(&b, 100, many); err != nil || strings.Contains(b.String(), "broker-e") || !strings.Contains(b.String(), "to broker-d") {
		t.Errorf("%v, want bands of the first four brokers:\n%s", err, b.String())
	}
}

func TestSVG(t *testing.T) {
	var b bytes.Buffer
	if err := simulate.SVG(&b, made("default"), made(`<java & "co">`)); err != nil {
		t.Fatal(err)
	}
	golden(t, "two.svg", b.Bytes())
	var texts []string
	dec := xml.NewDecoder(&b)
	for {
		token, err := dec.Token()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		if text, ok := token.(xml.CharData); ok && len(bytes.TrimSpace(text)) > 0 {
			texts = append(texts, string(text))
		}
	}
	all := strings.Join(texts, "\n")
	for _, want := range []string{"hung from 4s to 12s", "default", `<java & "co">`, "errors/s", "7 errors, 2 duplicates, 1 lost", "to broker-b /s", "16s"} {
		if !strings.Contains(all, want) {
			t.Errorf("%q is missing in the texts:\n%s", want, all)
		}
	}
}

// noRoom is a full disk.
type noRoom struct{}

func (noRoom) Write([]byte) (int, error) { return 0, io.ErrShortWrite }

func TestDrawingsReportErrors(t *testing.T) {
	if err := simulate.Draw(noRoom{}, 80, made("x")); !errors.Is(err, io.ErrShortWrite) {
		t.Errorf("Draw: %v", err)
	}
	if err := simulate.SVG(noRoom{}, made("x")); !errors.Is(err, io.ErrShortWrite) {
		t.Errorf("SVG: %v", err)
	}
}
