package integration

import (
	"context"
	"encoding/json"
	"fmt"
	"net"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/apache/rocketmq-client-go/v2/primitive"
	"github.com/apache/rocketmq-client-go/v2/producer"
	"github.com/apache/rocketmq-client-go/v2/rlog"

	"github.com/liftoff-mq/liftoff/integration/javaprog"
	"github.com/liftoff-mq/liftoff/integration/realcluster"
)

// perMode is how many messages each official client sends in each mode.
const perMode = 1000

var modes = []string{"sync", "async", "oneway", "batch"}

// The official Java producers, unchanged, take `liftoff broker` for a RocketMQ: every message they sent is stored
// once and the official consumer reads it back as it was sent.
func TestOfficialJavaProducersSendToLiftoffBroker(t *testing.T) {
	t.Parallel()
	nameServer := startLiftoffBroker(t)
	for _, version := range realcluster.Versions {
		for _, mode := range modes {
			t.Run(version+"/"+mode, func(t *testing.T) {
				topic := topicFor(t, "t")
				began := time.Now()
				lines := javaprog.Run(t, version, "Produce", nameServer, topic, mode, strconv.Itoa(perMode))
				var summary struct{ Acked, Failed, Millis int }
				mustJSON(t, lines[len(lines)-1], &summary)
				if summary.Failed != 0 || (mode != "oneway" && summary.Acked != perMode) {
					t.Errorf("the producer says %s", lines[len(lines)-1])
				}
				acked := map[string]bool{}
				for _, l := range lines[:len(lines)-1] {
					var a struct{ Status, MsgID, OffsetMsgID string }
					mustJSON(t, l, &a)
					if a.Status != "SEND_OK" {
						t.Errorf("acknowledged with %s", a.Status)
					}
					ids := a.MsgID
					if mode == "batch" {
						// The 5.3.3 client gives the batch itself an id, which a broker then writes over those of its
						// messages; where they lie is what a batch's answer says reliably.
						ids = a.OffsetMsgID
					}
					for id := range strings.SplitSeq(ids, ",") {
						acked[id] = true
					}
				}
				if mode != "oneway" && len(acked) != perMode {
					t.Errorf("%d distinct ids acknowledged, want %d", len(acked), perMode)
				}
				stored := javaprog.ReadBack(t, version, nameServer, topic, perMode, time.Minute)
				seen := map[string]bool{}
				for _, m := range stored {
					body := string(m.Body())
					n := m.Properties["n"]
					if body != "java-"+mode+"-"+n || m.Tags != "java" || m.Keys != "key-"+n {
						t.Fatalf("stored body %q, tag %q, keys %q, n=%q", body, m.Tags, m.Keys, n)
					}
					if mode != "oneway" && !acked[m.MsgID] && !acked[m.OffsetMsgID] {
						t.Errorf("message %s (%s) is stored but was not acknowledged", m.MsgID, m.OffsetMsgID)
					}
					if seen[n] {
						t.Errorf("message %s is stored twice", n)
					}
					seen[n] = true
				}
				if len(seen) != perMode {
					t.Errorf("%d of %d messages are stored", len(seen), perMode)
				}
				t.Logf("%d sent in %d ms, %d stored, %s in all", perMode, summary.Millis, len(stored), time.Since(began).Round(time.Millisecond))
			})
		}
	}
}

