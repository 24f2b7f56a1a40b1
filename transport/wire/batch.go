package wire

import (
	"encoding/binary"

	"github.com/liftoff-mq/liftoff/core/rocketmq"
)

// BatchMessage is one message of a batch body. Its topic is that of the send request.
type BatchMessage struct {
	Flag       int32
	Body       []byte
	Properties []byte // text form
}

// BatchSize returns how many bytes one message takes in a batch body.
func BatchSize(bodyLen, propertiesLen int) int {
	return rocketmq.BatchMessageOverhead + bodyLen + propertiesLen
}

// AppendBatchMessage appends one record of a batch body: total size, magic 0, crc 0, flag, body
// length, body, properties length in 16 bits, properties (Java MessageDecoder.encodeMessage).
// Errors match [ErrEncode]: properties of more than [rocketmq.ProtocolMaxPropertiesLength] bytes, which Java
// writes with a wrapped length, and a record of more than [MaxFrame].
func AppendBatchMessage(dst []byte, flag int32, body, properties []byte) ([]byte, error) {
	if len(properties) > rocketmq.ProtocolMaxPropertiesLength {
		return dst, &EncodeError{What: "batch message", Reason: "properties longer than 32767 bytes"}
	}
	if len(body) > MaxFrame {
		return dst, &EncodeError{What: "batch message", Reason: "body longer than a frame"}
	}
	dst = binary.BigEndian.AppendUint32(dst, uint32(BatchSize(len(body), len(properties))))
	dst = append(dst, 0, 0, 0, 0, 0, 0, 0, 0)
	dst = binary.BigEndian.AppendUint32(dst, uint32(flag))
	dst = binary.BigEndian.AppendUint32(dst, uint32(len(body)))
	dst = append(dst, body...)
	dst = binary.BigEndian.AppendUint16(dst, uint16(len(properties)))
	return append(dst, properties...), nil
}

// ParseBatch decodes a batch body. Bodies and properties alias it. Every length must agree with
// the record's total size, unlike in Java, where a broker trusts them. An empty body is an empty
// batch. Errors match [ErrDecode].
func ParseBatch(body []byte) ([]BatchMessage, error) {
	const part = "batch"
	// Count first: the list then has its right size, and a bad record costs no memory.
	count := 0
	for at := 0; at < len(body); count++ {
		n := recordSize(body[at:])
		if n < rocketmq.BatchMessageOverhead || n > len(body)-at {
			return nil, malformed(part, "record size does not fit", at)
		}
		at += n
	}
	out := make([]BatchMessage, 0, count)
	for at := 0; at < len(body); {
		record := body[at : at+recordSize(body[at:])]
		bodyLen := int(int32(binary.BigEndian.Uint32(record[16:])))
		if bodyLen < 0 || bodyLen > len(record)-rocketmq.BatchMessageOverhead {
			return nil, malformed(part, "body length does not fit", at+16)
		}
		rest := record[20+bodyLen:]
		if n := int(int16(binary.BigEndian.Uint16(rest))); n != len(rest)-2 {
			return nil, malformed(part, "properties length does not fit", at+20+bodyLen)
		}
		out = append(out, BatchMessage{
			Flag:       int32(binary.BigEndian.Uint32(record[12:])),
			Body:       record[20 : 20+bodyLen : 20+bodyLen],
			Properties: rest[2:len(rest):len(rest)],
		})
		at += len(record)
	}
	return out, nil
}

// recordSize returns the size at the start of b, -1 if there is none.
func recordSize(b []byte) int {
	if len(b) < 4 {
		return -1
	}
	return int(int32(binary.BigEndian.Uint32(b)))
}
