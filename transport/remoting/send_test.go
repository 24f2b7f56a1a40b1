package remoting_test

import (
	"errors"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/liftoff-mq/liftoff/core"
	"github.com/liftoff-mq/liftoff/core/coretest"
	"github.com/liftoff-mq/liftoff/core/rocketmq"
	"github.com/liftoff-mq/liftoff/transport/remoting"
	"github.com/liftoff-mq/liftoff/transport/wire"
)

func TestSend(t *testing.T) {
	for name, v := range map[string]struct {
		ser  remoting.Serialization
		json bool
	}{"binary": {remoting.Binary, false}, "JSON": {remoting.JSON, false}, "binary, answered in JSON": {remoting.Binary, true}} {
		ser := v.ser
		t.Run(name, func(t *testing.T) {
			b := brokerAnswering(t, v.json, nil)
			p := producer(t, client(t, remoting.Config{Serialization: ser}), b.addr())
			msg := &core.Message{
				Topic: "T", Body: []byte("body"), Tag: "tag", Keys: []string{"k1", "k2"}, Flag: 7,
				Properties: map[string]string{"p": "v"}, NoWaitStore: true,
			}
			res, err := p.Send(bg, msg)
			if err != nil {
				t.Fatal(err)
			}
			want := core.Result{
				Status: core.SendOK, MessageID: res.MessageID, OffsetMessageID: "7F00000100002A9F0000000000000000",
				Queue: core.Queue{Broker: "broker-a"}, RegionID: "DefaultRegion", TraceOn: true, Attempts: 1,
			}
			if res != want {
				t.Errorf("got %+v, want %+v", res, want)
			}
			seen := b.requests(wire.SendMessageV2)
			if len(seen) != 1 {
				t.Fatalf("%d requests", len(seen))
			}
			c := seen[0]
			if c.Serialization.String() != ser.String() || c.Language != wire.LanguageGo || c.Version != wire.CurrentVersion || c.IsOneway() {
				t.Errorf("header %+v", c)
			}
			req, err := wire.ParseSend(&c)
			if err != nil {
				t.Fatal(err)
			}
			if req.BornTimestamp == 0 {
				t.Error("no born timestamp")
			}
			props := "UNIQ_KEY\x01" + res.MessageID.String() + "\x02TAGS\x01tag\x02KEYS\x01k1 k2\x02WAIT\x01false\x02p\x01v\x02"
			if string(req.Properties) != props {
				t.Errorf("properties %q, want %q", req.Properties, props)
			}
			req.BornTimestamp, req.Properties = 0, nil
			wantReq := wire.SendRequest{
				Group: "test", Topic: "T", DefaultTopic: "TBW102", DefaultTopicQueueNums: 4, Flag: 7,
				MaxReconsumeTimes: -1, BrokerName: "broker-a",
			}
			if got, want := req, wantReq; !equalRequest(got, want) {
				t.Errorf("request %+v, want %+v", got, want)
			}
			if string(c.Body) != "body" {
				t.Errorf("body %q", c.Body)
			}
		})
	}
}

func equalRequest(a, b wire.SendRequest) bool {
	pa, pb := string(a.Properties), string(b.Properties)
	a.Properties, b.Properties = nil, nil
	return pa == pb && a.Group == b.Group && a.Topic == b.Topic && a.DefaultTopic == b.DefaultTopic &&
		a.DefaultTopicQueueNums == b.DefaultTopicQueueNums && a.QueueID == b.QueueID && a.SysFlag == b.SysFlag &&
		a.BornTimestamp == b.BornTimestamp && a.Flag == b.Flag && a.ReconsumeTimes == b.ReconsumeTimes &&
		a.UnitMode == b.UnitMode && a.MaxReconsumeTimes == b.MaxReconsumeTimes && a.Batch == b.Batch && a.BrokerName == b.BrokerName
}

