package requestreply_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"regexp"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/liftoff-mq/liftoff/core"
	"github.com/liftoff-mq/liftoff/core/coretest"
	"github.com/liftoff-mq/liftoff/core/requestreply"
	"github.com/liftoff-mq/liftoff/core/rocketmq"
)

// outcome is what a request ended with.
type outcome struct {
	reply *requestreply.Reply
	err   error
	took  time.Duration
}

// ask makes a request in the background.
func ask(ctx context.Context, r *requestreply.Requester, body string, opts ...core.SendOption) <-chan outcome {
	out, began := make(chan outcome, 1), time.Now()
	go func() {
		reply, err := r.Request(ctx, message(body), opts...)
		out <- outcome{reply, err, time.Since(began)}
	}()
	return out
}

// failure checks the error of a request.
func (o outcome) failure(t *testing.T, class core.Class, certainty core.Certainty, causes ...error) {
	t.Helper()
	var failed *core.SendError
	if o.reply != nil || !errors.As(o.err, &failed) || failed.Class != class || failed.Certainty != certainty || failed.Topic != topic {
		t.Errorf("%v, %v; want %v, %v", o.reply, o.err, class, certainty)
		return
	}
	for _, cause := range causes {
		if !errors.Is(o.err, cause) {
			t.Errorf("%v is no %v", o.err, cause)
		}
	}
}

// What goes out is what Java's client sends, and nothing of it is in the user's message.
func TestRequest(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newLink()
		r, p := open(t, l, requestreply.Config{})
		defer shut(t, p)
		msg := message("question")
		msg.Properties = map[string]string{"color": "blue"}
		got := make(chan outcome, 1)
		go func() {
			reply, err := r.Request(t.Context(), msg, core.SendTimeout(1500*time.Millisecond))
			got <- outcome{reply: reply, err: err}
		}()
		synctest.Wait()
		sent := l.request(0)
		uuid := regexp.MustCompile(`^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$`)
		if id := sent["CORRELATION_ID"]; !uuid.MatchString(id) {
			t.Errorf("correlation id %q", id)
		}
		delete(sent, "UNIQ_KEY")
		id := sent["CORRELATION_ID"]
		if want := map[string]string{"CORRELATION_ID": id, "REPLY_TO_CLIENT": "client-1", "TTL": "1500", "color": "blue"}; !maps.Equal(sent, want) {
			t.Errorf("sent %v, want %v", sent, want)
		}
		if len(msg.Properties) != 1 {
			t.Errorf("the message has got %v", msg.Properties)
		}
		if s := r.Snapshot(); s != (requestreply.Snapshot{Waiting: 1, Bytes: 8, Requests: 1}) {
			t.Errorf("%+v", s)
		}
		l.reply(t, sent, "answer")
		o := <-got
		if o.err != nil || string(o.reply.Body) != "answer" || o.reply.CorrelationID != id || o.reply.Properties["color"] != "red" || o.reply.Request.Status != core.SendOK {
			t.Fatalf("%+v, %v", o.reply, o.err)
		}
		checkIdle(t, r)
	})
}

// However a request ends, its error says what is known of its message.
func TestRequestFails(t *testing.T) {
	gone := errors.New("the user went away")
	for name, tt := range map[string]struct {
		do        func(ctx context.Context, at *core.Attempt) (*core.Result, error)
		during    func(cancel context.CancelCauseFunc)
		class     core.Class
		certainty core.Certainty
		took      time.Duration
		causes    []error
	}{
		"no reply": {nil, nil, core.ClassTimeout, core.Stored, 3 * time.Second, []error{requestreply.ErrNoReply, core.ErrTimeout}},
		"cancelled while it waits": {nil, func(cancel context.CancelCauseFunc) {
			time.Sleep(time.Second)
			cancel(gone)
		}, core.ClassCanceled, core.Stored, time.Second, []error{requestreply.ErrNoReply, context.Canceled, gone}},
		"cancelled while it is sent": {func(ctx context.Context, at *core.Attempt) (*core.Result, error) {
			return nil, coretest.Hang(ctx, at)
		}, func(cancel context.CancelCauseFunc) {
			time.Sleep(time.Second)
			cancel(gone)
		}, core.ClassCanceled, core.MaybeStored, time.Second, []error{requestreply.ErrNoReply, context.Canceled, gone}},
		"refused": {func(_ context.Context, at *core.Attempt) (*core.Result, error) {
			return nil, coretest.Refuse(at, rocketmq.CodeMessageIllegal, "no")
		}, nil, core.ClassRejected, core.NotStored, 0, nil},
		"lost: the reply may come": {func(context.Context, *core.Attempt) (*core.Result, error) { return nil, core.ErrConnectionLost }, nil, core.ClassTimeout, core.MaybeStored, 3 * time.Second, []error{requestreply.ErrNoReply, core.ErrTimeout, core.ErrConnectionLost}},
		"hung":                     {func(ctx context.Context, at *core.Attempt) (*core.Result, error) { return nil, coretest.Hang(ctx, at) }, nil, core.ClassTimeout, core.MaybeStored, 3 * time.Second, []error{core.ErrTimeout}},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				l := newLink()
				if tt.do != nil {
					l.Do = tt.do
				}
				r, p := open(t, l, requestreply.Config{})
				defer shut(t, p)
				ctx, cancel := context.WithCancelCause(t.Context())
				defer cancel(nil)
				got := ask(ctx, r, "question")
				if tt.during != nil {
					tt.during(cancel)
				}
				o := <-got
				o.failure(t, tt.class, tt.certainty, tt.causes...)
				if o.took != tt.took {
					t.Errorf("it took %v, want %v", o.took, tt.took)
				}
				checkIdle(t, r)
			})
		})
	}
}

