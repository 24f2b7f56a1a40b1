package wire

// Recall is a request to take a timed message back (Java RecallMessageRequestHeader, request
// code [RecallMessage], brokers from 5.3.2 on). The answer has the message's unique id in the
// field msgId.
type Recall struct {
	Group  string
	Topic  string
	Handle string // as the broker gave it with the answer to the send
	// BrokerName is left out when empty.
	BrokerName string
}

// Fields returns the header fields.
func (r Recall) Fields() Fields {
	f := Fields{{Key: "producerGroup", Value: r.Group}, {Key: "topic", Value: r.Topic}, {Key: "recallHandle", Value: r.Handle}}
	if r.BrokerName != "" {
		f = append(f, Field{Key: "bname", Value: r.BrokerName})
	}
	return f
}
