package procfs_test

import (
	"os"
	"strings"
	"testing"
	"testing/fstest"
	"time"

	"github.com/liftoff-mq/liftoff/bench/procfs"
)

const stat1 = "cpu  100 0 50 800 20 5 5 20 7 0\ncpu0 1 2 3 4 5 6 7 8 0 0\nintr 1\n"

// host is a /proc with one process, whose command's name is as awkward as it can be.
func host(utime, stime string) procfs.FS {
	status := func(switches string) *fstest.MapFile {
		return &fstest.MapFile{Data: []byte("Name:\tx\nVmPeak:\t  900 kB\nVmHWM:\t    2048 kB\nvoluntary_ctxt_switches:\t" + switches + "\nnonvoluntary_ctxt_switches:\t9\n")}
	}
	return procfs.FS{Root: fstest.MapFS{
		"stat":                {Data: []byte(stat1)},
		"42/stat":             {Data: []byte("42 (a) b ( c) S 1 42 42 0 -1 4194304 1 0 0 0 " + utime + " " + stime + " 0 0 20 0 9 0 1 2 3\n")},
		"42/status":           status("1"),
		"42/task/42/status":   status("10"),
		"42/task/43/status":   status("32"),
		"42/task/44/children": {Data: nil}, // a thread that has just ended
	}}
}

func TestCPU(t *testing.T) {
	got, err := host("1", "1").CPU()
	want := procfs.CPU{Busy: 1600 * time.Millisecond, Steal: 200 * time.Millisecond, Total: 10 * time.Second}
	if err != nil || got != want {
		t.Errorf("got %+v, %v, want %+v", got, err, want)
	}
}

func TestProcess(t *testing.T) {
	got, err := host("150", "25").Process(42)
	want := procfs.Process{CPU: 1750 * time.Millisecond, PeakRSS: 2 << 20, Switches: 42}
	if err != nil || got != want {
		t.Errorf("got %+v, %v, want %+v", got, err, want)
	}
}

func TestWhatIsNotProc(t *testing.T) {
	for name, files := range map[string]fstest.MapFS{
		"nothing":     {},
		"empty stat":  {"stat": {}, "42/stat": {}},
		"short stat":  {"stat": {Data: []byte("cpu 1 2 3\n")}, "42/stat": {Data: []byte("42 (x) S 1")}},
		"not numbers": {"stat": {Data: []byte("cpu a b c d e f g h\n")}, "42/stat": {Data: []byte("42 (x) S 1 1 1 0 -1 1 1 0 0 0 a b 0 0")}},
		"no memory": {
			"stat": {}, "42/stat": {Data: []byte("42 (x) S 1 1 1 0 -1 1 1 0 0 0 1 1 0 0")},
			"42/status": {Data: []byte("Name:\tx\n")},
		},
	} {
		p := procfs.FS{Root: files}
		if c, err := p.CPU(); err == nil {
			t.Errorf("%s: CPU gave %+v", name, c)
		}
		if pr, err := p.Process(42); err == nil {
			t.Errorf("%s: Process gave %+v", name, pr)
		}
	}
}

func TestShares(t *testing.T) {
	second := time.Second
	a := procfs.Sample{Machine: procfs.CPU{Busy: second, Steal: second, Total: 10 * second}}
	b := procfs.Sample{
		Machine: procfs.CPU{Busy: 7 * second, Steal: 2 * second, Total: 20 * second},
		Client:  procfs.Process{CPU: second}, Servers: procfs.Process{CPU: 3 * second},
	}
	if s, o := procfs.Steal(a, b), procfs.Others(a, b); s != 0.1 || o != 0.2 {
		t.Errorf("steal %v, others %v, want 0.1 and 0.2", s, o)
	}
	if s, o := procfs.Steal(a, a), procfs.Others(a, a); s != 0 || o != 0 {
		t.Errorf("no time at all: steal %v, others %v", s, o)
	}
}

// The real /proc, where there is one: this process has used memory and is part of the machine.
func TestThisMachine(t *testing.T) {
	if _, err := os.Stat("/proc/self/stat"); err != nil {
		t.Skip("no /proc here")
	}
	s, err := procfs.FS{Root: os.DirFS("/proc")}.Sample(os.Getpid(), []int{os.Getpid()})
	if err != nil {
		t.Fatal(err)
	}
	if s.Client.PeakRSS < 1<<20 || s.Machine.Total <= 0 || s.Machine.Busy > s.Machine.Total {
		t.Errorf("got %+v", s)
	}
	if _, err := (procfs.FS{Root: os.DirFS("/proc")}).Sample(-1, nil); err == nil || !strings.Contains(err.Error(), "stat") {
		t.Errorf("a process that is none: %v", err)
	}
}
