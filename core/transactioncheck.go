package core

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync/atomic"
	"time"

	"github.com/liftoff-mq/liftoff/internal/absent"
	"github.com/liftoff-mq/liftoff/internal/words"
)

// TransactionCheck is a broker's question what became of a half message whose end it did not
// hear. It is a copy, which a checker may keep. What it says comes from the broker.
type TransactionCheck struct {
	// Message is the half message as the broker keeps it: the topic as the user named it, the
	// body unpacked, the properties as they were sent but for those of the typed fields and
	// RocketMQ's own.
	Message *Message
	// MessageID is the message's unique id, that of the Result that the local transaction got.
	MessageID string
	// TransactionID is the broker's name of the transaction: the unique id again, but for
	// brokers that say otherwise.
	TransactionID string
	// Codec is the codec that packed the body, if [Config].Unpack is nil; else "".
	Codec string
	// Born is when the half message was sent, Stored when the broker stored it. It stores it
	// anew before each question.
	Born, Stored time.Time
	// Times is how often the broker has asked about it, with this question. It gives up after
	// transactionCheckMax questions, 15 by default.
	Times int
	// Addr is the address of the broker that asks.
	Addr string
	// Region is the region of the broker that took the half message, as the message says it (its
	// property MSG_REGION): "DefaultRegion" unless brokers are configured otherwise; "" if the
	// message names none that can be shown.
	Region string

	// Target is the topic as brokers know it, Broker the broker's name, if it says one. They
	// and the two ids below are for the transport, which gets them back in [TransactionEnd].
	Target, Broker  string
	OffsetMessageID string
	QueueOffset     int64
}

// TransactionChecker answers what became of a local transaction. It is asked about half
// messages of its group, also about those of another process of the group, such as one that
// died between half and end. So it looks at what is shared, as a database is, not at memory.
//
// It runs on a goroutine of the inbox, several at a time, and has a minute; ctx ends then, or
// when the producer aborts. TransactionUnknown, an error and a panic leave the half message
// open, and the broker asks again; what it does not know a checker calls unknown, unless it can
// be sure that it will never be committed. A broker may ask about one message more than once,
// also after it was told the end.
type TransactionChecker interface {
	CheckTransaction(ctx context.Context, c *TransactionCheck) (TransactionDecision, error)
}

// TransactionCheckerFunc is a function that is a [TransactionChecker].
type TransactionCheckerFunc func(ctx context.Context, c *TransactionCheck) (TransactionDecision, error)

// CheckTransaction calls f.
func (f TransactionCheckerFunc) CheckTransaction(ctx context.Context, c *TransactionCheck) (TransactionDecision, error) {
	return f(ctx, c)
}

// Unpacker unpacks a body that a codec has packed, into at most limit bytes. It is asked by
// several goroutines at once, and with bodies that anybody may have made.
type Unpacker func(codec string, packed []byte, limit int) ([]byte, error)

// maxUnpacked bounds an unpacked body: as much as the greatest frame holds.
const maxUnpacked = 16 << 20

// checkTime is how long a checker may take.
const checkTime = time.Minute

// checks handles the questions of brokers.
type checks struct {
	p       *Producer
	checker TransactionChecker
	garbage atomic.Bool // the log has an unreadable question
}

// withChecks adds the handler of checks, and finds what is wrong with it.
func (c *Config) withChecks(p *Producer) error {
	if c.TransactionChecker == nil {
		return nil
	}
	if absent.Is(c.TransactionChecker) {
		c.TransactionChecker = nil
		return errors.New("Config.TransactionChecker is nil")
	}
	if c.Handlers[RequestTransactionCheck] != nil {
		return fmt.Errorf("Config.Handlers[%v] beside Config.TransactionChecker", RequestTransactionCheck)
	}
	if absent.Is(c.Transport) {
		return nil // reported already
	}
	if _, err := p.engine.ender(); err != nil {
		return fmt.Errorf("Config.TransactionChecker: %w", err)
	}
	handlers := map[ServerRequestKind]ServerRequestHandler{RequestTransactionCheck: &checks{p: p, checker: c.TransactionChecker}}
	for kind, h := range c.Handlers {
		handlers[kind] = h
	}
	c.Handlers = handlers
	return nil
}

// HandleServerRequest asks the checker and tells the broker.
func (h *checks) HandleServerRequest(ctx context.Context, r *ServerRequest) {
	p := h.p
	check, err := h.read(r)
	if err != nil {
		if !h.garbage.Swap(true) {
			h.log(slog.LevelWarn, "a broker's question about a transaction cannot be read; further ones are not logged", r.Addr, "", err)
		}
		return
	}
	end := &TransactionEnd{
		FromCheck: true, Message: check.Message, MessageID: check.MessageID, TransactionID: check.TransactionID,
		OffsetMessageID: check.OffsetMessageID, QueueOffset: check.QueueOffset, Region: check.Region, broker: check.Broker, addr: check.Addr,
	}
	start := time.Now()
	op := &Operation{
		engine: p.engine, kind: OperationTransactionCheck, topic: check.Message.Topic, target: check.Target,
		start: start, deadline: start.Add(checkTime), end: end, check: check, checker: h.checker,
	}
	if err := p.engine.perform(ctx, op); err != nil {
		end.Decision = TransactionUnknown
		h.log(slog.LevelError, "a transaction was not checked; the broker will ask again", r.Addr, check.MessageID, err)
	}
	err = p.tellEnd(ctx, end, check.Message.Topic)
	if err != nil && end.Decision != TransactionUnknown {
		h.log(slog.LevelWarn, "a broker asked about a transaction and was not told the end", r.Addr, check.MessageID, err)
	}
}

func (h *checks) log(level slog.Level, text, addr, id string, err error) {
	h.p.cfg.Logger.Log(context.Background(), level, text,
		"group", h.p.cfg.Group, "addr", shown(addr), "messageID", shown(id), "err", words.Line(textOf(err), 512))
}

// read makes the question of a request.
func (h *checks) read(r *ServerRequest) (check *TransactionCheck, err error) {
	defer containPanic("transport", &err)
	if r.Group != h.p.cfg.Group {
		return nil, fmt.Errorf("%w: it is of another group, %s", ErrNoHandler, words.Quote(r.Group))
	}
	t, err := h.p.engine.ender()
	if err != nil {
		return nil, err
	}
	if check, err = t.ParseCheck(r); err != nil {
		return nil, err
	}
	if unpack := h.p.cfg.Unpack; check.Codec != "" && unpack != nil {
		if check.Message.Body, err = unpack(check.Codec, check.Message.Body, maxUnpacked); err != nil {
			return nil, fmt.Errorf("body packed by %s: %w", check.Codec, err)
		}
		check.Codec = ""
	}
	return check, nil
}

// answer runs the checker, in the place of the transport.
func (o *Operation) answer(ctx context.Context) (err error) {
	ctx, cancel := o.Bound(ctx)
	defer cancel()
	defer containPanic("transaction checker", &err)
	d, err := o.checker.CheckTransaction(ctx, o.check)
	switch {
	case err != nil:
		return withContext(ctx, err)
	case d > TransactionRollback:
		return fmt.Errorf("%w: the transaction checker decided %v", ErrContract, d)
	}
	o.end.Decision, o.done = d, true
	return nil
}
