package scale

import (
	"slices"
	"strconv"
)

const (
	// usual is how many asynchronous sends are under way where that is not what a curve is about.
	usual = 256
	// perBroker is how many are under way for each broker where all brokers are as busy as one.
	perBroker = 64
	// size is that of a body. A small one leaves the cost of the message itself out as far as possible.
	size = 128
	// usualQueues is how many queues a topic has on each broker where that is not what a curve is about.
	usualQueues = 4
)

// curve is one thing that grows.
type curve struct {
	Name  string `json:"name"`
	Title string `json:"title"`
	Of    string `json:"of"` // what a point counts
	Sizes []int  `json:"sizes"`
	// at says what runs at a size.
	at func(n int) (serveSpec, sendSpec)
}

// curves are all of them, in the order in which they run.
func curves() []curve {
	one := serveSpec{Brokers: 1, Topics: 1, Queues: usualQueues}
	thousands := []int{1, 10, 100, 1_000, 10_000}
	return []curve{
		{"queues", "Queues of a topic, on one broker", "queues", thousands, func(n int) (serveSpec, sendSpec) {
			return serveSpec{Brokers: 1, Topics: 1, Queues: n}, sendSpec{Topics: 1, InFlight: usual}
		}},
		{"brokers", "Brokers of a topic, with four queues each", "brokers", []int{1, 2, 5, 10, 20, 50, 100}, func(n int) (serveSpec, sendSpec) {
			return serveSpec{Brokers: n, Topics: 1, Queues: usualQueues}, sendSpec{Topics: 1, InFlight: usual}
		}},
		{"loaded", "Brokers of a topic, with 64 sends under way for each", "brokers", []int{1, 2, 5, 10, 20, 50, 100}, func(n int) (serveSpec, sendSpec) {
			return serveSpec{Brokers: n, Topics: 1, Queues: usualQueues}, sendSpec{Topics: 1, InFlight: perBroker * n}
		}},
		{"topics", "Topics, sent to in turn", "topics", thousands, func(n int) (serveSpec, sendSpec) {
			return serveSpec{Brokers: 1, Topics: n, Queues: usualQueues}, sendSpec{Topics: n, InFlight: usual}
		}},
		{"goroutines", "Synchronous callers", "callers", thousands, func(n int) (serveSpec, sendSpec) {
			return one, sendSpec{Topics: 1, Callers: n}
		}},
		{"inflight", "Asynchronous sends under way", "sends under way", append(slices.Clone(thousands), 100_000), func(n int) (serveSpec, sendSpec) {
			return one, sendSpec{Topics: 1, InFlight: n}
		}},
	}
}

// topicName is the name of the i-th topic, from 0.
func topicName(i int) string { return "scale-" + strconv.Itoa(i) }
