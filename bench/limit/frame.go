package main

import (
	"bytes"
	"compress/zlib"
	"encoding/binary"
	"fmt"
	"time"

	"github.com/liftoff-mq/liftoff/bench/load"
	"github.com/liftoff-mq/liftoff/core/rocketmq"
	"github.com/liftoff-mq/liftoff/transport/wire"
)

const (
	// placeholder stands for a message's unique id: 32 digits, of which the last 8 are patched.
	placeholder = "0A0B0C0D1234FEEDBEEF0001ZZZZZZZZ"
	patched     = 8
	// opaqueAt is where a frame has its number: behind two lengths, code, language and version.
	opaqueAt = 4 + 4 + 2 + 1 + 2
	// queueMark is the queue field of the template: its name and its length of one digit.
	queueMark = "\x00\x01e\x00\x00\x00\x010"
	// compressFrom is the size from which bodies are sent compressed, as all the clients do.
	compressFrom = 4096
)

// template is a frame that is ready to go, and where it is patched.
type template struct {
	frame  []byte
	queue  int // position of the queue's digit
	ids    []int
	queues byte
}

func newTemplate(s *load.Spec, broker string, body []byte) (*template, error) {
	if s.Queues > 9 {
		return nil, fmt.Errorf("%d queues have more than one digit", s.Queues)
	}
	r := &wire.SendRequest{
		Group: "bench_limit", Topic: s.Topic, DefaultTopic: rocketmq.DefaultTopic, DefaultTopicQueueNums: 4,
		BornTimestamp: time.Now().UnixMilli(), MaxReconsumeTimes: -1, BrokerName: broker,
	}
	if len(body) >= compressFrom && s.Batch <= 1 {
		var z bytes.Buffer
		w := zlib.NewWriter(&z)
		if _, err := w.Write(body); err != nil {
			return nil, err
		}
		if err := w.Close(); err != nil {
			return nil, err
		}
		body, r.SysFlag = z.Bytes(), rocketmq.SysCompressed|rocketmq.SysCompressionZlib
	}
	var flag int32
	if s.Mode == load.Oneway {
		flag = wire.FlagOneway
	}
	props := wire.AppendProperty(nil, rocketmq.PropertyUniqKey, placeholder)
	var frame []byte
	var err error
	if s.Batch > 1 {
		var records []byte
		for range s.Batch {
			if records, err = wire.AppendBatchMessage(records, 0, body, props); err != nil {
				return nil, err
			}
		}
		r.Batch = true
		frame, err = wire.AppendSend(nil, wire.RocketMQ, wire.SendBatchMessage, 0, flag, r, nil, records)
	} else {
		r.Properties = props
		frame, err = wire.AppendSend(nil, wire.RocketMQ, wire.SendMessageV2, 0, flag, r, nil, body)
	}
	if err != nil {
		return nil, err
	}
	t := &template{frame: frame, queues: byte(s.Queues)}
	if t.queue = bytes.Index(frame, []byte(queueMark)); t.queue < 0 {
		return nil, fmt.Errorf("the frame has no queue field")
	}
	t.queue += len(queueMark) - 1
	for at := 0; ; {
		i := bytes.Index(frame[at:], []byte(placeholder))
		if i < 0 {
			break
		}
		at += i + len(placeholder)
		t.ids = append(t.ids, at-patched)
	}
	if len(t.ids) != s.Messages() {
		return nil, fmt.Errorf("the frame has %d ids, want %d", len(t.ids), s.Messages())
	}
	return t, nil
}

const upperHex = "0123456789ABCDEF"

// patch makes frame, a copy of the template's, request number n.
func (t *template) patch(frame []byte, n uint32) {
	binary.BigEndian.PutUint32(frame[opaqueAt:], n)
	frame[t.queue] = '0' + byte(n)%t.queues
	id := n * uint32(len(t.ids))
	for _, at := range t.ids {
		for i := range patched {
			frame[at+i] = upperHex[id>>(28-4*i)&15]
		}
		id++
	}
}
