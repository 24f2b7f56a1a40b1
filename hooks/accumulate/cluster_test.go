package accumulate_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/liftoff-mq/liftoff/core"
	"github.com/liftoff-mq/liftoff/core/coretest"
	"github.com/liftoff-mq/liftoff/core/rocketmq"
	"github.com/liftoff-mq/liftoff/hooks/accumulate"
	"github.com/liftoff-mq/liftoff/hooks/compress"
	"github.com/liftoff-mq/liftoff/hooks/validate"
	"github.com/liftoff-mq/liftoff/strategies/selector"
	"github.com/liftoff-mq/liftoff/transport/embedded"
	"github.com/liftoff-mq/liftoff/transport/remoting"
	"github.com/liftoff-mq/liftoff/transport/wire"
)

// cluster starts a cluster on a network of its own.
func cluster(t testing.TB, brokers int) *embedded.Cluster {
	t.Helper()
	c := embedded.New(t, embedded.Config{Brokers: embedded.BrokerNames(brokers), Network: embedded.NewNetwork(), MaxStoredBytes: 1 << 30})
	if err := c.CreateTopic("T", 4); err != nil {
		t.Fatal(err)
	}
	return c
}

// realConfig is a producer's on the real client, with the steps that every default
// producer has, and with time to spare. A nil dial means TCP.
func realConfig(t testing.TB, c *embedded.Cluster, dial func(context.Context, string, string) (net.Conn, error), steps ...core.Step) core.Config {
	t.Helper()
	client, err := remoting.NewClient(remoting.Config{NameServers: c.NameServers(), Dial: dial})
	if err != nil {
		t.Fatal(err)
	}
	v, err := validate.New()
	if err != nil {
		t.Fatal(err)
	}
	codec, err := compress.Zlib(compress.DefaultLevel)
	if err != nil {
		t.Fatal(err)
	}
	z, err := compress.New(codec)
	if err != nil {
		t.Fatal(err)
	}
	return core.Config{
		Group: "accumulating", Timeout: 5 * time.Minute, AttemptTimeout: 5 * time.Minute,
		Transport: client, Routes: client, Own: []core.Service{client},
		Selector: selector.Hash(), Retry: coretest.Retry(3), Steps: append(steps, v.Step(), z.Step()),
	}
}

// producer starts a producer on the cluster with an accumulator.
func producer(t testing.TB, c *embedded.Cluster, cfg accumulate.Config, change ...func(*core.Config)) *core.Producer {
	t.Helper()
	conf := realConfig(t, c, c.Dial, accumulator(t, cfg).Step())
	for _, f := range change {
		f(&conf)
	}
	return coretest.Start(t, conf)
}

// crowd sends the messages with n callers, one after the other each.
func crowd(t *testing.T, p *core.Producer, n int, messages []*core.Message) []core.Result {
	t.Helper()
	results := make([]core.Result, len(messages))
	var wg sync.WaitGroup
	var next atomic.Int64
	for range n {
		wg.Go(func() {
			for {
				i := int(next.Add(1)) - 1
				if i >= len(messages) {
					return
				}
				res, err := p.Send(context.Background(), messages[i])
				if err != nil {
					t.Errorf("message %d: %v", i, err)
					return
				}
				results[i] = res
			}
		})
	}
	wg.Wait()
	if t.Failed() {
		t.FailNow()
	}
	return results
}

// place is where a message lies.
type place struct {
	queue  core.Queue
	offset int64
}

// check compares what the results say with what is stored: every message once, at
// its place, under its ids.
func check(t *testing.T, c *embedded.Cluster, topic string, messages []*core.Message, results []core.Result) {
	t.Helper()
	stored := c.Stored(topic)
	if len(stored) != len(messages) {
		t.Fatalf("%d messages are stored, %d were sent", len(stored), len(messages))
	}
	at := map[place]*embedded.Stored{}
	for i := range stored {
		s := &stored[i]
		at[place{core.Queue{Broker: s.Broker, ID: s.QueueID}, s.QueueOffset}] = s
	}
	ids := map[core.MessageID]bool{}
	for i, res := range results {
		s := at[place{res.Queue, res.QueueOffset}]
		switch {
		case s == nil:
			t.Fatalf("message %d: nothing is stored at %v %d", i, res.Queue, res.QueueOffset)
		case string(s.Body) != string(messages[i].Body) || s.UniqueID() != res.MessageID.String() || s.MsgID != res.OffsetMessageID:
			t.Fatalf("message %d: %q %+v, but there is %q with ids %s, %s", i, messages[i].Body, res, s.Body, s.UniqueID(), s.MsgID)
		case res.Status != core.SendOK || res.Attempts != 1 || res.MaybeDuplicate:
			t.Fatalf("message %d: %+v", i, res)
		}
		if ids[res.MessageID] {
			t.Fatalf("id %v twice", res.MessageID)
		}
		ids[res.MessageID] = true
	}
}

