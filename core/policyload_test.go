package core_test

import (
	"context"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/liftoff-mq/liftoff/core"
	"github.com/liftoff-mq/liftoff/core/coretest"
)

// dialect is every strategy of one policy at once, a service, and a listener. Whatever core
// asks it, it writes its number into the record of the call.
type dialect struct {
	t    *testing.T
	log  *dialectLog
	id   int
	life atomic.Int32 // 0 not running, 1 running

	granted, decided, deposits, served atomic.Int64
}

// dialectLog finds the record of a call, for strategies that see the message alone.
type dialectLog struct {
	slot    core.Slot[*dialectRecord]
	records sync.Map // *core.Message -> *dialectRecord
}

// dialectRecord is what the strategies of one call wrote.
type dialectRecord struct {
	mu       sync.Mutex
	ids      map[int]int // how often each dialect was met
	policies map[string]bool
	attempts int
	ended    int
	outcomes int
}

func (d *dialect) met(r *dialectRecord) {
	if d.life.Load() != 1 {
		d.t.Errorf("dialect %d is used and does not run", d.id)
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.ids[d.id]++
}

func (d *dialect) record(c *core.Call) *dialectRecord {
	r, ok := d.log.slot.Get(c)
	if !ok {
		d.t.Error("a call without its record")
		return &dialectRecord{ids: map[int]int{}, policies: map[string]bool{}}
	}
	return r
}

func (d *dialect) Start(context.Context) error {
	if !d.life.CompareAndSwap(0, 1) {
		d.t.Errorf("dialect %d is started, and runs", d.id)
	}
	return nil
}

func (d *dialect) Shutdown(context.Context) error {
	if !d.life.CompareAndSwap(1, 0) {
		d.t.Errorf("dialect %d is shut down, and does not run", d.id)
	}
	return nil
}

func (d *dialect) ForTopic(string) core.QueueSelector { return d }

func (d *dialect) Select(_ context.Context, s *core.Selection) (int, error) {
	d.met(d.record(s.Call()))
	if got := s.Health(0); got != d.grade() {
		d.t.Errorf("dialect %d is shown another one's health", d.id)
	}
	return (s.Attempt() - 1) % s.Len(), nil
}

func (d *dialect) grade() core.Health { return core.Health(d.id % 2) }

func (d *dialect) Health(core.Broker) core.Health { return d.grade() }

func (d *dialect) Next(f *core.Failure) core.Decision {
	if r, ok := d.log.records.Load(f.Message); ok { // else it is only asked what it would do
		d.met(r.(*dialectRecord))
		d.decided.Add(1)
	}
	return core.Decision{Retry: f.Attempt < 3}
}

func (d *dialect) Withdraw(*core.Failure) bool { d.granted.Add(1); return true }
func (d *dialect) Deposit()                    { d.deposits.Add(1) }

func (d *dialect) AttemptDone(_ context.Context, r *core.AttemptReport) {
	rec := d.record(r.Attempt.Call())
	d.met(rec)
	rec.mu.Lock()
	defer rec.mu.Unlock()
	rec.ended++
}

func (d *dialect) CallDone(_ context.Context, r *core.CallReport) {
	rec := d.record(r.Call)
	d.met(rec)
	d.served.Add(1)
	rec.mu.Lock()
	defer rec.mu.Unlock()
	rec.outcomes++
}

// policy has the dialect for everything. The time of a call names it as well.
func (d *dialect) policy() *core.Policy {
	return &core.Policy{
		Name: fmt.Sprint(d.id), Timeout: d.timeout(), AttemptTimeout: time.Minute,
		Selector: d, Retry: d, Budget: d, Health: d,
	}
}

func (d *dialect) timeout() time.Duration { return 10*time.Minute + time.Duration(d.id)*time.Second }

// tables makes a source of two policies: the topic "even" has its own.
func (l *dialectLog) table(t *testing.T, n int) (*core.PolicyTable, []*dialect) {
	even, odd := &dialect{t: t, log: l, id: 2 * n}, &dialect{t: t, log: l, id: 2*n + 1}
	return &core.PolicyTable{Default: odd.policy(), ByTopic: map[string]*core.Policy{"even": even.policy()}}, []*dialect{even, odd}
}

// Policies are replaced a hundred times under the load of 64 callers in every mode. No send
// is lost, and none sees strategies of two policies. Services run while they are used.
func TestPoliciesReplacedUnderLoad(t *testing.T) {
	for name, different := range map[string]int{"new policies each time": 101, "two tables that take turns": 2} {
		t.Run(name, func(t *testing.T) { replaceUnderLoad(t, 100, different) })
	}
}

func replaceUnderLoad(t *testing.T, times, different int) {
	log := &dialectLog{slot: core.NewSlot[*dialectRecord]("record")}
	tables := make([]*core.PolicyTable, different)
	var all []*dialect
	for i := range tables {
		table, dialects := log.table(t, i)
		tables[i] = table
		all = append(all, dialects...)
	}
	tr := &coretest.Transport{Forget: true, Unwritten: true}
	tr.Do = func(_ context.Context, at *core.Attempt) (*core.Result, error) {
		c := at.Call()
		r, _ := log.slot.Get(c)
		r.mu.Lock()
		r.attempts++
		r.policies[c.Policy().Name] = true
		r.mu.Unlock()
		if got := c.Deadline().Sub(c.Start()); got != c.Policy().Timeout {
			t.Errorf("a call of policy %s has %v", c.Policy().Name, got)
		}
		if at.Number() == 1 && c.Message().Tag == "fails once" {
			return nil, core.ErrConnect
		}
		return tr.Ack(at), nil
	}
	cfg := coretest.Config(tr)
	cfg.Policies = tables[0]
	p := coretest.Start(t, cfg)

	var over atomic.Bool
	var wg sync.WaitGroup
	const callers = 64
	for i := range callers {
		wg.Go(func() {
			for n := 0; !over.Load() || n < 4; n++ {
				log.send(t, p, i+n)
			}
		})
	}
	for i := range times {
		if err := p.SetPolicies(t.Context(), tables[(i+1)%different]); err != nil {
			t.Error(err)
		}
		log.send(t, p, i)
		_ = p.Snapshot()
	}
	over.Store(true)
	wg.Wait()
	if err := p.Shutdown(t.Context()); err != nil {
		t.Error(err)
	}
	var served int64
	for _, d := range all {
		if d.life.Load() != 0 {
			t.Errorf("dialect %d still runs", d.id)
		}
		if d.granted.Load() != d.decided.Load() || d.deposits.Load() != d.served.Load() {
			t.Errorf("dialect %d: %d retries decided, %d paid; %d calls, %d deposits",
				d.id, d.decided.Load(), d.granted.Load(), d.served.Load(), d.deposits.Load())
		}
		served += d.served.Load()
	}
	if s := p.Snapshot(); s.Totals.Failed != 0 || served == 0 {
		t.Errorf("totals %+v, %d calls served", s.Totals, served)
	}
}

// send sends a message in the mode that n stands for, waits for its outcome and checks its
// record.
func (l *dialectLog) send(t *testing.T, p *core.Producer, n int) {
	m := &core.Message{Topic: []string{"even", "odd"}[n/4%2], Body: []byte("x")}
	if n/8%2 == 0 {
		m.Tag = "fails once"
	}
	r := &dialectRecord{ids: map[int]int{}, policies: map[string]bool{}}
	l.records.Store(m, r)
	defer l.records.Delete(m)
	var err error
	switch opt := l.slot.With(r); n % 4 {
	case 0:
		_, err = p.Send(t.Context(), m, opt)
	case 1:
		done := make(chan error, 2)
		p.SendAsync(t.Context(), m, func(_ core.Result, err error) { done <- err }, opt)
		err = <-done
	case 2:
		err = p.SendOneway(t.Context(), m, opt)
	case 3:
		_, err = p.SendBatch(t.Context(), []*core.Message{m, {Topic: m.Topic, Body: m.Body}}, opt)
	}
	if err != nil {
		t.Error(err)
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	want := 1
	if m.Tag != "" {
		want = 2
	}
	if len(r.ids) != 1 || len(r.policies) != 1 || r.attempts != want || r.ended != want || r.outcomes != 1 {
		t.Errorf("a call met the dialects %v under the policies %v: %d attempts, %d reported, %d outcomes",
			r.ids, r.policies, r.attempts, r.ended, r.outcomes)
	}
	for id, times := range r.ids {
		if !r.policies[fmt.Sprint(id)] || id%2 != n/4%2 {
			t.Errorf("a call to %q under %v met dialect %d", m.Topic, r.policies, id)
		}
		// Each attempt is chosen and reported, each failure decided on, and the outcome reported.
		if times != 3*want {
			t.Errorf("dialect %d was met %d times, want %d", id, times, 3*want)
		}
	}
}
