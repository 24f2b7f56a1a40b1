package embedded_test

import (
	"testing"

	"github.com/liftoff-mq/liftoff"
	"github.com/liftoff-mq/liftoff/transport/embedded"
)

// The answer to a batch of thousands of messages was taken for a broken frame, since it has an
// id for each: the batch was stored, and its sender heard that the connection was lost.
func TestAnswerToABatchOfManyMessages(t *testing.T) {
	c := embedded.New(t, embedded.Config{})
	p, err := liftoff.New(liftoff.Config{Group: "g", NameServers: c.NameServers()})
	if err != nil {
		t.Fatal(err)
	}
	if err := p.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	defer p.Shutdown(t.Context())
	const many = 30_000
	batch := make([]*liftoff.Message, many)
	for i := range batch {
		batch[i] = &liftoff.Message{Topic: "T", Body: []byte("x")}
	}
	res, err := p.SendBatch(t.Context(), batch)
	if err != nil {
		t.Fatal(err)
	}
	if last := res.At(many - 1); last.OffsetMessageID == "" || last.OffsetMessageID == res.At(0).OffsetMessageID || last.Attempts != 1 {
		t.Errorf("the last message has %+v", last)
	}
	if n := c.StoredCount("T"); n != many {
		t.Errorf("%d messages are stored", n)
	}
}
