package integration

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/liftoff-mq/liftoff"
	"github.com/liftoff-mq/liftoff/core"
	"github.com/liftoff-mq/liftoff/core/rocketmq"
	"github.com/liftoff-mq/liftoff/integration/javaprog"
	"github.com/liftoff-mq/liftoff/integration/realcluster"
	"github.com/liftoff-mq/liftoff/transport/remoting"
	"github.com/liftoff-mq/liftoff/transport/wire"
)

// decided is what the tests' transactions decide, by the number that is a half message's body: a third each is
// committed, rolled back, and decided when the broker asks.
func decided(n int) (first, asked core.TransactionDecision) {
	final := core.TransactionCommit
	if n%2 == 1 {
		final = core.TransactionRollback
	}
	switch n % 3 {
	case 0:
		return core.TransactionCommit, core.TransactionCommit
	case 1:
		return core.TransactionRollback, core.TransactionRollback
	default:
		return core.TransactionUnknown, final
	}
}

// checkedProducer starts a producer with transactions, whose checker counts.
func checkedProducer(t *testing.T, nameServer, group, topic string, decide func(n int) core.TransactionDecision, options ...liftoff.Option) (*core.Producer, *atomic.Int64) {
	t.Helper()
	asked := new(atomic.Int64)
	p, err := liftoff.New(liftoff.Config{Group: group, NameServers: []string{nameServer}},
		append([]liftoff.Option{liftoff.WithTransactions(liftoff.CheckFunc(
			func(_ context.Context, c *core.TransactionCheck) (core.TransactionDecision, error) {
				asked.Add(1)
				n, err := strconv.Atoi(string(c.Message.Body))
				if err != nil || c.Message.Topic != topic || c.Times < 1 {
					t.Errorf("asked %+v about %+v", c, c.Message)
				}
				return decide(n), err
			}), topic)}, options...)...)
	return startProducer(t, p, err), asked
}

// transact sends half messages with the numbers from lo to below hi, some at a time.
func transact(t *testing.T, p *core.Producer, topic string, lo, hi int, decide func(n int) core.TransactionDecision) {
	t.Helper()
	var wg sync.WaitGroup
	slots := make(chan struct{}, 16)
	for n := lo; n < hi; n++ {
		slots <- struct{}{}
		wg.Go(func() {
			defer func() { <-slots }()
			r, err := p.SendTransaction(t.Context(), &core.Message{Topic: topic, Body: []byte(strconv.Itoa(n))},
				func(context.Context, *core.Result) (core.TransactionDecision, error) { return decide(n), nil })
			if err != nil || r.Decision != decide(n) {
				t.Errorf("%d: %+v, %v", n, r, err)
			}
		})
	}
	wg.Wait()
}

// visible waits until the topic has as many messages as are wanted, and some more time for others; then it compares
// what the Java consumer gets with what is wanted.
func visible(t *testing.T, c *cluster, topic string, queues int, want []int) {
	t.Helper()
	for end := time.Now().Add(2 * time.Minute); c.Stored(t, topic, queues) < len(want) && time.Now().Before(end); {
		time.Sleep(200 * time.Millisecond)
	}
	time.Sleep(askPause + time.Second) // a round of questions
	var got []int
	for _, m := range javaprog.ReadBack(t, c.Version(), c.NameServer(), topic, len(want), time.Minute) {
		n, err := strconv.Atoi(string(m.Body()))
		if err != nil {
			t.Errorf("a strange message: %q", m.Body())
		}
		got = append(got, n)
	}
	slices.Sort(got)
	if !slices.Equal(got, want) {
		t.Errorf("%s: visible are %d messages, want %d: %v", topic, len(got), len(want), got)
	}
}

// askPause is how long a broker of these tests waits before it asks, and then before it asks again. An answer that takes
// longer comes on top of the answer to the next question, and the message is stored twice.
const askPause = 10 * time.Second