// How often a message of a %RETRY% topic was consumed, and may be, is in the header and not among
// its properties (Java: DefaultMQProducerImpl.sendKernelImpl).
func TestReconsumeTimes(t *testing.T) {
	b := broker(t, func(s *session, c wire.Command) { s.ok(c) })
	p := producer(t, client(t, remoting.Config{}), b.addr())
	for _, tt := range []struct {
		topic      string
		properties map[string]string
		times, max int
		bad        bool
	}{
		{topic: "%RETRY%g", times: 0, max: -1},
		{topic: "%RETRY%g", properties: map[string]string{"RECONSUME_TIME": "3", "MAX_RECONSUME_TIMES": "16"}, times: 3, max: 16},
		{topic: "%RETRY%g", properties: map[string]string{"RECONSUME_TIME": "-3"}, bad: true},
		{topic: "%RETRY%g", properties: map[string]string{"MAX_RECONSUME_TIMES": "many"}, bad: true},
		{topic: "T", properties: map[string]string{"RECONSUME_TIME": "3"}, max: -1}, // no validation here
	} {
		before := len(b.requests(wire.SendMessageV2))
		_, err := p.Send(bg, &core.Message{Topic: tt.topic, Body: []byte("x"), Properties: tt.properties})
		requests := b.requests(wire.SendMessageV2)[before:]
		if tt.bad {
			if !errors.Is(err, core.ErrInvalidMessage) || core.CertaintyOf(err) != core.NotSent || len(requests) > 0 {
				t.Errorf("%v: %v, %d requests", tt.properties, err, len(requests))
			}
			continue
		}
		if err != nil || len(requests) != 1 {
			t.Fatalf("%v: %v, %d requests", tt.properties, err, len(requests))
		}
		req, err := wire.ParseSend(&requests[0])
		if err != nil || req.ReconsumeTimes != tt.times || req.MaxReconsumeTimes != tt.max {
			t.Errorf("%v: %+v, %v", tt.properties, req, err)
		}
		_, kept := wire.LookupProperty(string(req.Properties), "RECONSUME_TIME")
		if kept != (tt.topic == "T") {
			t.Errorf("%v to %s: properties %q", tt.properties, tt.topic, req.Properties)
		}
	}
}

// Attempts are equal, in the time at which the message was born as well.
func TestAttemptsHaveTheCallsTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := newPipes()
		var asked atomic.Int32
		b := run(t, n.listen("a:1"), func(s *session, c wire.Command) {
			if asked.Add(1) == 1 {
				time.Sleep(50 * time.Millisecond)
				s.answer(c, int(rocketmq.CodeSystemBusy), "busy")
				return
			}
			s.ok(c)
		})
		p := producer(t, client(t, remoting.Config{Dial: n.dial}), b.addr())
		began := time.Now()
		if _, err := p.Send(bg, coretest.Message("x"), core.SendRetry(coretest.Retry(2))); err != nil {
			t.Fatal(err)
		}
		seen := b.requests(wire.SendMessageV2)
		if len(seen) != 2 || time.Since(began) < 50*time.Millisecond {
			t.Fatalf("%d requests in %v", len(seen), time.Since(began))
		}
		for _, c := range seen {
			if req, err := wire.ParseSend(&c); err != nil || req.BornTimestamp != began.UnixMilli() {
				t.Errorf("got %+v, %v, want %d", req, err, began.UnixMilli())
			}
		}
	})
}

func TestSendBatch(t *testing.T) {
	b := broker(t, func(s *session, c wire.Command) {
		req, err := wire.ParseSend(&c)
		if err != nil {
			t.Error(err)
			return
		}
		frame, err := wire.AppendSendResponse(nil, wire.ResponseHead{Opaque: c.Opaque, Serialization: c.Serialization}, "",
			&wire.SendResponse{MsgID: "A,B,C", QueueID: req.QueueID, QueueOffset: 40, RegionID: "r"})
		if err != nil {
			t.Error(err)
			return
		}
		s.write(frame)
	})
	p := producer(t, client(t, remoting.Config{}), b.addr())
	msgs := []*core.Message{
		{Topic: "T", Body: []byte("one"), Tag: "x", NoWaitStore: true},
		{Topic: "T", Body: []byte("two"), Flag: 9, NoWaitStore: true},
		{Topic: "T", Body: []byte("three"), NoWaitStore: true},
	}
	results, err := p.SendBatch(bg, msgs)
	if err != nil {
		t.Fatal(err)
	}
	for i, r := range results.All() {
		if r.OffsetMessageID != string("ABC"[i]) || r.QueueOffset != int64(40+i) {
			t.Errorf("result %d: %+v", i, r)
		}
	}
	c := b.requests(wire.SendBatchMessage)[0]
	req, err := wire.ParseSend(&c)
	if err != nil {
		t.Fatal(err)
	}
	if !req.Batch || req.MaxReconsumeTimes != -1 || req.Flag != 0 {
		t.Errorf("request %+v", req)
	}
	outer := wire.ParseProperties(req.Properties)
	// Brokers append these to every message, so an id here would replace those of the messages.
	if outer.Get("WAIT") != "false" || len(outer) != 1 {
		t.Errorf("properties of the batch: %v", outer)
	}
	inner, err := wire.ParseBatch(c.Body)
	if err != nil {
		t.Fatal(err)
	}
	for i, m := range inner {
		id, _ := wire.LookupProperty(string(m.Properties), "UNIQ_KEY")
		if string(m.Body) != string(msgs[i].Body) || m.Flag != msgs[i].Flag || id != results.At(i).MessageID.String() {
			t.Errorf("message %d: %q %d %q", i, m.Body, m.Flag, id)
		}
	}
	if len(inner) != 3 {
		t.Errorf("%d messages", len(inner))
	}
}

