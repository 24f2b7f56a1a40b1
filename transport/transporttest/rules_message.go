package transporttest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"github.com/liftoff-mq/liftoff/core"
)

// messageRule is about what arrives.
func messageRule() Rule {
	return Rule{"T2", "message", "topic, body, flag, codec and every property arrive unchanged, a batch in its order", []check{
		{"body", func(k *kit) {
			k.needs(k.served())
			for _, body := range []string{"x", "\x00", "two\nlines\r\n", " \t", everyByte(), strings.Repeat(everyByte(), 300)} {
				k.carries(k.producer(), k.message(body))
			}
		}},
		{"flag", func(k *kit) {
			k.needs(k.served())
			p := k.producer()
			for i, flag := range []int32{1, -1, 1 << 30} {
				m := k.message(fmt.Sprintf("flag %d", i))
				m.Flag = flag
				k.carries(p, m)
			}
		}},
		{"properties", func(k *kit) {
			k.needs(k.served())
			k.carries(k.producer(), k.rich("properties"))
		}},
		{"delay", func(k *kit) {
			k.needs(k.served(), k.feature(core.FeatureDelayLevel))
			m := k.message("delay")
			m.DelayLevel = 1
			k.carries(k.producer(), m)
		}},
		{"timed", func(k *kit) {
			k.needs(k.served(), k.feature(core.FeatureDeliverAt))
			m := k.message("timed")
			m.DeliverAt = time.Now().Add(time.Hour)
			k.carries(k.producer(), m)
			m = k.message("delayed")
			m.DeliverAfter = time.Hour
			k.carries(k.producer(), m)
		}},
		{"priority", func(k *kit) {
			k.needs(k.served(), k.feature(core.FeaturePriority))
			m := k.message("priority")
			m.Priority = new(3)
			k.carries(k.producer(), m)
		}},
		{"lite", func(k *kit) {
			k.needs(k.served(), k.feature(core.FeatureLiteTopic))
			m := k.message("lite")
			m.LiteTopic = "chat-1"
			k.carries(k.producer(), m)
		}},
		{"outgoing", func(k *kit) {
			k.needs(k.served())
			// The message is the user's. What is sent is what the steps made of it.
			p := k.producer(shape(func(o *core.Outgoing) {
				o.SetTopic(k.world.Topic)
				o.SetBody([]byte("outgoing"))
				o.SetProperty("user", "changed")
				o.SetProperty("added", "by a step")
			}))
			m := k.message("not this")
			m.Topic, m.Properties = "transporttest-not-this", map[string]string{"user": "as it was"}
			k.carries(p, m)
		}},
		{"codec", func(k *kit) {
			k.needs(k.served())
			for _, codec := range k.codecs() {
				m := k.message("packed by " + codec)
				p := k.producer(shape(func(o *core.Outgoing) { o.SetPacked(o.Body(), codec) }))
				k.carries(p, m)
			}
		}},
		{"batch", func(k *kit) {
			k.needs(k.served(), k.feature(core.FeatureBatch))
			var msgs []*core.Message
			for i := range 7 {
				m := k.rich(fmt.Sprintf("batch %d", 6-i))
				m.Flag, m.Properties["number"] = int32(i), fmt.Sprint(i)
				msgs = append(msgs, m)
			}
			k.carries(k.producer(), msgs...)
		}},
	}}
}

// placeRule is about where it arrives.
func placeRule() Rule {
	return Rule{"T3", "place", "the request goes to the attempt's address and names its queue", []check{
		{"queues", func(k *kit) {
			k.needs(k.served())
			r, err := k.ask(context.Background(), k.world.Topic)
			k.needs(unusable(r, err))
			var n atomic.Int32
			p := k.producer(onQueue(&n))
			for i := range min(16, r.Len()) {
				n.Store(int32(i))
				body := fmt.Sprintf("queue %d", i)
				s := k.send(p, how{}, k.message(body))
				r := k.arrival(s, body)
				if t := s.trip(); r.Addr != t.addr || r.Queue != t.queue {
					k.Errorf("a message for %v at %s arrived for %v at %s", t.queue, t.addr, r.Queue, r.Addr)
				}
			}
		}},
	}}
}