// The official Go client (v2.1.2), unchanged, does the same.
func TestOfficialGoClientSendsToLiftoffBroker(t *testing.T) {
	t.Parallel()
	rlog.SetLogLevel("fatal")
	nameServer := startLiftoffBroker(t)
	p, err := producer.NewDefaultProducer(
		producer.WithNsResolver(primitive.NewPassthroughResolver([]string{nameServer})),
		producer.WithGroupName("official_go"),
		producer.WithInstanceName("official-go-"+strconv.Itoa(os.Getpid())),
	)
	if err != nil {
		t.Fatal(err)
	}
	if err := p.Start(); err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := p.Shutdown(); err != nil {
			t.Error(err)
		}
	}()
	for _, mode := range modes {
		t.Run(mode, func(t *testing.T) {
			ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
			defer cancel()
			topic := topicFor(t, "t")
			message := func(i int) *primitive.Message {
				m := primitive.NewMessage(topic, []byte("go-"+mode+"-"+strconv.Itoa(i)))
				m.WithTag("go").WithKeys([]string{"key-" + strconv.Itoa(i)})
				m.WithProperty("n", strconv.Itoa(i))
				return m
			}
			var acked atomic.Int64
			ack := func(r *primitive.SendResult, err error, messages int) {
				switch {
				case err != nil:
					t.Error(err)
				case r.Status != primitive.SendOK:
					t.Errorf("acknowledged with status %d", r.Status)
				default:
					acked.Add(int64(messages))
				}
			}
			switch mode {
			case "sync":
				for i := range perMode {
					r, err := p.SendSync(ctx, message(i))
					ack(r, err, 1)
				}
			case "async":
				var all sync.WaitGroup
				room := make(chan struct{}, 64) // the client has no limit of its own
				for i := range perMode {
					room <- struct{}{}
					all.Add(1)
					if err := p.SendAsync(ctx, func(_ context.Context, r *primitive.SendResult, err error) {
						ack(r, err, 1)
						<-room
						all.Done()
					}, message(i)); err != nil {
						t.Fatal(err)
					}
				}
				all.Wait()
			case "oneway":
				for i := range perMode {
					if err := p.SendOneWay(ctx, message(i)); err != nil {
						t.Fatal(err)
					}
				}
			case "batch":
				const size = 20
				for i := 0; i < perMode; i += size {
					var batch []*primitive.Message
					for j := range size {
						batch = append(batch, message(i+j))
					}
					r, err := p.SendSync(ctx, batch...)
					ack(r, err, size)
				}
			}
			if mode != "oneway" && acked.Load() != perMode {
				t.Errorf("%d of %d acknowledged", acked.Load(), perMode)
			}
			stored := javaprog.ReadBack(t, realcluster.Versions[0], nameServer, topic, perMode, time.Minute)
			seen := map[string]bool{}
			for _, m := range stored {
				n := m.Properties["n"]
				if body := string(m.Body()); body != "go-"+mode+"-"+n || m.Tags != "go" || strings.TrimSpace(m.Keys) != "key-"+n {
					t.Fatalf("stored body %q, tag %q, keys %q, n=%q", body, m.Tags, m.Keys, n)
				}
				if seen[n] {
					t.Errorf("message %s is stored twice", n)
				}
				seen[n] = true
			}
			if len(seen) != perMode {
				t.Errorf("%d of %d messages are stored", len(seen), perMode)
			}
		})
	}
}

// startLiftoffBroker runs the built `liftoff broker` until the test ends, and checks that SIGTERM ends it well.
func startLiftoffBroker(t *testing.T, flags ...string) (nameServer string) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	nameServer = l.Addr().String()
	_ = l.Close()
	var diag lockedBuffer
	cmd := exec.Command(liftoffBinary(t), append([]string{"broker", "--listen", nameServer, "--brokers", "2"}, flags...)...)
	cmd.Stdout, cmd.Stderr = &diag, &diag
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() { ended <- cmd.Wait() }()
	t.Cleanup(func() {
		_ = cmd.Process.Signal(syscall.SIGTERM)
		select {
		case err := <-ended:
			if err != nil {
				t.Errorf("liftoff broker after SIGTERM: %v\n%s", err, diag.String())
			}
		case <-time.After(30 * time.Second):
			_ = cmd.Process.Kill()
			t.Errorf("liftoff broker does not end on SIGTERM\n%s", diag.String())
		}
	})
	for {
		conn, err := net.Dial("tcp", nameServer)
		if err == nil {
			_ = conn.Close()
			return nameServer
		}
		select {
		case err := <-ended:
			ended <- err
			t.Fatalf("liftoff broker ended at once: %v\n%s", err, diag.String())
		case <-time.After(20 * time.Millisecond):
		}
	}
}

type lockedBuffer struct {
	mu sync.Mutex
	b  strings.Builder
}

func (l *lockedBuffer) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *lockedBuffer) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

func mustJSON(t testing.TB, line string, v any) {
	t.Helper()
	if err := json.Unmarshal([]byte(line), v); err != nil {
		t.Fatal(fmt.Errorf("%q: %w", line, err))
	}
}
