package verdict_test

import (
	"context"
	"errors"
	"fmt"
	"net"
	"syscall"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/liftoff-mq/liftoff/core"
	"github.com/liftoff-mq/liftoff/core/rocketmq"
	"github.com/liftoff-mq/liftoff/strategies/internal/verdict"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestOf(t *testing.T) {
	live := t.Context()
	canceled, cancel := context.WithCancelCause(live)
	cancel(errors.New("user went away"))
	late, stop := context.WithDeadline(live, time.Now().Add(-time.Second))
	defer stop()
	refusal := func(code rocketmq.ResponseCode, remark string) error {
		return fmt.Errorf("attempt: %w", &core.BrokerError{Code: code, Remark: remark})
	}
	refused := &net.OpError{Op: "dial", Err: syscall.ECONNREFUSED}
	tests := []struct {
		name    string
		ctx     context.Context
		status  core.SendStatus
		err     error
		written bool
		want    verdict.Verdict
	}{
		{"stored", live, core.SendOK, nil, true, verdict.Served},
		{"stored, not flushed", live, core.FlushDiskTimeout, nil, true, verdict.Served},
		{"one-way", live, core.Written, nil, true, verdict.Nothing},
		{"busy", live, 0, refusal(rocketmq.CodeSystemBusy, ""), true, verdict.Failed},
		{"not available", live, 0, refusal(rocketmq.CodeServiceNotAvailable, ""), true, verdict.Failed},
		{"system error", live, 0, refusal(rocketmq.CodeSystemError, "?"), true, verdict.Failed},
		{"busy, and the caller gone", canceled, 0, refusal(rocketmq.CodeSystemBusy, ""), true, verdict.Failed},
		{"illegal message", live, 0, refusal(rocketmq.CodeMessageIllegal, ""), true, verdict.Answered},
		{"no permission", live, 0, refusal(rocketmq.CodeNoPermission, ""), true, verdict.Answered},
		{"timers are off", live, 0, refusal(rocketmq.CodeSystemError, "accurate timer message is not enabled, timerWheelEnable is false"), true, verdict.Answered},
		{"too many light queues", live, 0, refusal(rocketmq.CodeLMQQuotaExceeded, ""), true, verdict.Answered},
		{"not authenticated", live, 0, refusal(rocketmq.CodeNoPermission, "check signature failed"), true, verdict.Answered},
		{"no topic", live, 0, refusal(rocketmq.CodeTopicNotExist, ""), true, verdict.Answered},
		{"not leader", live, 0, refusal(rocketmq.CodeNotLeaderForQueue, ""), true, verdict.Answered},
		{"hook forbids", live, 0, core.ErrForbidden, false, verdict.Nothing},
		{"no connection", live, 0, fmt.Errorf("%w: %w", core.ErrConnect, refused), false, verdict.Failed},
		{"no connection, the caller gone", canceled, 0, core.ErrConnect, false, verdict.Nothing},
		{"connection lost", live, 0, core.ErrConnectionLost, true, verdict.Failed},
		{"raw network error", live, 0, refused, false, verdict.Failed},
		{"unknown, written", live, 0, errors.New("EOF"), true, verdict.Failed},
		{"unknown, not written", live, 0, errors.New("hook"), false, verdict.Nothing},
		{"timeout", live, 0, core.ErrTimeout, true, verdict.TimedOut},
		{"timeout before the write", live, 0, core.ErrTimeout, false, verdict.TimedOut},
		{"the caller's deadline", late, 0, context.DeadlineExceeded, true, verdict.TimedOut},
		{"the caller's deadline, its cause", late, 0, errors.New("too late"), true, verdict.TimedOut},
		{"dial cut by the caller's deadline", late, 0, core.ErrConnect, false, verdict.TimedOut},
		{"hook's error after the caller's deadline", late, 0, errors.New("hook"), false, verdict.Nothing},
		{"canceled", canceled, 0, context.Canceled, true, verdict.Nothing},
		{"canceled, its cause", canceled, 0, context.Cause(canceled), true, verdict.Nothing},
		{"aborted", live, 0, core.ErrAborted, true, verdict.Nothing},
		{"invalid", live, 0, core.ErrInvalidMessage, false, verdict.Nothing},
		{"limit", live, 0, core.ErrTooManyInFlight, false, verdict.Nothing},
		{"other breaker", live, 0, core.ErrCircuitOpen, false, verdict.Nothing},
		{"panic", live, 0, &core.PanicError{Value: refused}, true, verdict.Nothing},
		{"contract", live, 0, core.ErrContract, true, verdict.Nothing},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			var res *core.Result
			if tt.err == nil {
				res = &core.Result{Status: tt.status}
			}
			if got := verdict.Of(tt.ctx, res, tt.err, tt.written); got != tt.want {
				t.Errorf("verdict %d, want %d", got, tt.want)
			}
		})
	}
	if got := verdict.Of(live, nil, nil, false); got != verdict.Nothing {
		t.Errorf("neither result nor error: verdict %d, want none", got)
	}
}
