package report

import (
	"errors"
	"image/color"
	"math"
	"path/filepath"
	"slices"

	"gonum.org/v1/plot"
	"gonum.org/v1/plot/plotter"
	"gonum.org/v1/plot/vg"
)

// Plots draws the rates, the processor time and the latencies into a folder, as SVG.
func Plots(folder string, s *Session) error {
	return errors.Join(
		bars(filepath.Join(folder, "of-limit.svg"), s, "Rate as a share of the limit's", "share", s.ofLimit),
		bars(filepath.Join(folder, "rate.svg"), s, "Messages a second (median, min to max)", "messages/s", func(sum *Summary) Range { return sum.Rate }),
		bars(filepath.Join(folder, "client-cpu.svg"), s, "Client CPU", "seconds per million messages", func(sum *Summary) Range { return sum.ClientCPU }),
		bars(filepath.Join(folder, "broker-cpu.svg"), s, "Broker CPU", "seconds per million messages", func(sum *Summary) Range { return sum.ServerCPU }),
		latencies(filepath.Join(folder, "latency.svg"), s),
	)
}

// ofLimit is a rate divided by the limit's median in the same cell; zero where there is no limit.
func (s *Session) ofLimit(sum *Summary) Range {
	for i := range s.Summaries {
		if o := &s.Summaries[i]; o.Cell == sum.Cell && o.Contender == "limit" && o.Rate.Median > 0 {
			return Range{Median: sum.Rate.Median / o.Rate.Median, Min: sum.Rate.Min / o.Rate.Median, Max: sum.Rate.Max / o.Rate.Median}
		}
	}
	return Range{}
}

// colors tell the contenders apart, also in grey and for the colour-blind.
var colors = []color.Color{
	color.RGBA{0x99, 0x99, 0x99, 0xff},
	color.RGBA{0x00, 0x72, 0xb2, 0xff},
	color.RGBA{0xe6, 0x9f, 0x00, 0xff},
	color.RGBA{0x00, 0x9e, 0x73, 0xff},
	color.RGBA{0xcc, 0x79, 0xa7, 0xff},
	color.RGBA{0x56, 0xb4, 0xe9, 0xff},
}

// layout is the order of cells and contenders in a session.
type layout struct{ cells, contenders []string }

func layoutOf(s *Session) (l layout) {
	for _, sum := range s.Summaries {
		if !slices.Contains(l.cells, sum.Cell) {
			l.cells = append(l.cells, sum.Cell)
		}
		if !slices.Contains(l.contenders, sum.Contender) {
			l.contenders = append(l.contenders, sum.Contender)
		}
	}
	return l
}

func (l layout) new(title, y string) *plot.Plot {
	p := plot.New()
	p.Title.Text = title
	p.Y.Label.Text = y
	p.NominalX(l.cells...)
	p.X.Tick.Label.Rotation = math.Pi / 6
	p.X.Tick.Label.XAlign = -1
	p.Legend.Top = true
	p.Add(plotter.NewGrid())
	return p
}

func (l layout) save(p *plot.Plot, file string) error {
	p.X.Min, p.X.Max = -0.6, float64(len(l.cells))-0.4
	return p.Save(vg.Length(max(6, 2+1.4*float64(len(l.cells))))*vg.Inch, 5*vg.Inch, file)
}

// place is where contender i of a cell stands.
func (l layout) place(cell, contender int) float64 {
	width := 0.8 / float64(len(l.contenders))
	return float64(cell) - 0.4 + width*(float64(contender)+0.5)
}

// bars draws a bar for each contender in each cell, with a line from its least to its greatest.
func bars(file string, s *Session, title, y string, of func(*Summary) Range) error {
	l := layoutOf(s)
	p := l.new(title, y)
	p.Y.Min = 0
	half := 0.36 / float64(len(l.contenders))
	for i, name := range l.contenders {
		var ends plotter.YErrors
		var tops plotter.XYs
		for c, cell := range l.cells {
			for k := range s.Summaries {
				sum := &s.Summaries[k]
				if sum.Cell != cell || sum.Contender != name {
					continue
				}
				r, x := of(sum), l.place(c, i)
				box, err := plotter.NewPolygon(plotter.XYs{{X: x - half, Y: 0}, {X: x - half, Y: r.Median}, {X: x + half, Y: r.Median}, {X: x + half, Y: 0}})
				if err != nil {
					return err
				}
				box.Color = colors[i%len(colors)]
				box.LineStyle.Width = 0
				p.Add(box)
				if len(tops) == 0 {
					p.Legend.Add(name, box)
				}
				tops = append(tops, plotter.XY{X: x, Y: r.Median})
				ends = append(ends, struct{ Low, High float64 }{r.Median - r.Min, r.Max - r.Median})
			}
		}
		whiskers, err := plotter.NewYErrorBars(struct {
			plotter.XYer
			plotter.YErrorer
		}{tops, ends})
		if err != nil {
			return err
		}
		p.Add(whiskers)
	}
	return l.save(p, file)
}

// latencies draws p50, p99 and p99.9 of each contender in each cell, on a logarithmic axis.
func latencies(file string, s *Session) error {
	l := layoutOf(s)
	p := l.new("Latency: p50, p99 and p99.9", "milliseconds")
	p.Y.Scale, p.Y.Tick.Marker = plot.LogScale{}, plot.LogTicks{Prec: -1}
	for i, name := range l.contenders {
		for k := range s.Summaries {
			sum := &s.Summaries[k]
			c := slices.Index(l.cells, sum.Cell)
			if sum.Contender != name || sum.P50.Median <= 0 {
				continue
			}
			var points plotter.XYs
			for _, r := range []Range{sum.P50, sum.P99, sum.P999} {
				points = append(points, plotter.XY{X: l.place(c, i), Y: r.Median / 1000})
			}
			line, dots, err := plotter.NewLinePoints(points)
			if err != nil {
				return err
			}
			line.Color, dots.Color = colors[i%len(colors)], colors[i%len(colors)]
			p.Add(line, dots)
			if !slices.ContainsFunc(s.Summaries[:k], func(o Summary) bool { return o.Contender == name }) {
				p.Legend.Add(name, line, dots)
			}
		}
	}
	return l.save(p, file)
}
