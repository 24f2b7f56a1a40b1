package main

import (
	"bytes"
	"encoding/binary"
	"fmt"
)

// smallest is the length of the shortest frame that can be an answer.
const smallest = 4 + 4 + 2 + 1 + 2 + 4 + 4

// success reads the number of an answer that says that the message is stored. Brokers answer in the header form of
// their own configuration, JSON unless told otherwise, whatever the request's. No parser: the first member of the JSON
// header is the code, and the number is looked for.
func success(frame []byte) (opaque uint32, err error) {
	if form := frame[4]; form == 1 {
		if binary.BigEndian.Uint16(frame[8:]) != 0 {
			return 0, refused(frame)
		}
		return binary.BigEndian.Uint32(frame[opaqueAt:]), nil
	}
	if !bytes.HasPrefix(frame[8:], []byte(`{"code":0,`)) {
		return 0, refused(frame)
	}
	const mark = `"opaque":`
	at := bytes.LastIndex(frame, []byte(mark))
	if at < 0 {
		return 0, refused(frame)
	}
	for _, c := range frame[at+len(mark):] {
		if c < '0' || c > '9' {
			break
		}
		opaque = opaque*10 + uint32(c-'0')
	}
	return opaque, nil
}

func refused(frame []byte) error {
	return fmt.Errorf("an answer that is no success: %q", frame[8:min(len(frame), 600)])
}
