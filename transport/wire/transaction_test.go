package wire_test

import (
	"errors"
	"fmt"
	"slices"
	"testing"

	"pgregory.net/rapid"

	"github.com/liftoff-mq/liftoff/transport/wire"
)

// Both headers of transactions are read as they were written.
func TestTransactionHeadersComeBack(t *testing.T) {
	name := rapid.StringMatching(`[a-zA-Z0-9_%-]{1,20}`)
	rapid.Check(t, func(t *rapid.T) {
		end := wire.TransactionEnd{
			Topic: rapid.StringMatching(`[a-z]{0,9}`).Draw(t, "topic"), Group: name.Draw(t, "group"), QueueOffset: rapid.Int64().Draw(t, "queue"),
			CommitLogOffset: rapid.Int64().Draw(t, "log"), Decision: rapid.SampledFrom([]int32{0, 8, 12}).Draw(t, "decision"),
			FromCheck: rapid.Bool().Draw(t, "check"), MsgID: name.Draw(t, "id"), TransactionID: rapid.StringMatching(`[A-F]{0,9}`).Draw(t, "tx"),
			BrokerName: rapid.StringMatching(`[a-z]{0,9}`).Draw(t, "broker"),
		}
		if got, err := wire.ParseTransactionEnd(&wire.Command{Ext: end.Fields()}); err != nil || got != end {
			t.Fatalf("%+v, %v, want %+v", got, err, end)
		}
		check := wire.TransactionCheck{
			Topic: end.Topic, QueueOffset: end.QueueOffset, CommitLogOffset: end.CommitLogOffset, MsgID: end.MsgID,
			TransactionID: end.TransactionID, OffsetMsgID: end.Group, BrokerName: end.BrokerName,
		}
		if got, err := wire.ParseTransactionCheck(check.Fields()); err != nil || got != check {
			t.Fatalf("%+v, %v, want %+v", got, err, check)
		}
	})
}

func TestTransactionHeadersThatAreNone(t *testing.T) {
	end := wire.TransactionEnd{Group: "g", MsgID: "id", Decision: 8}.Fields()
	check := wire.TransactionCheck{}.Fields()
	with := func(f wire.Fields, key, value string) wire.Fields {
		f = slices.Clone(f)
		f.Set(key, value)
		return f
	}
	for i, tt := range []struct {
		fields wire.Fields
		check  bool
	}{
		{fields: with(end, "producerGroup", "")},
		{fields: with(end, "tranStateTableOffset", "x")},
		{fields: with(end, "commitLogOffset", "")},
		{fields: with(end, "commitOrRollback", "4")},
		{fields: with(end, "commitOrRollback", "x")},
		{fields: with(end, "msgId", "")},
		{fields: with(check, "tranStateTableOffset", ""), check: true},
		{fields: with(check, "commitLogOffset", "1.5"), check: true},
	} {
		t.Run(fmt.Sprint(i), func(t *testing.T) {
			var err error
			if tt.check {
				_, err = wire.ParseTransactionCheck(tt.fields)
			} else {
				_, err = wire.ParseTransactionEnd(&wire.Command{Ext: tt.fields})
			}
			if !errors.Is(err, wire.ErrField) {
				t.Errorf("%v: %v", tt.fields, err)
			}
		})
	}
}
