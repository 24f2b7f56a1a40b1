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
	"github.com/liftoff-mq/liftoff/core/refusal"
	"github.com/liftoff-mq/liftoff/core/rocketmq"
	"github.com/liftoff-mq/liftoff/strategies/internal/verdict"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// classified is an error of a class that is no broker's answer.
type classified core.Class

func (c classified) Error() string          { return core.Class(c).String() }
func (c classified) ErrorClass() core.Class { return core.Class(c) }

func TestOf(t *testing.T) {
	live := t.Context()
	canceled, cancel := context.WithCancelCause(live)
	cancel(errors.New("user went away"))
	late, stop := context.WithDeadline(live, time.Now().Add(-time.Second))
	defer stop()
	answer := func(code rocketmq.ResponseCode, remark string) error {
		return fmt.Errorf("attempt: %w", refusal.Of(code, remark, "10.0.0.1:10911"))
	}
	// said is an answer in a protocol without codes.
	said := func(c core.Class) error { return &core.BrokerError{Class: c} }
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
		{"busy", live, 0, answer(rocketmq.CodeSystemBusy, ""), true, verdict.Failed},
		{"not available", live, 0, answer(rocketmq.CodeServiceNotAvailable, ""), true, verdict.Failed},
		{"system error", live, 0, answer(rocketmq.CodeSystemError, "?"), true, verdict.Failed},
		{"busy, and the caller gone", canceled, 0, answer(rocketmq.CodeSystemBusy, ""), true, verdict.Failed},
		{"illegal message", live, 0, answer(rocketmq.CodeMessageIllegal, ""), true, verdict.Answered},
		{"no permission", live, 0, answer(rocketmq.CodeNoPermission, ""), true, verdict.Answered},
		{"timers are off", live, 0, answer(rocketmq.CodeSystemError, "accurate timer message is not enabled, timerWheelEnable is false"), true, verdict.Answered},
		{"too many light queues", live, 0, answer(rocketmq.CodeLMQQuotaExceeded, ""), true, verdict.Answered},
		{"not authenticated", live, 0, answer(rocketmq.CodeNoPermission, "check signature failed"), true, verdict.Answered},
		{"no topic", live, 0, answer(rocketmq.CodeTopicNotExist, ""), true, verdict.Answered},
		{"not leader", live, 0, answer(rocketmq.CodeNotLeaderForQueue, ""), true, verdict.Answered},
		{"said: unavailable", live, 0, said(core.ClassUnavailable), true, verdict.Failed},
		{"said: something else", live, 0, said(core.ClassNone), true, verdict.Failed},
		{"said: a server behind it was silent", live, 0, said(core.ClassTimeout), true, verdict.Failed},
		{"said: a server behind it was silent, and the caller gone", canceled, 0, said(core.ClassTimeout), true, verdict.Failed},
		{"said: not there", live, 0, said(core.ClassNetwork), true, verdict.Failed},
		{"said: not to be classified", live, 0, said(core.ClassUnknown), true, verdict.Failed},
		{"said: cannot do that", live, 0, said(core.ClassUnsupported), true, verdict.Answered},
		{"said: stale", live, 0, said(core.ClassStale), true, verdict.Answered},
		{"busy, by a transport's own error", live, 0, classified(core.ClassBusy), true, verdict.Failed},
		{"unavailable, likewise", live, 0, classified(core.ClassUnavailable), false, verdict.Failed},
		{"rejected, likewise", live, 0, classified(core.ClassRejected), true, verdict.Nothing},
		{"a step's error around an answer", live, 0, fmt.Errorf("%w: %w", classified(core.ClassClosed), said(core.ClassBusy)), true, verdict.Nothing},
		{"a panic with an answer", live, 0, &core.PanicError{Value: said(core.ClassBusy)}, true, verdict.Nothing},
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
	if got := verdict.OfError(live, said(core.ClassRejected), true); got != verdict.Answered {
		t.Errorf("an operation that a broker refuses: verdict %d, want %d", got, verdict.Answered)
	}
	if got := verdict.Of(live, nil, nil, false); got != verdict.Nothing {
		t.Errorf("neither result nor error: verdict %d, want none", got)
	}
}
