package wire

// ResponseHead is what routes an answer to its waiter, or a request to its handler, before the
// rest of the header is looked at.
type ResponseHead struct {
	Code          int
	Opaque        int32
	Flag          int32
	Version       int
	Language      Language
	Serialization Serialization
}

// IsResponse reports whether the frame is an answer.
func (h ResponseHead) IsResponse() bool { return h.Flag&FlagResponse != 0 }

// IsOneway reports whether the frame wants no answer.
func (h ResponseHead) IsOneway() bool { return h.Flag&FlagOneway != 0 }

// ParseHead reads the fixed part of a frame's header and allocates nothing. A binary header is
// not looked at beyond that part; a JSON header is checked as a whole, since its members have no
// fixed place; who reads the answer of a send from the same frame saves the second look with an
// [Answer]. Errors match [ErrDecode].
func ParseHead(frame []byte) (ResponseHead, error) {
	ser, head, _, err := split(frame)
	if err != nil {
		return ResponseHead{}, err
	}
	h := header{ser: ser}
	if ser == RocketMQ {
		err = h.decodeBinaryFixed(head)
	} else {
		err = h.decodeJSON(head, nil)
	}
	if err != nil {
		return ResponseHead{}, err
	}
	return h.public(), nil
}

func (h *header) public() ResponseHead {
	return ResponseHead{
		Code: h.code, Opaque: h.opaque, Flag: h.flag, Version: h.version, Language: h.language, Serialization: h.ser,
	}
}
