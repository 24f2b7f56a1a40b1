package main

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/liftoff-mq/liftoff/core"
	"github.com/liftoff-mq/liftoff/core/rocketmq"
	"github.com/liftoff-mq/liftoff/transport/embedded"
)

func acked(line int, status core.SendStatus) outcome {
	return outcome{line: line, status: status, result: core.Result{
		Status: status, MessageID: core.MessageID{1, 2}, OffsetMessageID: "7F00000100002A9F0000000000000000",
		Queue: core.Queue{Broker: "broker-a", ID: 0}, QueueOffset: 12, Attempts: 1,
	}}
}

func failed(line, attempts int, class core.Class, certainty core.Certainty, cause error) outcome {
	return outcome{line: line, err: &core.SendError{
		Class: class, Certainty: certainty, Topic: "t", Cause: cause, Attempts: make([]core.AttemptError, attempts),
	}}
}

func TestJSONResults(t *testing.T) {
	var out strings.Builder
	r := &reporter{out: &out, json: true}
	r.report(acked(1, core.SendOK))
	r.report(outcome{line: 3, status: core.Written})
	r.report(outcome{line: 2, err: unsendable(errors.New("first\nsecond"))})
	again := acked(4, core.FlushDiskTimeout)
	again.result.Attempts, again.result.MaybeDuplicate = 2, true
	r.report(again)
	refused := &core.BrokerError{Code: rocketmq.CodeMessageIllegal, Class: core.ClassRejected, Certainty: core.NotStored, Addr: "127.0.0.1:10911"}
	r.report(outcome{line: 5, err: &core.SendError{
		Class: core.ClassRejected, Certainty: core.NotStored, Topic: "t", MessageID: core.MessageID{1, 2}, Cause: refused,
		Attempts: []core.AttemptError{
			{Number: 1, Queue: core.Queue{Broker: "broker-b"}, Addr: "127.0.0.1:10921", Err: core.ErrTimeout},
			{Number: 2, Queue: core.Queue{Broker: "broker-a", ID: 3}, Addr: "127.0.0.1:10911", Err: refused},
		},
	}})
	r.report(outcome{line: 6, err: errors.New("of no send")})
	want := `{"line":1,"status":"SEND_OK","msgId":"01020000000000000000000000000000","offsetMsgId":"7F00000100002A9F0000000000000000","broker":"broker-a","queueId":0,"queueOffset":12,"attempts":1,"maybeDuplicate":false}
{"line":3,"status":"WRITTEN"}
{"line":2,"error":"send: invalid, not-sent: rocketmq: invalid message: first; second","class":"invalid","certainty":"not-sent","attempts":0}
{"line":4,"status":"FLUSH_DISK_TIMEOUT","msgId":"01020000000000000000000000000000","offsetMsgId":"7F00000100002A9F0000000000000000","broker":"broker-a","queueId":0,"queueOffset":12,"attempts":2,"maybeDuplicate":true}
{"line":5,"error":"send to \"t\": rejected, not-stored: attempt 1 to broker-b/0 (127.0.0.1:10921) after 0s: rocketmq: timeout; attempt 2 to broker-a/3 (127.0.0.1:10911) after 0s: broker 127.0.0.1:10911: MESSAGE_ILLEGAL (13)","class":"rejected","certainty":"not-stored","attempts":2,"msgId":"01020000000000000000000000000000","broker":"broker-a","addr":"127.0.0.1:10911","code":"MESSAGE_ILLEGAL"}
{"line":6,"error":"of no send","class":"unknown","certainty":"unknown","attempts":0}
`
	if out.String() != want {
		t.Errorf("got\n%swant\n%s", out.String(), want)
	}
}

func TestSummary(t *testing.T) {
	var diag strings.Builder
	r := &reporter{diag: &diag, start: time.Unix(100, 0)}
	again := acked(2, core.FlushDiskTimeout)
	again.result.Attempts, again.result.MaybeDuplicate = 3, true
	for _, o := range []outcome{
		acked(1, core.SendOK), again,
		failed(3, 2, core.ClassTimeout, core.MaybeStored, core.ErrTimeout),
		failed(4, 1, core.ClassTimeout, core.NotSent, core.ErrTimeout),
		failed(5, 2, core.ClassTimeout, core.MaybeStored, core.ErrTimeout),
		{line: 6, err: unsendable(errors.New("no text"))},
	} {
		r.report(o)
	}
	got := r.summary(time.Unix(102, 0))
	want := `lines 6, acknowledged 2, failed 4, retries 4, in 2s (3 lines/s)
  failed 1: invalid, not-sent
  failed 1: timeout, not-sent
  failed 2: timeout, maybe-stored
  of the acknowledged 1: FLUSH_DISK_TIMEOUT
  of the acknowledged 1 may be stored twice, under one message id each
`
	if got != want {
		t.Errorf("got\n%swant\n%s", got, want)
	}
	wantDiag := `line 3: timeout, maybe-stored, 2 attempts: rocketmq: timeout
line 4: timeout, not-sent: rocketmq: timeout
line 5: timeout, maybe-stored, 2 attempts: rocketmq: timeout
line 6: invalid, not-sent: no text
`
	if diag.String() != wantDiag {
		t.Errorf("got\n%swant\n%s", diag.String(), wantDiag)
	}
}

func TestSummaryOneway(t *testing.T) {
	r := &reporter{start: time.Unix(100, 0)}
	r.report(outcome{line: 1, status: core.Written})
	if got, want := r.summary(time.Unix(100, 0)), "lines 1, acknowledged 0, written one-way 1, failed 0, retries 0, in 0s\n"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}

// Nobody can learn the results any more: that ends the run.
func TestReportStopsWhenNobodyReads(t *testing.T) {
	var stopped error
	r := &reporter{out: failingWriter{}, json: true, quit: func(err error) { stopped = err }}
	r.report(acked(7, core.SendOK))
	if stopped == nil || !strings.Contains(stopped.Error(), "write result of line 7: pipe broken") {
		t.Errorf("stopped with %v", stopped)
	}
	if r.stored != 1 {
		t.Errorf("%d lines counted as acknowledged, want the one that was", r.stored)
	}
}

type failingWriter struct{}

func (failingWriter) Write([]byte) (int, error) { return 0, errors.New("pipe broken") }

// A field of a message that has a flag is told with it.
func TestFieldsAreToldWithTheirFlags(t *testing.T) {
	c := embedded.New(t, embedded.Config{})
	for line, want := range map[string]string{
		`{"body":"x","delay":"100h"}`:              "DeliverAfter (--delay) is 100h0m0s, at most 72h0m0s is allowed",
		`{"body":"x","delayLevel":19}`:             "DelayLevel (--delay-level) is 19,",
		`{"body":"","delay":"100h"}`:               ": Body is empty, at least 1 byte is required; DeliverAfter",
		`{"body":"x","tag":"a\u0001","keys":[""]}`: "Tag (--tag) holds U+0001",
	} {
		if got := program(t, line+"\n", sendArgs(c, "--format", "json")...); got.status != exitFail || !strings.Contains(got.err, want) {
			t.Errorf("%s: %+v, want %q", line, got, want)
		}
	}
}
