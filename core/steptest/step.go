package steptest

import (
	"strings"
	"time"

	"github.com/liftoff-mq/liftoff/core"
)

// Step is a step, and what is special about it. Only Step is required. The zero value of
// everything else is a step that lets every good message through, unchanged and at once.
type Step struct {
	// Step is the step as it would be given to a producer. Its neighbours (Before, After) play
	// no part: it stands alone.
	Step core.Step

	// Messages are what is sent: messages that the step lets through. The kit sends copies of
	// them, one after the other, and batches of several copies of the first. By default they are
	// four of the topic "T": a plain one, one with tag, keys and properties, one of 8 KiB and one
	// with a sharding key.
	Messages []*core.Message
	// Refused are messages that the step has to refuse.
	Refused []*core.Message
	// Modes are the modes in which single messages are sent, nil for all. The first one is that of
	// most checks: name the mode in which the step has something to do.
	Modes []core.Mode
	// Config changes the configuration of the producers to which the step is given; nil for not
	// at all. Their topics have one queue at one broker, and nothing is retried.
	Config func(cfg *core.Config)

	// Vetoes is for steps that may refuse the kit's messages also, as a rate limiter does.
	// Without it a message that does not come to next is a failure.
	Vetoes bool
	// MayWait is for steps that make a call wait while others are under way.
	MayWait bool
	// Permits is how many calls under way at a time fill the step up, so that the next one has to
	// wait or is refused; 16 if it is 0. For a limiter it is more than the limit.
	Permits int
	// Repeats is for interceptors that call next again: after a failure, or for another topic.
	Repeats bool
	// Answers is for interceptors that answer for the brokers: with a result of their own, or
	// with one where next failed.
	Answers bool
	// ChangesTopic, ChangesBody and ChangesProperties are for interceptors that change the topic,
	// the body and its codec, or properties that the message has. To add properties is no change.
	ChangesTopic, ChangesBody, ChangesProperties bool

	// Limit is the time of one check, a minute if it is 0. Late is how long something takes that
	// takes no time, on a slow machine: 5 s if it is 0. In virtual time it is a millisecond.
	Limit, Late time.Duration
	// Skip gives the reason why a rule ("I4") or a check ("I4/attempt") is left out.
	Skip map[string]string
}

const defaultPermits = 16

func (s Step) settings() settings {
	set := settings{limit: s.Limit, late: s.Late, skip: s.Skip}
	if len(s.Step.Parts()) == 0 {
		set.missing = "there is no Step, or it is empty"
	}
	return set
}

func (s Step) permits() int {
	if s.Permits > 0 {
		return s.Permits
	}
	return defaultPermits
}

// mode is that of most checks.
func (s Step) mode() core.Mode {
	if len(s.Modes) > 0 {
		return s.Modes[0]
	}
	return core.Sync
}

func (s Step) modes() []core.Mode {
	if len(s.Modes) > 0 {
		return s.Modes
	}
	return []core.Mode{core.Sync, core.Async, core.Oneway}
}

func (s Step) messages() []*core.Message {
	if len(s.Messages) > 0 {
		return s.Messages
	}
	return []*core.Message{
		{Topic: "T", Body: []byte("a plain message")},
		{
			Topic: "T", Body: []byte("a message with much about it"), Tag: "tag", Keys: []string{"key-1", "key-2"}, Flag: 7,
			Properties: map[string]string{"color": "red", "shape": "round"},
		},
		{Topic: "T", Body: []byte(strings.Repeat("eight KiB, in which much repeats itself. ", 200)[:8<<10])},
		{Topic: "T", Body: []byte("a message of an order"), ShardingKey: "order-1"},
	}
}

// scope is where a part of a step stands.
type scope uint8

const (
	inMessage   scope = iota // message scope
	inAttempt                // attempt scope
	inOperation              // around operations
)

func (sc scope) String() string { return [...]string{"message", "attempt", "operation"}[sc] }

// method is what a step's part is asked there.
func (sc scope) method() string {
	return [...]string{"Interceptor.Intercept", "AttemptInterceptor.InterceptAttempt", "OperationInterceptor.InterceptOperation"}[sc]
}

// lacks is why a step without a part there is not checked.
func (sc scope) lacks() string {
	return [...]string{
		"the step has no interceptor", "the step has no attempt interceptor", "the step has no operation interceptor",
	}[sc]
}

// in makes a check for each scope.
func in(run func(r *rig, sc scope), scopes ...scope) []check[Step] {
	var out []check[Step]
	for _, sc := range scopes {
		out = append(out, check[Step]{sc.String(), func(k *kit, s Step) {
			r := k.rig(s)
			r.needs(sc)
			run(r, sc)
		}})
	}
	return out
}
