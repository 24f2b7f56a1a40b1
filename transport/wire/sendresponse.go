package wire

import (
	"bytes"
	"slices"
	"strings"

	"github.com/liftoff-mq/liftoff/core/rocketmq"
)

// SendResponse is the header of a send's answer (Java SendMessageResponseHeader).
type SendResponse struct {
	// MsgID is the offset message id, see [ParseOffsetID]; for a batch several, joined by commas.
	MsgID       string
	QueueID     int
	QueueOffset int64
	// TransactionID is the message's unique id in answers of 5.x.
	TransactionID string
	BatchUniqID   string
	RecallHandle  string
	RegionID      string
	// TraceOn is true unless the broker says otherwise.
	TraceOn bool
}

// defaultRegion is what brokers answer unless configured otherwise.
const defaultRegion = "DefaultRegion"

// sendSpans are the places of a send response's values in a header. A field that is not there
// is as good as an empty one.
type sendSpans struct {
	id, queue, offset, transaction, batch, recall, region, trace span
}

// note keeps the value if key is one of a send response. Of equal keys the last one counts.
func (f *sendSpans) note(key []byte, value span) {
	switch string(key) {
	case "msgId":
		f.id = value
	case "queueId":
		f.queue = value
	case "queueOffset":
		f.offset = value
	case "transactionId":
		f.transaction = value
	case "batchUniqId":
		f.batch = value
	case "recallHandle":
		f.recall = value
	case rocketmq.PropertyMsgRegion:
		f.region = value
	case rocketmq.PropertyTraceOn:
		f.trace = value
	}
}

// ParseSendResponse reads the header fields of a send's answer into out, which it overwrites.
// Call it for the codes that mean stored; other answers lack the mandatory fields and are read
// with [ParseFrame]. All strings of out share one allocation, the only one for a usual answer.
// Texts beyond [MaxAnswerText] are left out.
// Errors match [ErrDecode] or, for missing and ill-formed fields, [ErrField]. Who needs the head
// of the same frame too takes an [Answer] instead.
func ParseSendResponse(frame []byte, out *SendResponse) error {
	var a Answer
	if err := a.Parse(frame); err != nil {
		return err
	}
	return a.SendResponse(out)
}

// response turns the values found in b into out.
func (f *sendSpans) response(b []byte, out *SendResponse) error {
	*out = SendResponse{TraceOn: !bytes.EqualFold(f.trace.value(b), []byte("false"))}
	queue := f.queue.value(b)
	n, ok := parseInt32(queue)
	if !ok {
		return badResponse("queueId", queue, "not a 32-bit integer")
	}
	out.QueueID = int(n)
	offset := f.offset.value(b)
	if out.QueueOffset, ok = parseInt(offset); !ok {
		return badResponse("queueOffset", offset, "not a 64-bit integer")
	}
	id := f.id.value(b)
	if len(id) == 0 {
		return badResponse("msgId", nil, "")
	}
	transaction, batch, recall, region := text(f.transaction, b), text(f.batch, b), text(f.recall, b), text(f.region, b)
	if string(region) == defaultRegion {
		out.RegionID, region = defaultRegion, nil
	}
	// All strings in one go.
	var joined strings.Builder
	joined.Grow(len(id) + len(transaction) + len(batch) + len(recall) + len(region))
	for _, value := range [...][]byte{id, transaction, batch, recall, region} {
		joined.Write(value)
	}
	s := joined.String()
	out.MsgID, s = s[:len(id)], s[len(id):]
	out.TransactionID, s = s[:len(transaction)], s[len(transaction):]
	out.BatchUniqID, s = s[:len(batch)], s[len(batch):]
	out.RecallHandle, s = s[:len(recall)], s[len(recall):]
	if s != "" {
		out.RegionID = s
	}
	return nil
}

// text is a value that is not longer than [MaxAnswerText].
func text(at span, b []byte) []byte {
	if v := at.value(b); len(v) <= MaxAnswerText {
		return v
	}
	return nil
}

func badResponse(field string, value []byte, reason string) error {
	if len(value) == 0 {
		reason = "missing"
	}
	return &FieldError{Field: field, Reason: reason}
}

// AppendSendResponse appends a whole answer to a send request: the server's side. Head gives
// code, opaque, version, language and form; the answer bit is set by itself. A nil r is an
// answer without fields, as for a refused message, whose reason is the remark.
func AppendSendResponse(dst []byte, head ResponseHead, remark string, r *SendResponse) ([]byte, error) {
	dst = slices.Grow(dst, 320+len(remark))
	e := beginFrame(dst, head.Serialization, head.Code, head.Language, head.Version, head.Opaque, head.Flag|FlagResponse, remark)
	if r != nil {
		e.field("msgId", r.MsgID)
		e.fieldInt("queueId", int64(r.QueueID))
		e.fieldInt("queueOffset", r.QueueOffset)
		for _, f := range [...]Field{
			{"transactionId", r.TransactionID},
			{"batchUniqId", r.BatchUniqID},
			{"recallHandle", r.RecallHandle},
			{rocketmq.PropertyMsgRegion, r.RegionID},
		} {
			if f.Value != "" {
				e.field(f.Key, f.Value)
			}
		}
		e.fieldBool(rocketmq.PropertyTraceOn, r.TraceOn)
	}
	return e.end(nil, 0)
}
