package transporttest_test

import (
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/liftoff-mq/liftoff/transport/transporttest"
)

// verdict runs all rules against a world in virtual time, and gives the numbers of those
// that fail. Text is what they say.
func verdict(t *testing.T, open func(tb transporttest.TB) transporttest.World) (failed []string, rec *recorder) {
	t.Helper()
	rec = &recorder{}
	for _, r := range transporttest.Rules() {
		synctest.Test(t, func(*testing.T) {
			before := len(rec.failures)
			r.Test(rec, open)
			time.Sleep(2 * time.Hour) // goroutines that a bug leaves behind end
			if len(rec.failures) > before {
				failed = append(failed, r.ID)
			}
			for _, text := range rec.failures[before:] {
				if !strings.HasPrefix(text, r.String()+": ") {
					t.Errorf("the failure does not begin with its rule %q: %s", r, text)
				}
			}
		})
	}
	return failed, rec
}

// Each of these transports and route sources breaks one rule, and the kit finds that one
// and no other.
func TestBroken(t *testing.T) {
	for _, tt := range []struct {
		bug, rule, says string
	}{
		{"", "", ""},
		{"returns a result and an error", "T1", "gives a result with the status SEND_OK and the error"},
		{"returns neither", "T1 T4 T9 T12", "gives neither a result nor an error"},
		{"loses the keys", "T2", `the property "KEYS" did not arrive`},
		{"loses the codec", "T2", `arrived as ""`},
		{"loses the flag's sign", "T2", "the flag -1 arrived as 2147483647"},
		{"ends bodies at a zero byte", "T2", "arrived as"},
		{"takes the user's topic", "T2", `arrived as "transporttest-not-this"`},
		{"sorts batches", "T2", "the body"},
		{"names the first queue only", "T3", "arrived for mem-a/0"},
		{"goes to the first broker only", "T3", "at mem-a:1"},
		{"panics at some queues", "T3", "panic in Transport.RoundTrip: mem: no such queue"},
		{"takes every refusal for a busy broker", "T4", "the refusal DENIED: the class is busy, and it means auth"},
		{"is sure of every refusal", "T4", "the refusal OOPS: the certainty is not-stored, and it means maybe-stored"},
		{"is silent about the code", "T4", "the code is"},
		{"tells no address", "T4", `the address is ""`},
		{"says NotStored of a lost connection", "T4", "the connection was lost, and the error is a *BrokerError"},
		{"forgets MarkWritten", "T5", "MarkWritten was not called for a message, and it was acknowledged"},
		{"marks only what is answered", "T5", "it had arrived when the caller gave up"},
		{"marks before it has a connection", "T5", "MarkWritten was called for a message, and there was no connection"},
		{"ignores the deadline", "T6", "Transport.RoundTrip has not returned 1ms after its deadline"},
		{"has an error of its own for the deadline", "T6", "gives the error mem: no answer in time"},
		{"does not know SendBy", "T6", "Transport.RoundTrip has not returned 1ms after its SendBy"},
		{"does not look at ctx first", "T7", "the context ends"},
		{"ignores ctx", "T7", "Transport.RoundTrip has not returned 1ms after its context was done"},
		{"keeps the cause of ctx to itself", "T7", "ContextError gives both"},
		{"cannot be stopped while it writes", "T7", "writing: Transport.RoundTrip has not returned"},
		{"ignores the abort", "T8", "Transport.RoundTrip has not returned 1ms after the abort"},
		{"waits for an answer to one-way messages", "T9", "Transport.RoundTrip has not returned 1ms after the request was written"},
		{"does not know Confirm", "T9", "that wants an answer, and has one, gives a result with the status WRITTEN"},
		{"gives the last offset of a batch", "T10", "do not grow"},
		{"takes a part for the whole", "T10", "messages [1 3] of a batch were refused"},
		{"reads a message after its time", "T11", "was read after Transport.RoundTrip had returned"},
		{"writes into the body", "T11", "Transport.RoundTrip changed it"},
		{"makes one attempt at a time", "T12", "while another message has none"},
		{"gives an answer to whoever waits longest", "T12", "while another message has none"},
		{"gives a late answer to whoever waits", "T12", "took the late answer to an earlier one"},
		{"has no error for a missing connection", "T13", "there is no connection"},
		{"has no error for a lost connection", "T13", "the connection was lost under the request"},
		{"works after Shutdown", "T14", "the transport was shut down"},
		{"leaves attempts alone in Shutdown", "T14", "has not returned 1ms after Shutdown"},
		{"leaves a goroutine for each answer", "T14", "after Shutdown the transport has 2 goroutines left"},
		{"has a goroutine that nobody ends", "T14", "after its cleanup the world has 1 goroutines left"},
		{"gives a route without queues", "R1", "a route without queues"},
		{"has an error of its own for unknown topics", "R2", "an unknown topic gives the error"},
		{"does not name unknown topics", "R2", "does not name it"},
		{"does not know read-only topics", "R3", "a topic that is read-only gives"},
		{"ignores ctx in Route", "R4", "RouteSource.Route has not returned"},
		{"gives the queues in any order", "R5", "two look-ups in a row differ"},
		{"answers one look-up at a time", "R6", "the error mem: busy with another look-up"},
	} {
		t.Run(tt.bug, func(t *testing.T) {
			//t.Parallel()
			failed, rec := verdict(t, func(tb transporttest.TB) transporttest.World { return world(tb, tt.bug) })
			all := strings.Join(rec.failures, "\n")
			if got := strings.Join(failed, " "); got != tt.rule {
				t.Errorf("it breaks %q, want %q:\n%s", got, tt.rule, all)
			}
			if !strings.Contains(all, tt.says) {
				t.Errorf("no failure says %q:\n%s", tt.says, all)
			}
			if len(rec.skipped) > 0 && tt.rule != "R1" {
				t.Errorf("skipped: %v", rec.skipped)
			}
		})
	}
}