// A reply counts whatever becomes of the send: while it is under way, where its answer is lost,
// and where it is made a second time.
func TestReplyBeforeTheAcknowledgement(t *testing.T) {
	for name, do := range map[string]func(l *link) func(ctx context.Context, at *core.Attempt) (*core.Result, error){
		"the broker hangs after it has stored": func(l *link) func(ctx context.Context, at *core.Attempt) (*core.Result, error) {
			return func(ctx context.Context, at *core.Attempt) (*core.Result, error) {
				l.take(at)
				return nil, at.Wait(ctx, nil)
			}
		},
		"the connection is cut": func(l *link) func(ctx context.Context, at *core.Attempt) (*core.Result, error) {
			return func(_ context.Context, at *core.Attempt) (*core.Result, error) {
				l.take(at)
				return nil, core.ErrConnectionLost
			}
		},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				l := newLink()
				l.Do = do(l)
				r, p := open(t, l, requestreply.Config{})
				defer shut(t, p)
				got := ask(t.Context(), r, "question")
				synctest.Wait()
				time.Sleep(100 * time.Millisecond)
				l.reply(t, l.request(0), "answer")
				o := <-got
				if o.err != nil || string(o.reply.Body) != "answer" || o.took != 100*time.Millisecond {
					t.Fatalf("%+v", o)
				}
				if q := o.reply.Request; q.Status != core.SendOK || q.Queue.Broker != "broker-a" || q.MessageID.String() != l.request(0)["UNIQ_KEY"] {
					t.Errorf("%+v", q)
				}
				checkIdle(t, r)
			})
		})
	}
}

// Second, late and strange replies change nothing and are counted.
func TestUnmatchedReplies(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newLink()
		r, p := open(t, l, requestreply.Config{})
		defer shut(t, p)
		got := ask(t.Context(), r, "question")
		synctest.Wait()
		first := l.request(0)
		l.reply(t, first, "first")
		for _, body := range []string{"second", "third"} {
			l.reply(t, first, body)
		}
		l.reply(t, map[string]string{"CORRELATION_ID": "of nobody"}, "x")
		l.bring(t, &core.ServerRequest{Body: []byte("x")})
		l.bring(t, &core.ServerRequest{})
		if o := <-got; o.err != nil || string(o.reply.Body) != "first" {
			t.Errorf("%+v", o)
		}
		late := ask(t.Context(), r, "slow", core.SendTimeout(time.Second))
		synctest.Wait()
		(<-late).failure(t, core.ClassTimeout, core.Stored)
		l.reply(t, l.request(1), "late")
		synctest.Wait()
		if s := r.Snapshot(); s != (requestreply.Snapshot{Requests: 2, Replies: 1, Unmatched: 6}) {
			t.Errorf("%+v", s)
		}
	})
}

// The bounds of the requests under way, and of a reply.
func TestLimits(t *testing.T) {
	for name, tt := range map[string]struct {
		cfg  requestreply.Config
		body int
		room int
	}{
		"by number": {requestreply.Config{MaxWaiting: 3}, 1, 3},
		"by bytes":  {requestreply.Config{MaxWaitingBytes: 300}, 100, 3},
		"one large": {requestreply.Config{MaxWaitingBytes: 300}, 1000, 1},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				l := newLink()
				r, p := open(t, l, tt.cfg)
				defer shut(t, p)
				body := strings.Repeat("x", tt.body)
				var waiting []<-chan outcome
				for range tt.room {
					waiting = append(waiting, ask(t.Context(), r, body))
					synctest.Wait()
				}
				(<-ask(t.Context(), r, body)).failure(t, core.ClassInFlight, core.NotSent, core.ErrTooManyInFlight)
				for i, w := range waiting {
					l.reply(t, l.request(i), "ok")
					if o := <-w; o.err != nil {
						t.Error(o.err)
					}
				}
				checkIdle(t, r)
				if n := l.count(); n != tt.room {
					t.Errorf("%d were sent", n)
				}
			})
		})
	}
}

