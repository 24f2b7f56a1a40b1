package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/liftoff-mq/liftoff/core"
	"github.com/liftoff-mq/liftoff/internal/words"
)

// outcome is what became of one line.
type outcome struct {
	line   int
	taken  int64 // bytes of the input
	status core.SendStatus
	result core.Result // zero for one-way
	// message is the line's, nil if it is none.
	message *core.Message
	err     error
}

// The result lines of --json. A field of the first is there even if it is zero.
type ackedLine struct {
	Line        int    `json:"line"`
	Status      string `json:"status"`
	MsgID       string `json:"msgId"`
	OffsetMsgID string `json:"offsetMsgId"`
	Broker      string `json:"broker"`
	QueueID     int    `json:"queueId"`
	QueueOffset int64  `json:"queueOffset"`
	Attempts    int    `json:"attempts"`
	// MaybeDuplicate says that an earlier attempt got no answer: the message may be stored
	// twice, under one id.
	MaybeDuplicate bool `json:"maybeDuplicate"`
	// RecallHandle is what "liftoff recall" takes the message back with, if it is one of the
	// future and its broker gives handles.
	RecallHandle string `json:"recallHandle,omitempty"`
}

// writtenLine is a one-way send: nobody answered, so there is nothing to tell.
type writtenLine struct {
	Line   int    `json:"line"`
	Status string `json:"status"`
}

type failedLine struct {
	Line      int            `json:"line"`
	Error     string         `json:"error"`
	Class     core.Class     `json:"class"`
	Certainty core.Certainty `json:"certainty"`
	Attempts  int            `json:"attempts"`
	// MsgID is there if the line was a message, Broker and Addr if there was an attempt: they
	// are the last one's. Code is what the broker answered, if it did.
	MsgID  string    `json:"msgId,omitempty"`
	Broker string    `json:"broker,omitempty"`
	Addr   string    `json:"addr,omitempty"`
	Code   core.Code `json:"code,omitempty"`
}

func newFailedLine(line int, err error) failedLine {
	f := failedLine{Line: line, Error: words.Err(err), Class: core.ClassOf(err), Certainty: core.CertaintyOf(err), Attempts: attemptsOf(err)}
	var se *core.SendError
	if !errors.As(err, &se) {
		return f
	}
	f.MsgID = se.MessageID.String()
	if n := len(se.Attempts); n > 0 {
		f.Broker, f.Addr = se.Attempts[n-1].Queue.Broker, se.Attempts[n-1].Addr
	}
	var answer *core.BrokerError
	if errors.As(se.Cause, &answer) {
		f.Code = answer.Code
	}
	return f
}

// unsendable is the error of a line that is no message.
func unsendable(why error) error {
	return &core.SendError{
		Class: core.ClassInvalid, Certainty: core.NotSent, Stop: core.StopFinal, Cause: fmt.Errorf("%w: %w", core.ErrInvalidMessage, why),
	}
}

// reporter prints and counts outcomes as they become known, in one write each,
// so that a reader at the other end of a pipe sees whole lines at once. It is
// safe for concurrent use.
type reporter struct {
	mu    sync.Mutex
	out   io.Writer // results, with --json
	diag  io.Writer // failures, without
	json  bool
	bar   *bar
	start time.Time
	quit  func(error) // called when out cannot be written to, and to stop

	failedLines   *failedLines
	stopAtFailure bool

	lines, stored, written int
	weak                   map[core.SendStatus]int // stored, but weaker than asked for
	failed                 map[failure]int
	retries, duplicates    int
}

// failure is what failed lines are counted by.
type failure struct {
	class     core.Class
	certainty core.Certainty
}

func (r *reporter) report(o outcome) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.count(o)
	var err error
	switch {
	case r.json:
		err = r.printJSON(o)
	case o.err != nil:
		r.bar.hide()
		_, err = fmt.Fprintf(r.diag, "line %d: %s\n", o.line, shortError(o.err))
	}
	if err != nil {
		r.quit(fmt.Errorf("write result of line %d: %w", o.line, err))
	}
	if o.err != nil {
		if err := r.failedLines.keep(o); err != nil {
			r.quit(err)
		}
		if r.stopAtFailure {
			r.quit(fmt.Errorf("stopped at line %d: it failed", o.line))
		}
	}
	r.bar.add(o.taken, r.lines, r.failures())
}

