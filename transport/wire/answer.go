package wire

// Answer is a frame of which one look at the header gives both what [ParseHead] and what
// [ParseSendResponse] say: brokers answer with a JSON header unless configured otherwise, and to
// scan that twice costs more than all else about an answer. The zero value is ready for Parse,
// which may be called again and again. Not safe for concurrent use.
type Answer struct {
	frame  []byte
	header []byte // the part of frame
	h      header
	found  sendSpans // JSON only
}

// Parse looks at a frame as [ParseHead] does, with the same errors, and keeps frame: its bytes
// must not change while the Answer is in use. It allocates nothing. After an error the other
// methods say nothing useful.
func (a *Answer) Parse(frame []byte) error {
	*a = Answer{frame: frame}
	ser, b, _, err := split(frame)
	if err != nil {
		return err
	}
	a.header = b
	a.h.ser, a.h.ext = ser, -1
	if ser == RocketMQ {
		return a.h.decodeBinaryFixed(b)
	}
	return a.h.decodeJSON(b, &a.found)
}

// Head returns what [ParseHead] returns.
func (a *Answer) Head() ResponseHead { return a.h.public() }

// Frame returns the frame, for [ParseFrame] where the answer is another one than that of a send.
func (a *Answer) Frame() []byte { return a.frame }

// SendResponse does what [ParseSendResponse] does. A binary header is checked beyond its fixed
// part only here.
func (a *Answer) SendResponse(out *SendResponse) error {
	if a.h.ser == RocketMQ {
		var h header
		if err := h.decode(RocketMQ, a.header); err != nil {
			return err
		}
		a.found = sendSpans{}
		for w := h.walk(a.header); w.next(); {
			a.found.note(w.key.value(a.header), w.value)
		}
	}
	return a.found.response(a.header, out)
}
