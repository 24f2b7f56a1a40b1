package steptest

import (
	"bytes"
	"context"
	"errors"
	"slices"

	"github.com/liftoff-mq/liftoff/core"
	"github.com/liftoff-mq/liftoff/core/rocketmq"
)

// messageRule is about the user's messages.
func messageRule() Rule[Step] {
	return Rule[Step]{
		"I5", "message", "it never writes to the user's message",
		in(func(r *rig, sc scope) {
			r.works(sc)
			for _, h := range r.kinds(sc) {
				v := r.begin(sc, h)
				v.over()
				if what := changedBy(v.before, v.msgs); what != "" {
					r.k.Fatalf("%s: %s", v.what(), what)
				}
			}
		}, inMessage, inAttempt),
	}
}

// inPasses makes a check of each message that comes to next in message scope.
func inPasses(name string, look func(k *kit, v *visit, s []sent)) check[Step] {
	return check[Step]{name, func(k *kit, s Step) {
		r := k.rig(s)
		r.needs(inMessage)
		r.works(inMessage)
		for _, h := range r.kinds(inMessage) {
			v := r.begin(inMessage, h)
			if !v.over() {
				return
			}
			for _, p := range v.one().passes {
				if look(k, v, p.sent); k.Failed() {
					return
				}
			}
		}
	}}
}

// changesRule is about what a step changes of what is sent.
func changesRule() Rule[Step] {
	return Rule[Step]{
		"I6", "changes", "it changes nothing of what is sent but what it is made to change",
		[]check[Step]{inPasses("message", func(k *kit, v *visit, all []sent) {
			step := v.r.step
			for i, s := range all {
				m := v.before[i].m
				if s.topic != m.Topic && !step.ChangesTopic {
					k.Errorf("the topic %q became %q; set ChangesTopic if it may", m.Topic, s.topic)
				}
				if (!bytes.Equal(s.body, m.Body) || s.codec != "") && !step.ChangesBody {
					k.Errorf("a body of %d bytes became one of %d, with the codec %q; set ChangesBody if it may", len(m.Body), len(s.body), s.codec)
				}
				for name, value := range properties(m) {
					if now, ok := s.property(name); now != value && !step.ChangesProperties {
						k.Errorf("the property %q was %q and is %q (there: %v); set ChangesProperties if it may", name, value, now, ok)
					}
				}
			}
		})},
	}
}

// properties are those that a message has for the tag, its keys, and of the user's own.
func properties(m *core.Message) map[string]string {
	out := map[string]string{}
	for name, value := range m.Properties {
		out[name] = value
	}
	if m.Tag != "" {
		out[rocketmq.PropertyTags] = m.Tag
	}
	if m.ShardingKey != "" {
		out[rocketmq.PropertyShardingKey] = m.ShardingKey
	}
	if m.LiteTopic != "" {
		out[rocketmq.PropertyLiteTopic] = m.LiteTopic
	}
	return out
}

// propertiesRule is about the properties that a step sets.
func propertiesRule() Rule[Step] {
	return Rule[Step]{
		"I7", "properties", "the properties that it sets are sound: not empty, without separators, not the unique id, of a size that brokers take",
		[]check[Step]{inPasses("message", func(k *kit, v *visit, all []sent) {
			for _, s := range all {
				ids := 0
				for _, p := range s.props {
					if p.Name == rocketmq.PropertyUniqKey {
						ids++
					}
					if err := rocketmq.CheckProperty(p.Name, p.Value); err != nil {
						k.Errorf("the property %q with the value %q: %v", p.Name, p.Value, err)
					}
					if _, users := v.before[0].m.Properties[p.Name]; v.how.batch && rocketmq.IsSingleProperty(p.Name) && !users {
						k.Errorf("the property %q in a batch, where brokers ignore it", p.Name)
					}
				}
				if ids > 1 {
					k.Errorf("the property %q is the unique id and cannot be set", rocketmq.PropertyUniqKey)
				}
				if s.size > rocketmq.MaxPropertiesLength {
					k.Errorf("the properties take %d bytes, at most %d are allowed", s.size, rocketmq.MaxPropertiesLength)
				}
			}
		})},
	}
}

// packedRule is about bodies that a codec has packed.
func packedRule() Rule[Step] {
	return Rule[Step]{
		"I8", "packed", "a body that a codec has packed stays as it is",
		[]check[Step]{{"message", func(k *kit, s Step) {
			r := k.rig(s)
			r.needs(inMessage)
			r.works(inMessage)
			for _, m := range s.messages() {
				v := r.begin(inMessage, how{mode: s.mode(), message: m, packed: true, through: true})
				if !v.over() {
					return
				}
				if errors.Is(v.err, core.ErrEncoded) {
					k.Fatalf("%s set the body of a message that a codec had packed", v.what())
				}
				for _, p := range v.one().passes {
					if now := p.sent[0]; !bytes.Equal(now.body, packedBody) || now.codec != packedCodec {
						k.Fatalf("%s changed a body that was packed by %q into another one by %q", v.what(), packedCodec, now.codec)
					}
				}
			}
		}}},
	}
}

// againRule is about steps under one that repeats the call.
func againRule() Rule[Step] {
	return Rule[Step]{
		"I9", "again", "a step further out may run the call again: then it does the same again",
		[]check[Step]{{"message", func(k *kit, s Step) {
			r := k.rig(s)
			r.needs(inMessage)
			r.works(inMessage)
			for _, m := range s.messages() {
				v := r.begin(inMessage, how{mode: s.mode(), message: m, again: true, below: func(context.Context, *visit) fate {
					return fate{err: failed(core.ErrConnectionLost)}
				}})
				if !v.over() {
					return
				}
				if len(v.all()) == 2 {
					k.sameAgain(v)
				}
			}
		}}},
	}
}

// sameAgain compares the two times that a call came to the step.
func (k *kit) sameAgain(v *visit) {
	first, second := v.all()[0].passes, v.all()[1].passes
	if len(first) == 0 || len(second) == 0 {
		if len(first) > 0 && !v.r.step.Vetoes {
			k.Errorf("the second time the call did not come to next: %v", v.all()[1].err)
		}
		return
	}
	a, b := first[0].sent[0], second[0].sent[0]
	switch {
	case a.topic != b.topic:
		k.Errorf("the topic is %q at first and then %q", a.topic, b.topic)
	case len(a.body) != len(b.body):
		k.Errorf("the body has %d bytes at first and then %d", len(a.body), len(b.body))
	case !slices.Equal(a.names(), b.names()):
		k.Errorf("the properties are %q at first and then %q", a.names(), b.names())
	}
}

// frozenRule is about attempts: what is sent is fixed by then.
func frozenRule() Rule[Step] {
	return Rule[Step]{
		"A2", "frozen", "it changes nothing of what is sent",
		in(func(r *rig, sc scope) {
			for _, h := range r.kinds(sc) {
				v := r.begin(sc, h)
				v.over()
				if errors.Is(v.err, core.ErrFrozen) {
					r.k.Fatalf("%s tried to change %s", v.what(), h.describe(sc))
				}
			}
		}, inAttempt),
	}
}
