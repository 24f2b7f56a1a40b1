package transporttest

import (
	"errors"
	"fmt"
	"sync"

	"github.com/liftoff-mq/liftoff/core"
)

// onewayRule is about attempts that nobody answers.
func onewayRule() Rule {
	return Rule{"T9", "one-way", "without WantsAnswer it returns the status Written once the request is written", []check{
		{"written", func(k *kit) {
			k.needs(k.feature(core.FeatureOneway))
			served := k.able("a broker that does not answer", k.served(Hang))
			if served {
				k.far.answer("written", Reply{Kind: Hang})
			}
			s := k.sending(k.producer(), how{oneway: true}, k.message("written"))
			if served {
				k.arrival(s, "written")
			}
			t := s.back("the request was written")
			if t.err != nil || t.result.Status != core.Written {
				k.Errorf("a one-way message that is written gives %s", t.describe())
			}
		}},
		{"confirmed", func(k *kit) {
			k.needs(k.feature(core.FeatureOneway, core.FeatureConfirm))
			t := k.send(k.producer(confirm), how{oneway: true}, k.message("confirmed")).trip()
			if t.err != nil || !t.result.Acked() {
				k.Errorf("a one-way message that wants an answer, and has one, gives %s", t.describe())
			}
		}},
		{"refused", func(k *kit) {
			k.needs(k.feature(core.FeatureOneway, core.FeatureConfirm), k.served(Refuse))
			k.far.answer("refused", Reply{Kind: Refuse, Refusal: k.world.Refusals[0]})
			t := k.send(k.producer(confirm), how{oneway: true}, k.message("refused")).trip()
			var be *core.BrokerError
			if !errors.As(t.err, &be) {
				k.Errorf("a one-way message that wants an answer, and is refused, gives %s", t.describe())
			}
		}},
	}}
}

// concurrencyRule is about several attempts at once.
func concurrencyRule() Rule {
	return Rule{"T12", "concurrency", "many attempts may be made at once, and none waits for another's answer", []check{
		{"many", func(k *kit) {
			const senders, each = 8, 25
			refusing := k.able("refusals", k.served(Refuse))
			refused := func(n int) bool { return refusing && n%5 == 0 }
			body := func(n int) string { return fmt.Sprintf("message %d of many", n) }
			for n := range senders * each {
				if refused(n) {
					k.far.answer(body(n), Reply{Kind: Refuse, Refusal: k.world.Refusals[0]})
				}
			}
			p := k.producer()
			var wg sync.WaitGroup
			for g := range senders {
				wg.Go(func() {
					for i := range each {
						n := g*each + i
						s := k.send(p, how{}, k.message(body(n)))
						t := s.trip()
						if stored := t.err == nil; stored == refused(n) {
							k.Errorf("a message has another's outcome: refused is %v, and it has %s", refused(n), t.describe())
						}
						if k.world.Serve != nil {
							k.arrival(s, body(n))
						}
					}
				})
			}
			wg.Wait()
			if arrived, _ := k.far.requests(every); k.world.Serve != nil && len(arrived) != senders*each {
				k.Errorf("of %d messages %d arrived", senders*each, len(arrived))
			}
		}},
		{"independent", func(k *kit) {
			k.needs(k.served(Hang))
			k.far.answer("slow", Reply{Kind: Hang})
			p := k.producer()
			slow := k.sending(p, how{}, k.message("slow"))
			k.arrival(slow, "slow")
			if t := k.sending(p, how{}, k.message("quick")).back("its answer, while another message has none"); t.err != nil {
				k.Errorf("a message beside one without an answer gives %s", t.describe())
			}
			select {
			case <-slow.done:
				k.Errorf("a message that has no answer gives %s when another one's comes", slow.trip().describe())
			default:
			}
		}},
		{"late", func(k *kit) {
			k.needs(k.served(StoreLate, Hang))
			k.far.answer("late", Reply{Kind: StoreLate, After: 2 * soon})
			k.far.answer("after it", Reply{Kind: Hang})
			first := k.sending(k.producer(), how{}, k.message("late"))
			k.arrival(first, "late")
			first.giveUp()
			second := k.sending(k.producer(), how{}, k.message("after it"))
			k.arrival(second, "after it")
			k.Until(second.done, 4*soon) // the late answer comes
			t := second.giveUp()
			if t.hasResult {
				k.Errorf("a message without an answer took the late answer to an earlier one: %s", t.describe())
			}
		}},
	}}
}

// networkRule is about connections.
func networkRule() Rule {
	return Rule{"T13", "network", "without a connection the error wraps ErrConnect, with one that was lost ErrConnectionLost", []check{
		{"refusing", func(k *kit) {
			k.needs(given("Refusing", k.world.Refusing))
			t := k.send(k.producer(at(k.world.Refusing)), how{}, k.message("refusing")).trip()
			if !errors.Is(t.err, core.ErrConnect) {
				k.Errorf("there is no connection, and %s gives %s", roundTrip, t.describe())
			}
		}},
		{"lost", func(k *kit) {
			k.needs(k.served(Cut))
			k.far.answer("lost", Reply{Kind: Cut})
			t := k.send(k.producer(), how{}, k.message("lost")).trip()
			if !errors.Is(t.err, core.ErrConnectionLost) {
				k.Errorf("the connection was lost under the request, and %s gives %s", roundTrip, t.describe())
			}
		}},
		{"hanging-up", func(k *kit) {
			k.needs(given("HangingUp", k.world.HangingUp))
			t := k.send(k.producer(at(k.world.HangingUp)), how{timeout: k.Limit / 2}, k.message("hanging up")).trip()
			if !errors.Is(t.err, core.ErrConnect) && !errors.Is(t.err, core.ErrConnectionLost) {
				k.Errorf("the connection is lost as soon as it is made, and %s gives %s", roundTrip, t.describe())
			}
		}},
	}}
}
