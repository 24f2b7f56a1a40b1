package wire_test

import (
	"bytes"
	"testing"

	"github.com/liftoff-mq/liftoff/internal/race"

	"github.com/liftoff-mq/liftoff/transport/wire"
)

// TestAllocations pins what the documentation promises about the hot path.
func TestAllocations(t *testing.T) {
	if race.Enabled {
		t.Skip("the race detector allocates")
	}
	request, response := usualSend(), usualResponse()
	body := make([]byte, 1024)
	dst := make([]byte, 0, 8192)
	extra := wire.Fields{{Key: "ns", Value: "x"}, {Key: "nsd", Value: "true"}}
	answer := func(ser wire.Serialization) []byte {
		b, err := wire.AppendSendResponse(nil, wire.ResponseHead{Serialization: ser}, "", response)
		if err != nil {
			t.Fatal(err)
		}
		return b[4:]
	}
	binary, text, java := answer(wire.RocketMQ), answer(wire.JSON), frameOf(wire.JSON, javaAnswer, "")
	var answers wire.Answer
	frame, err := wire.AppendSend(nil, wire.RocketMQ, wire.SendMessageV2, 1, 0, request, nil, body)
	if err != nil {
		t.Fatal(err)
	}
	reader := wire.NewReader(&endless{b: bytes.Repeat(frame, 50)}, 0)
	if _, err := reader.Next(); err != nil {
		t.Fatal(err)
	}
	var out wire.SendResponse
	send := func(ser wire.Serialization, code int) func() error {
		return func() (err error) {
			dst, err = wire.AppendSend(dst[:0], ser, code, 7, 0, request, extra, body)
			return err
		}
	}
	for _, test := range []struct {
		name string
		want float64
		run  func() error
	}{
		{"append send, binary, short names", 0, send(wire.RocketMQ, wire.SendMessageV2)},
		{"append send, binary, long names", 0, send(wire.RocketMQ, wire.SendMessage)},
		{"append send, json, short names", 0, send(wire.JSON, wire.SendMessageV2)},
		{"append send, json, long names", 0, send(wire.JSON, wire.SendMessage)},
		{"append send head", 0, func() (err error) {
			dst, err = wire.AppendSendHead(dst[:0], wire.RocketMQ, wire.SendMessageV2, 7, 0, request, extra, 1<<20)
			return err
		}},
		{"parse head, binary", 0, func() error { _, err := wire.ParseHead(binary); return err }},
		{"parse head, json", 0, func() error { _, err := wire.ParseHead(text); return err }},
		{"parse send response, binary", 1, func() error { return wire.ParseSendResponse(binary, &out) }},
		{"parse send response, json", 1, func() error { return wire.ParseSendResponse(text, &out) }},
		{"answer, binary", 1, func() error {
			if err := answers.Parse(binary); err != nil {
				return err
			}
			return answers.SendResponse(&out)
		}},
		{"answer, json", 1, func() error {
			if err := answers.Parse(java); err != nil {
				return err
			}
			return answers.SendResponse(&out)
		}},
		{"append send response", 0, func() (err error) {
			dst, err = wire.AppendSendResponse(dst[:0], wire.ResponseHead{Serialization: wire.RocketMQ}, "", response)
			return err
		}},
		{"reader", 0, func() error { _, err := reader.Next(); return err }},
		{"batch message", 0, func() (err error) {
			dst, err = wire.AppendBatchMessage(dst[:0], 0, body, request.Properties)
			return err
		}},
		{"lookup property", 0, func() error { wire.LookupProperty("A\x01b\x02KEYS\x01c", "KEYS"); return nil }},
		{"trim fine remark", 1, func() error { wire.TrimRemark("[TIMEOUT_CLEAN_QUEUE]broker busy"); return nil }},
	} {
		got := testing.AllocsPerRun(100, func() {
			if err := test.run(); err != nil {
				t.Fatalf("%s: %v", test.name, err)
			}
		})
		if got > test.want {
			t.Errorf("%s: %v allocations, want at most %v", test.name, got, test.want)
		}
	}
}
