package remoting

import (
	"testing"
	"testing/synctest"
	"time"
)

// What may take the connection from the client's id late is looked after once a second; what took it
// at once needs one heartbeat, which was sent after that.
func TestStanding(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var s standing
		firm := func(when string, want bool) {
			t.Helper()
			if got := s.firm(); got != want {
				t.Errorf("%s: %v", when, got)
			}
		}
		firm("at first", false)
		s.join(time.Now())
		firm("after a heartbeat", true)
		time.Sleep(time.Hour)
		firm("an hour later", true)

		early := time.Now()
		time.Sleep(time.Millisecond)
		s.shake(0)
		firm("after a group has left", false)
		s.join(early)
		firm("after a heartbeat that was sent before", false)
		s.join(time.Now())
		time.Sleep(time.Hour)
		firm("an hour after one that was sent then", true)

		s.shake(settleTime)
		firm("after a connection has ended", false)
		s.join(time.Now())
		firm("after a heartbeat", true)
		time.Sleep(checkPause)
		firm("a second later", false)
		s.shake(0) // does not make the time shorter
		s.join(time.Now())
		time.Sleep(checkPause)
		firm("a second after another one", false)
		time.Sleep(settleTime)
		s.join(time.Now())
		time.Sleep(time.Hour)
		firm("an hour after one for which the broker had its time", true)
	})
}