// asking are the settings of such a broker.
func asking() []string {
	pause := strconv.FormatInt(askPause.Milliseconds(), 10)
	return []string{"transactionTimeOut=" + pause, "transactionCheckInterval=" + pause}
}

// The parts share a cluster that asks soon, and run side by side: most of the time they wait for its questions.
func TestTransactions(t *testing.T) {
	t.Parallel()
	eachVersion(t, func(t *testing.T, version string) {
		c := startCluster(t, realcluster.Options{Version: version, Settings: asking()})
		for name, part := range map[string]func(*testing.T, *cluster){
			"a thousand": aThousandTransactions, "process killed": killedBetweenHalfAndEnd, "answers": answersToEnds,
		} {
			t.Run(name, func(t *testing.T) {
				t.Parallel()
				part(t, c)
			})
		}
	})
}

// Of 1,000 half messages a third is committed, a third rolled back, and a third decided when the broker asks. Exactly
// the committed ones are visible to a Java consumer, each once. A second producer on the same client, of another group,
// gets its own questions.
func aThousandTransactions(t *testing.T, c *cluster) {
	const queues = 2
	topics := []string{topicFor(t, "a"), topicFor(t, "b")}
	client, err := remoting.NewClient(remoting.Config{NameServers: []string{c.NameServer()}})
	if err != nil {
		t.Fatal(err)
	}
	must(t, client.Start(t.Context()))
	t.Cleanup(func() { _ = client.Shutdown(context.Background()) })
	counts := []int{1000, 30}
	var asked [2]*atomic.Int64
	for i, topic := range topics {
		c.CreateTypedTopic(t, topic, "TRANSACTION", queues)
		first := func(n int) core.TransactionDecision { d, _ := decided(n); return d }
		then := func(n int) core.TransactionDecision { _, d := decided(n); return d }
		var p *core.Producer
		p, asked[i] = checkedProducer(t, c.NameServer(), "transactions-"+strconv.Itoa(i), topic, then, liftoff.WithClient(client))
		transact(t, p, topic, 0, counts[i], first)
	}
	for i, topic := range topics {
		var want []int
		for n := range counts[i] {
			if _, d := decided(n); d == core.TransactionCommit {
				want = append(want, n)
			}
		}
		visible(t, c, topic, queues, want)
		if open := counts[i] / 3; int(asked[i].Load()) < open {
			t.Errorf("%d questions about %d open transactions", asked[i].Load(), open)
		}
		t.Logf("%s: %d half messages, %d questions, %d visible", c.Version(), counts[i], asked[i].Load(), len(want))
	}
}

// transactionChild names, in the environment, the name server and the topic for a process that sends half messages
// and never ends one.
const transactionChild = "LIFTOFF_TRANSACTION_CHILD"

// hangBetween is what that process does.
func hangBetween(place string) error {
	nameServer, topic, _ := strings.Cut(place, " ")
	p, err := liftoff.New(liftoff.Config{Group: "killed", NameServers: []string{nameServer}}, liftoff.WithTransactions(
		liftoff.CheckFunc(func(context.Context, *core.TransactionCheck) (core.TransactionDecision, error) {
			return core.TransactionUnknown, nil
		}), topic))
	if err == nil {
		err = p.Start(context.Background())
	}
	if err != nil {
		return err
	}
	var wg sync.WaitGroup
	for n := range 50 {
		wg.Go(func() {
			_, err := p.SendTransaction(context.Background(), &core.Message{Topic: topic, Body: []byte(strconv.Itoa(n))},
				func(context.Context, *core.Result) (core.TransactionDecision, error) {
					fmt.Println("half", n)
					select {} // until the process is killed
				})
			fmt.Println("failed", n, err)
		})
	}
	wg.Wait()
	return errors.New("no half message was held")
}

