package texttransport

import (
	"strconv"
	"strings"
	"unicode"

	"github.com/liftoff-mq/liftoff/core"
)

// Word is an answer of a broker: the protocol's code.
type Word string

// The words. Stored is the only success. Core never sees what is none of them: that is
// Garbled.
const (
	Stored  Word = "STORED"
	Busy    Word = "BUSY"
	Denied  Word = "DENIED"
	Unknown Word = "UNKNOWN"
	Failed  Word = "FAILED"
	Garbled Word = "GARBLED"
)

// String gives the word.
func (w Word) String() string { return string(w) }

// meaning says what kind of failure a word is and what became of the message. A word that
// is not here is no promise of anything.
func (w Word) meaning() (core.Class, core.Certainty) {
	switch w {
	case Busy:
		return core.ClassBusy, core.NotStored
	case Denied:
		return core.ClassAuth, core.NotStored
	case Unknown:
		return core.ClassNoTopic, core.NotStored
	default:
		return core.ClassBroker, core.MaybeStored
	}
}

// result is what an answer says of the attempt's messages.
func result(at *core.Attempt, answer []string) (*core.Result, error) {
	res, refused := at.Result(), []error(nil)
	for i, line := range answer {
		offset, err := understand(line, at.Addr())
		if err != nil {
			refused = append(refused, err)
		} else if len(refused) == i {
			res.Status, res.QueueOffset = core.SendOK, offset // of the first that is stored
		}
		at.SetMessage(i, core.MessageResult{QueueOffset: offset, Err: err})
	}
	if len(refused) == len(answer) {
		return nil, refused[0]
	}
	return res, nil
}

// understand reads the answer about one message.
func understand(line, addr string) (offset int64, err error) {
	word, rest, _ := strings.Cut(strings.TrimSpace(line), " ")
	w := Word(word)
	switch w {
	case Stored:
		if offset, err = strconv.ParseInt(rest, 10, 64); err == nil {
			return offset, nil
		}
		w, rest = Garbled, line
	case Busy, Denied, Unknown, Failed:
	default:
		w, rest = Garbled, line
	}
	class, certainty := w.meaning()
	return 0, &core.BrokerError{Code: w, Class: class, Certainty: certainty, Remark: clean(rest), Addr: addr}
}

// clean makes a remark what core allows: short and without control characters.
func clean(remark string) string {
	remark = strings.Map(func(r rune) rune {
		if unicode.IsControl(r) {
			return -1
		}
		return r
	}, remark)
	return remark[:min(len(remark), 1<<10)]
}