func TestSendOneway(t *testing.T) {
	b := broker(t, nil)
	c := client(t, remoting.Config{})
	p := producer(t, c, b.addr())
	for range 3 {
		if err := p.SendOneway(bg, coretest.Message("x")); err != nil {
			t.Fatal(err)
		}
	}
	eventually(t, "three requests", func() bool { return len(b.requests(wire.SendMessageV2)) == 3 })
	for _, c := range b.requests(wire.SendMessageV2) {
		if !c.IsOneway() {
			t.Errorf("one-way bit missing: %+v", c)
		}
	}
	eventually(t, "nothing is left behind", func() bool { s := c.Stats(); return s.InFlight == 0 && s.QueuedBytes == 0 })
}

// Row 10: the codes that make a result.
func TestStatuses(t *testing.T) {
	for code, want := range map[int]core.SendStatus{
		0: core.SendOK, 10: core.FlushDiskTimeout, 11: core.SlaveNotAvailable, 12: core.FlushSlaveTimeout,
	} {
		b := broker(t, func(s *session, c wire.Command) { s.write(s.stored(c, code)) })
		p := producer(t, client(t, remoting.Config{}), b.addr())
		if res, err := p.Send(bg, coretest.Message("x")); err != nil || res.Status != want {
			t.Errorf("code %d: got %v, %v", code, res.Status, err)
		}
	}
}

// Row 10: every other code is an error that names it.
func TestBrokerErrors(t *testing.T) {
	for _, code := range []rocketmq.ResponseCode{1, 2, 3, 13, 14, 16, 17, 29, 215, 501, 604, 9999} {
		b := broker(t, func(s *session, c wire.Command) { s.answer(c, int(code), "why\nnot "+strings.Repeat("x", 5000)) })
		p := producer(t, client(t, remoting.Config{}), b.addr())
		_, err := p.Send(bg, coretest.Message("x"))
		var be *core.BrokerError
		if !errors.As(err, &be) || be.Code != code || be.Addr != b.addr() {
			t.Fatalf("code %d: got %v", code, err)
		}
		if len(be.Remark) > wire.MaxRemark || !strings.HasPrefix(be.Remark, "why not x") {
			t.Errorf("remark of %d bytes: %.20q", len(be.Remark), be.Remark)
		}
	}
}

// A success that lacks its fields is not reported as one.
func TestMalformedSuccess(t *testing.T) {
	b := broker(t, func(s *session, c wire.Command) { s.answer(c, 0, "") })
	p := producer(t, client(t, remoting.Config{}), b.addr())
	_, err := p.Send(bg, coretest.Message("x"))
	wantFailure(t, err, core.ClassBroker, core.MaybeStored)
	var ae *remoting.AnswerError
	if !errors.As(err, &ae) || !errors.Is(err, wire.ErrField) {
		t.Errorf("got %v", err)
	}
}