// A reply that cannot be read ends the request, which was executed.
func TestBadReplies(t *testing.T) {
	double := func(codec string, packed []byte, limit int) ([]byte, error) {
		switch codec {
		case "double":
			return append(packed, packed...), nil
		case "panic":
			panic("oh")
		}
		return nil, fmt.Errorf("no codec %s, limit %d", codec, limit)
	}
	for name, tt := range map[string]struct {
		cfg   requestreply.Config
		reply core.ServerRequest
		want  string // of the reply; else a part of the error
		fails bool
	}{
		"as long as it may be":   {requestreply.Config{MaxReplyBytes: 4}, core.ServerRequest{Body: []byte("1234")}, "1234", false},
		"too long":               {requestreply.Config{MaxReplyBytes: 4}, core.ServerRequest{Body: []byte("12345")}, "more than 4 bytes", true},
		"packed":                 {requestreply.Config{MaxReplyBytes: 4, Unpack: double}, core.ServerRequest{Body: []byte("12"), Codec: "double"}, "1212", false},
		"packed and too long":    {requestreply.Config{MaxReplyBytes: 4, Unpack: double}, core.ServerRequest{Body: []byte("123"), Codec: "double"}, "more than 4 bytes", true},
		"packed, nobody unpacks": {requestreply.Config{}, core.ServerRequest{Body: []byte("12"), Codec: "double"}, `packed by "double"`, true},
		"packed by a stranger":   {requestreply.Config{MaxReplyBytes: 4, Unpack: double}, core.ServerRequest{Body: []byte("12"), Codec: "?"}, "no codec ?, limit 4", true},
		"the codec panics":       {requestreply.Config{Unpack: double}, core.ServerRequest{Body: []byte("12"), Codec: "panic"}, "Unpack panicked: oh", true},
		"empty":                  {requestreply.Config{}, core.ServerRequest{}, "", false},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				l := newLink()
				r, p := open(t, l, tt.cfg)
				defer shut(t, p)
				got := ask(t.Context(), r, "question")
				synctest.Wait()
				tt.reply.Properties = l.request(0)
				l.bring(t, &tt.reply)
				o := <-got
				if !tt.fails {
					if o.err != nil || string(o.reply.Body) != tt.want {
						t.Errorf("%+v", o)
					}
					return
				}
				o.failure(t, core.ClassUnknown, core.Stored, requestreply.ErrBadReply)
				if !strings.Contains(o.err.Error(), tt.want) {
					t.Errorf("%v, want %s", o.err, tt.want)
				}
			})
		})
	}
}

// Shutdown waits for requests under way, as for sends, and then aborts them; nothing is left.
func TestShutdown(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newLink()
		r, p := open(t, l, requestreply.Config{})
		answered, waits := ask(t.Context(), r, "a", core.SendTimeout(time.Hour)), ask(t.Context(), r, "b", core.SendTimeout(time.Hour))
		async := make(chan outcome, 1)
		r.RequestAsync(t.Context(), message("c"), func(reply *requestreply.Reply, err error) { async <- outcome{reply: reply, err: err} }, core.SendTimeout(time.Hour))
		synctest.Wait()
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		down := make(chan error, 1)
		go func() { down <- p.Shutdown(ctx) }()
		synctest.Wait()
		(<-ask(t.Context(), r, "d")).failure(t, core.ClassClosed, core.NotSent, core.ErrClosed)
		for i := range 3 {
			if sent := l.request(i); sent["CORRELATION_ID"] != "" && i == 0 {
				l.reply(t, sent, "in time")
			}
		}
		synctest.Wait()
		var ended, aborted int
		if err := <-down; !errors.As(err, new(*core.ShutdownError)) {
			t.Errorf("shutdown: %v", err)
		}
		for _, c := range []<-chan outcome{answered, waits, async} {
			if o := <-c; o.err == nil {
				ended++
			} else {
				aborted++
				o.failure(t, core.ClassClosed, core.Stored, core.ErrAborted, requestreply.ErrNoReply)
			}
		}
		if ended != 1 || aborted != 2 {
			t.Errorf("%d ended, %d aborted", ended, aborted)
		}
		checkIdle(t, r)
		(<-ask(t.Context(), r, "e")).failure(t, core.ClassClosed, core.NotSent, core.ErrClosed)
	})
}

