package core_test

import (
	"encoding"
	"fmt"
	"log/slog"
	"reflect"
	"strings"
	"testing"

	"github.com/liftoff-mq/liftoff/core"
	"github.com/liftoff-mq/liftoff/core/rocketmq"
)

// text is what every enum has.
type text[T any] interface {
	*T
	encoding.TextUnmarshaler
}

// enum tests that the named values of an enum, from 0, and no others have a text form that
// comes back, and that unknown names are told what there is.
func enum[T interface {
	~uint8
	fmt.Stringer
	encoding.TextMarshaler
}, P text[T]](names ...string) func(*testing.T) {
	return func(t *testing.T) {
		for i := range 256 {
			v := T(i)
			b, err := v.MarshalText()
			if i >= len(names) {
				if want := fmt.Sprintf("unknown(%d)", i); v.String() != want || err == nil {
					t.Errorf("%d: %q, %q, %v", i, v.String(), b, err)
				}
				continue
			}
			if err != nil || string(b) != names[i] || v.String() != names[i] {
				t.Errorf("%d: %q, %q, %v; want %q", i, v.String(), b, err, names[i])
			}
			back := T(255)
			if err := P(&back).UnmarshalText(b); err != nil || back != v {
				t.Errorf("%q comes back as %v, %v", b, back, err)
			}
		}
		for _, bad := range []string{"", "nonsense", strings.ToUpper(names[0]) + "x", "unknown(0)", " " + names[0]} {
			v := T(7)
			err := P(&v).UnmarshalText([]byte(bad))
			if err == nil || v != T(7) {
				t.Errorf("%q is %v, %v", bad, v, err)
				continue
			}
			if want := fmt.Sprintf("%q is not known; there are %s", bad, strings.Join(names, ", ")); !strings.HasSuffix(err.Error(), want) {
				t.Errorf("%q: %v, want %q", bad, err, want)
			}
		}
	}
}

func TestEnums(t *testing.T) {
	tests := map[reflect.Type]func(*testing.T){
		reflect.TypeFor[core.State]():               enum[core.State]("created", "running", "start failed", "shut down"),
		reflect.TypeFor[core.Mode]():                enum[core.Mode]("sync", "async", "oneway"),
		reflect.TypeFor[core.Certainty]():           enum[core.Certainty]("unknown", "not-sent", "not-stored", "maybe-stored", "stored"),
		reflect.TypeFor[core.MessageType]():         enum[core.MessageType]("normal", "fifo", "delay", "priority", "lite", "transaction"),
		reflect.TypeFor[core.Stage]():               enum[core.Stage]("none", "observe", "guard", "shape", "encode"),
		reflect.TypeFor[core.AttemptStage]():        enum[core.AttemptStage]("none", "observe", "guard", "protect", "wire"),
		reflect.TypeFor[core.Health]():              enum[core.Health]("good", "suspect", "down"),
		reflect.TypeFor[core.Reroute]():             enum[core.Reroute]("avoid-broker", "any-queue", "same-queue"),
		reflect.TypeFor[core.StopReason]():          enum[core.StopReason]("none", "final", "policy", "budget", "time", "limit"),
		reflect.TypeFor[core.OperationKind]():       enum[core.OperationKind]("recall", "end-transaction", "transaction-check"),
		reflect.TypeFor[core.TransactionDecision](): enum[core.TransactionDecision]("unknown", "commit", "rollback"),
		reflect.TypeFor[core.ServerRequestKind]():   enum[core.ServerRequestKind]("other", "transaction-check", "reply"),
		reflect.TypeFor[core.SendStatus](): enum[core.SendStatus](
			"NONE", "SEND_OK", "FLUSH_DISK_TIMEOUT", "FLUSH_SLAVE_TIMEOUT", "SLAVE_NOT_AVAILABLE", "WRITTEN"),
		reflect.TypeFor[core.Feature](): enum[core.Feature](
			"oneway", "confirm", "batch", "fixed-queue", "delay-level", "deliver-at", "transaction", "recall", "reply",
			"priority", "lite-topic"),
		reflect.TypeFor[core.Class](): enum[core.Class](
			"none", "invalid", "rejected", "forbidden", "auth", "no-route", "no-topic", "stale", "busy", "unavailable", "broker", "network",
			"timeout", "canceled", "circuit-open", "in-flight", "closed", "plugin", "unsupported", "unknown"),
	}
	for typ, test := range tests {
		t.Run(typ.Name(), test)
	}
}

