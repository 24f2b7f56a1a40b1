package scale

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"os"
	"runtime/pprof"
	"sync"
	"sync/atomic"
	"time"

	"github.com/liftoff-mq/liftoff/bench/procfs"
	"github.com/liftoff-mq/liftoff/core"
)

// sendSpec is the load of one run. Either Callers or InFlight is set.
type sendSpec struct {
	Served   served
	Topics   int // sent to in turn
	Callers  int // that send synchronously
	InFlight int // asynchronous sends under way
	Warm     time.Duration
	Window   time.Duration
	Profile  string // file for a processor profile of the window
}

// load is what the senders share. One counter for all: it costs the same at each size.
type load struct {
	*client
	topics []string
	next   atomic.Uint64
	stop   atomic.Bool
	ended  atomic.Int64 // acknowledged messages
	failed atomic.Int64
	first  atomic.Pointer[error]
}

func (l *load) message() *core.Message {
	return l.client.message(l.topics[l.next.Add(1)%uint64(len(l.topics))])
}

func (l *load) count(err error) {
	if err == nil {
		l.ended.Add(1)
		return
	}
	l.failed.Add(1)
	l.first.CompareAndSwap(nil, &err)
}

// sync sends from so many goroutines until it is stopped.
func (l *load) sync(ctx context.Context, callers int) {
	var wg sync.WaitGroup
	for range callers {
		wg.Go(func() {
			for !l.stop.Load() {
				_, err := l.Send(ctx, l.message())
				l.count(err)
			}
		})
	}
	wg.Wait()
}

// async is one goroutine that begins a send whenever fewer than inFlight are under way.
func (l *load) async(ctx context.Context, inFlight int) {
	free := make(chan struct{}, inFlight)
	done := func(_ core.Result, err error) {
		l.count(err)
		free <- struct{}{}
	}
	for begun := 0; !l.stop.Load(); begun++ {
		if begun >= inFlight {
			<-free
		}
		l.SendAsync(ctx, l.message(), done)
	}
}

// send is the role of the producer: it makes the load and measures itself.
func send(text []byte, out io.Writer) error {
	var s sendSpec
	if err := json.Unmarshal(text, &s); err != nil {
		return err
	}
	ctx := context.Background()
	c, err := newClient(ctx, s.Served.NameServer, s.InFlight, 0)
	if err != nil {
		return err
	}
	l := &load{client: c, topics: topicNames(s.Topics)}
	if err := c.touch(ctx, l.topics, 1); err != nil {
		return err
	}
	var sending sync.WaitGroup
	sending.Go(func() {
		if s.Callers > 0 {
			l.sync(ctx, s.Callers)
		} else {
			l.async(ctx, s.InFlight)
		}
	})
	l.warm(&s)
	res, err := l.measure(&s)
	l.stop.Store(true)
	sending.Wait()
	if err := errors.Join(err, c.stop(ctx, limit)); err != nil {
		return err
	}
	res.Failed = l.failed.Load()
	if first := l.first.Load(); first != nil {
		res.Failure = (*first).Error()
	}
	return json.NewEncoder(out).Encode(res)
}

// laps is how often each caller, and each place among the sends under way, has been used before the window begins: the first
// lap makes goroutines, timers and calls that later ones find in pools.
const laps = 3

// warm waits for the warm-up's time and its laps, but not for ever.
func (l *load) warm(s *sendSpec) {
	time.Sleep(s.Warm)
	wanted := laps * int64(max(s.Callers, s.InFlight))
	for until := time.Now().Add(limit / 4); l.ended.Load() < wanted && time.Now().Before(until); {
		time.Sleep(10 * time.Millisecond)
	}
}

// measure takes the window.
func (l *load) measure(s *sendSpec) (result, error) {
	proc := procfs.FS{Root: os.DirFS("/proc")}
	servers := []int{s.Served.PID}
	var profile *os.File
	var err error
	if s.Profile != "" {
		if profile, err = os.Create(s.Profile); err != nil {
			return result{}, err
		}
		if err := pprof.StartCPUProfile(profile); err != nil {
			return result{}, err
		}
	}
	outside, err := proc.Sample(os.Getpid(), servers)
	if err != nil {
		return result{}, err
	}
	a := l.look()
	time.Sleep(s.Window)
	b := l.look()
	outside2, err := proc.Sample(os.Getpid(), servers)
	if err != nil {
		return result{}, err
	}
	if profile != nil {
		pprof.StopCPUProfile()
		if err := profile.Close(); err != nil {
			return result{}, err
		}
	}
	res := between(a, b)
	res.Steal, res.Others = procfs.Steal(outside, outside2), procfs.Others(outside, outside2)
	res.ServerCPU = (outside2.Servers.CPU - outside.Servers.CPU).Seconds() * 1e6 / float64(max(res.Messages, 1))
	n, err := threads()
	if err != nil {
		return result{}, err
	}
	res.Threads = float64(n)
	now, err := weighNow() // with the load under way
	if err != nil {
		return result{}, err
	}
	res.HeapMiB, res.RSSMiB = mib(now.Heap), mib(now.RSS)
	return res, nil
}
