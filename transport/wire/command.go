package wire

import (
	"encoding/binary"
	"slices"
	"strconv"
)

// Command is any request or answer (Java RemotingCommand).
type Command struct {
	// Code is a request code, or in an answer the response code.
	Code     int
	Language Language
	Version  int
	// Opaque is the request's number, which its answer repeats.
	Opaque int32
	// Flag holds FlagResponse and FlagOneway.
	Flag   int32
	Remark string
	Ext    Fields
	Body   []byte
	// Serialization is the form of the header.
	Serialization Serialization
}

// IsResponse reports whether c is an answer.
func (c *Command) IsResponse() bool { return c.Flag&FlagResponse != 0 }

// IsOneway reports whether c wants no answer.
func (c *Command) IsOneway() bool { return c.Flag&FlagOneway != 0 }

// ParseFrame decodes a frame without its first four bytes. All strings are copies; Body aliases
// frame, so a caller who reuses the frame's memory clones Body first. Errors match [ErrDecode].
//
// A code that is not known, a language that is not known and members of a JSON header that are
// not known are no errors.
func ParseFrame(frame []byte) (Command, error) {
	ser, head, body, err := split(frame)
	if err != nil {
		return Command{}, err
	}
	var h header
	if err := h.decode(ser, head); err != nil {
		return Command{}, err
	}
	// One copy of the header carries all strings that hold no escapes.
	text := string(head)
	c := Command{
		Code: h.code, Language: h.language, Version: h.version, Opaque: h.opaque, Flag: h.flag,
		Remark: h.remark.str(text), Body: body, Serialization: ser,
	}
	if h.fields > 0 {
		c.Ext = make(Fields, 0, h.fields)
		for w := h.walk(head); w.next(); {
			c.Ext = append(c.Ext, Field{Key: w.key.str(text), Value: w.value.str(text)})
		}
	}
	return c, nil
}

// AppendCommand appends c as a whole frame, its four length bytes included. A code or version
// that the binary header cannot hold (above 32767) makes it a JSON header. Errors match
// [ErrEncode]: a header or frame beyond the limits, a field name of more than 32767 bytes.
func AppendCommand(dst []byte, c *Command) ([]byte, error) {
	if len(c.Ext) > MaxExtFields {
		return dst, &EncodeError{What: "header", Reason: "too many fields"}
	}
	n := 64 + len(c.Remark) + len(c.Body)
	for i := range c.Ext {
		n += 8 + len(c.Ext[i].Key) + len(c.Ext[i].Value)
	}
	e := beginFrame(slices.Grow(dst, n), c.Serialization, c.Code, c.Language, c.Version, c.Opaque, c.Flag, c.Remark)
	for i := range c.Ext {
		e.field(c.Ext[i].Key, c.Ext[i].Value)
	}
	return e.end(c.Body, len(c.Body))
}

// encoder appends a frame field by field, in either form. It is a value that stays on the
// caller's stack; its first error sticks.
type encoder struct {
	b     []byte
	start int // of the frame
	ext   int // binary: of the fields' length
	ser   Serialization
	comma bool
	err   *EncodeError
}