// A process is killed between half and end for 50 messages. After the restart the broker asks about each, and each
// committed one is delivered once.
func killedBetweenHalfAndEnd(t *testing.T, c *cluster) {
	const queues = 2
	topic := topicFor(t, "t")
	c.CreateTypedTopic(t, topic, "TRANSACTION", queues)
	child := exec.CommandContext(t.Context(), os.Args[0])
	child.Env = append(os.Environ(), transactionChild+"="+c.NameServer()+" "+topic)
	child.Stderr = os.Stderr
	out, err := child.StdoutPipe()
	must(t, err)
	must(t, child.Start())
	lines := bufio.NewScanner(out)
	for range 50 {
		if !lines.Scan() || !strings.HasPrefix(lines.Text(), "half ") {
			t.Fatalf("the child said %q, %v", lines.Text(), lines.Err())
		}
	}
	must(t, child.Process.Kill()) // SIGKILL
	_ = child.Wait()
	if n := c.Stored(t, topic, queues); n != 0 {
		t.Errorf("%d messages are visible before anybody decided", n)
	}
	_, asked := checkedProducer(t, c.NameServer(), "killed", topic, func(n int) core.TransactionDecision {
		if n%2 == 0 {
			return core.TransactionCommit
		}
		return core.TransactionRollback
	})
	var want []int
	for n := 0; n < 50; n += 2 {
		want = append(want, n)
	}
	visible(t, c, topic, queues, want)
	if n := asked.Load(); n < 50 {
		t.Errorf("%d questions about 50 transactions", n)
	}
}

// Brokers answer ends, and refuse what names no half message of the group. They store the message once for each commit:
// so a commit that may have been carried out is not told again. A second rollback does no harm.
func answersToEnds(t *testing.T, c *cluster) {
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	topic := topicFor(t, "t")
	c.CreateTypedTopic(t, topic, "TRANSACTION", 1)
	p, _ := checkedProducer(t, c.NameServer(), "ends", topic, func(int) core.TransactionDecision { return core.TransactionUnknown })
	for _, tt := range []struct {
		name   string
		change func(e *wire.TransactionEnd)
		code   int
		remark string
		times  int
	}{
		{"commit", nil, 0, "", 2},
		{"rollback", func(e *wire.TransactionEnd) { e.Decision = rocketmq.SysTransactionRollback }, 0, "", 0},
		{"another group", func(e *wire.TransactionEnd) { e.Group = "other" }, 1, "The producer group wrong", 0},
		{"wrong offset", func(e *wire.TransactionEnd) { e.QueueOffset++ }, 1, "The transaction state table offset wrong", 0},
		{"nowhere", func(e *wire.TransactionEnd) { e.CommitLogOffset += 1 << 40 }, 1, "", 0},
	} {
		before := c.Stored(t, topic, 1)
		_, err := p.SendTransaction(ctx, &core.Message{Topic: topic, Body: []byte("1")}, func(_ context.Context, half *core.Result) (core.TransactionDecision, error) {
			place, err := wire.ParseOffsetID(half.OffsetMessageID)
			must(t, err)
			end := wire.TransactionEnd{
				Topic: topic, Group: "ends", QueueOffset: half.QueueOffset, CommitLogOffset: place.Offset,
				Decision: rocketmq.SysTransactionCommit, MsgID: half.MessageID.String(), TransactionID: half.TransactionID,
			}
			if tt.change != nil {
				tt.change(&end)
			}
			x := exchange{code: wire.EndTransaction, ext: end.Fields()}
			for range 2 {
				answer, err := x.call(ctx, c.BrokerAddr(half.Queue.Broker), wire.JSON)
				if err != nil || answer.Code != tt.code || !strings.Contains(answer.Remark, tt.remark) {
					t.Errorf("%s: code %d %s, %v", tt.name, answer.Code, answer.Remark, err)
				}
				t.Logf("%s %s: code %d %q", c.Version(), tt.name, answer.Code, answer.Remark)
			}
			return core.TransactionUnknown, nil
		})
		if err != nil {
			t.Error(err)
		}
		time.Sleep(500 * time.Millisecond)
		if got := c.Stored(t, topic, 1) - before; got != tt.times {
			t.Errorf("%s, twice: %d messages are visible, want %d", tt.name, got, tt.times)
		}
	}
}
