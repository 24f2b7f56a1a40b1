package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/liftoff-mq/liftoff/bench/load"
	"github.com/liftoff-mq/liftoff/core/rocketmq"
	"github.com/liftoff-mq/liftoff/transport/embedded"
	"github.com/liftoff-mq/liftoff/transport/wire"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// cell runs one against an embedded cluster and returns what the limit reports and what is stored.
func cell(t *testing.T, s load.Spec, brokers int, prepare func(*embedded.Cluster)) (load.Result, []embedded.Stored) {
	t.Helper()
	// A slow machine makes more of the window, and all that it sends is counted: the brokers drop none of it.
	c := embedded.New(t, embedded.Config{Brokers: embedded.BrokerNames(brokers), MaxStoredBytes: 1 << 30})
	s.Topic, s.Queues, s.WarmMS = "T", 4, 20
	if s.WindowMS == 0 {
		s.WindowMS = 100
	}
	if err := c.CreateTopic(s.Topic, s.Queues); err != nil {
		t.Fatal(err)
	}
	if prepare != nil {
		prepare(c)
	}
	var all []string
	for _, b := range c.Brokers() {
		all = append(all, b.Name()+"="+b.Addr())
	}
	s.Brokers = strings.Join(all, ",")
	var out bytes.Buffer
	if err := load.Run(&s, open, &out); err != nil {
		t.Fatal(err)
	}
	var r load.Result
	if err := json.Unmarshal(out.Bytes()[bytes.IndexByte(out.Bytes(), '{'):], &r); err != nil {
		t.Fatal(err)
	}
	return r, c.Stored(s.Topic)
}

func TestCells(t *testing.T) {
	for _, tt := range []struct {
		name    string
		spec    load.Spec
		brokers int
	}{
		{"one in flight", load.Spec{Mode: load.Sync, InFlight: 1, Size: 128}, 1},
		{"many in flight", load.Spec{Mode: load.Async, InFlight: 1000, Size: 1024}, 1},
		{"batches", load.Spec{Mode: load.Sync, InFlight: 16, Size: 128, Batch: 32}, 1},
		{"two brokers", load.Spec{Mode: load.Sync, InFlight: 64, Size: 128}, 2},
		{"one-way", load.Spec{Mode: load.Oneway, InFlight: 8, Size: 128}, 1},
		{"compressed", load.Spec{Mode: load.Sync, InFlight: 8, Size: 16 << 10}, 1},
	} {
		t.Run(tt.name, func(t *testing.T) {
			r, stored := cell(t, tt.spec, tt.brokers, nil)
			if r.Accepted == 0 || r.Failed != 0 {
				t.Errorf("got %+v", r)
			}
			// What was acknowledged is stored. One-way messages may still be on their way.
			if n := int64(len(stored)); n > r.Accepted || tt.spec.Mode != load.Oneway && n != r.Accepted {
				t.Errorf("%d messages accepted, %d stored", r.Accepted, n)
			}
			seen := map[string]bool{}
			queues := map[string]int{}
			for _, m := range stored {
				id := m.UniqueID()
				if len(id) != 32 || seen[fmt.Sprint(m.Broker, id)] {
					t.Fatalf("id %q is not unique", id)
				}
				seen[fmt.Sprint(m.Broker, id)] = true
				queues[fmt.Sprintf("%s/%d", m.Broker, m.QueueID)]++
			}
			if want := 4 * tt.brokers; len(stored) > 1000 && len(queues) != want {
				t.Errorf("messages in %d queues, want %d", len(queues), want)
			}
			// A slow machine may get nothing done in a window this short.
			if r.Messages > 0 && r.Counters["writes"] <= 0 {
				t.Errorf("counters %v", r.Counters)
			}
		})
	}
}

// A broker that is busy refuses messages; the limit counts them and goes on.
func TestRefusals(t *testing.T) {
	n := 0
	r, stored := cell(t, load.Spec{Mode: load.Sync, InFlight: 8, Size: 128}, 1, func(c *embedded.Cluster) {
		c.Control(wire.SendMessageV2, func(*embedded.Request) embedded.Action {
			if n++; n%2 == 0 {
				return embedded.Reply(rocketmq.CodeSystemBusy, "[TIMEOUT_CLEAN_QUEUE]broker busy")
			}
			return embedded.Pass()
		})
	})
	if r.Failed == 0 || r.Accepted == 0 || int64(len(stored)) != r.Accepted || !strings.Contains(r.Failure, "CLEAN_QUEUE") {
		t.Errorf("%+v with %d stored", r, len(stored))
	}
}

func TestAnswers(t *testing.T) {
	answer := func(form wire.Serialization, code int) []byte {
		r := &wire.SendResponse{MsgID: "7F00000100002A9F0000000000000000", TransactionID: "ABC", RegionID: "DefaultRegion", TraceOn: true}
		if code != 0 {
			r = nil
		}
		b, err := wire.AppendSendResponse(nil, wire.ResponseHead{Code: code, Opaque: 1234567, Serialization: form}, "", r)
		if err != nil {
			t.Fatal(err)
		}
		return b
	}
	for _, form := range []wire.Serialization{wire.JSON, wire.RocketMQ} {
		if n, err := success(answer(form, 0)); err != nil || n != 1234567 {
			t.Errorf("%v: got %d, %v", form, n, err)
		}
		if _, err := success(answer(form, 2)); err == nil {
			t.Errorf("%v: a refusal counts as a success", form)
		}
	}
	if _, err := success([]byte("\x00\x00\x00\x10\x00\x00\x00\x08garbage garbage")); err == nil {
		t.Error("garbage counts as a success")
	}
}

func TestBadSpecs(t *testing.T) {
	for name, s := range map[string]load.Spec{
		"no broker":       {Mode: load.Sync, InFlight: 1, Queues: 1, Topic: "T", Size: 1},
		"many queues":     {Mode: load.Sync, InFlight: 1, Queues: 10, Topic: "T", Size: 1, Brokers: "a=127.0.0.1:1"},
		"nobody listens":  {Mode: load.Sync, InFlight: 1, Queues: 1, Topic: "T", Size: 1, Brokers: "a=127.0.0.1:1"},
		"no body to read": {Mode: load.Sync, InFlight: 1, Queues: 1, Topic: "T", BodyFile: "/nowhere/at/all", Brokers: "a=127.0.0.1:1"},
	} {
		if c, err := open(&s); err == nil {
			_ = c.Close()
			t.Errorf("%s: no error", name)
		}
	}
}

// The broker that goes away ends the load instead of blocking it for ever.
func TestBrokerGoes(t *testing.T) {
	c, err := embedded.Start(context.Background(), embedded.Config{})
	if err != nil {
		t.Fatal(err)
	}
	b := c.Brokers()[0]
	s := load.Spec{Mode: load.Sync, InFlight: 4, Size: 128, Topic: "T", Queues: 4, Brokers: b.Name() + "=" + b.Addr(), WarmMS: 60_000, WindowMS: 1}
	time.AfterFunc(50*time.Millisecond, func() { _ = c.Close() })
	if err := load.Run(&s, open, &bytes.Buffer{}); err == nil {
		t.Error("the load went on without a broker")
	}
	_ = c.Close()
}
