package coretest_test

import (
	"context"
	"errors"
	"fmt"
	"log"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"

	"github.com/liftoff-mq/liftoff/core"
	"github.com/liftoff-mq/liftoff/core/coretest"
	"github.com/liftoff-mq/liftoff/core/requestreply"
	"github.com/liftoff-mq/liftoff/core/rocketmq"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// A step is tested in a real producer: here one that adds a property.
func ExampleConfig() {
	stamp := core.InterceptorFunc(func(ctx context.Context, call *core.Call, next core.Handler) (*core.Result, error) {
		call.Outgoing().SetProperty("stamp", "1")
		return next(ctx, call)
	})
	transport := &coretest.Transport{}
	p, err := core.NewProducer(coretest.Config(transport, core.CallStep("stamp", core.StageShape, stamp)))
	if err != nil {
		panic(err)
	}
	ctx := context.Background()
	if err := p.Start(ctx); err != nil {
		panic(err)
	}
	defer p.Shutdown(ctx)
	if _, err := p.Send(ctx, coretest.Message("hello")); err != nil {
		panic(err)
	}
	sent := transport.Attempts()[0]
	fmt.Printf("%v %q\n", sent, sent.Properties[len(sent.Properties)-8:])
	// Output: #1 T broker-a/0 "hello" "stamp=1;"
}

func ExampleRoutes() {
	route, err := coretest.Routes(2, "broker-a", "broker-b").Route(context.Background(), "T")
	if err != nil {
		panic(err)
	}
	for i := range route.Len() {
		fmt.Print(route.Queue(i), " at ", route.Broker(i).Addr, "\n")
	}
	// Output:
	// broker-a/0 at broker-a:10911
	// broker-a/1 at broker-a:10911
	// broker-b/0 at broker-b:10911
	// broker-b/1 at broker-b:10911
}

// In virtual time: no attempt is late because the machine is busy.
func TestTransport(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		tr := &coretest.Transport{}
		tr.Do = func(ctx context.Context, at *core.Attempt) (*core.Result, error) {
			switch string(at.Call().Outgoing().Body()) {
			case "busy":
				return nil, coretest.Refuse(at, rocketmq.CodeSystemBusy, "scripted")
			case "hang":
				return nil, coretest.Hang(ctx, at)
			}
			return tr.Ack(at), nil
		}
		p := coretest.Start(t, coretest.Config(tr))
		for i := range 3 {
			if res, err := p.Send(t.Context(), coretest.Message("ok")); err != nil || res.QueueOffset != int64(i) || res.Status != core.SendOK {
				t.Errorf("send %d: %+v, %v", i, res, err)
			}
		}
		if err := p.SendOneway(t.Context(), coretest.Message("ok")); err != nil {
			t.Error(err)
		}
		if _, err := p.Send(t.Context(), coretest.Message("busy")); core.ClassOf(err) != core.ClassBusy {
			t.Errorf("busy: %v", err)
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Millisecond)
		defer cancel()
		if _, err := p.Send(ctx, coretest.Message("hang")); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("hang: %v", err)
		}
		if n := len(tr.Attempts()); n != 6 {
			t.Errorf("%d attempts were recorded, want 6", n)
		}
	})
}

// A request gets its reply, with the properties that were asked for.
func ExampleReplyingTransport() {
	requests, err := requestreply.New(requestreply.Config{})
	if err != nil {
		log.Fatal(err)
	}
	broker := &coretest.ReplyingTransport{Properties: map[string]string{"color": "blue"}}
	p, err := core.NewProducer(coretest.Config(broker, requests.Step()))
	if err != nil {
		log.Fatal(err)
	}
	ctx := context.Background()
	if err := p.Start(ctx); err != nil {
		log.Fatal(err)
	}
	defer p.Shutdown(ctx)
	reply, err := requests.Request(ctx, &core.Message{Topic: "Prices", Body: []byte("apples")})
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(string(reply.Body), reply.Properties["color"])
	// Output:
	// reply blue
}
