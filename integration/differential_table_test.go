package integration

import (
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/liftoff-mq/liftoff/integration/realcluster"
)

// difference is a line of the table: what the embedded cluster answers to a request, and how a real one differs.
type difference struct {
	request, here string
	there         map[string]string // by version; "" is no difference
	why           string
}

// The columns of the table.
func columns() []string {
	return slices.Concat([]string{"request", "here"}, slices.Sorted(slices.Values(realcluster.Versions)), []string{"why"})
}

func (d *difference) line() string {
	cells := []string{d.request, d.here}
	for _, v := range columns()[2 : len(columns())-1] {
		cell := d.there[v]
		if cell == "" {
			cell = "as here"
		}
		cells = append(cells, cell)
	}
	cells = append(cells, d.why)
	for i := range cells {
		cells[i] = strings.ReplaceAll(cells[i], "|", `\|`)
	}
	return "| " + strings.Join(cells, " | ") + " |"
}

// table cuts the document into what stands before the table's lines, those, and the rest.
func table(doc string) (before string, lines []string, after string, err error) {
	head := "| " + strings.Join(columns(), " | ") + " |\n"
	start := strings.Index(doc, head)
	if start < 0 {
		return "", nil, "", fmt.Errorf("%s has no table that begins with %q", notModelled, head)
	}
	start += len(head)
	start += strings.Index(doc[start:], "\n") + 1
	before, after = doc[:start], doc[start:]
	for strings.HasPrefix(after, "|") {
		line, rest, _ := strings.Cut(after, "\n")
		lines, after = append(lines, line), rest
	}
	return before, lines, after, nil
}

// listed reads a line of the table.
func listed(line string) (difference, error) {
	const escaped = "\x00"
	cells := strings.Split(strings.ReplaceAll(strings.Trim(line, "| "), `\|`, escaped), " | ")
	for i := range cells {
		cells[i] = strings.TrimSpace(strings.ReplaceAll(cells[i], escaped, "|"))
	}
	names := columns()
	if len(cells) == len(names)-1 {
		cells = append(cells, "")
	}
	if len(cells) != len(names) {
		return difference{}, fmt.Errorf("%s: %d cells, want %d: %s", notModelled, len(cells), len(names), line)
	}
	d := difference{request: cells[0], here: cells[1], there: map[string]string{}, why: cells[len(cells)-1]}
	for i, v := range names[2 : len(names)-1] {
		if d.there[v] = cells[2+i]; d.there[v] == "as here" {
			d.there[v] = ""
		}
	}
	return d, nil
}

// compareListed fails for every difference that the table does not have as it is, and for every line of the table that is
// no difference. Only the versions that were asked are compared.
func compareListed(t *testing.T, found []difference) {
	t.Helper()
	text, err := os.ReadFile(notModelled)
	if err != nil {
		t.Fatal(err)
	}
	before, lines, after, err := table(string(text))
	if err != nil {
		t.Fatal(err)
	}
	old := map[string]difference{}
	for _, line := range lines {
		d, err := listed(line)
		if err != nil {
			t.Fatal(err)
		}
		old[d.request] = d
	}
	asked := versions(t)
	var b strings.Builder
	b.WriteString(before)
	for _, d := range found {
		had, ok := old[d.request]
		delete(old, d.request)
		d.why = had.why
		for _, v := range realcluster.Versions {
			if !slices.Contains(asked, v) {
				d.there[v] = had.there[v]
			}
		}
		b.WriteString(d.line() + "\n")
		switch {
		case *update:
		case !ok:
			t.Errorf("not listed: %s", d.line())
		case d.line() != had.line():
			t.Errorf("listed otherwise:\n%s\nwant\n%s", had.line(), d.line())
		case d.why == "":
			t.Errorf("no reason given: %s", d.line())
		}
	}
	for _, d := range old {
		if slices.ContainsFunc(asked, func(v string) bool { return d.there[v] != "" }) && !*update {
			t.Errorf("listed, but there is no such difference: %s", d.line())
		}
	}
	if *update && len(asked) == len(realcluster.Versions) {
		b.WriteString(after)
		if err := os.WriteFile(notModelled, []byte(b.String()), 0o644); err != nil {
			t.Fatal(err)
		}
	}
}
