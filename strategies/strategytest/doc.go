// Package strategytest checks strategies against the contracts in core: queue
// selectors, retry policies and health views, one's own above all. It needs
// nothing but core and the standard library.
//
// Each contract is a list of numbered rules, and each rule a sub-test, named by
// its number. A rule that a strategy does not want to keep is skipped with a
// reason, which the test's output shows:
//
//	func TestMySelector(t *testing.T) {
//		strategytest.TestSelector(t, MySelector, strategytest.SelectorOptions{
//			Skip: map[string]string{"S5": "health does not matter here"},
//		})
//	}
//
// The rules of selectors:
//
//	S1  every topic gets a selector
//	S2  an index is in range, also when the route grows and shrinks
//	S3  every queue is used when all brokers are good
//	S4  a call goes to a broker that it has not tried as long as there is one
//	S5  a broker that is down is avoided as long as there is another
//	S6  there is a choice also when all brokers were tried and are down
//	S7  a message that requires consistency goes to one queue, whatever happens
//	S8  many goroutines may select at once
//	S9  the message stays as it is
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
//
// The rules of health views:
//
//	H1  an unknown broker is good, and every answer is one of the three grades
//	H2  a broker that fails again and again is not good, and the others still are
//	H3  success does not make a broker worse
//	H4  attempts that were vetoed or cancelled prove nothing
//	H5  a broker to which no route leads is forgotten
//	H6  many goroutines may ask and report at once
//	H7  a broker of the same name at another address is another broker
package strategytest
