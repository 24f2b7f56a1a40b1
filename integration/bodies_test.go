package integration

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/liftoff-mq/liftoff/core"
	"github.com/liftoff-mq/liftoff/integration/javaprog"
)

// compressionBits are the system flags by which consumers know how to inflate a body.
// The lowest bit, "compressed", is left out: 5.x's reader clears it when it has inflated the body.
var compressionBits = map[string]int{"none": 0, "zlib": 0x300, "lz4": 0x100, "zstd": 0x200}

// Bodies of every interesting size, in every compression, in both header serializations: the official consumer
// reads the bytes that were sent. Bodies from 4 KiB on are compressed if that makes them smaller, others are not.
func TestBodiesOfEverySizeCompressionAndSerializationArriveAsSent(t *testing.T) {
	t.Parallel()
	eachCluster(t, func(t *testing.T, c *cluster) {
		topic := topicFor(t, "t")
		c.CreateTopic(t, topic, 4)
		ctx, cancel := context.WithTimeout(t.Context(), 3*time.Minute)
		defer cancel()
		type sent struct {
			name       string
			compressed string
			body       []byte
			twice      bool // may be stored twice, as the result says
			seen       bool
		}
		byID := map[string]*sent{}
		for compression := range compressionBits {
			for _, ser := range []string{"JSON", "ROCKETMQ"} {
				p := newProducer(t, c.NameServer(), producerOptions{compression: compression, serialization: ser, timeout: 30 * time.Second})
				for _, size := range []int{1, 4095, 4096, 100_000, maxBody} {
					for _, kind := range []string{"text", "noise"} {
						if kind == "noise" && size < maxBody {
							continue // what cannot shrink matters only where it must stay whole
						}
						s := &sent{name: fmt.Sprintf("%s/%s/%d/%s", compression, ser, size, kind), compressed: "none", body: testBody(size, kind)}
						if size >= 4096 && kind == "text" {
							s.compressed = compression
						}
						r, err := p.Send(ctx, &core.Message{Topic: topic, Body: s.body})
						if err != nil {
							t.Errorf("%s: %v", s.name, err)
							continue
						}
						s.twice = r.MaybeDuplicate
						byID[r.MessageID.String()] = s
					}
				}
			}
		}
		stored := javaprog.ReadBack(t, c.Version(), c.NameServer(), topic, len(byID), 2*time.Minute)
		for _, m := range stored {
			s, ok := byID[m.MsgID]
			if !ok {
				t.Errorf("message %s is stored and was not acknowledged", m.MsgID)
				continue
			}
			if m.BodyLength != len(s.body) || m.BodySHA256 != sha256Hex(s.body) {
				t.Errorf("%s: the consumer reads %d bytes with hash %s, sent %d", s.name, m.BodyLength, m.BodySHA256, len(s.body))
			}
			if flag := m.SysFlag & 0x700; flag != compressionBits[s.compressed] {
				t.Errorf("%s: system flag %#x, want compression bits %#x", s.name, m.SysFlag, compressionBits[s.compressed])
			}
			if s.compressed != "none" && m.StoreSize >= len(s.body) {
				t.Errorf("%s: takes %d bytes in the store", s.name, m.StoreSize)
			}
			if s.seen && !s.twice {
				t.Errorf("%s: stored twice", s.name)
			}
			s.seen = true
		}
		for _, s := range byID {
			if !s.seen {
				t.Errorf("%s: acknowledged and not stored", s.name)
			}
		}
	})
}

// A body above the limit, and an empty one, are refused before anything is sent, as Java does.
func TestTooLargeAndEmptyBodiesAreRefusedLocally(t *testing.T) {
	t.Parallel()
	eachCluster(t, func(t *testing.T, c *cluster) {
		topic := topicFor(t, "t")
		c.CreateTopic(t, topic, 1, "broker-a")
		for compression := range compressionBits {
			p := newProducer(t, c.NameServer(), producerOptions{compression: compression})
			for what, body := range map[string][]byte{
				"4,194,305 bytes": testBody(maxBody+1, "text"),
				"empty":           {},
				"nil":             nil,
			} {
				_, err := p.Send(t.Context(), &core.Message{Topic: topic, Body: body})
				var se *core.SendError
				if !errors.Is(err, core.ErrInvalidMessage) || !errors.As(err, &se) {
					t.Fatalf("%s, %s: got %v, want a *SendError that is ErrInvalidMessage", what, compression, err)
				}
				if se.Class != core.ClassInvalid || se.Certainty != core.NotSent || len(se.Attempts) != 0 {
					t.Errorf("%s, %s: class %s, certainty %s, %d attempts", what, compression, se.Class, se.Certainty, len(se.Attempts))
				}
			}
		}
		if n := c.Stored(t, topic, 1, "broker-a"); n != 0 {
			t.Errorf("%d messages are stored", n)
		}
	})
}

// testBody is text that compresses to about a third, or noise that does not compress at all.
func testBody(size int, kind string) []byte {
	r := rand.New(rand.NewPCG(uint64(size), 7))
	b := make([]byte, size)
	if kind == "noise" {
		for i := range b {
			b[i] = byte(r.Uint32())
		}
		return b
	}
	words := []string{"order ", "paid ", "refund ", "customer ", "Zürich ", "0123456789 ", "\n"}
	for i := 0; i < size; {
		i += copy(b[i:], words[r.IntN(len(words))])
	}
	return b
}