// Every enum is among those that TestEnums looks at: the constants say how many names there are.
func TestLastOfEachEnum(t *testing.T) {
	for _, last := range []struct {
		value fmt.Stringer
		want  string
	}{
		{core.StateShutdown, "shut down"},
		{core.Oneway, "oneway"},
		{core.Stored, "stored"},
		{core.TransactionMessage, "transaction"},
		{core.StageEncode, "encode"},
		{core.AttemptWire, "wire"},
		{core.HealthDown, "down"},
		{core.SameQueue, "same-queue"},
		{core.StopLimit, "limit"},
		{core.OperationTransactionCheck, "transaction-check"},
		{core.TransactionRollback, "rollback"},
		{core.RequestReply, "reply"},
		{core.Written, "WRITTEN"},
		{core.FeatureReply, "reply"},
		{core.ClassUnknown, "unknown"},
	} {
		if got := last.value.String(); got != last.want {
			t.Errorf("%T %d is %q, want %q", last.value, last.value, got, last.want)
		}
	}
}

// A message's type is what a broker sees: a delay wins.
func TestMessageType(t *testing.T) {
	for _, tt := range []struct {
		change func(m *core.Message)
		want   core.MessageType
	}{
		{func(*core.Message) {}, core.NormalMessage},
		{func(m *core.Message) { m.ShardingKey = "k" }, core.FIFOMessage},
		{func(m *core.Message) { m.DelayLevel = 1 }, core.DelayMessage},
		{func(m *core.Message) { m.ShardingKey, m.DelayLevel = "k", 1 }, core.DelayMessage},
		{func(m *core.Message) { m.DeliverAt = m.DeliverAt.Add(1) }, core.DelayMessage},
	} {
		m := &core.Message{}
		tt.change(m)
		if m.Type() != tt.want {
			t.Errorf("%+v is %v, want %v", m, m.Type(), tt.want)
		}
	}
}

func TestMessageIDText(t *testing.T) {
	id := core.MessageID{1, 0xab, 15: 0xff}
	const text = "01AB00000000000000000000000000FF"
	for _, in := range []string{text, strings.ToLower(text)} {
		var got core.MessageID
		if err := got.UnmarshalText([]byte(in)); err != nil || got != id || got.String() != text {
			t.Errorf("%s is %v, %v", in, got, err)
		}
	}
	for _, in := range []string{text[2:], text + "00", text[:31], "x" + text[1:], "\x1b[2J"} {
		got := id
		if err := got.UnmarshalText([]byte(in)); err == nil || got != id {
			t.Errorf("%q is %v", in, got)
		}
	}
	if err := id.UnmarshalText(nil); err != nil || id != (core.MessageID{}) {
		t.Errorf("the empty text is %v, %v", id, err)
	}
}

// A log in JSON said "class":1 and wrote message ids as lists of numbers.
func TestJSONLogsHaveWords(t *testing.T) {
	var out strings.Builder
	log := slog.New(slog.NewJSONHandler(&out, nil))
	log.Info("x", "result", core.Result{Status: core.SendOK, MessageID: core.MessageID{1}},
		"class", core.ClassBusy, "certainty", core.NotStored, "code", core.Code(rocketmq.CodeSystemBusy),
		"verdict", rocketmq.VerdictBusy, "stage", core.StageGuard, "health", core.HealthDown, "stop", core.StopBudget)
	for _, want := range []string{
		`"Status":"SEND_OK"`, `"MessageID":"01000000000000000000000000000000"`, `"class":"busy"`, `"certainty":"not-stored"`,
		`"code":"SYSTEM_BUSY"`, `"verdict":"busy"`, `"stage":"guard"`, `"health":"down"`, `"stop":"budget"`,
	} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("%s is missing in %s", want, out.String())
		}
	}
}
