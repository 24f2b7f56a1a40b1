package core

import (
	"fmt"
	"strings"

	"github.com/liftoff-mq/liftoff/internal/words"
)

// Code is a server's answer code in the numbers, or words, of its transport's protocol.
// Its text is the code's name and one of a small closed set, so that it can be a metric's
// label. Codes are compared with ==; remoting's are rocketmq.ResponseCode.
type Code interface{ String() string }

// BrokerError is an answer of a broker or name server that is not a success: the server
// said so, the client did not guess. The transport fills it, because only the transport
// knows what its protocol's answers mean.
type BrokerError struct {
	// Code is the answer's code; nil where the protocol has none.
	Code Code
	// Class is what kind of refusal it is. The zero value counts as [ClassBroker].
	Class Class
	// Certainty says whether the broker may have stored the message all the same. The
	// zero value counts as [MaybeStored].
	Certainty Certainty
	// Remark is the server's own words, at most 1 KiB, on one line, without control
	// characters. The error's text shows no more than that of it, whatever a transport put in.
	Remark string
	// Addr is the address of the server that answered.
	Addr string
}

// maxRemark is the most bytes of a remark in an error's text.
const maxRemark = 1 << 10

// Error gives "broker 127.0.0.1:10911: SYSTEM_BUSY (2): remark".
func (e *BrokerError) Error() string {
	var b strings.Builder
	b.WriteString("broker ")
	b.WriteString(words.Line(e.Addr, words.MaxName))
	b.WriteString(": ")
	b.WriteString(words.Line(e.ErrorType(), words.MaxName))
	if n, ok := numberOf(e.Code); ok {
		fmt.Fprintf(&b, " (%d)", n)
	}
	if e.Remark != "" {
		b.WriteString(": ")
		b.WriteString(words.Line(e.Remark, maxRemark))
	}
	return b.String()
}

// numberOf is the number of a code that has one.
func numberOf(c Code) (int, bool) {
	if n, ok := c.(interface{ Number() int }); ok {
		return n.Number(), true
	}
	return 0, false
}

// ErrorType is the code's name, or the class's where there is no code. It is one of a
// small set; OpenTelemetry's error.type uses it.
func (e *BrokerError) ErrorType() string {
	if e.Code != nil {
		return e.Code.String()
	}
	return classType(e.ErrorClass())
}

// ErrorClass is Class, [ClassBroker] where the transport did not say.
func (e *BrokerError) ErrorClass() Class {
	if e.Class == ClassNone {
		return ClassBroker
	}
	return e.Class
}

// classType is a class as an OpenTelemetry error.type.
func classType(c Class) string {
	if c == ClassInvalid {
		return "invalid_message"
	}
	return strings.ReplaceAll(c.String(), "-", "_")
}
