package embedded_test

import (
	"os"
	"regexp"
	"testing"
	"testing/synctest"
	"time"

	"github.com/liftoff-mq/liftoff/core/rocketmq"
	"github.com/liftoff-mq/liftoff/transport/embedded"
	"github.com/liftoff-mq/liftoff/transport/wire"
)

// recipe is an action that the documentation names, and what a client makes of it.
type recipe struct {
	action embedded.Action
	code   int // of the request that it is for; 0: a send
	check  func(t *testing.T, a wire.Command, stored int)
}

// sent checks the answer to a send as a client reads it.
func sent(code rocketmq.ResponseCode) func(t *testing.T, a wire.Command, stored int) {
	return func(t *testing.T, a wire.Command, stored int) {
		t.Helper()
		b, err := wire.AppendCommand(nil, &a)
		if err != nil {
			t.Fatal(err)
		}
		var r wire.SendResponse
		if err := wire.ParseSendResponse(b[4:], &r); err != nil {
			t.Errorf("the client cannot read the answer: %v", err)
		}
		if a.Code != code.Number() || a.Remark != "" || stored != 1 || r.MsgID == "" || r.QueueID != 2 || r.TransactionID != "ID" || r.RecallHandle == "" || r.RegionID == "" {
			t.Errorf("%d %q, %+v, %d stored", a.Code, a.Remark, r, stored)
		}
	}
}

// refused checks a refusal.
func refused(code rocketmq.ResponseCode, remark string, want int) func(t *testing.T, a wire.Command, stored int) {
	return func(t *testing.T, a wire.Command, stored int) {
		t.Helper()
		if a.Code != code.Number() || a.Remark != remark || a.Ext.Get("msgId") != "" || stored != want {
			t.Errorf("%+v, %d stored", a, stored)
		}
	}
}

// Every action that the documentation spells out does what it says there.
func TestRecipes(t *testing.T) {
	const forbidden = "recall failed, operation is forbidden"
	recipes := map[string]recipe{
		`StoreThen(Reply(10, ""))`:       {action: embedded.StoreThen(embedded.Reply(10, "")), check: sent(rocketmq.CodeFlushDiskTimeout)},
		`StoreThen(Reply(1, ""))`:        {action: embedded.StoreThen(embedded.Reply(1, "")), check: refused(rocketmq.CodeSystemError, "", 1)},
		`StoreThen(Delay(d, Pass()))`:    {action: embedded.StoreThen(embedded.Delay(time.Minute, embedded.Pass())), check: sent(0)},
		`StoreThen(Reply(code, ""))`:     {action: embedded.StoreThen(embedded.Reply(12, "")), check: sent(rocketmq.CodeFlushSlaveTimeout)},
		`Reply(16, "` + forbidden + `")`: {action: embedded.Reply(16, forbidden), code: wire.RecallMessage, check: refused(rocketmq.CodeNoPermission, forbidden, 0)},

		// Not spelt out, but near enough to be tried.
		`Reply(10, "")`:           {action: embedded.Reply(10, ""), check: refused(rocketmq.CodeFlushDiskTimeout, "", 0)},
		`StoreThen(Reply(0, ""))`: {action: embedded.StoreThen(embedded.Reply(0, "")), check: sent(0)},
		`StoreThen(Delay(d, Reply(11, "")))`: {
			action: embedded.StoreThen(embedded.Delay(time.Second, embedded.Reply(11, ""))), check: sent(rocketmq.CodeSlaveNotAvailable),
		},
		`Edit(code = 10)`: {
			action: embedded.Edit(func(a *wire.Command) { a.Code = 10 }), check: sent(rocketmq.CodeFlushDiskTimeout),
		},
	}
	for name, r := range recipes {
		for _, ser := range serializations {
			t.Run(name+"/"+ser.String(), func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					c := inMemory(t, embedded.Config{})
					if err := c.CreateTopic("t", 4); err != nil {
						t.Fatal(err)
					}
					cmd := sendCommand(wire.SendMessageV2, "t", 2, "x", prop("UNIQ_KEY", "ID"), prop("TIMER_DELAY_SEC", "60"))
					if r.code != 0 {
						cmd = recallCommand("t", handleOf("t", "broker-a", time.Now().Add(time.Minute), "ID"))
					}
					// The rule is for this request alone. An action may be used again.
					c.Control(cmd.Code, func(*embedded.Request) embedded.Action { return r.action })
					p := connect(t, c, c.Brokers()[0].Addr(), ser)
					a := p.call(cmd)
					r.check(t, a, c.StoredCount("rmq_sys_wheel_timer"))
				})
			})
		}
	}
	// A recipe that is written down is one of these.
	spelt := regexp.MustCompile("\\b(?:StoreThen|Reply|Delay)\\((?:[^()\n`]|\\((?:[^()\n`]|\\([^()\n`]*\\))*\\))*\\)")
	for _, file := range []string{"NOT_MODELLED.md", "action.go"} {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		parts := regexp.MustCompile("`[^`\n]*`").FindAll(text, -1)
		if file == "action.go" {
			parts = regexp.MustCompile(`(?m)^// .*$`).FindAll(text, -1)
		}
		found := 0
		for _, part := range parts {
			for _, name := range spelt.FindAllString(string(part), -1) {
				if found++; recipes[name].check == nil {
					t.Errorf("%s has a recipe that nothing tests: %s", file, name)
				}
			}
		}
		if found < 2 {
			t.Errorf("%d recipes are found in %s", found, file)
		}
	}
}