func beginFrame(dst []byte, ser Serialization, code int, lang Language, version int, opaque, flag int32, remark string) encoder {
	e := encoder{start: len(dst), ser: ser}
	if ser > RocketMQ {
		e.b, e.err = dst, &EncodeError{What: ser.String(), Reason: "unknown serialization"}
		return e
	}
	if code != int(int16(code)) || version != int(int16(version)) {
		e.ser = JSON
	}
	b := append(dst, 0, 0, 0, 0, 0, 0, 0, 0) // filled in by end
	if e.ser == JSON {
		b = append(b, `{"code":`...)
		b = strconv.AppendInt(b, int64(code), 10)
		b = append(b, `,"flag":`...)
		b = strconv.AppendInt(b, int64(flag), 10)
		b = append(b, `,"language":"`...)
		b = append(b, lang.String()...)
		b = append(b, `","opaque":`...)
		b = strconv.AppendInt(b, int64(opaque), 10)
		if remark != "" {
			b = append(b, `,"remark":`...)
			b = appendJSONString(b, remark)
		}
		b = append(b, `,"serializeTypeCurrentRPC":"JSON","version":`...)
		b = strconv.AppendInt(b, int64(version), 10)
		e.b = append(b, `,"extFields":{`...)
		return e
	}
	b = binary.BigEndian.AppendUint16(b, uint16(int16(code)))
	b = append(b, byte(lang))
	b = binary.BigEndian.AppendUint16(b, uint16(int16(version)))
	b = binary.BigEndian.AppendUint32(b, uint32(opaque))
	b = binary.BigEndian.AppendUint32(b, uint32(flag))
	b = binary.BigEndian.AppendUint32(b, uint32(len(remark)))
	b = append(b, remark...)
	e.ext = len(b)
	e.b = append(b, 0, 0, 0, 0)
	return e
}

// end closes the header, appends the body and fills in the lengths. bodyLen differs from
// len(body) where the caller writes the body itself. On an error the buffer ends where it did
// before the frame.
func (e *encoder) end(body []byte, bodyLen int) ([]byte, error) {
	if e.err != nil {
		return e.b[:e.start], e.err
	}
	if e.ser == JSON {
		e.b = append(e.b, '}', '}')
	} else {
		binary.BigEndian.PutUint32(e.b[e.ext:], uint32(len(e.b)-e.ext-4))
	}
	head := len(e.b) - e.start - 8
	if head > MaxHeader {
		return e.b[:e.start], &EncodeError{What: "header", Reason: "longer than " + strconv.Itoa(MaxHeader) + " bytes"}
	}
	if bodyLen < 0 || bodyLen > MaxFrame-8-head {
		return e.b[:e.start], &EncodeError{What: "frame", Reason: "longer than " + strconv.Itoa(MaxFrame) + " bytes"}
	}
	binary.BigEndian.PutUint32(e.b[e.start:], uint32(4+head+bodyLen))
	binary.BigEndian.PutUint32(e.b[e.start+4:], uint32(e.ser)<<24|uint32(head))
	return append(e.b, body...), nil
}

// name begins a field.
func (e *encoder) name(key string) {
	if e.ser == JSON {
		if e.comma {
			e.b = append(e.b, ',')
		}
		e.comma = true
		e.b = appendJSONString(e.b, key)
		e.b = append(e.b, ':')
		return
	}
	if len(key) > 32767 {
		e.err = &EncodeError{What: "field", Reason: "name longer than 32767 bytes"}
		return
	}
	e.b = binary.BigEndian.AppendUint16(e.b, uint16(len(key)))
	e.b = append(e.b, key...)
}

func (e *encoder) field(key, value string) {
	e.name(key)
	if e.ser == JSON {
		e.b = appendJSONString(e.b, value)
		return
	}
	e.b = binary.BigEndian.AppendUint32(e.b, uint32(len(value)))
	e.b = append(e.b, value...)
}

func (e *encoder) fieldBytes(key string, value []byte) {
	e.name(key)
	if e.ser == JSON {
		e.b = appendJSONString(e.b, value)
		return
	}
	e.b = binary.BigEndian.AppendUint32(e.b, uint32(len(value)))
	e.b = append(e.b, value...)
}

func (e *encoder) fieldInt(key string, value int64) {
	e.name(key)
	if e.ser == JSON {
		e.b = append(e.b, '"')
		e.b = strconv.AppendInt(e.b, value, 10)
		e.b = append(e.b, '"')
		return
	}
	at := len(e.b)
	e.b = append(e.b, 0, 0, 0, 0)
	e.b = strconv.AppendInt(e.b, value, 10)
	binary.BigEndian.PutUint32(e.b[at:], uint32(len(e.b)-at-4))
}

func (e *encoder) fieldBool(key string, value bool) {
	if value {
		e.field(key, "true")
	} else {
		e.field(key, "false")
	}
}
