// Package strategytest checks strategies against the contracts in core: queue
// selectors, retry policies and health views, one's own above all. It needs
// nothing but core and the standard library.
//
// Each contract is a list of numbered rules, which stands at the interface in core and below.
// Each rule is a sub-test, named by its number:
//
//	func TestMySelector(t *testing.T) {
//		strategytest.TestSelector(t, MySelector, strategytest.SelectorOptions{IgnoresHealth: true})
//	}
//
// What a strategy is not meant to do the options say, such as IgnoresHealth. A rule that it does not
// want to keep for another reason is skipped with that reason, which the test's output shows:
//
//	Skip: map[string]string{"S4": "a retry at the same broker is cheap here"}
//
// The kit asks a strategy in a real producer, over a transport that stores, refuses, hangs,
// loses connections, is vetoed and cancelled, in every mode. So what a strategy hears as a
// listener is what it will hear. Topics and routes are the author's choice, too.
//
// With a *testing.T the rules run in virtual time (testing/synctest): hours pass at once, and a
// method that waits is found however short the wait is. A strategy that has to do with
// goroutines outside of the test says RealTime. Whatever a method does, the test goes on:
// one that panics, ends its goroutine or never returns fails the rule about that, by the name
// of its type, also where another rule meets it. Run the kit with -race as well: only that
// finds a data race that does no harm today.
//
// The rules of selectors and their factories:
//
//	S1  every topic gets a selector
//	S2  an index is in range, also when the route grows, shrinks or is replaced
//	S3  every queue is used when all brokers are good
//	S4  a call goes to a broker that it has not tried as long as there is one
//	S5  a broker that is down is avoided as long as there is another
//	S6  there is a choice and no error, also when all brokers were tried, are down or absent
//	S7  a message that requires consistency goes to one queue as long as the route stays
//	S8  many goroutines may select at once
//	S9  the message stays as it is
//	S10 no method panics or ends its goroutine
//	S11 no method waits
//	S12 of a route that replaces another one every queue is used
//	S13 a broker is used again after attempts that failed, were vetoed or cancelled, or came without a Select
//	S14 nothing of a call is kept after its outcome
//	S15 no call starts a goroutine, and none is left
//
// The rules of retry policies:
//
//	R1  every call comes to an end
//	R2  what cannot succeed is not retried
//	R3  a decision to give up has no wait, and no wait is negative
//	R4  the decision depends on the failure alone
//	R5  the failure and the message stay as they are
//	R6  many goroutines may ask at once
//	R7  with SafeOnly, what may be stored is not retried
//	R8  what is stored with a weaker status is not sent again
//	R9  there is a policy
//	R10 the choice of queues is one of the three
//	R11 no method panics or ends its goroutine
//	R12 no method waits
//	R13 attempts at one broker have pauses between them
//	R14 nothing of a call is kept after its outcome
//	R15 no decision starts a goroutine, and none is left
//
// The rules of health views:
//
//	H1  an unknown broker is good, and every answer is one of the three grades
//	H2  a broker that fails again and again is not good, and the others still are
//	H3  success does not make a broker worse
//	H4  attempts that were vetoed or cancelled prove nothing
//	H5  a broker to which no route leads is forgotten
//	H6  many goroutines may ask and report at once
//	H7  a broker of the same name at another address, or in another network, is another broker
//	H8  some time after its last failure a broker is good again, also without attempts
//	H9  one-way attempts that were written prove nothing
//	H10 an answer that blames the message, the topic or the credentials is no failure
//	H11 a broker is not forgotten while a route leads to it
//	H12 a time-out counts only if the broker had longer than it needs for others
//	H13 no method panics or ends its goroutine
//	H14 no method waits
//	H15 there is a view
//	H16 nothing of a call is kept after its outcome
//	H17 no call starts a goroutine, and none is left
package strategytest
