package simulate

import (
	"fmt"
	"html"
	"io"
	"strings"
)

// The picture's measures, in pixels.
const (
	svgLeft    = 135 // of the names of the bands
	svgTop     = 78
	svgRow     = 22 // of a band, for each row that it has in the terminal
	svgGap     = 14 // between panels
	svgWidth   = 900
	svgPanel   = 180 // a panel is at least so wide
	svgBottom  = 46
	svgCaption = 16
)

// SVG writes the charts of reports, side by side, as a picture. It has a background of its own and
// no colour that carries meaning.
func SVG(w io.Writer, reports ...*Report) error {
	rows := bands(reports)
	height := svgTop + svgBottom
	for _, d := range rows {
		height += d.rows*svgRow + svgGap
	}
	panel := max(svgPanel, (svgWidth-svgLeft)/len(reports)-svgGap)
	width := svgLeft + len(reports)*(panel+svgGap)
	var b strings.Builder
	fmt.Fprintf(&b, `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 %d %d" width="%d" height="%d" font-family="sans-serif" font-size="12">`+"\n", width, height, width, height)
	b.WriteString(`<style>.bar{fill:#0072b2}.panel{fill:none;stroke:#bbb}.sick{fill:#e8e8e8}.small{font-size:10px;fill:#555}</style>` + "\n")
	fmt.Fprintf(&b, `<rect width="%d" height="%d" fill="#fff"/>`+"\n", width, height)
	fmt.Fprintf(&b, `<text x="10" y="20" font-size="14">%s</text>`+"\n", html.EscapeString(reports[0].headline()))
	for i, r := range reports {
		x := svgLeft + i*(panel+svgGap)
		fmt.Fprintf(&b, `<text x="%d" y="%d" font-weight="bold">%s</text>`+"\n", x, svgTop-34, html.EscapeString(r.Policy))
		fmt.Fprintf(&b, `<text x="%d" y="%d" class="small">%s</text>`+"\n", x, svgTop-20, html.EscapeString(r.caption()))
		fmt.Fprintf(&b, `<text x="%d" y="%d" class="small">%s</text>`+"\n", x, svgTop-8, html.EscapeString(r.latencyCaption()))
	}
	y := svgTop
	for _, d := range rows {
		h := d.rows * svgRow
		fmt.Fprintf(&b, `<text x="10" y="%d">%s</text>`+"\n", y+12, html.EscapeString(d.name))
		fmt.Fprintf(&b, `<text x="%d" y="%d" text-anchor="end" class="small">%s</text>`+"\n", svgLeft-5, y+12, d.scale())
		for i, r := range reports {
			d.panel(&b, r, d.values[i], svgLeft+i*(panel+svgGap), y, panel, h, longest(reports))
		}
		y += h + svgGap
	}
	for i, r := range reports {
		r.ticks(&b, svgLeft+i*(panel+svgGap), y, panel, longest(reports))
	}
	b.WriteString("</svg>\n")
	_, err := io.WriteString(w, b.String())
	return err
}

// panel draws the values of one report, a step each second, over the shaded time of the incident.
func (d *band) panel(b *strings.Builder, r *Report, values []float64, x, y, width, height, seconds int) {
	at := func(second float64) float64 { return float64(x) + second*float64(width)/float64(seconds) }
	if r.Incident != None {
		fmt.Fprintf(b, `<rect class="sick" x="%.1f" y="%d" width="%.1f" height="%d"/>`+"\n", at(r.Onset), y, at(r.End)-at(r.Onset), height)
	}
	fmt.Fprintf(b, `<path class="bar" d="M%d %d`, x, y+height)
	for i, v := range values {
		bar := d.share(v) * float64(height)
		if v > 0 {
			bar = max(1, bar)
		}
		fmt.Fprintf(b, "V%.1fH%.1f", float64(y+height)-bar, at(float64(i+1)))
	}
	fmt.Fprintf(b, `V%dZ"/>`+"\n", y+height)
	fmt.Fprintf(b, `<rect class="panel" x="%d" y="%d" width="%d" height="%d"/>`+"\n", x, y, width, height)
}

// ticks writes the times under a column of panels.
func (r *Report) ticks(b *strings.Builder, x, y, width, seconds int) {
	times := r.times()
	for i, t := range times {
		anchor := "middle"
		switch i { // neighbours must not meet
		case 0:
			anchor = "start"
		case len(times) - 1:
			anchor = "end"
		}
		fmt.Fprintf(b, `<text x="%.1f" y="%d" text-anchor="%s" class="small">%ss</text>`+"\n",
			float64(x)+t*float64(width)/float64(seconds), y, anchor, number(t))
	}
	if r.Incident != None {
		middle := (r.Onset + r.End) / 2
		fmt.Fprintf(b, `<text x="%.1f" y="%d" text-anchor="middle">%s</text>`+"\n",
			float64(x)+middle*float64(width)/float64(seconds), y+svgCaption, r.Incident)
	}
}

// caption says in one line how it ended.
func (r *Report) caption() string {
	return fmt.Sprintf("%d errors, %d duplicates, %d lost", r.Errors, r.Duplicates, r.Lost)
}

func (r *Report) latencyCaption() string {
	s := fmt.Sprintf("p99 %s ms", number(r.P99))
	if r.Incident != None {
		s = fmt.Sprintf("p99 %s ms, in trouble %s ms", number(r.HealthyP99), number(r.SettledP99))
	}
	return s
}