func (r *reporter) count(o outcome) {
	r.lines++
	if o.err != nil {
		if r.failed == nil {
			r.failed = map[failure]int{}
		}
		r.failed[failure{core.ClassOf(o.err), core.CertaintyOf(o.err)}]++
		r.retries += max(0, attemptsOf(o.err)-1)
		return
	}
	r.retries += max(0, o.result.Attempts-1)
	if o.result.MaybeDuplicate {
		r.duplicates++
	}
	if o.status == core.Written {
		r.written++
		return
	}
	r.stored++
	if o.status != core.SendOK {
		if r.weak == nil {
			r.weak = map[core.SendStatus]int{}
		}
		r.weak[o.status]++
	}
}

func (r *reporter) printJSON(o outcome) error {
	var v any
	switch {
	case o.err != nil:
		v = newFailedLine(o.line, o.err)
	case o.status == core.Written:
		v = writtenLine{o.line, o.status.String()}
	default:
		res := &o.result
		v = ackedLine{
			o.line, o.status.String(), res.MessageID.String(), res.OffsetMessageID,
			res.Queue.Broker, res.Queue.ID, res.QueueOffset, res.Attempts, res.MaybeDuplicate, res.RecallHandle,
		}
	}
	text, err := json.Marshal(v)
	if err != nil {
		return err
	}
	_, err = r.out.Write(append(printableJSON(text), '\n'))
	return err
}

func (r *reporter) failures() (n int) {
	for _, c := range r.failed {
		n += c
	}
	return n
}

// summary says what happened to all lines together.
func (r *reporter) summary(now time.Time) string {
	r.mu.Lock()
	defer r.mu.Unlock()
	var b strings.Builder
	took := now.Sub(r.start)
	fmt.Fprintf(&b, "lines %d, acknowledged %d", r.lines, r.stored)
	if r.written > 0 {
		fmt.Fprintf(&b, ", written one-way %d", r.written)
	}
	fmt.Fprintf(&b, ", failed %d, retries %d, in %v", r.failures(), r.retries, took.Round(time.Millisecond))
	if s := took.Seconds(); s > 0 {
		fmt.Fprintf(&b, " (%.0f lines/s)", float64(r.lines)/s)
	}
	b.WriteByte('\n')
	var kinds []failure
	for k := range r.failed {
		kinds = append(kinds, k)
	}
	slices.SortFunc(kinds, func(a, c failure) int {
		return 16*(int(a.class)-int(c.class)) + int(a.certainty) - int(c.certainty)
	})
	for _, k := range kinds {
		fmt.Fprintf(&b, "  failed %d: %v, %v\n", r.failed[k], k.class, k.certainty)
	}
	b.WriteString(r.failedLines.summary(r.failures()))
	for _, s := range []core.SendStatus{core.FlushDiskTimeout, core.FlushSlaveTimeout, core.SlaveNotAvailable} {
		if n := r.weak[s]; n > 0 {
			fmt.Fprintf(&b, "  of the acknowledged %d: %v\n", n, s)
		}
	}
	if r.duplicates > 0 {
		fmt.Fprintf(&b, "  of the acknowledged %d may be stored twice, under one message id each\n", r.duplicates)
	}
	return b.String()
}

func attemptsOf(err error) int {
	var se *core.SendError
	if errors.As(err, &se) {
		return len(se.Attempts)
	}
	return 0
}

// shortError is the cause without the list of attempts, and without what stands before it here.
func shortError(err error) string {
	cause := err
	var se *core.SendError
	var oe *core.OperationError
	if errors.As(err, &se) {
		cause = se.Cause
	} else if errors.As(err, &oe) {
		cause = oe.Cause
	}
	s := fmt.Sprintf("%v, %v", core.ClassOf(err), core.CertaintyOf(err))
	if n := attemptsOf(err); n > 1 {
		s += fmt.Sprintf(", %d attempts", n)
	}
	if se != nil && !se.Certainty.Safe() && se.MessageID != (core.MessageID{}) {
		s += fmt.Sprintf(", message id %v", se.MessageID) // whether it is stored can be looked up
	}
	return s + ": " + withFlag(cause, strings.TrimPrefix(words.Err(cause), core.ErrInvalidMessage.Error()+": "))
}
