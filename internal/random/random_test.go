package random_test

import (
	"slices"
	"sync"
	"testing"

	"go.uber.org/goleak"

	"github.com/liftoff-mq/liftoff/internal/random"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// draw takes a few numbers of each kind.
func draw() []float64 {
	var out []float64
	for range 8 {
		out = append(out, float64(random.Uint64()), float64(random.IntN(1<<30)), float64(random.Int64N(1<<40)), random.Float64())
	}
	return out
}

func seeded(seed uint64) []float64 {
	defer random.Seed(seed)()
	return draw()
}

func TestASeedRepeats(t *testing.T) {
	first := seeded(1)
	if again := seeded(1); !slices.Equal(first, again) {
		t.Errorf("seed 1 gave %v, then %v", first, again)
	}
	if other := seeded(2); slices.Equal(first, other) {
		t.Error("seeds 1 and 2 give the same numbers")
	}
}

// Every function follows the seed, each by itself.
func TestEveryFunctionFollowsTheSeed(t *testing.T) {
	for name, f := range map[string]func() float64{
		"Uint64":  func() float64 { return float64(random.Uint64()) },
		"IntN":    func() float64 { return float64(random.IntN(1 << 30)) },
		"Int64N":  func() float64 { return float64(random.Int64N(1 << 40)) },
		"Float64": random.Float64,
	} {
		four := func() (out [4]float64) {
			defer random.Seed(7)()
			for i := range out {
				out[i] = f()
			}
			return out
		}
		first := four()
		if again := four(); first != again {
			t.Errorf("%s: %v, then %v", name, first, again)
		}
		if first[0] == first[1] && first[1] == first[2] {
			t.Errorf("%s does not change: %v", name, first)
		}
	}
}

func TestRestore(t *testing.T) {
	restoreOuter := random.Seed(3)
	want := draw()
	restoreOuter()
	if unseeded := draw(); slices.Equal(unseeded, want) {
		t.Error("the seed stays after restore")
	}

	restoreOuter = random.Seed(3)
	restoreInner := random.Seed(4)
	draw()
	restoreInner()
	if got := draw(); !slices.Equal(got, want) {
		t.Errorf("after the inner seed ended the outer one gives %v, want %v", got, want)
	}
	restoreOuter()
	restoreInner() // a second time: the outer seed must not come back
	if unseeded := draw(); slices.Equal(unseeded, want) || slices.Equal(unseeded, seeded(3)) {
		t.Error("a second restore changed the source")
	}
}

func TestLimits(t *testing.T) {
	for _, kind := range []string{"global", "seeded"} {
		t.Run(kind, func(t *testing.T) {
			if kind == "seeded" {
				defer random.Seed(5)()
			}
			seen := map[int]int{}
			for range 6000 {
				i := random.IntN(3)
				if i < 0 || i > 2 {
					t.Fatalf("IntN(3) = %d", i)
				}
				seen[i]++
				if n := random.Int64N(2); n < 0 || n > 1 {
					t.Fatalf("Int64N(2) = %d", n)
				}
				if f := random.Float64(); f < 0 || f >= 1 {
					t.Fatalf("Float64() = %v", f)
				}
			}
			for i := range 3 {
				if seen[i] < 1700 || seen[i] > 2300 { // eight standard deviations
					t.Errorf("%d came %d times of 6000", i, seen[i])
				}
			}
		})
	}
}

// Goroutines that share a seed take the numbers of one sequence, each number once.
func TestConcurrentUse(t *testing.T) {
	const workers, each = 8, 200
	restore := random.Seed(6)
	want := make([]uint64, workers*each)
	for i := range want {
		want[i] = random.Uint64()
	}
	restore()
	defer random.Seed(6)()
	got := make([][]uint64, workers)
	var wg sync.WaitGroup
	for w := range workers {
		wg.Go(func() {
			for range each {
				got[w] = append(got[w], random.Uint64())
			}
		})
	}
	wg.Wait()
	all := slices.Concat(got...)
	slices.Sort(all)
	slices.Sort(want)
	if !slices.Equal(all, want) {
		t.Error("goroutines together do not take the sequence's numbers")
	}
}

func TestNoAllocation(t *testing.T) {
	use := func() { random.Uint64(); random.IntN(7); random.Int64N(7); random.Float64() }
	if n := testing.AllocsPerRun(100, use); n != 0 {
		t.Errorf("%v allocations, want 0", n)
	}
	defer random.Seed(8)()
	if n := testing.AllocsPerRun(100, use); n != 0 {
		t.Errorf("seeded: %v allocations, want 0", n)
	}
}

func BenchmarkIntN(b *testing.B) {
	b.Run("global", func(b *testing.B) {
		b.RunParallel(func(pb *testing.PB) {
			for pb.Next() {
				random.IntN(64)
			}
		})
	})
	b.Run("seeded", func(b *testing.B) {
		defer random.Seed(9)()
		b.RunParallel(func(pb *testing.PB) {
			for pb.Next() {
				random.IntN(64)
			}
		})
	})
}
