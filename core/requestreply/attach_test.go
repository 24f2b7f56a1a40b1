package requestreply_test

import (
	"context"
	"errors"
	"runtime"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/liftoff-mq/liftoff/core"
	"github.com/liftoff-mq/liftoff/core/coretest"
	"github.com/liftoff-mq/liftoff/core/requestreply"
)

func goexit() { runtime.Goexit() }

// What cannot work is an error: of the producer's construction where that can be known.
func TestMistakes(t *testing.T) {
	_, err := requestreply.New(requestreply.Config{MaxWaiting: -1, MaxWaitingBytes: -2, MaxReplyBytes: -3})
	for _, want := range []string{"MaxWaiting is negative: -1", "MaxWaitingBytes is negative: -2", "MaxReplyBytes is negative: -3"} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v, want %s", err, want)
		}
	}
	r := must(requestreply.New(requestreply.Config{}))
	if _, err := r.Request(t.Context(), message("x")); !errors.Is(err, core.ErrNotRunning) || core.CertaintyOf(err) != core.NotSent {
		t.Errorf("without a producer: %v", err)
	}
	l := newLink()
	cfg := coretest.Config(l, r.Step())
	cfg.Handlers = map[core.ServerRequestKind]core.ServerRequestHandler{core.RequestReply: core.ServerRequestHandlerFunc(func(context.Context, *core.ServerRequest) {})}
	if _, err := core.NewProducer(cfg); err == nil || !strings.Contains(err.Error(), "step request-reply handles reply requests of servers, which Config.Handlers does already") {
		t.Errorf("two handlers: %v", err)
	}
	r = must(requestreply.New(requestreply.Config{}))
	cfg = coretest.Config(l, r.Step())
	one := must(core.NewProducer(cfg))
	if _, err := core.NewProducer(cfg); err == nil || !strings.Contains(err.Error(), `belongs to a producer of group "test"`) {
		t.Errorf("two producers: %v", err)
	}
	if _, err := r.Request(t.Context(), message("x")); !errors.Is(err, core.ErrNotRunning) {
		t.Errorf("before the start: %v", err)
	}
	if err := one.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	defer shut(t, one)
	if _, err := core.NewProducer(cfg); err == nil || !strings.Contains(err.Error(), "each producer needs its own") {
		t.Errorf("a second one later: %v", err)
	}
	if s := one.Pipeline().String(); !strings.Contains(s, "handlers for reply") || !strings.Contains(s, "requests that wait for a reply") {
		t.Errorf("%s", s)
	}
}

// A client without an id gets no reply, and a policy without the step has no requests: nothing
// of that passes for a request.
func TestNotARequest(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newLink()
		l.id = ""
		r, p := open(t, l, requestreply.Config{}, func(c *core.Config) {
			c.Policies = &core.PolicyTable{
				Default: &core.Policy{Name: "all"},
				ByTopic: map[string]*core.Policy{"Bare": {Name: "bare", Without: []string{requestreply.StepName}}},
			}
		})
		defer shut(t, p)
		(<-ask(t.Context(), r, "x")).failure(t, core.ClassUnsupported, core.NotSent, core.ErrUnsupported)
		_, err := r.Request(t.Context(), &core.Message{Topic: "Bare", Body: []byte("x")})
		if !errors.Is(err, core.ErrContract) || core.CertaintyOf(err) != core.Stored {
			t.Errorf("without the step: %v", err)
		}
		if _, err := p.Send(t.Context(), message("no request")); err != nil {
			t.Error(err)
		}
		if sent := l.request(1); sent["CORRELATION_ID"] != "" {
			t.Errorf("a plain send has %v", sent)
		}
		checkIdle(t, r)
	})
}

// The properties of a reply are those of Java's MessageUtil.createReplyMessage.
func TestNewReply(t *testing.T) {
	good := map[string]string{"CLUSTER": "c1", "CORRELATION_ID": "id", "REPLY_TO_CLIENT": "who", "TTL": "3000", "color": "blue"}
	without := func(name string) map[string]string {
		m := map[string]string{}
		for k, v := range good {
			if k != name {
				m[k] = v
			}
		}
		return m
	}
	for _, name := range []string{"CLUSTER", "CORRELATION_ID", "REPLY_TO_CLIENT"} {
		if _, _, err := requestreply.NewReply(without(name), []byte("x")); !errors.Is(err, requestreply.ErrNoRequest) || !strings.Contains(err.Error(), name) {
			t.Errorf("without %s: %v", name, err)
		}
	}
	if _, _, err := requestreply.NewReply(nil, nil); err == nil || err.Error() != "requestreply: the message is no request: it has no property CLUSTER, CORRELATION_ID, REPLY_TO_CLIENT" {
		t.Errorf("without all: %v", err)
	}
	evil := without("")
	evil["CORRELATION_ID"] = "id\x02MSG_TYPE\x01x"
	if _, _, err := requestreply.NewReply(evil, nil); !errors.Is(err, requestreply.ErrNoRequest) {
		t.Errorf("separators: %v", err)
	}
	for _, ttl := range []string{"TTL", ""} {
		l := newLink()
		p := coretest.Start(t, coretest.Config(l))
		if _, err := requestreply.SendReply(t.Context(), p, without(ttl), []byte("answer")); err != nil {
			t.Fatal(err)
		}
		sent := l.request(0)
		if a := l.Attempts()[0]; a.Topic != "c1_REPLY_TOPIC" || a.Body != "answer" {
			t.Errorf("%+v", a)
		}
		if sent["MSG_TYPE"] != "reply" || sent["CORRELATION_ID"] != "id" || sent["REPLY_TO_CLIENT"] != "who" || sent["color"] != "" || (sent["TTL"] == "3000") != (ttl == "") {
			t.Errorf("%v", sent)
		}
		if _, err := requestreply.SendReply(t.Context(), p, nil, nil); !errors.Is(err, requestreply.ErrNoRequest) || core.ClassOf(err) != core.ClassInvalid || core.CertaintyOf(err) != core.NotSent {
			t.Errorf("%v", err)
		}
	}
}
