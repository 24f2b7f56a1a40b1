package scale

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"os"

	"github.com/liftoff-mq/liftoff/transport/embedded"
	"github.com/liftoff-mq/liftoff/transport/wire"
)

// serveSpec is a cluster.
type serveSpec struct {
	Brokers int
	Topics  int
	Queues  int // of each topic on each broker
	// Hang leaves sends to those topics without an answer.
	Hang bool
}

// smallTopic has one queue on the first broker, whatever else there is, and is always answered.
const smallTopic = "small"

// served says where a cluster is.
type served struct {
	NameServer string
	PID        int
}

// kept is how many bytes of messages each broker keeps: nobody reads them, and a hundred brokers share one memory.
const kept = 8 << 20

// serve is the role of the cluster. It ends when in does.
func serve(text []byte, in io.Reader, out io.Writer) error {
	var s serveSpec
	if err := json.Unmarshal(text, &s); err != nil {
		return err
	}
	ctx := context.Background()
	c, err := embedded.Start(ctx, embedded.Config{
		Brokers: embedded.BrokerNames(s.Brokers), MaxStoredBytes: kept, RecordedRequests: -1,
	})
	if err != nil {
		return err
	}
	for i := range s.Topics {
		err = errors.Join(err, c.CreateTopic(topicName(i), s.Queues))
	}
	err = errors.Join(err, c.CreateTopic(smallTopic, 1, c.Brokers()[0].Name()))
	if s.Hang {
		c.Control(wire.SendMessageV2, func(r *embedded.Request) embedded.Action {
			if r.Topic() == smallTopic {
				return embedded.Pass()
			}
			return embedded.Hang()
		})
	}
	if err == nil {
		err = json.NewEncoder(out).Encode(served{NameServer: c.NameServers()[0], PID: os.Getpid()})
	}
	if err == nil {
		_, err = io.Copy(io.Discard, in)
	}
	return errors.Join(err, c.Close())
}