// batchRule is about the outcomes of a batch.
func batchRule() Rule {
	return Rule{"T10", "batch", "each message of a batch has its own outcome", []check{
		{"offsets", func(k *kit) {
			k.needs(k.feature(core.FeatureBatch))
			p := k.producer()
			k.growing(k.send(p, how{}, k.message("before")), k.send(p, how{}, k.messages("one", "two", "three")...),
				k.send(p, how{}, k.message("after")))
		}},
		{"partly", func(k *kit) {
			k.needs(k.feature(core.FeatureBatch), k.served(Refuse, RefuseSome))
			r := k.world.Refusals[0]
			k.far.answer("1", Reply{Kind: RefuseSome, Refusal: r, Refused: []int{1, 3}})
			s := k.send(k.producer(), how{}, k.messages("1", "2", "3", "4")...)
			k.partly(s, r, 1, 3)
		}},
	}}
}

// readingRule is about a message's memory.
func readingRule() Rule {
	return Rule{"T11", "reading", "messages are read and not changed, and nothing of them is read after RoundTrip has returned", []check{
		{"unchanged", func(k *kit) {
			p := k.producer()
			k.untouched(k.send(p, how{}, k.rich("unchanged")))
			if k.able("one-way messages", k.feature(core.FeatureOneway)) {
				k.untouched(k.send(p, how{oneway: true}, k.rich("unchanged, one-way")))
			}
			if k.able("batches", k.feature(core.FeatureBatch)) {
				k.untouched(k.send(p, how{}, k.rich("unchanged, one"), k.rich("unchanged, two")))
			}
			if k.able("refusals", k.served(Refuse)) {
				k.far.answer("unchanged, refused", Reply{Kind: Refuse, Refusal: k.world.Refusals[0]})
				k.untouched(k.send(p, how{}, k.rich("unchanged, refused")))
			}
		}},
		{"later", func(k *kit) {
			k.needs(k.served(), k.feature(core.FeatureOneway))
			p, m := k.producer(), k.message("later")
			s := k.send(p, how{oneway: true}, m)
			for i := range m.Body { // it is the caller's again
				m.Body[i] = '#'
			}
			k.send(p, how{}, k.message("and another one"))
			r := k.arrived(s, func(r *Request) bool { return r.first() == "later" || r.first() == "#####" }, "later")
			if r.first() != "later" {
				k.Errorf("a one-way message was read after %s had returned", roundTrip)
			}
		}},
	}}
}

// everyByte is a body that has every byte.
func everyByte() string {
	b := make([]byte, 256)
	for i := range b {
		b[i] = byte(i)
	}
	return string(b)
}

// rich is a message with everything that every transport carries. The properties have what
// text protocols trip over.
func (k *kit) rich(body string) *core.Message {
	m := k.message(body)
	m.Tag, m.Keys, m.ShardingKey, m.Flag, m.NoWaitStore = "tag", []string{"key-1", "key-2"}, "shard", 77, true
	m.Properties = map[string]string{
		"plain": "value", "empty-looking": " ", "lines": "one\ntwo\r\n", "signs": `a=b; c:d, "e" 'f' \n %20 {} [] <>&|`,
		"ünïcode": "grüße, 世界, \U0001F680", "long": strings.Repeat("long ", 200), "zero": "\x00", "name with = and \n": "x",
	}
	return m
}

// shape makes a producer that changes what is sent.
func shape(f func(o *core.Outgoing)) func(cfg *core.Config) {
	return func(cfg *core.Config) {
		cfg.Steps = append(cfg.Steps, core.CallStep("shape", core.StageEncode, core.InterceptorFunc(
			func(ctx context.Context, call *core.Call, next core.Handler) (*core.Result, error) {
				for o := range call.All() {
					f(o)
				}
				return next(ctx, call)
			})))
	}
}

// codecs are those that the transport carries. One that carries every codec carries also
// one that nobody has heard of.
func (k *kit) codecs() (names []string) {
	names = []string{"zlib", "x-transporttest"}
	if c, ok := find[core.Capable](k.world.Transport); ok {
		k.call(method(c, "Capabilities"), func() {
			if own := c.Capabilities().Codecs; own != nil {
				names = own
			}
		})
	}
	return names
}

