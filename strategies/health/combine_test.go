package health_test

import (
	"context"
	"errors"
	"slices"
	"testing"

	"pgregory.net/rapid"

	"github.com/liftoff-mq/liftoff/core"
	"github.com/liftoff-mq/liftoff/strategies/health"
)

// The first view that is not good decides, and those behind it are not asked.
func TestFirst(t *testing.T) {
	grade := rapid.Custom(func(rt *rapid.T) core.Health { return core.Health(rapid.IntRange(0, 2).Draw(rt, "grade")) })
	rapid.Check(t, func(rt *rapid.T) {
		grades := rapid.SliceOfN(grade, 0, 5).Draw(rt, "grades")
		var asked []int
		var views []core.HealthView
		for i, g := range grades {
			views = append(views, asking(func() core.Health { asked = append(asked, i); return g }))
		}
		v := health.First(views...)
		clear(views) // it has copied them
		got, want := v.Health(brokerA), core.HealthGood
		bad := slices.IndexFunc(grades, func(g core.Health) bool { return g != core.HealthGood })
		if bad >= 0 {
			want = grades[bad]
			grades = grades[:bad+1]
		}
		if got != want || len(asked) != len(grades) || !slices.IsSorted(asked) {
			rt.Errorf("%v after views %v of %d were asked, want %v", got, asked, len(grades), want)
		}
	})
}

// asking is a view that notes that it was asked.
type asking func() core.Health

func (a asking) Health(core.Broker) core.Health { return a() }

// life is a view with a life of its own. It notes its starts and ends in log.
type life struct {
	fixed
	name        string
	log         *[]string
	start, stop error
	panics      bool
}

func (l *life) Start(context.Context) error {
	*l.log = append(*l.log, "start "+l.name)
	if l.panics {
		panic(l.name)
	}
	return l.start
}

func (l *life) Shutdown(context.Context) error {
	*l.log = append(*l.log, "stop "+l.name)
	return l.stop
}

// Views that are services live as long as the combination.
func TestServicesOfACombination(t *testing.T) {
	errStart, errStop, errToo := errors.New("start"), errors.New("stop"), errors.New("stop too")
	for _, tt := range []struct {
		name   string
		change func(b *life)
		start  error
		stop   []error // nil for no Shutdown
		want   []string
	}{
		{"well", func(*life) {}, nil, []error{}, []string{"start a", "start b", "start c", "stop c", "stop b", "stop a"}},
		{"does not start", func(b *life) { b.start = errStart }, errStart, nil, []string{"start a", "start b", "stop a"}},
		{"panics", func(b *life) { b.panics = true }, nil, nil, []string{"start a", "start b", "stop a"}},
		{
			"does not end", func(b *life) { b.stop = errStop }, nil,
			[]error{errStop, errToo},
			[]string{"start a", "start b", "start c", "stop c", "stop b", "stop a"},
		},
	} {
		t.Run(tt.name, func(t *testing.T) {
			var log []string
			a, b, c := &life{name: "a", log: &log}, &life{name: "b", log: &log}, &life{name: "c", log: &log}
			tt.change(b)
			if len(tt.stop) > 1 {
				a.stop = errToo
			}
			s := health.Worst(a, fixed(core.HealthGood), health.First(b), c).(core.Service)
			func() {
				defer func() {
					if v := recover(); (v != nil) != b.panics {
						t.Errorf("panic %v", v)
					}
				}()
				if err := s.Start(t.Context()); !errors.Is(err, tt.start) {
					t.Errorf("start: %v, want %v", err, tt.start)
				}
			}()
			if tt.stop != nil {
				err := s.Shutdown(t.Context())
				if (err != nil) != (len(tt.stop) > 0) {
					t.Errorf("shutdown: %v", err)
				}
				for _, want := range tt.stop {
					if !errors.Is(err, want) {
						t.Errorf("shutdown: %v, want %v", err, want)
					}
				}
			}
			if !slices.Equal(log, tt.want) {
				t.Errorf("got %q, want %q", log, tt.want)
			}
		})
	}
}
