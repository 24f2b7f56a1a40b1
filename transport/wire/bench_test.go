package wire_test

import (
	"bytes"
	"fmt"
	"io"
	"strings"
	"testing"

	"github.com/liftoff-mq/liftoff/transport/wire"
)

func usualSend() *wire.SendRequest {
	return &wire.SendRequest{
		Group: "orders-producer", Topic: "orders", DefaultTopic: "TBW102", DefaultTopicQueueNums: 4, QueueID: 3,
		BornTimestamp:     1758000000000,
		Properties:        []byte("UNIQ_KEY\x01AC11000200010D2A4E5F1B2C3D4E0001\x02WAIT\x01true\x02TAGS\x01paid\x02KEYS\x01order-4711\x02"),
		MaxReconsumeTimes: -1, BrokerName: "broker-a",
	}
}

func usualResponse() *wire.SendResponse {
	return &wire.SendResponse{
		MsgID: "7F00000100002A9F00000000000F4240", QueueID: 3, QueueOffset: 123456,
		TransactionID: "AC11000200010D2A4E5F1B2C3D4E0001", RegionID: "DefaultRegion", TraceOn: true,
	}
}

var forms = []wire.Serialization{wire.RocketMQ, wire.JSON}

func BenchmarkAppendSend(b *testing.B) {
	for _, ser := range forms {
		for _, size := range []int{128, 1024} {
			b.Run(fmt.Sprintf("%v/%d", ser, size), func(b *testing.B) {
				r, body := usualSend(), make([]byte, size)
				dst := make([]byte, 0, 4096)
				b.ReportAllocs()
				for b.Loop() {
					var err error
					if dst, err = wire.AppendSend(dst[:0], ser, wire.SendMessageV2, 42, 0, r, nil, body); err != nil {
						b.Fatal(err)
					}
				}
				b.SetBytes(int64(len(dst)))
			})
		}
	}
}

func BenchmarkParseSend(b *testing.B) {
	for _, ser := range forms {
		b.Run(ser.String(), func(b *testing.B) {
			frame, err := wire.AppendSend(nil, ser, wire.SendMessageV2, 42, 0, usualSend(), nil, make([]byte, 128))
			if err != nil {
				b.Fatal(err)
			}
			b.ReportAllocs()
			for b.Loop() {
				c, err := wire.ParseFrame(frame[4:])
				if err != nil {
					b.Fatal(err)
				}
				if _, err := wire.ParseSend(&c); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

func BenchmarkParseHead(b *testing.B) {
	for _, ser := range forms {
		b.Run(ser.String(), func(b *testing.B) {
			frame, err := wire.AppendSendResponse(nil, wire.ResponseHead{Serialization: ser}, "", usualResponse())
			if err != nil {
				b.Fatal(err)
			}
			b.ReportAllocs()
			for b.Loop() {
				if _, err := wire.ParseHead(frame[4:]); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

func BenchmarkParseSendResponse(b *testing.B) {
	for _, ser := range forms {
		b.Run(ser.String(), func(b *testing.B) {
			frame, err := wire.AppendSendResponse(nil, wire.ResponseHead{Serialization: ser}, "", usualResponse())
			if err != nil {
				b.Fatal(err)
			}
			var out wire.SendResponse
			b.ReportAllocs()
			for b.Loop() {
				if err := wire.ParseSendResponse(frame[4:], &out); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

// javaAnswer is what a broker of 5.3 answers to a send, member for member, with a JSON header
// whatever the form of the request.
const javaAnswer = `{"code":0,"extFields":{"queueId":"3","transactionId":"AC11000200010D2A4E5F1B2C3D4E0001",` +
	`"TRACE_ON":"true","MSG_REGION":"DefaultRegion","msgId":"7F00000100002A9F00000000000F4240","queueOffset":"123456"},` +
	`"flag":1,"language":"JAVA","opaque":4711,"serializeTypeCurrentRPC":"JSON","version":495}`

const javaID = "7F00000100002A9F00000000000F4240"

// BenchmarkAnswer is all that reading a send's answer takes.
func BenchmarkAnswer(b *testing.B) {
	binary, err := wire.AppendSendResponse(nil, wire.ResponseHead{Serialization: wire.RocketMQ}, "", usualResponse())
	if err != nil {
		b.Fatal(err)
	}
	for _, form := range []struct {
		name  string
		frame []byte
	}{
		{"ROCKETMQ", binary[4:]},
		{"JSON", frameOf(wire.JSON, javaAnswer, "")},
		{"JSON, batch of 32", frameOf(wire.JSON, strings.Replace(javaAnswer, javaID, strings.Repeat(javaID+",", 31)+javaID, 1), "")},
	} {
		b.Run(form.name, func(b *testing.B) {
			var a wire.Answer
			var out wire.SendResponse
			b.ReportAllocs()
			for b.Loop() {
				if err := a.Parse(form.frame); err != nil {
					b.Fatal(err)
				}
				if err := a.SendResponse(&out); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

func BenchmarkAppendSendResponse(b *testing.B) {
	r, dst := usualResponse(), make([]byte, 0, 1024)
	b.ReportAllocs()
	for b.Loop() {
		var err error
		if dst, err = wire.AppendSendResponse(dst[:0], wire.ResponseHead{Serialization: wire.RocketMQ}, "", r); err != nil {
			b.Fatal(err)
		}
	}
}

// endless repeats a stream without end.
type endless struct {
	b  []byte
	at int
}

func (e *endless) Read(p []byte) (int, error) {
	n := copy(p, e.b[e.at:])
	e.at = (e.at + n) % len(e.b)
	return n, nil
}

var _ io.Reader = (*endless)(nil)

func BenchmarkReader(b *testing.B) {
	frame, err := wire.AppendSendResponse(nil, wire.ResponseHead{Serialization: wire.RocketMQ}, "", usualResponse())
	if err != nil {
		b.Fatal(err)
	}
	r := wire.NewReader(&endless{b: bytes.Repeat(frame, 1000)}, 0)
	b.SetBytes(int64(len(frame)))
	b.ReportAllocs()
	for b.Loop() {
		if _, err := r.Next(); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkParseRoute(b *testing.B) {
	r := &wire.RouteData{}
	for i := range 8 {
		name := fmt.Sprintf("broker-%d", i)
		r.Queues = append(r.Queues, wire.QueueData{BrokerName: name, ReadQueueNums: 8, WriteQueueNums: 8, Perm: 6})
		r.Brokers = append(r.Brokers, wire.BrokerData{Cluster: "c", BrokerName: name, Addrs: map[int64]string{0: "127.0.0.1:10911", 1: "127.0.0.1:10921"}})
	}
	for name, style := range map[string]wire.KeyStyle{"standard": wire.StandardKeys, "bare": wire.BareKeys} {
		b.Run(name, func(b *testing.B) {
			body := wire.AppendRoute(nil, r, style)
			b.ReportAllocs()
			for b.Loop() {
				if _, err := wire.ParseRoute(body); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
