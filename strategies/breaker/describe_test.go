package breaker_test

import (
	"slices"
	"testing"
	"time"

	"github.com/liftoff-mq/liftoff/core"
	"github.com/liftoff-mq/liftoff/strategies/breaker"
)

func TestReport(t *testing.T) {
	inBubble(t, breaker.Config{Window: 20 * time.Second}, func(w *world) {
		if got := w.breakers.BrokerReport(brokerA); got != nil {
			t.Errorf("of a broker that it does not know it says %v", got)
		}
		made := time.Now()
		w.times(2, ok)
		w.times(3, refused)
		want := []core.Setting{
			{Name: "breaker", Value: "closed"},
			{Name: "breaker's state since", Value: made.Format(time.RFC3339)},
			{Name: "breaker's failures within 20s", Value: "3 of 5, 3 in a row"},
		}
		if got := w.breakers.BrokerReport(brokerA); !slices.Equal(got, want) {
			t.Errorf("got  %v\nwant %v", got, want)
		}
		time.Sleep(time.Second)
		w.times(2, refused)
		want[0].Value, want[1].Value, want[2].Value = "open", time.Now().Format(time.RFC3339), "0 of 0, 0 in a row"
		// The breakers are a step and the health view, and are asked once.
		got := w.p.Snapshot().Brokers[0]
		if got.Addr != brokerA.Addr || got.Health["default"] != core.HealthDown || !slices.Equal(got.Details, want) {
			t.Errorf("the producer's snapshot says %+v", got)
		}
		if got := w.p.Snapshot().Brokers[1].Details; len(got) != 0 {
			t.Errorf("of a broker that it does not know it says %v", got)
		}
	})
}

func TestDescriptions(t *testing.T) {
	for _, tt := range []struct {
		cfg  breaker.Config
		want string
	}{
		{
			breaker.Config{},
			"circuit breaker for each broker (opens after 5 failures in a row; or 50% failures among 20 or more attempts within 10s; or 1 attempt of 500ms or more without any answer from the broker, open for 5s; meanwhile other brokers get the messages; those that no other may take go through, closes after 1 attempt that succeeds; until then there is 1 at a time, failures no or lost connection, busy, unavailable, unexplained errors; time-outs of 50ms or more, if the broker lately needed less)",
		},
		{
			breaker.Config{HangAfter: -1, Window: time.Minute, OpenFor: time.Second, Probes: 3, MinWait: time.Millisecond},
			"circuit breaker for each broker (opens after 5 failures in a row; or 50% failures among 20 or more attempts within 1m0s, open for 1s; meanwhile other brokers get the messages; those that no other may take go through, closes after 3 attempts that succeed; until then there are at most 3 at a time, failures no or lost connection, busy, unavailable, unexplained errors; time-outs of 1ms or more, if the broker lately needed less)",
		},
		{
			breaker.Config{ConsecutiveFailures: 3, FailureRatio: 0.125, MinRequests: 8, HangAfter: -1},
			"circuit breaker for each broker (opens after 3 failures in a row; or 12.5% failures among 8 or more attempts within 10s, open for 5s; meanwhile other brokers get the messages; those that no other may take go through, closes after 1 attempt that succeeds; until then there is 1 at a time, failures no or lost connection, busy, unavailable, unexplained errors; time-outs of 50ms or more, if the broker lately needed less)",
		},
		{
			breaker.Config{ConsecutiveFailures: -1, FailureRatio: -1},
			"circuit breaker for each broker (opens after 1 attempt of 500ms or more without any answer from the broker, open for 5s; meanwhile other brokers get the messages; those that no other may take go through, closes after 1 attempt that succeeds; until then there is 1 at a time, failures no or lost connection, busy, unavailable, unexplained errors; time-outs of 50ms or more, if the broker lately needed less)",
		},
		{
			breaker.Config{Trip: breaker.DefaultTrip, Ignore: func(error) bool { return false }},
			"circuit breaker for each broker (opens after a rule of the program's own over 10s, open for 5s; meanwhile other brokers get the messages; those that no other may take go through, closes after 1 attempt that succeeds; until then there is 1 at a time, failures no or lost connection, busy, unavailable, unexplained errors; time-outs of 50ms or more, if the broker lately needed less, ignores errors of the program's choice)",
		},
	} {
		b, err := breaker.New(tt.cfg)
		if err != nil {
			t.Fatal(err)
		}
		if got := core.Describe(b).String(); got != tt.want {
			t.Errorf("got  %s\nwant %s", got, tt.want)
		}
	}
}
