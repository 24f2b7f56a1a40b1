package scale

import (
	"bytes"
	"fmt"
	"os"
	"runtime"
	"runtime/metrics"
	"strconv"
	"syscall"
	"time"

	"github.com/liftoff-mq/liftoff/transport/remoting"
)

// result is what one run found out. Numbers without another word are for one message.
type result struct {
	Messages  int64   `json:"messages"`
	Seconds   float64 `json:"seconds"`
	Rate      float64 `json:"rate"`      // messages a second
	CPU       float64 `json:"cpu"`       // µs of the producer's process
	ServerCPU float64 `json:"serverCPU"` // µs of the cluster's process
	Allocs    float64 `json:"allocs"`
	Bytes     float64 `json:"bytes"`  // allocated
	Writes    float64 `json:"writes"` // system calls
	Reads     float64 `json:"reads"`

	Goroutines float64 `json:"goroutines"` // at the end of the window, the load's own included
	Threads    float64 `json:"threads"`    // of the system, so far
	HeapMiB    float64 `json:"heapMiB"`    // reachable, while the load goes on
	StacksMiB  float64 `json:"stacksMiB"`  // in use at the end of the window
	RSSMiB     float64 `json:"rssMiB"`     // resident memory of the process

	Steal  float64 `json:"steal"`  // share of the machine that the hypervisor took
	Others float64 `json:"others"` // share of the machine that other programs took

	Failed  int64  `json:"failed"` // sends, over the whole run
	Failure string `json:"failure,omitempty"`
}

// moment is what the process says of itself.
type moment struct {
	at         time.Time
	cpu        time.Duration
	ended      int64
	allocs     uint64
	bytes      uint64
	stacks     uint64
	goroutines uint64
	stats      remoting.Stats
}

func (l *load) look() moment {
	m := moment{at: time.Now(), cpu: processor(), ended: l.ended.Load(), stats: l.remoting.Stats()}
	// Not runtime.ReadMemStats: it stops the world.
	s := []metrics.Sample{
		{Name: "/gc/heap/allocs:objects"},
		{Name: "/gc/heap/tiny/allocs:objects"},
		{Name: "/gc/heap/allocs:bytes"},
		{Name: "/memory/classes/heap/stacks:bytes"},
		{Name: "/sched/goroutines:goroutines"},
	}
	metrics.Read(s)
	m.allocs = s[0].Value.Uint64() + s[1].Value.Uint64()
	m.bytes, m.stacks, m.goroutines = s[2].Value.Uint64(), s[3].Value.Uint64(), s[4].Value.Uint64()
	return m
}

// processor is the processor time of this process. The clock of /proc is too coarse for short windows.
func processor() time.Duration {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		return 0 // only with bad arguments
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

func between(a, b moment) result {
	messages := b.ended - a.ended
	n := float64(max(messages, 1))
	took := b.at.Sub(a.at).Seconds()
	return result{
		Messages: messages, Seconds: took, Rate: float64(messages) / took,
		CPU:    float64((b.cpu - a.cpu).Nanoseconds()) / 1000 / n,
		Allocs: float64(b.allocs-a.allocs) / n, Bytes: float64(b.bytes-a.bytes) / n,
		Writes: float64(b.stats.Writes-a.stats.Writes) / n, Reads: float64(b.stats.Reads-a.stats.Reads) / n,
		Goroutines: float64(b.goroutines), StacksMiB: mib(int64(b.stacks)),
	}
}

// threads counts the threads of this process. Go ends hardly any, so this is the most there were.
func threads() (int, error) {
	tasks, err := os.ReadDir("/proc/self/task")
	return len(tasks), err
}

// weight is what a process takes of the memory.
type weight struct {
	Heap   int64 `json:"heap"`   // reachable bytes
	Stacks int64 `json:"stacks"` // bytes of stacks in use
	RSS    int64 `json:"rss"`    // resident bytes, before the collection that makes the other two exact
}

func (w weight) both() int64 { return w.Heap + w.Stacks }

// weighNow collects garbage first. Twice, because a sync.Pool lives through one collection.
func weighNow() (weight, error) {
	rss, err := resident()
	if err != nil {
		return weight{}, err
	}
	runtime.GC()
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return weight{Heap: int64(m.HeapAlloc), Stacks: int64(m.StackInuse), RSS: rss}, nil
}

// resident is the resident memory of this process.
func resident() (int64, error) {
	b, err := os.ReadFile("/proc/self/statm")
	if err != nil {
		return 0, err
	}
	f := bytes.Fields(b)
	if len(f) < 2 {
		return 0, fmt.Errorf("/proc/self/statm is %q", b)
	}
	pages, err := strconv.ParseInt(string(f[1]), 10, 64)
	return pages * int64(os.Getpagesize()), err
}

func mib(n int64) float64 { return float64(n) / (1 << 20) }
