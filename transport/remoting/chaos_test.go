package remoting_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/liftoff-mq/liftoff/core"
	"github.com/liftoff-mq/liftoff/core/coretest"
	"github.com/liftoff-mq/liftoff/transport/remoting"
	"github.com/liftoff-mq/liftoff/transport/wire"
)

// Rows 1, 12 and 17 together: a broker that cuts, resets, delays, forgets and
// goes away at random, under many callers with short and long times, some of
// which cancel. Whatever happens, what was acknowledged is stored, and what is
// called not sent is not.
func TestNothingIsMisreported(t *testing.T) {
	for name, json := range answerForms {
		t.Run(name, func(t *testing.T) { nothingIsMisreported(t, json) })
	}
}

func nothingIsMisreported(t *testing.T, json bool) {
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	rng := rand.New(rand.NewPCG(seed, 0))
	var mu sync.Mutex
	roll := func(n int) int {
		mu.Lock()
		defer mu.Unlock()
		return rng.IntN(n)
	}

	stored := map[string]bool{}
	script := func(s *session, c wire.Command) {
		mu.Lock()
		stored[strings.TrimRight(string(c.Body), "-")] = true
		mu.Unlock()
		switch roll(150) {
		case 0:
			s.nc.Close()
		case 1:
			s.reset()
		case 2:
			b := s.stored(c, 0)
			s.write(b[:roll(len(b))])
			s.nc.Close()
		case 3: // no answer
		case 4:
			time.Sleep(time.Duration(roll(30)) * time.Millisecond)
			s.ok(c)
		case 5:
			s.write(append(s.stored(c, 0), s.stored(c, 0)...))
		default:
			s.ok(c)
		}
	}
	ln := listen(t, "127.0.0.1:0")
	addr := ln.Addr().String()
	c := client(t, remoting.Config{MaxQueuedBytes: 256 << 10})
	p := producer(t, c, addr)

	stop := make(chan struct{})
	var server sync.WaitGroup
	server.Go(func() {
		f := &fake{ln: ln, script: script, json: json}
		f.start()
		for {
			select {
			case <-stop:
				f.stop()
				return
			case <-time.After(time.Duration(50+roll(200)) * time.Millisecond):
			}
			f.stop()
			time.Sleep(time.Duration(roll(20)) * time.Millisecond)
			f = &fake{ln: listen(t, addr), script: script, json: json}
			f.start()
		}
	})

	outcome := map[string]core.Certainty{}
	acked := 0
	var callers sync.WaitGroup
	const goroutines, sends = 32, 150
	for g := range goroutines {
		callers.Go(func() {
			for i := range sends {
				id := fmt.Sprintf("%d/%d/", g, i)
				body := id + strings.Repeat("-", []int{1, 1000, 20_000, 100_000}[roll(4)])
				ctx, cancel := context.WithCancel(bg)
				if roll(10) == 0 {
					time.AfterFunc(time.Duration(roll(5000))*time.Microsecond, cancel)
				}
				limit := []time.Duration{3 * time.Millisecond, 50 * time.Millisecond, time.Second}[roll(3)]
				_, err := p.Send(ctx, coretest.Message(body), core.SendTimeout(limit))
				cancel()
				certainty := core.Stored
				if err != nil {
					certainty = failure(t, err).Certainty
				}
				mu.Lock()
				outcome[id] = certainty
				if err == nil {
					acked++
				}
				mu.Unlock()
				if err != nil {
					time.Sleep(time.Duration(roll(10)) * time.Millisecond)
				}
			}
		})
	}
	callers.Wait()
	close(stop)
	server.Wait()

	count := map[core.Certainty]int{}
	for id, certainty := range outcome {
		count[certainty]++
		switch there := stored[id]; {
		case certainty == core.Stored && !there:
			t.Errorf("%s is acknowledged and not stored", id)
		case (certainty == core.NotSent || certainty == core.NotStored) && there:
			t.Errorf("%s is called %v and stored", id, certainty)
		}
	}
	t.Logf("%v, %+v", count, c.Stats())
	if acked == 0 || count[core.NotSent] == 0 || count[core.MaybeStored] == 0 {
		t.Errorf("outcomes %v: the faults did not bite", count)
	}
	eventually(t, "all connections are gone", func() bool { s := c.Stats(); return s.InFlight == 0 && s.QueuedBytes == 0 })
}
