package faulttest_test

import (
	"bytes"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/liftoff-mq/liftoff"
	"github.com/liftoff-mq/liftoff/core"
	"github.com/liftoff-mq/liftoff/core/rocketmq"
	"github.com/liftoff-mq/liftoff/transport/embedded"
	"github.com/liftoff-mq/liftoff/transport/wire"
)

// One-way sends to a broker that refuses the client's credentials reported success, and the
// refused heartbeat was a line for debugging. Now the log warns once, the snapshot has it, and
// one-way sends fail until a heartbeat is taken again.
func TestRefusedCredentialsAreReported(t *testing.T) {
	virtual(t, func(t *testing.T) {
		w := newWorld(t, 1)
		var refusing atomic.Bool
		refusing.Store(true)
		w.Control(wire.HeartBeat, func(*embedded.Request) embedded.Action {
			if refusing.Load() {
				return embedded.Reply(rocketmq.CodeNoPermission, "org.apache.rocketmq.auth.authentication.exception.AuthenticationException: no user")
			}
			return embedded.Pass()
		})
		var log textLog
		p := w.startWith(t, liftoff.Config{Group: "g", Logger: slog.New(slog.NewTextHandler(&log, nil))})
		p.ok(t, "it has an answer, and the broker is connected")
		synctest.Wait()
		stored := w.StoredCount("T")
		for range 2 {
			err := p.SendOneway(bg, msg("it has no answer"))
			want(t, "attempts", len(wantFailure(t, err, core.ClassAuth, core.NotSent).Attempts), 1)
		}
		want(t, "stored", w.StoredCount("T"), stored)
		if report := fmt.Sprint(p.Snapshot().Brokers); !strings.Contains(report, "{credentials refused: ") {
			t.Errorf("the snapshot has %s", report)
		}
		time.Sleep(2 * time.Minute)
		refusing.Store(false)
		time.Sleep(time.Minute)
		if err := p.SendOneway(bg, msg("the credentials are mended")); err != nil {
			t.Error(err)
		}
		synctest.Wait()
		want(t, "stored", w.StoredCount("T"), stored+1)
		want(t, "warnings", strings.Count(log.String(), "broker refuses the credentials"), 1)
		want(t, "lines of relief", strings.Count(log.String(), "broker takes the credentials again"), 1)
	})
}

// textLog is a log that may be read while it is written.
type textLog struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *textLog) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *textLog) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}
