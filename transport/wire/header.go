package wire

import "encoding/binary"

// Part names of headers in errors.
const (
	partFrame  = "frame"
	partJSON   = "json header"
	partBinary = "binary header"
)

// header is a decoded header whose strings are still places in its bytes.
type header struct {
	ser      Serialization
	code     int
	language Language
	version  int
	opaque   int32
	flag     int32
	remark   span
	ext      int // where the extension fields begin, -1 without any
	extEnd   int // binary: where they end
	fields   int // how many there are
}

// split takes a frame apart. The parts alias it.
func split(frame []byte) (ser Serialization, head, body []byte, err error) {
	if len(frame) < 4 {
		return 0, nil, nil, malformed(partFrame, "shorter than its header length", 0)
	}
	word := binary.BigEndian.Uint32(frame)
	ser = Serialization(word >> 24)
	n := int(word & 0xFFFFFF)
	if ser > RocketMQ {
		return 0, nil, nil, malformed(partFrame, "unknown header serialization", 0)
	}
	if n > len(frame)-4 {
		return 0, nil, nil, malformed(partFrame, "header longer than the frame", 0)
	}
	if n > MaxHeader {
		return 0, nil, nil, tooMuch(partFrame, "header too long")
	}
	return ser, frame[4 : 4+n], frame[4+n:], nil
}

// decode reads a whole header and counts its fields, so that a later walk cannot go wrong.
func (h *header) decode(ser Serialization, b []byte) error {
	h.ser, h.ext = ser, -1
	if ser == JSON {
		return h.decodeJSON(b, nil)
	}
	return h.decodeBinary(b)
}

// binaryFixed is the length of a binary header without remark and fields.
const binaryFixed = 21

// decodeBinaryFixed reads what stands before the remark.
func (h *header) decodeBinaryFixed(b []byte) error {
	if len(b) < binaryFixed {
		return malformed(partBinary, "shorter than its fixed part", len(b))
	}
	h.code = int(int16(binary.BigEndian.Uint16(b)))
	h.language = Language(b[2])
	h.version = int(int16(binary.BigEndian.Uint16(b[3:])))
	h.opaque = int32(binary.BigEndian.Uint32(b[5:]))
	h.flag = int32(binary.BigEndian.Uint32(b[9:]))
	return nil
}

func (h *header) decodeBinary(b []byte) error {
	if err := h.decodeBinaryFixed(b); err != nil {
		return err
	}
	n := int(int32(binary.BigEndian.Uint32(b[13:])))
	if n < 0 || n > len(b)-binaryFixed {
		return malformed(partBinary, "remark longer than the header", 13)
	}
	h.remark = span{lo: 17, hi: 17 + n, plain: true}
	at := 17 + n
	n = int(int32(binary.BigEndian.Uint32(b[at:])))
	at += 4
	// Java takes a negative length for none.
	if n <= 0 {
		return nil
	}
	if n > len(b)-at {
		return malformed(partBinary, "fields longer than the header", at-4)
	}
	h.ext, h.extEnd = at, at+n
	w := fieldWalk{b: b, at: at, end: h.extEnd}
	for w.next() {
		h.fields++
	}
	if !w.ok {
		return malformed(partBinary, "field longer than the header", w.at)
	}
	if h.fields > MaxExtFields {
		return tooMuch(partBinary, "too many fields")
	}
	return nil
}

// decodeJSON notes the fields of a send's answer in found, unless that is nil.
func (h *header) decodeJSON(b []byte, found *sendSpans) error {
	s := scanner{b: b}
	if !h.scanJSON(&s, found) {
		if h.fields > MaxExtFields {
			return tooMuch(partJSON, "too many fields")
		}
		return malformed(partJSON, "not the JSON of a header", s.i)
	}
	return nil
}