func bodies(n int) []*core.Message {
	out := make([]*core.Message, n)
	for i := range out {
		out[i] = coretest.Message(fmt.Sprint("body ", i))
	}
	return out
}

// Everything that a message has arrives, and each batch lies in one piece in its
// queue.
func TestStored(t *testing.T) {
	c := cluster(t, 2)
	p := producer(t, c, accumulate.Config{})
	messages := bodies(400)
	for i, m := range messages {
		m.Tag, m.Keys, m.Flag = fmt.Sprint("tag", i), []string{fmt.Sprint("k", i), "all"}, int32(i)
		m.Properties = map[string]string{"n": fmt.Sprint(i)}
		m.NoWaitStore = i%4 == 0
	}
	check(t, c, "T", messages, crowd(t, p, 32, messages))

	stored := c.Stored("T")
	byID := map[string]embedded.Stored{}
	for _, s := range stored {
		byID[s.UniqueID()] = s
		var i int
		if _, err := fmt.Sscanf(string(s.Body), "body %d", &i); err != nil {
			t.Fatal(err)
		}
		if s.Property("TAGS") != fmt.Sprint("tag", i) || s.Property("KEYS") != fmt.Sprint("k", i, " all") || s.Flag != int32(i) ||
			s.Property("n") != fmt.Sprint(i) || (s.Property("WAIT") == "false") != (i%4 == 0) {
			t.Errorf("message %d is stored as %+v", i, s)
		}
	}
	batched := 0
	for _, r := range c.Requests(wire.SendBatchMessage) {
		items, err := wire.ParseBatch(r.Command.Body)
		if err != nil {
			t.Fatal(err)
		}
		batched += len(items)
		var first embedded.Stored
		for i, it := range items {
			id, _ := wire.LookupProperty(string(it.Properties), rocketmq.PropertyUniqKey)
			s := byID[id]
			if i == 0 {
				first = s
			}
			if s.Broker != first.Broker || s.QueueID != first.QueueID || s.QueueOffset != first.QueueOffset+int64(i) ||
				s.Property("WAIT") != first.Property("WAIT") {
				t.Errorf("message %d of a batch is at %s/%d %d, the first at %s/%d %d",
					i, s.Broker, s.QueueID, s.QueueOffset, first.Broker, first.QueueID, first.QueueOffset)
			}
		}
	}
	if batched == 0 {
		t.Error("nothing was put together")
	}
}

// Messages for a fixed queue lie there.
func TestFixedQueue(t *testing.T) {
	c := cluster(t, 2)
	p := producer(t, c, accumulate.Config{})
	messages := bodies(200)
	for i, m := range messages {
		m.Queue = &core.Queue{Broker: []string{"broker-a", "broker-b"}[i%2], ID: i % 3}
	}
	results := crowd(t, p, 24, messages)
	check(t, c, "T", messages, results)
	for i, res := range results {
		if res.Queue != *messages[i].Queue {
			t.Errorf("message %d is in %v, want %v", i, res.Queue, *messages[i].Queue)
		}
	}
}

// weigher puts n messages in a batch and remembers its size.
type weigher struct {
	mu    sync.Mutex
	n     int
	batch *core.Batch
	done  chan struct{}
	sizes []int
}

func (w *weigher) Intercept(ctx context.Context, c *core.Call, next core.Handler) (*core.Result, error) {
	w.mu.Lock()
	if w.batch == nil {
		w.batch, w.done = c.Producer().NewBatch(), make(chan struct{})
	}
	b, done := w.batch, w.done
	if _, err := b.Add(c, 4<<20); err != nil {
		w.mu.Unlock()
		return nil, err
	}
	if b.Len() == w.n {
		w.sizes = append(w.sizes, b.Size())
		w.batch = nil
		b.Go(ctx, next, func() { close(done) })
	}
	w.mu.Unlock()
	<-done
	return b.Outcome(c)
}