// A broker that does not know the short form gets the long one from then on.
func TestLegacySend(t *testing.T) {
	b := broker(t, func(s *session, c wire.Command) {
		if c.Code == wire.SendMessageV2 {
			s.answer(c, int(rocketmq.CodeRequestCodeNotSupported), "request type 310 not supported")
			return
		}
		s.ok(c)
	})
	p := producer(t, client(t, remoting.Config{}), b.addr())
	for range 3 {
		if res, err := p.Send(bg, coretest.Message("x")); err != nil || res.Attempts != 1 {
			t.Fatalf("got %+v, %v", res, err)
		}
	}
	if short, long := len(b.requests(wire.SendMessageV2)), len(b.requests(wire.SendMessage)); short != 1 || long != 3 {
		t.Errorf("%d short requests, %d long ones", short, long)
	}
}

// Row 25: GO_AWAY costs a new connection and no attempt.
func TestGoAway(t *testing.T) {
	b := broker(t, func(s *session, c wire.Command) {
		if s.n == 1 {
			s.answer(c, 1500, "shutting down")
			return
		}
		s.ok(c)
	})
	c := client(t, remoting.Config{})
	p := producer(t, c, b.addr())
	res, err := p.Send(bg, coretest.Message("x"))
	if err != nil || res.Attempts != 1 || res.MaybeDuplicate {
		t.Fatalf("got %+v, %v", res, err)
	}
	seen := b.requests(wire.SendMessageV2)
	if len(seen) != 2 || seen[0].Opaque == seen[1].Opaque || string(seen[0].Body) != string(seen[1].Body) {
		t.Errorf("requests %+v", seen)
	}
	eventually(t, "the old connection is closed", func() bool { return c.Stats().Connections == 1 })
	if s := c.Stats(); s.GoAways != 1 {
		t.Errorf("stats %+v", s)
	}
}

// Row 25: the second GO_AWAY is an error, and the message is not stored.
func TestGoAwayTwice(t *testing.T) {
	b := broker(t, func(s *session, c wire.Command) { s.answer(c, 1500, "shutting down") })
	p := producer(t, client(t, remoting.Config{}), b.addr())
	_, err := p.Send(bg, coretest.Message("x"))
	wantFailure(t, err, core.ClassUnavailable, core.NotStored)
	if n := len(b.requests(wire.SendMessageV2)); n != 2 {
		t.Errorf("%d requests", n)
	}
}

// Row 25: no new connection can be had: the broker's refusal is what counts.
func TestGoAwayWithoutReconnect(t *testing.T) {
	var b *fake
	b = broker(t, func(s *session, c wire.Command) {
		b.ln.Close()
		s.answer(c, 1500, "shutting down")
	})
	p := producer(t, client(t, remoting.Config{}), b.addr())
	_, err := p.Send(bg, coretest.Message("x"))
	wantFailure(t, err, core.ClassUnavailable, core.NotStored)
	if !errors.Is(err, core.ErrConnect) {
		t.Errorf("got %v", err)
	}
}

// Large and small frames of many goroutines arrive whole and once.
func TestConcurrentSizes(t *testing.T) {
	for name, json := range answerForms {
		t.Run(name, func(t *testing.T) { concurrentSizes(t, json) })
	}
}

func concurrentSizes(t *testing.T, json bool) {
	b := brokerAnswering(t, json, nil)
	c := client(t, remoting.Config{})
	p := producer(t, c, b.addr())
	sizes := []int{1, 100, 4095, 4096, 70_000, 100_000, 1 << 20}
	errs := make(chan error, 64)
	for g := range 64 {
		go func() {
			body := strings.Repeat(string(rune('a'+g%26)), sizes[g%len(sizes)])
			var err error
			for range 5 {
				if _, e := p.Send(bg, coretest.Message(body), core.SendTimeout(minute)); e != nil {
					err = e
				}
			}
			errs <- err
		}()
	}
	for range 64 {
		if err := <-errs; err != nil {
			t.Error(err)
		}
	}
	got := map[string]int{}
	for _, c := range b.requests(wire.SendMessageV2) {
		got[string(c.Body)]++
	}
	total := 0
	for body, n := range got {
		total += n
		if strings.Trim(body, body[:1]) != "" {
			t.Errorf("a body is mixed up: %.40q", body)
		}
	}
	if total != 320 {
		t.Errorf("%d messages arrived, want 320", total)
	}
	if s := settled(t, c); s.QueuedBytes != 0 || s.InFlight != 0 || s.FramesOut != 320 {
		t.Errorf("stats %+v", s)
	}
}
