package faulttest_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/liftoff-mq/liftoff"
	"github.com/liftoff-mq/liftoff/core"
	"github.com/liftoff-mq/liftoff/core/rocketmq"
	"github.com/liftoff-mq/liftoff/transport/embedded"
)

// A broker that waits for its slave says FLUSH_SLAVE_TIMEOUT after 3 s, one that waits for its disk FLUSH_DISK_TIMEOUT
// after 5 s, by RocketMQ's defaults. With the producer's defaults, 3 s for a call and 1 s for an attempt while another
// broker is left, nobody ever heard of it: such a send ends as a time-out, or at another broker, stored twice. This is
// what the comments of Timeout and AttemptTimeout say, in numbers.
func TestWeakStatusesNeedLongerTimes(t *testing.T) {
	// A broker's answer is on its way for a moment.
	const slave, disk = 3*time.Second + time.Millisecond, 5*time.Second + time.Millisecond
	for _, tt := range []struct {
		brokers       int
		wait          time.Duration // of the broker
		code          rocketmq.ResponseCode
		call, attempt time.Duration // of the producer; 0 is the default
		want          string
	}{
		{1, slave, rocketmq.CodeFlushSlaveTimeout, 0, 0, "timeout maybe-stored after 3s"},
		{1, slave, rocketmq.CodeFlushSlaveTimeout, 4 * time.Second, 0, "FLUSH_SLAVE_TIMEOUT after 3.001s"},
		{1, disk, rocketmq.CodeFlushDiskTimeout, 4 * time.Second, 0, "timeout maybe-stored after 4s"},
		{1, disk, rocketmq.CodeFlushDiskTimeout, 6 * time.Second, 0, "FLUSH_DISK_TIMEOUT after 5.001s"},
		{2, slave, rocketmq.CodeFlushSlaveTimeout, 0, 0, "SEND_OK after 1s, maybe twice"},
		{2, slave, rocketmq.CodeFlushSlaveTimeout, 4 * time.Second, 0, "SEND_OK after 1s, maybe twice"},
		{2, slave, rocketmq.CodeFlushSlaveTimeout, 8 * time.Second, 4 * time.Second, "FLUSH_SLAVE_TIMEOUT after 3.001s"},
	} {
		sub(t, fmt.Sprintf("%d brokers, %d after %s, %s and %s", tt.brokers, tt.code, tt.wait, tt.call, tt.attempt), func(t *testing.T) {
			w := newWorld(t, tt.brokers)
			s := w.startWith(t, liftoff.Config{Timeout: tt.call, AttemptTimeout: tt.attempt})
			s.warm(t, w)
			// The next send goes to broker-a first.
			for s.ok(t, "turn").Queue.Broker != w.Brokers()[tt.brokers-1].Name() {
			}
			w.on("broker-a", embedded.StoreThen(embedded.Delay(tt.wait, embedded.Reply(tt.code, ""))))
			began := time.Now()
			res, err := s.Send(bg, msg("weak"))
			got := res.Status.String()
			if err != nil {
				got = core.ClassOf(err).String() + " " + core.CertaintyOf(err).String()
			}
			got += " after " + time.Since(began).String()
			if res.MaybeDuplicate {
				got += ", maybe twice"
			}
			if got != tt.want {
				t.Errorf("got %s, want %s: %v", got, tt.want, err)
			}
		})
	}
}