// The size of a batch is that of the request's body, to the byte.
func TestSizeIsExact(t *testing.T) {
	c := cluster(t, 1)
	w := &weigher{}
	p := coretest.Start(t, realConfig(t, c, c.Dial, core.CallStep("weigh", core.StageEncode, w).After("compress.zlib")))
	r := rand.New(rand.NewPCG(1, 2))
	for round := range 20 {
		w.n = 2 + r.IntN(20)
		messages := bodies(w.n)
		for _, m := range messages {
			m.Body = make([]byte, 1+r.IntN(3000))
			m.Tag = strings.Repeat("t", r.IntN(5))
			for k := range r.IntN(4) {
				m.Keys = append(m.Keys, fmt.Sprint("key-", k))
				if m.Properties == nil {
					m.Properties = map[string]string{}
				}
				m.Properties[fmt.Sprint("p", k)] = strings.Repeat("v", 1+r.IntN(30))
			}
		}
		crowd(t, p, w.n, messages)
		got := c.Requests(wire.SendBatchMessage)
		if size := len(got[len(got)-1].Command.Body); len(got) != round+1 || size != w.sizes[round] {
			t.Errorf("round %d: %d messages have %d bytes, the batch says %d", round, w.n, size, w.sizes[round])
		}
	}
}

// No request passes the limit of bytes.
func TestRequestsStayInLimit(t *testing.T) {
	const limit = 4096
	c := cluster(t, 1)
	p := producer(t, c, accumulate.Config{MaxBytes: limit})
	messages := bodies(500)
	for i, m := range messages {
		m.Body = []byte(fmt.Sprintf("%0*d", 100+i, i))
	}
	check(t, c, "T", messages, crowd(t, p, 48, messages))
	largest := 0
	for _, r := range c.Requests(wire.SendBatchMessage) {
		largest = max(largest, len(r.Command.Body))
	}
	if largest > limit || largest == 0 {
		t.Errorf("the largest body of a batch has %d bytes, the limit is %d", largest, limit)
	}
}

// gate is a step that holds the message "flying" back, so that others wait.
type gate struct{ arrived, open chan struct{} }

func newGate() *gate { return &gate{make(chan struct{}), make(chan struct{})} }

func (g *gate) InterceptAttempt(ctx context.Context, at *core.Attempt, next core.AttemptHandler) (*core.Result, error) {
	if string(at.Call().Message().Body) == "flying" {
		close(g.arrived)
		<-g.open
	}
	return next(ctx, at)
}

func (g *gate) step() core.Step {
	return core.AttemptStep("gate", core.AttemptWire, g)
}

// fly sends the message.
func (g *gate) fly(t *testing.T, p *core.Producer) (land func()) {
	s := send(context.Background(), p, coretest.Message("flying"))
	<-g.arrived
	return func() {
		close(g.open)
		if _, err := s.wait(); err != nil {
			t.Error(err)
		}
	}
}

// A connection that is cut after the batch was stored: with retries every message
// is repeated under its id, without each caller learns that it may be stored.
func TestCutAfterStore(t *testing.T) {
	for _, again := range []bool{true, false} {
		t.Run(fmt.Sprint("retry ", again), func(t *testing.T) {
			const n = 16
			c := cluster(t, 2)
			policy := coretest.Retry(3)
			if !again {
				policy = coretest.NoRetry()
			}
			g := newGate()
			p := producer(t, c, accumulate.Config{MaxCount: n, Linger: 30 * time.Second}, func(conf *core.Config) {
				conf.Retry, conf.Steps = policy, append(conf.Steps, g.step())
			})
			land := g.fly(t, p)
			c.ControlOnce(wire.SendBatchMessage, func(*embedded.Request) embedded.Action { return embedded.StoreThenCut() })
			var all []*sending
			for i := range n {
				all = append(all, send(context.Background(), p, coretest.Message(fmt.Sprint("body ", i))))
			}
			for i, s := range all {
				res, err := s.wait()
				if again && (err != nil || !res.MaybeDuplicate || res.Attempts != 2) {
					t.Errorf("message %d: %+v, %v", i, res, err)
				}
				if !again && (core.CertaintyOf(err) != core.MaybeStored || core.ClassOf(err) != core.ClassNetwork) {
					t.Errorf("message %d: %v", i, err)
				}
			}
			land()
			want := map[bool]int{true: 2, false: 1}[again]
			counts, places := map[string]int{}, map[string]int{}
			for _, s := range c.Stored("T") {
				if string(s.Body) != "flying" {
					counts[string(s.Body)]++
					places[s.UniqueID()]++
				}
			}
			if len(counts) != n || len(places) != n {
				t.Errorf("%d messages under %d ids, want %d", len(counts), len(places), n)
			}
			for body, got := range counts {
				if got != want {
					t.Errorf("%s is stored %d times, want %d", body, got, want)
				}
			}
		})
	}
}

