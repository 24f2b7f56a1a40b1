package remoting_test

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/liftoff-mq/liftoff/core"
	"github.com/liftoff-mq/liftoff/core/coretest"
	"github.com/liftoff-mq/liftoff/core/rocketmq"
	"github.com/liftoff-mq/liftoff/transport/remoting"
	"github.com/liftoff-mq/liftoff/transport/wire"
)

func withChecker(cfg *core.Config) {
	cfg.TransactionChecker = core.TransactionCheckerFunc(func(context.Context, *core.TransactionCheck) (core.TransactionDecision, error) {
		return core.TransactionUnknown, nil
	})
}

// The end has the fields that Java's has, and wants an answer unless the decision is unknown.
func TestEndTransaction(t *testing.T) {
	for _, tt := range []struct {
		decision core.TransactionDecision
		flag     string
		oneway   bool
		answer   rocketmq.ResponseCode
		remark   string
		class    core.Class
		end      core.Certainty
	}{
		{decision: core.TransactionCommit, flag: "8"},
		{decision: core.TransactionRollback, flag: "12"},
		{decision: core.TransactionUnknown, flag: "0", oneway: true},
		{decision: core.TransactionCommit, flag: "8", answer: rocketmq.CodeIllegalOperation, class: core.ClassRejected, end: core.NotStored},
		{decision: core.TransactionCommit, flag: "8", answer: rocketmq.CodeSlaveNotAvailable, class: core.ClassUnavailable, end: core.NotStored},
		{decision: core.TransactionCommit, flag: "8", answer: rocketmq.CodeSystemError, remark: "The producer group wrong", class: core.ClassRejected, end: core.NotStored},
		{decision: core.TransactionCommit, flag: "8", answer: rocketmq.CodeSystemError, remark: "OS page cache busy, please try another machine", class: core.ClassUnavailable, end: core.NotStored},
		{decision: core.TransactionCommit, flag: "8", answer: rocketmq.CodeSystemError, remark: "UNKNOWN_ERROR", class: core.ClassBroker, end: core.MaybeStored},
	} {
		t.Run(tt.decision.String()+" "+tt.answer.String()+" "+tt.remark, func(t *testing.T) {
			b := broker(t, func(s *session, c wire.Command) {
				if c.Code == wire.EndTransaction && tt.answer != 0 {
					s.answer(c, int(tt.answer), tt.remark)
					return
				}
				s.ok(c)
			})
			p := registered(t, client(t, remoting.Config{}), "g", b.addr(), withChecker)
			res, err := p.SendTransaction(bg, coretest.Message("x"), func(context.Context, *core.Result) (core.TransactionDecision, error) { return tt.decision, nil })
			var oe *core.OperationError
			if errors.As(err, &oe) != (tt.answer != 0) || oe != nil && (oe.Class != tt.class || oe.Certainty != tt.end) {
				t.Fatalf("%+v, %v", res, err)
			}
			eventually(t, "an end", func() bool { return len(b.requests(wire.EndTransaction)) == 1 })
			end := b.requests(wire.EndTransaction)[0]
			place, err := wire.ParseOffsetID(res.OffsetMessageID)
			if err != nil || end.IsOneway() != tt.oneway {
				t.Errorf("one-way %v, %v", end.IsOneway(), err)
			}
			want := wire.TransactionEnd{
				Topic: "T", Group: "g", QueueOffset: res.QueueOffset, CommitLogOffset: place.Offset, MsgID: res.MessageID.String(),
				TransactionID: res.TransactionID, BrokerName: "broker-a",
			}.Fields()
			want.Set("commitOrRollback", tt.flag)
			if !slices.Equal(end.Ext, want) {
				t.Errorf("fields %v, want %v", end.Ext, want)
			}
			sent, err := wire.ParseSend(&b.requests(wire.SendMessageV2)[0])
			if err != nil || sent.SysFlag&rocketmq.SysTransactionMask != rocketmq.SysTransactionPrepared || !strings.Contains(string(sent.Properties), "TRAN_MSG\x01true\x02PGROUP\x01g\x02") {
				t.Errorf("flags %x, %v, properties %q", sent.SysFlag, err, sent.Properties)
			}
		})
	}
}