// The function of an asynchronous request runs once, whatever happens.
func TestAsync(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l, logs := newLink(), &strings.Builder{}
		r, p := open(t, l, requestreply.Config{Logger: slog.New(slog.NewTextHandler(logs, nil))}, func(c *core.Config) {
			c.Steps = append(c.Steps, core.CallStep("leaver", core.StageGuard, leaver{}))
		})
		var calls atomic.Int32
		got := make(chan outcome, 8)
		done := func(reply *requestreply.Reply, err error) {
			calls.Add(1)
			got <- outcome{reply: reply, err: err}
		}
		r.RequestAsync(t.Context(), message("question"), done)
		synctest.Wait()
		l.reply(t, l.request(0), "answer")
		l.reply(t, l.request(0), "again")
		if o := <-got; o.err != nil || string(o.reply.Body) != "answer" {
			t.Errorf("%+v", o)
		}
		r.RequestAsync(t.Context(), nil, done)
		if o := <-got; !errors.Is(o.err, core.ErrInvalidMessage) {
			t.Errorf("%+v", o)
		}
		r.RequestAsync(t.Context(), message("goexit"), done)
		(<-got).failure(t, core.ClassPlugin, core.MaybeStored, core.ErrContract)
		r.RequestAsync(t.Context(), message("no reply"), done)
		(<-got).failure(t, core.ClassTimeout, core.Stored)
		ctx, cancel := context.WithCancel(t.Context())
		r.RequestAsync(ctx, message("cancelled"), done)
		synctest.Wait()
		cancel()
		(<-got).failure(t, core.ClassCanceled, core.Stored)
		r.RequestAsync(t.Context(), message("nobody listens"), nil)
		r.RequestAsync(t.Context(), message("panic"), func(*requestreply.Reply, error) { panic("oh no") })
		time.Sleep(time.Minute)
		hold := make(chan struct{})
		r.RequestAsync(t.Context(), message("slow"), func(*requestreply.Reply, error) { <-hold })
		time.Sleep(time.Minute)
		down := make(chan error, 1)
		go func() { down <- p.Shutdown(t.Context()) }()
		time.Sleep(500 * time.Millisecond)
		select {
		case err := <-down:
			t.Errorf("shutdown did not wait for the function: %v", err)
		default:
		}
		close(hold)
		if err := <-down; err != nil {
			t.Error(err)
		}
		r.RequestAsync(t.Context(), message("late"), done)
		(<-got).failure(t, core.ClassClosed, core.NotSent)
		if calls.Load() != 6 {
			t.Errorf("%d calls", calls.Load())
		}
		if !strings.Contains(logs.String(), "panic=\"oh no\"") {
			t.Errorf("log: %s", logs)
		}
		checkIdle(t, r)
	})
}

// Shutdown and Flush wait for the function of an asynchronous request as for that of a send, as
// long as their context lasts, whatever became of the request. What is left then is named.
func TestWaitForAsync(t *testing.T) {
	const takes = 10 * time.Second // more than any other part of a shutdown has
	for name, tt := range map[string]struct {
		msg  *core.Message
		wait func(*core.Producer, context.Context) error
		time time.Duration // of the wait
		took time.Duration
		want string // a part of the error
	}{
		"shutdown":           {msg: message("x"), wait: (*core.Producer).Shutdown, time: 30 * time.Second, took: takes},
		"flush":              {msg: message("x"), wait: (*core.Producer).Flush, time: 30 * time.Second, took: takes},
		"refused":            {wait: (*core.Producer).Shutdown, time: 30 * time.Second, took: takes},
		"shutdown, too slow": {msg: message("x"), wait: (*core.Producer).Shutdown, time: 5 * time.Second, took: 5*time.Second + 25*time.Millisecond, want: "left behind 1 sends: a step, a done function or a local transaction blocks"},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				l := newLink()
				r, p := open(t, l, requestreply.Config{})
				ended := make(chan struct{})
				r.RequestAsync(t.Context(), tt.msg, func(*requestreply.Reply, error) {
					time.Sleep(takes)
					close(ended)
				})
				synctest.Wait()
				if tt.msg != nil {
					l.reply(t, l.request(0), "answer")
					synctest.Wait()
				}
				ctx, cancel := context.WithTimeout(t.Context(), tt.time)
				defer cancel()
				began := time.Now()
				err := tt.wait(p, ctx)
				if took := time.Since(began); took != tt.took {
					t.Errorf("it took %v, want %v", took, tt.took)
				}
				if (err == nil) != (tt.want == "") || err != nil && !strings.Contains(err.Error(), tt.want) {
					t.Errorf("%v, want %q", err, tt.want)
				}
				<-ended
				checkIdle(t, r)
				shut(t, p)
			})
		})
	}
}

// leaver ends the goroutine of some calls.
type leaver struct{}

func (leaver) Intercept(ctx context.Context, call *core.Call, next core.Handler) (*core.Result, error) {
	if string(call.Message().Body) == "goexit" {
		goexit()
	}
	return next(ctx, call)
}