// A broker that goes away in the middle of everything: what is acknowledged is
// stored, what is said not to be is not.
func TestBrokerRestarts(t *testing.T) {
	c := cluster(t, 2)
	safe := core.RetryPolicyFunc(func(f *core.Failure) core.Decision {
		return core.Decision{Retry: f.Certainty.Safe() && f.Attempt < 20, After: time.Millisecond}
	})
	p := producer(t, c, accumulate.Config{Linger: time.Millisecond}, func(conf *core.Config) { conf.Retry = safe })
	var mu sync.Mutex
	outcome := map[string]error{}
	stop := make(chan struct{})
	var wg sync.WaitGroup
	for i := range 16 {
		wg.Go(func() {
			for n := 0; ; n++ {
				select {
				case <-stop:
					return
				default:
				}
				body := fmt.Sprint(i, "/", n)
				_, err := p.Send(context.Background(), coretest.Message(body))
				mu.Lock()
				outcome[body] = err
				mu.Unlock()
			}
		})
	}
	b := c.Broker("broker-a")
	for range 5 {
		time.Sleep(20 * time.Millisecond)
		b.Kill()
		time.Sleep(5 * time.Millisecond)
		if err := b.Start(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	close(stop)
	wg.Wait()
	stored := map[string]int{}
	for _, s := range c.Stored("T") {
		stored[string(s.Body)]++
	}
	for body, err := range outcome {
		switch n := stored[body]; {
		case err == nil && n != 1:
			t.Errorf("%s: acknowledged, and stored %d times", body, n)
		case err != nil && core.CertaintyOf(err).Safe() && n > 0:
			t.Errorf("%s: stored, but %v", body, err)
		}
	}
}

// Many callers for a while: nothing is lost or mixed up.
func TestLoad(t *testing.T) {
	callers, each := 64, 1000
	if testing.Short() {
		each = 100
	}
	c := cluster(t, 2)
	p := producer(t, c, accumulate.Config{})
	messages := bodies(callers * each)
	check(t, c, "T", messages, crowd(t, p, callers, messages))
	single, batches := c.RequestCount(wire.SendMessageV2), c.RequestCount(wire.SendBatchMessage)
	t.Logf("%d messages in %d batches and %d single requests", len(messages), batches, single)
	if single+batches > len(messages)/2 {
		t.Errorf("%d messages took %d requests", len(messages), single+batches)
	}
}

// Asynchronous sends share requests as well, and done runs once for each.
func TestAsync(t *testing.T) {
	c := cluster(t, 2)
	p := producer(t, c, accumulate.Config{})
	messages := bodies(5000)
	results, calls := make([]core.Result, len(messages)), make([]atomic.Int32, len(messages))
	for i, m := range messages {
		p.SendAsync(t.Context(), m, func(res core.Result, err error) {
			calls[i].Add(1)
			if err != nil {
				t.Error(err)
			}
			results[i] = res
		})
	}
	if err := p.Shutdown(t.Context()); err != nil {
		t.Error(err)
	}
	if i := slices.IndexFunc(messages, func(m *core.Message) bool { return m.Topic != "T" }); i >= 0 {
		t.Error("a message was changed")
	}
	for i := range calls {
		if n := calls[i].Load(); n != 1 {
			t.Errorf("done of message %d ran %d times", i, n)
		}
	}
	check(t, c, "T", messages, results)
}

// The message is the caller's again as soon as Send has returned, also where it
// gave up early. The race detector watches.
func TestMessageIsMineAgain(t *testing.T) {
	c := cluster(t, 1)
	p := producer(t, c, accumulate.Config{Linger: time.Millisecond})
	var wg sync.WaitGroup
	for i := range 16 {
		wg.Go(func() {
			r := rand.New(rand.NewPCG(uint64(i), 1))
			m := &core.Message{Topic: "T", Body: []byte("0123456789"), Keys: []string{"k"}, Properties: map[string]string{"p": "1"}}
			for n := range 200 {
				m.Queue = &core.Queue{Broker: "broker-a"}
				ctx, cancel := context.WithTimeout(context.Background(), time.Duration(r.IntN(2000))*time.Microsecond)
				_, err := p.Send(ctx, m)
				cancel()
				if err != nil && !errors.Is(err, context.DeadlineExceeded) {
					t.Error(err)
					return
				}
				m.Body[n%10]++
				m.Keys[0], m.Tag = fmt.Sprint(n), fmt.Sprint(n)
				m.Properties["p"] = fmt.Sprint(n)
				m.Queue.ID++
			}
		})
	}
	wg.Wait()
}
