package scale

import (
	"errors"
	"image/color"
	"os"
	"path/filepath"

	"gonum.org/v1/plot"
	"gonum.org/v1/plot/plotter"
	"gonum.org/v1/plot/vg"
	"gonum.org/v1/plot/vg/draw"
	"gonum.org/v1/plot/vg/vgsvg"

	"github.com/liftoff-mq/liftoff/bench/report"
)

// blue is the colour that Liftoff has in the bench's other plots.
var blue = color.RGBA{0x00, 0x72, 0xb2, 0xff}

// plots draws a file for each curve.
func plots(folder string, s *session) error {
	var errs []error
	for i := range s.Curves {
		c := &s.Curves[i]
		var points []point
		for _, p := range s.Points {
			if p.Curve == c.Name && p.Runs > 0 {
				points = append(points, p)
			}
		}
		if len(points) > 0 {
			errs = append(errs, draft(filepath.Join(folder, "scale-"+c.Name+".svg"), c, points))
		}
	}
	return errors.Join(errs...)
}

// draft draws processor time and rate side by side: they have no scale in common.
func draft(file string, c *curve, points []point) error {
	cpu, err := panel(c.Title, c.Of, "client CPU, µs for a message", points, func(p *point) report.Range { return p.CPU })
	if err != nil {
		return err
	}
	rate, err := panel("", c.Of, "messages a second", points, func(p *point) report.Range { return p.Rate })
	if err != nil {
		return err
	}
	canvas := vgsvg.New(11*vg.Inch, 4*vg.Inch)
	tiles := draw.Tiles{Rows: 1, Cols: 2, PadX: vg.Inch / 4, PadTop: vg.Inch / 10, PadBottom: vg.Inch / 10, PadLeft: vg.Inch / 10, PadRight: vg.Inch / 4}
	plotted := []*plot.Plot{cpu, rate}
	for i, area := range plot.Align([][]*plot.Plot{plotted}, tiles, draw.New(canvas))[0] {
		plotted[i].Draw(area)
	}
	f, err := os.Create(file)
	if err != nil {
		return err
	}
	_, err = canvas.WriteTo(f)
	return errors.Join(err, f.Close())
}

// panel is the medians as a line, with a whisker from the least to the greatest.
func panel(title, x, y string, points []point, of func(*point) report.Range) (*plot.Plot, error) {
	p := plot.New()
	p.Title.Text, p.X.Label.Text, p.Y.Label.Text = title, x, y
	var line plotter.XYs
	var ends plotter.YErrors
	var ticks plot.ConstantTicks
	most := 0.0
	for i := range points {
		at, r := float64(points[i].Size), of(&points[i])
		line = append(line, plotter.XY{X: at, Y: r.Median})
		ends = append(ends, struct{ Low, High float64 }{r.Median - r.Min, r.Max - r.Median})
		ticks = append(ticks, plot.Tick{Value: at, Label: count(at)})
		most = max(most, r.Max)
	}
	curve, dots, err := plotter.NewLinePoints(line)
	if err != nil {
		return nil, err
	}
	whiskers, err := plotter.NewYErrorBars(struct {
		plotter.XYer
		plotter.YErrorer
	}{line, ends})
	if err != nil {
		return nil, err
	}
	curve.Color, dots.Color, dots.Shape = blue, blue, draw.CircleGlyph{}
	p.Add(plotter.NewGrid(), curve, dots, whiskers)
	p.X.Scale, p.X.Tick.Marker = plot.LogScale{}, ticks
	// From zero, so that a curve that looks flat is.
	p.Y.Min, p.Y.Max = 0, 1.05*most
	p.X.Min, p.X.Max = float64(points[0].Size)/1.3, float64(points[len(points)-1].Size)*1.3
	return p, nil
}
