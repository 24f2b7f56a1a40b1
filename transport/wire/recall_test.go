package wire_test

import (
	"errors"
	"fmt"
	"slices"
	"testing"

	"github.com/liftoff-mq/liftoff/transport/wire"
)

func TestRecallFields(t *testing.T) {
	for _, tt := range []struct {
		recall wire.Recall
		want   wire.Fields
	}{
		{
			wire.Recall{Group: "g", Topic: "t", Handle: "djE", BrokerName: "broker-a"},
			wire.Fields{{Key: "producerGroup", Value: "g"}, {Key: "topic", Value: "t"}, {Key: "recallHandle", Value: "djE"}, {Key: "bname", Value: "broker-a"}},
		},
		{wire.Recall{Topic: "t", Handle: "djE"}, wire.Fields{{Key: "topic", Value: "t"}, {Key: "recallHandle", Value: "djE"}}},
		{wire.Recall{}, wire.Fields{{Key: "topic"}, {Key: "recallHandle"}}},
	} {
		got := tt.recall.Fields()
		if !slices.Equal(got, tt.want) {
			t.Errorf("%+v has the fields %v, want %v", tt.recall, got, tt.want)
		}
		if back := wire.ParseRecall(&wire.Command{Ext: got}); back != tt.recall {
			t.Errorf("%v reads as %+v, want %+v", got, back, tt.recall)
		}
	}
	if got := wire.ParseRecall(&wire.Command{}); got != (wire.Recall{}) {
		t.Errorf("no fields read as %+v", got)
	}
}

func TestRecallResponseFields(t *testing.T) {
	for _, tt := range []struct {
		response wire.RecallResponse
		want     wire.Fields
		err      error
	}{
		{wire.RecallResponse{MsgID: "ID", RegionID: "r"}, wire.Fields{{Key: "msgId", Value: "ID"}, {Key: "MSG_REGION", Value: "r"}}, nil},
		{wire.RecallResponse{MsgID: "ID"}, wire.Fields{{Key: "msgId", Value: "ID"}}, nil},
		{wire.RecallResponse{RegionID: "r"}, wire.Fields{{Key: "msgId"}, {Key: "MSG_REGION", Value: "r"}}, wire.ErrField},
		{wire.RecallResponse{}, wire.Fields{{Key: "msgId"}}, wire.ErrField},
	} {
		got := tt.response.Fields()
		if !slices.Equal(got, tt.want) {
			t.Errorf("%+v has the fields %v, want %v", tt.response, got, tt.want)
		}
		if back, err := wire.ParseRecallResponse(&wire.Command{Ext: got}); back != tt.response || !errors.Is(err, tt.err) {
			t.Errorf("%v reads as %+v, %v, want %+v, %v", got, back, err, tt.response, tt.err)
		}
	}
}

// FuzzRecall: what is encoded comes back through either form of the header.
func FuzzRecall(f *testing.F) {
	f.Add("g", "t", "djEgb3JkZXJzIGJyb2tlci1hIDEgMg==", "broker-a", "ID", true)
	f.Add("", "größe", "\x00\"\\", "", "", false)
	f.Fuzz(func(t *testing.T, group, topic, handle, broker, id string, binary bool) {
		want := wire.Recall{Group: group, Topic: topic, Handle: handle, BrokerName: broker}
		answer := wire.RecallResponse{MsgID: id, RegionID: group}
		c := wire.Command{Code: wire.RecallMessage, Ext: slices.Concat(want.Fields(), answer.Fields())}
		if binary {
			c.Serialization = wire.RocketMQ
		}
		b, err := wire.AppendCommand(nil, &c)
		if err != nil {
			t.Skip("too long")
		}
		back, err := wire.ParseFrame(b[4:])
		if err != nil {
			t.Fatal(err)
		}
		if !binary {
			// JSON has no form for what is not UTF-8.
			want = wire.Recall{Group: valid(group), Topic: valid(topic), Handle: valid(handle), BrokerName: valid(broker)}
			answer = wire.RecallResponse{MsgID: valid(id), RegionID: want.Group}
		}
		if got := wire.ParseRecall(&back); got != want {
			t.Fatalf("got %+v, want %+v", got, want)
		}
		if got, err := wire.ParseRecallResponse(&back); got != answer || (err != nil) != (id == "") {
			t.Fatalf("got %+v, %v, want %+v", got, err, answer)
		}
	})
}

// valid replaces each byte that is not UTF-8.
func valid(s string) string { return string([]rune(s)) }

func ExampleRecall() {
	recall := wire.Recall{Group: "shop", Topic: "orders", Handle: "djEgb3JkZXJzIGJyb2tlci1hIDEgMg==", BrokerName: "broker-a"}
	frame, err := wire.AppendCommand(nil, &wire.Command{Code: wire.RecallMessage, Opaque: 1, Version: wire.CurrentVersion, Ext: recall.Fields()})
	if err != nil {
		fmt.Println(err)
		return
	}
	request, err := wire.ParseFrame(frame[4:])
	fmt.Println(wire.ParseRecall(&request).Handle, err)
	// Output: djEgb3JkZXJzIGJyb2tlci1hIDEgMg== <nil>
}
