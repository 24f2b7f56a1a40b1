package accumulate_test

import (
	"errors"
	"fmt"
	"testing"
	"testing/synctest"

	"github.com/liftoff-mq/liftoff/core"
	"github.com/liftoff-mq/liftoff/core/coretest"
	"github.com/liftoff-mq/liftoff/core/refusal"
	"github.com/liftoff-mq/liftoff/core/rocketmq"
	"github.com/liftoff-mq/liftoff/hooks/accumulate"
)

// A server may refuse one message of a batch and store the others. The one goes again alone
// if it is certainly not stored and the reason may lie in it; nothing else goes again, not
// even with a policy that retries everything.
func TestOneOfABatchIsRefused(t *testing.T) {
	illegal := refusal.Of(rocketmq.CodeMessageIllegal, "the message is illegal", "")
	tests := []struct {
		name      string
		inBatch   error // what b gets in the batch
		alone     error // and by itself
		requests  int
		class     core.Class // of b's error, ClassNone if it has none
		certainty core.Certainty
	}{
		{name: "in company only", inBatch: illegal, requests: 2},
		{name: "for good", inBatch: illegal, alone: illegal, requests: 2, class: core.ClassRejected, certainty: core.NotStored},
		{name: "without a class", inBatch: errors.New("no"), requests: 2},
		{
			name: "the server is busy", inBatch: refusal.Of(rocketmq.CodeSystemBusy, "", ""),
			requests: 1, class: core.ClassBusy, certainty: core.NotStored,
		},
		{
			name: "the answer leaves open whether it is stored", inBatch: &core.BrokerError{Class: core.ClassRejected},
			requests: 1, class: core.ClassRejected, certainty: core.MaybeStored,
		},
		{
			name: "the answer says that it may be stored", inBatch: &core.BrokerError{Class: core.ClassForbidden, Certainty: core.MaybeStored},
			requests: 1, class: core.ClassForbidden, certainty: core.MaybeStored,
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				l := newLine(ms)
				l.refuse = func(body string) error {
					if body == "b" {
						return tt.inBatch
					}
					return nil
				}
				l.fate = func(_ int, r request) error {
					if !r.batch && r.bodies[0] == "b" {
						return tt.alone
					}
					return nil
				}
				cfg := config(t, l, accumulate.Config{})
				p := coretest.Start(t, cfg)
				all := together(t, l, p, "a", "b", "c")
				for i, s := range all {
					body := string(rune('a' + i))
					if body == "b" && tt.class != core.ClassNone {
						var se *core.SendError
						if !errors.As(s.err, &se) || se.Class != tt.class || se.Certainty != tt.certainty || se.Topic != "T" {
							t.Errorf("b: %v", s.err)
						}
						continue
					}
					id := s.res.MessageID.String()
					if s.err != nil || s.res.MaybeDuplicate || s.res.OffsetMessageID != "off-"+id || fmt.Sprint(l.stored[id]) != "["+body+"]" {
						t.Errorf("%s: %+v, %v, stored %v", body, s.res, s.err, l.stored[id])
					}
				}
				if rs := l.of("a", "b", "c"); len(rs) != tt.requests || !rs[0].batch {
					t.Errorf("requests %v, want %d", rs, tt.requests)
				}
			})
		})
	}
	// The engine itself must not repeat the batch, or what is stored would be stored twice.
	t.Run("with retries", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			l := newLine(ms)
			l.refuse = func(body string) error {
				if body == "b" {
					return refusal.Of(rocketmq.CodeSystemBusy, "", "")
				}
				return nil
			}
			cfg := config(t, l, accumulate.Config{})
			cfg.Retry = coretest.Retry(5)
			p := coretest.Start(t, cfg)
			together(t, l, p, "a", "b", "c")
			if rs := l.of("a", "b", "c"); len(rs) != 1 || len(l.stored) != 3 { // a, c and the one that flew
				t.Errorf("requests %v, stored %v", rs, l.stored)
			}
		})
	})
}

// An attempt before may have stored the message that a later one refuses.
func TestRefusedAfterALostAnswer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newLine(ms)
		l.lost = func(n int) bool { return n == 2 }
		l.refuse = func(body string) error {
			if body == "b" && len(l.of("b")) == 2 {
				return refusal.Of(rocketmq.CodeMessageIllegal, "", "")
			}
			return nil
		}
		cfg := config(t, l, accumulate.Config{})
		cfg.Retry = coretest.Retry(3)
		p := coretest.Start(t, cfg)
		all := together(t, l, p, "a", "b", "c")
		if err := all[1].err; core.CertaintyOf(err) != core.MaybeStored || core.ClassOf(err) != core.ClassRejected {
			t.Errorf("b: %v", err)
		}
		if rs := l.of("b"); len(rs) != 2 {
			t.Errorf("requests %v", rs)
		}
	})
}
