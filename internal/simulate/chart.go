package simulate

import (
	"fmt"
	"io"
	"math"
	"slices"
	"strings"
	"unicode/utf8"
)

const (
	labelWidth  = 22 // of the names at the left
	scaleWidth  = 6  // of the number at the top of a scale, within the label
	gap         = 2  // between two charts
	leastColumn = 20 // of a chart, however narrow the terminal is
)

// blocks fill a character from below in eighths.
var blocks = []rune(" ▁▂▃▄▅▆▇█")

// Draw writes the numbers of reports as a table and the seconds as charts, side by side, in at
// most width columns if that is possible. The reports are of the same scenario.
func Draw(w io.Writer, width int, reports ...*Report) error {
	columns := max(leastColumn, (width-labelWidth)/len(reports)-gap)
	columns = min(columns, 2*longest(reports))
	var b strings.Builder
	fmt.Fprintf(&b, "%s\n\n", reports[0].headline())
	line(&b, "", columns, reports, func(r *Report) string { return r.Policy })
	for _, n := range numbers(reports) {
		line(&b, n.name, columns, reports, n.of)
	}
	b.WriteByte('\n')
	line(&b, "", columns, reports, func(r *Report) string { return r.Policy })
	for _, band := range bands(reports) {
		band.draw(&b, columns, longest(reports))
	}
	for _, marks := range []func(*Report, int, int) string{(*Report).axis, (*Report).incidentMark} {
		fmt.Fprintf(&b, "%*s", labelWidth, "")
		for _, r := range reports {
			fmt.Fprintf(&b, "%*s%s", gap, "", pad(marks(r, columns, longest(reports)), columns))
		}
		b.WriteByte('\n')
	}
	_, err := io.WriteString(w, trimLines(b.String()))
	return err
}

// longest is the number of seconds that a report has at most.
func longest(reports []*Report) int {
	n := 1
	for _, r := range reports {
		n = max(n, len(r.Series))
	}
	return n
}

// line writes a row of the table: a name, and a text for each report.
func line(b *strings.Builder, name string, columns int, reports []*Report, of func(*Report) string) {
	b.WriteString(pad(name, labelWidth))
	for _, r := range reports {
		fmt.Fprintf(b, "%*s%s", gap, "", pad(of(r), columns))
	}
	b.WriteByte('\n')
}

// pad fills a text up with blanks to n characters.
func pad(s string, n int) string { return s + strings.Repeat(" ", max(0, n-utf8.RuneCountInString(s))) }

// trimLines takes the blanks off the ends of lines.
func trimLines(s string) string {
	var b strings.Builder
	for l := range strings.Lines(s) {
		b.WriteString(strings.TrimRight(l, " \n") + "\n")
	}
	return b.String()
}

// draw writes the band for each report, from the top row down.
func (d *band) draw(b *strings.Builder, columns, seconds int) {
	for top := d.rows; top > 0; top-- {
		name, scale := "", ""
		if top == d.rows {
			name, scale = d.name, d.scale()
		}
		b.WriteString(pad(name, labelWidth-scaleWidth-1))
		fmt.Fprintf(b, "%*s ", scaleWidth, scale)
		for _, values := range d.values {
			fmt.Fprintf(b, "%*s", gap, "│")
			for c := range columns {
				b.WriteRune(d.block(values, c, columns, seconds, top-1))
			}
		}
		b.WriteByte('\n')
	}
}

// block is the character of a column in a row of the band, row 0 being the lowest. A column
// shows the largest value of its seconds, and one that is not zero shows at least a line.
func (d *band) block(values []float64, column, columns, seconds, row int) rune {
	from := column * seconds / columns
	to := max(from+1, (column+1)*seconds/columns)
	from, to = min(from, len(values)), min(to, len(values))
	largest := slices.Max(append([]float64{0}, values[from:to]...))
	if largest <= 0 {
		return blocks[0]
	}
	eighths := max(1, int(math.Round(d.share(largest)*float64(8*d.rows))))
	return blocks[min(8, max(0, eighths-8*row))]
}

// axis names the times that matter.
func (r *Report) axis(columns, seconds int) string {
	out := []rune(strings.Repeat(" ", columns))
	free := 0
	for _, t := range r.times() {
		text := number(t) + "s"
		at := min(int(t)*columns/seconds, columns-len(text))
		if at < free {
			continue
		}
		free = at + len(text) + 1
		copy(out[at:], []rune(text))
	}
	return string(out)
}

// incidentMark draws how long the incident lasts.
func (r *Report) incidentMark(columns, seconds int) string {
	if r.Incident == None {
		return ""
	}
	from, to := int(r.Onset)*columns/seconds, min(columns, int(math.Ceil(r.End))*columns/seconds)
	width := max(2, to-from)
	inner := " " + string(r.Incident) + " "
	if len(inner) > width-2 {
		inner = ""
	}
	left := (width - 2 - len(inner)) / 2
	return strings.Repeat(" ", from) + "├" + strings.Repeat("─", left) + inner + strings.Repeat("─", width-2-len(inner)-left) + "┤"
}
