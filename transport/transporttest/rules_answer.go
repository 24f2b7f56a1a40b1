package transporttest

import (
	"errors"
	"fmt"
	"strings"
	"unicode"

	"github.com/liftoff-mq/liftoff/core"
)

// answerRule is about what RoundTrip gives back.
func answerRule() Rule {
	return Rule{"T1", "answer", "a success is a result with a status and no error, everything else an error and no result", []check{
		{"stored", func(k *kit) {
			t := k.send(k.producer(), how{}, k.message("stored")).trip()
			if t.err != nil || !t.hasResult || !t.result.Acked() {
				k.Errorf("a message that is stored gives %s", t.describe())
			}
		}},
		{"refused", func(k *kit) {
			k.needs(k.served(Refuse))
			k.fails(k.refuse(k.producer(), "refused", k.world.Refusals[0]), "that is refused")
		}},
		{"lost", func(k *kit) {
			k.needs(k.served(Cut))
			k.far.answer("lost", Reply{Kind: Cut})
			k.fails(k.send(k.producer(), how{}, k.message("lost")).trip(), "whose connection is lost")
		}},
		{"refusing", func(k *kit) {
			k.needs(given("Refusing", k.world.Refusing))
			k.fails(k.send(k.producer(at(k.world.Refusing)), how{}, k.message("refusing")).trip(), "without a connection")
		}},
	}}
}

// refusalRule is about what it says of a refusal.
func refusalRule() Rule {
	return Rule{"T4", "refusal", "a refusal is a *BrokerError with the class and the certainty that the answer means", []check{
		{"refused", func(k *kit) {
			k.needs(k.served(Refuse))
			p := k.producer()
			for i, r := range k.world.Refusals {
				t := k.refuse(p, fmt.Sprintf("refused %d", i), r)
				for _, wrong := range misread(t, r) {
					k.Errorf("the refusal %s: %s", r, wrong)
				}
			}
		}},
		{"lost", func(k *kit) {
			k.needs(k.served(Cut))
			k.far.answer("lost", Reply{Kind: Cut})
			k.unanswered(k.send(k.producer(), how{}, k.message("lost")).trip(), "the connection was lost")
		}},
		{"hanging", func(k *kit) {
			k.needs(k.served(Hang))
			k.far.answer("hanging", Reply{Kind: Hang})
			s := k.sending(k.producer(), how{}, k.message("hanging"))
			k.arrival(s, "hanging")
			k.unanswered(s.giveUp(), "the caller gave up")
		}},
	}}
}

// writtenRule is about whether bytes may have left.
func writtenRule() Rule {
	return Rule{"T5", "written", "MarkWritten has been called when bytes of the request may have left, and not otherwise", []check{
		{"stored", func(k *kit) { k.wrote(k.send(k.producer(), how{}, k.message("stored")), "it was acknowledged") }},
		{"refused", func(k *kit) {
			k.needs(k.served(Refuse))
			k.far.answer("refused", Reply{Kind: Refuse, Refusal: k.world.Refusals[0]})
			k.wrote(k.send(k.producer(), how{}, k.message("refused")), "it was refused")
		}},
		{"lost", func(k *kit) {
			k.needs(k.served(Cut))
			k.far.answer("lost", Reply{Kind: Cut})
			s := k.send(k.producer(), how{}, k.message("lost"))
			k.arrival(s, "lost")
			k.wrote(s, "it had arrived when the connection was lost")
		}},
		{"hanging", func(k *kit) {
			k.needs(k.served(Hang))
			k.far.answer("hanging", Reply{Kind: Hang})
			s := k.sending(k.producer(), how{}, k.message("hanging"))
			k.arrival(s, "hanging")
			s.giveUp()
			k.wrote(s, "it had arrived when the caller gave up")
		}},
		{"oneway", func(k *kit) {
			k.needs(k.feature(core.FeatureOneway))
			k.wrote(k.send(k.producer(), how{oneway: true}, k.message("oneway")), "it was a success")
		}},
		{"refusing", func(k *kit) {
			k.needs(given("Refusing", k.world.Refusing))
			s := k.send(k.producer(at(k.world.Refusing)), how{}, k.message("refusing"))
			k.kept(s, "there was no connection")
		}},
		{"silent", func(k *kit) {
			k.needs(given("Silent", k.world.Silent))
			s := k.sending(k.producer(at(k.world.Silent)), how{}, k.message("silent"))
			s.entered()
			k.Until(s.done, moment)
			s.giveUp()
			k.kept(s, "there was no connection")
		}},
	}}
}

// refuse sends a message that the far end refuses.
func (k *kit) refuse(p *core.Producer, body string, r Refusal) *trip {
	k.far.answer(body, Reply{Kind: Refuse, Refusal: r})
	return k.send(p, how{}, k.message(body)).trip()
}

// fails checks that a failure is an error and nothing else.
func (k *kit) fails(t *trip, what string) {
	if t.err == nil || t.hasResult {
		k.Errorf("a message %s gives %s", what, t.describe())
	}
}

// unanswered checks that an error does not speak for a broker that has said nothing.
func (k *kit) unanswered(t *trip, why string) {
	var be *core.BrokerError
	if errors.As(t.err, &be) {
		k.Errorf("%s, and the error is a *BrokerError that says %v: %v", why, be.Certainty, t.err)
	}
}

func (k *kit) wrote(s *sending, why string) {
	if t := s.trip(); !t.written {
		k.Errorf("MarkWritten was not called for a message, and %s", why)
	}
}

func (k *kit) kept(s *sending, why string) {
	if t := s.trip(); t.written {
		k.Errorf("MarkWritten was called for a message, and %s", why)
	}
}

// String gives the refusal's code, or its class.
func (r Refusal) String() string {
	if r.Code == nil {
		return r.Class.String()
	}
	return r.Code.String()
}

// maxRemark is the most that a remark may have.
const maxRemark = 1 << 10

// misread says what is wrong with the error of a refusal.
func misread(t *trip, want Refusal) (wrong []string) {
	fault := func(format string, args ...any) { wrong = append(wrong, fmt.Sprintf(format, args...)) }
	var be *core.BrokerError
	if !errors.As(t.err, &be) {
		fault("no *BrokerError is in %s", t.describe())
		return wrong
	}
	class, certainty := (&core.BrokerError{Class: want.Class}).ErrorClass(), sure(want.Certainty)
	if got := core.ClassOf(t.err); got != class {
		fault("the class is %v, and it means %v", got, class)
	}
	if got := sure(be.Certainty); got != certainty {
		fault("the certainty is %v, and it means %v", got, certainty)
	}
	if want.Code != nil && be.Code != want.Code {
		fault("the code is %v of type %[1]T, not %v of type %[2]T", be.Code, want.Code)
	}
	if be.Addr != t.addr {
		fault("the address is %q, and %q was asked", be.Addr, t.addr)
	}
	if len(be.Remark) > maxRemark || strings.ContainsFunc(be.Remark, unicode.IsControl) {
		fault("the remark is too long or has control characters: %.100q", be.Remark)
	}
	return wrong
}

// sure is a certainty as core takes it: what is not said may be stored.
func sure(c core.Certainty) core.Certainty {
	if c == core.CertaintyUnknown {
		return core.MaybeStored
	}
	return c
}