// scanJSON reads the header object. Members that it does not know are skipped; null members
// count as absent; of equal members the last one counts.
func (h *header) scanJSON(s *scanner, found *sendSpans) bool {
	if !s.take('{') {
		return false
	}
	for first := true; ; first = false {
		name, more, ok := s.member(first)
		if !ok {
			return false
		}
		if !more {
			break
		}
		c := s.peek()
		if c == 'n' {
			if !s.literal("null") {
				return false
			}
			continue
		}
		var n int32
		switch string(name.value(s.b)) {
		case "code":
			n, ok = s.int32()
			h.code = int(n)
		case "version":
			n, ok = s.int32()
			h.version = int(n)
		case "opaque":
			h.opaque, ok = s.int32()
		case "flag":
			h.flag, ok = s.int32()
		case "language":
			var p span
			if c == '"' {
				p, ok = s.text()
				h.language = parseLanguage(p.value(s.b))
			} else {
				ok, h.language = s.skip(1), LanguageOther
			}
		case "remark":
			h.remark, ok = s.text()
		case "extFields":
			ok = h.scanFields(s, found)
		default:
			ok = s.skip(1)
		}
		if !ok {
			return false
		}
	}
	s.space()
	return s.i == len(s.b)
}

// scanFields checks and counts the extension fields.
func (h *header) scanFields(s *scanner, found *sendSpans) bool {
	if s.peek() != '{' {
		return false
	}
	if found != nil {
		*found = sendSpans{} // of equal members the last one counts
	}
	h.ext, h.fields = s.i, 0
	w := fieldWalk{b: s.b, at: s.i, json: true}
	for w.next() {
		if h.fields++; h.fields > MaxExtFields {
			return false
		}
		if found != nil {
			found.note(w.key.value(s.b), w.value)
		}
	}
	s.i = w.at
	return w.ok
}

func (s *scanner) int32() (int32, bool) {
	p, ok := s.number()
	if !ok {
		return 0, false
	}
	return parseInt32(s.b[p.lo:p.hi])
}

// walk returns a walk over the fields of the header that was decoded from b.
func (h *header) walk(b []byte) fieldWalk {
	if h.ext < 0 {
		return fieldWalk{}
	}
	return fieldWalk{b: b, at: h.ext, end: h.extEnd, json: h.ser == JSON}
}

// fieldWalk visits the extension fields of either form. After next has returned false, ok says
// whether the end was reached in order.
type fieldWalk struct {
	b          []byte
	at, end    int
	json, open bool
	key, value span
	ok         bool
}

func (w *fieldWalk) next() bool {
	if w.json {
		return w.nextJSON()
	}
	if w.at >= w.end {
		w.ok = w.at == w.end
		return false
	}
	b := w.b[:w.end]
	if len(b)-w.at < 2 {
		return false
	}
	n := int(int16(binary.BigEndian.Uint16(b[w.at:])))
	w.at += 2
	if n < 0 || n > len(b)-w.at-4 {
		return false
	}
	w.key = span{lo: w.at, hi: w.at + n, plain: true}
	w.at += n
	n = int(int32(binary.BigEndian.Uint32(b[w.at:])))
	w.at += 4
	if n < 0 || n > len(b)-w.at {
		return false
	}
	w.value = span{lo: w.at, hi: w.at + n, plain: true}
	w.at += n
	return true
}

// nextJSON takes numbers and booleans for their text, although Java writes strings only, and
// passes over null.
func (w *fieldWalk) nextJSON() bool {
	s := scanner{b: w.b, i: w.at}
	more := w.memberJSON(&s)
	w.at = s.i
	return more
}

func (w *fieldWalk) memberJSON(s *scanner) bool {
	for {
		first := !w.open
		if first {
			if !s.take('{') {
				return false
			}
			w.open = true
		}
		var more, ok bool
		w.key, more, ok = s.member(first)
		if !ok || !more {
			w.ok = ok
			return false
		}
		switch s.peek() {
		case '"':
			w.value, ok = s.text()
			return ok
		case 'n':
			if !s.literal("null") {
				return false
			}
		case 't':
			w.value = span{lo: s.i, hi: s.i + 4, plain: true}
			return s.literal("true")
		case 'f':
			w.value = span{lo: s.i, hi: s.i + 5, plain: true}
			return s.literal("false")
		default:
			w.value, ok = s.number()
			return ok
		}
	}
}