// carries sends messages and compares what arrives.
func (k *kit) carries(p *core.Producer, msgs ...*core.Message) {
	before, _ := k.far.requests(every)
	s := k.send(p, how{}, msgs...)
	n := 0
	k.compare(s, k.arrived(s, func(*Request) bool {
		n++
		return n > len(before) // whatever it looks like
	}, string(msgs[0].Body)))
}

// compare checks that what arrived is what was sent.
func (k *kit) compare(s *sending, r Request) {
	t := s.trip()
	if r.Topic != t.topic {
		k.Errorf("the topic %q arrived as %q", t.topic, r.Topic)
	}
	if len(r.Messages) != len(t.sent) {
		k.Fatalf("of %d messages %d arrived", len(t.sent), len(r.Messages))
	}
	for i, got := range r.Messages {
		want := t.sent[i]
		where := fmt.Sprintf("message %d of %d", i+1, len(t.sent))
		if !bytes.Equal(got.Body, want.Body) {
			k.Errorf("%s: the body %q (%d bytes) arrived as %q (%d bytes)", where,
				short(string(want.Body)), len(want.Body), short(string(got.Body)), len(got.Body))
			continue // it is another message
		}
		if got.Flag != want.Flag {
			k.Errorf("%s: the flag %d arrived as %d", where, want.Flag, got.Flag)
		}
		if got.Codec != want.Codec {
			k.Errorf("%s: the codec %q arrived as %q", where, want.Codec, got.Codec)
		}
		for _, name := range slices.Sorted(maps.Keys(want.Properties)) {
			value, there := got.Properties[name]
			switch {
			case !there:
				k.Errorf("%s: the property %q did not arrive", where, name)
			case value != want.Properties[name]:
				k.Errorf("%s: the property %q with %q arrived with %q", where, name, short(want.Properties[name]), short(value))
			}
		}
	}
}

// growing checks that messages sent to one queue, one send after the other, lie there one
// after the other.
func (k *kit) growing(sends ...*sending) {
	last := int64(-1)
	for _, s := range sends {
		if s.err != nil {
			k.Fatalf("a message was not stored: %v", s.err)
		}
		results := []core.Result{s.res}
		if s.batch.Len() > 0 {
			results = nil
			for _, r := range s.batch.All() {
				results = append(results, r)
			}
		}
		for _, r := range results {
			if r.QueueOffset <= last {
				k.Errorf("the queue offsets of a message, a batch of three and another message do not grow: %d after %d", r.QueueOffset, last)
			}
			last = r.QueueOffset
		}
	}
}

// partly checks the outcomes of a batch of which some messages were refused.
func (k *kit) partly(s *sending, want Refusal, refused ...int) {
	var be *core.BatchError
	if !errors.As(s.err, &be) {
		k.Fatalf("messages %v of a batch were refused, and the send ends with %v, not with a *BatchError", refused, s.err)
	}
	if !slices.Equal(be.Refused, refused) {
		k.Errorf("messages %v of a batch were refused, and the error says %v", refused, be.Refused)
	}
	for i := range s.batch.Len() {
		err, no := s.batch.Err(i), slices.Contains(refused, i)
		switch r := s.batch.At(i); {
		case no && err == nil, no && r.Acked():
			k.Errorf("message %d of a batch was refused, and it has the status %v and the error %v", i, r.Status, err)
		case no && core.ClassOf(err) != want.Class:
			k.Errorf("message %d of a batch was refused with the class %v, and it means %v", i, core.ClassOf(err), want.Class)
		case !no && (err != nil || !r.Acked()):
			k.Errorf("message %d of a batch was stored, and it has the status %v and the error %v", i, r.Status, err)
		}
	}
}

// untouched checks that a send left its messages alone.
func (k *kit) untouched(s *sending) {
	if t := s.trip(); t.changed != "" {
		k.Errorf("%s changed it: %s", roundTrip, t.changed)
	}
	if errors.Is(s.err, core.ErrFrozen) || errors.Is(s.err, core.ErrEncoded) {
		k.Errorf("%s changed what is sent: %v", roundTrip, s.err)
	}
}