// A check is read as the broker meant it; what cannot be shown to anybody is none.
func TestParseCheck(t *testing.T) {
	c := client(t, remoting.Config{})
	stored := func(m wire.StoredMessage, properties ...string) []byte {
		for i := 0; i < len(properties); i += 2 {
			m.Properties = wire.AppendProperty(m.Properties, properties[i], properties[i+1])
		}
		b, err := wire.AppendStored(nil, &m)
		if err != nil {
			t.Fatal(err)
		}
		return b
	}
	fields := map[string]string{"tranStateTableOffset": "3", "commitLogOffset": "9", "transactionId": "tx", "offsetMsgId": "7F00000100002A9F0000000000000009", "bname": "b"}
	half := stored(wire.StoredMessage{Topic: "ns%T", Body: []byte("x"), BornTimestamp: 1, StoreTimestamp: 2},
		"UNIQ_KEY", "ID", "INSTANCE_ID", "ns", "REAL_TOPIC", "r", "TRANSACTION_CHECK_TIMES", "4", "KEYS", "a b", "mine", "1", "__transactionId__", "ID", "MSG_REGION", "eu")
	check, err := c.ParseCheck(&core.ServerRequest{Fields: fields, Body: half, Addr: "b:1"})
	if err != nil || check.MessageID != "ID" || check.TransactionID != "tx" || check.Times != 4 || check.Message.Topic != "T" || check.Target != "ns%T" ||
		!slices.Equal(check.Message.Keys, []string{"a", "b"}) || len(check.Message.Properties) != 1 || check.Message.Properties["mine"] != "1" ||
		check.QueueOffset != 3 || check.OffsetMessageID != fields["offsetMsgId"] || check.Broker != "b" || check.Addr != "b:1" || !check.Stored.Equal(time.UnixMilli(2)) || check.Region != "eu" {
		t.Errorf("%+v, %+v, %v", check, check.Message, err)
	}
	without := func(key string) map[string]string {
		out := map[string]string{}
		for k, v := range fields {
			if k != key {
				out[k] = v
			}
		}
		return out
	}
	strange, err := c.ParseCheck(&core.ServerRequest{Fields: fields, Body: stored(wire.StoredMessage{Topic: "T"}, "UNIQ_KEY", "ID", "MSG_REGION", "\x1b[1m")})
	if err != nil || strange.Region != "" {
		t.Errorf("a region that cannot be shown: %+v, %v", strange, err)
	}
	// A broker that gives no place for people gives one in numbers.
	check, err = c.ParseCheck(&core.ServerRequest{Fields: without("offsetMsgId"), Body: half})
	if place, bad := wire.ParseOffsetID(check.OffsetMessageID); err != nil || bad != nil || place.Offset != 9 {
		t.Errorf("%+v, %v, %v", check, err, bad)
	}
	packed := func(flag int32, crc bool) string {
		body := stored(wire.StoredMessage{Topic: "T", Body: []byte("x"), SysFlag: flag}, "UNIQ_KEY", "ID")
		if !crc {
			body[8]++ // of another body: the broker has unpacked it
		}
		check, err := c.ParseCheck(&core.ServerRequest{Fields: fields, Body: body})
		if err != nil {
			t.Fatal(err)
		}
		return check.Codec
	}
	for codec, flag := range map[string]int32{"": 0, "zlib": 0x301, "lz4": 0x101, "zstd": 0x201} {
		if got := packed(flag, true); got != codec {
			t.Errorf("flag %x is codec %q", flag, got)
		}
	}
	if got := packed(1, true); got != "zlib" { // from before there were numbers
		t.Errorf("codec %q", got)
	}
	if got := packed(0x301, false); got != "" {
		t.Errorf("codec %q of an unpacked body", got)
	}
	for name, r := range map[string]core.ServerRequest{
		"no offsets": {Fields: without("commitLogOffset"), Body: half},
		"no message": {Fields: fields, Body: half[:20]},
		"no id":      {Fields: fields, Body: stored(wire.StoredMessage{Topic: "T"})},
		"strange id": {Fields: fields, Body: stored(wire.StoredMessage{Topic: "T"}, "UNIQ_KEY", "a\nb")},
		"long id":    {Fields: fields, Body: stored(wire.StoredMessage{Topic: "T"}, "UNIQ_KEY", strings.Repeat("x", 1000))},
		"bad topic":  {Fields: fields, Body: stored(wire.StoredMessage{Topic: "a b"}, "UNIQ_KEY", "ID")},
		"bad tx":     {Fields: map[string]string{"tranStateTableOffset": "3", "commitLogOffset": "9", "transactionId": "\x1b[1m"}, Body: half},
		"bad broker": {Fields: map[string]string{"tranStateTableOffset": "3", "commitLogOffset": "9", "bname": "\x1b[1m"}, Body: half},
	} {
		if check, err := c.ParseCheck(&r); err == nil {
			t.Errorf("%s: %+v", name, check)
		}
	}
}

// Brokers that a group keeps are connected at once, get heartbeats for as long as the group is there, and after that no
// more. Others that a route names are left alone.
func TestKeepBrokers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := newPipes()
		answers := func(s *session, c wire.Command) { s.ok(c) }
		kept, other := run(t, n.listen("kept:1"), answers), run(t, n.listen("other:1"), answers)
		c := client(t, remoting.Config{Dial: n.dial, IdleTimeout: time.Minute, HeartbeatInterval: 30 * time.Second})
		c.KeepBrokers("g", []core.Broker{{Name: "a", Addr: "kept:1"}}) // there is no such group yet
		if err := c.RegisterGroup(t.Context(), core.Registration{Group: "g"}); err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		if beats := len(kept.requests(wire.HeartBeat)); beats != 0 {
			t.Errorf("%d heartbeats of no group", beats)
		}
		c.KeepBrokers("g", []core.Broker{{Name: "a", Addr: "kept:1"}})
		synctest.Wait()
		if beats := len(kept.requests(wire.HeartBeat)); beats == 0 {
			t.Error("no heartbeat at once")
		}
		time.Sleep(20 * time.Minute)
		if beats := len(kept.requests(wire.HeartBeat)); beats < 38 || len(other.requests(wire.HeartBeat)) != 0 {
			t.Errorf("%d heartbeats in 20 minutes, %d of the other broker", beats, len(other.requests(wire.HeartBeat)))
		}
		if dials := c.Stats().Dials; dials != 1 {
			t.Errorf("%d dials: the connection is not kept", dials)
		}
		if err := c.UnregisterGroup(t.Context(), "g"); err != nil {
			t.Error(err)
		}
		before := len(kept.requests(wire.HeartBeat))
		time.Sleep(10 * time.Minute)
		if len(kept.requests(wire.HeartBeat)) != before {
			t.Error("heartbeats after the group's end")
		}
	})
}
