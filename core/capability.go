package core

import (
	"fmt"
	"slices"

	"github.com/liftoff-mq/liftoff/internal/absent"
	"github.com/liftoff-mq/liftoff/internal/enum"
)

// Feature is something that a producer may ask of a transport and that not every protocol
// or server can carry.
type Feature uint8

// The features.
const (
	FeatureOneway      Feature = iota // one-way sends
	FeatureConfirm                    // answers to one-way sends, see Attempt.Confirm
	FeatureBatch                      // several messages in one request
	FeatureFixedQueue                 // Message.Queue
	FeatureDelayLevel                 // Message.DelayLevel
	FeatureDeliverAt                  // Message.DeliverAt and DeliverAfter
	FeatureTransaction                // half messages
	FeatureRecall                     // Producer.Recall
	FeatureReply                      // request-reply
	FeaturePriority                   // Message.Priority
	FeatureLiteTopic                  // Message.LiteTopic
	featureCount
)

var featureNames = []string{
	"oneway", "confirm", "batch", "fixed-queue", "delay-level", "deliver-at", "transaction", "recall", "reply",
	"priority", "lite-topic",
}

// String gives the feature's name.
func (f Feature) String() string { return enum.Name(featureNames, int(f)) }

// MarshalText gives the name.
func (f Feature) MarshalText() ([]byte, error) { return enum.Marshal("feature", featureNames, int(f)) }

// UnmarshalText takes a name.
func (f *Feature) UnmarshalText(text []byte) error {
	return enum.Unmarshal("feature", featureNames, text, f)
}

// Capabilities say what a transport cannot carry. The zero value can carry everything.
type Capabilities struct {
	// Lacks are the features that the transport does not have.
	Lacks []Feature
	// Codecs are the names of the codecs that consumers behind the transport can unpack;
	// nil means every one.
	Codecs []string
}

// Capable is implemented by transports that cannot carry everything. A producer asks once,
// when it is made. It refuses a step that needs what is missing ([Requirer]), and later
// each call and operation that asks for it, with an error that wraps [ErrUnsupported].
type Capable interface {
	Capabilities() Capabilities
}

// Requirer is implemented by steps and strategies that cannot work on every transport. A
// producer that cannot give what they need is not made.
type Requirer interface {
	Requires() Requirements
}

// Requirements are what a step or strategy needs of the transport.
type Requirements struct {
	Features []Feature
	Codecs   []string
}

// features is a set of features.
type features uint16

func (s features) has(f Feature) bool { return s&(1<<f) != 0 }

// Wrapper is implemented by a transport or route source that wraps another one. Core finds
// the optional interfaces of what is wrapped through it, as errors.As finds errors: a
// wrapper that does not implement it hides them.
type Wrapper interface{ Unwrap() any }

// find looks for an optional interface in parts and in what they wrap, in order.
func find[T any](parts ...any) (found T, ok bool) {
	for _, part := range parts {
		for depth := 0; !absent.Is(part) && depth < maxWrappers; depth++ {
			if found, ok = part.(T); ok {
				return found, true
			}
			w, wraps := part.(Wrapper)
			if !wraps {
				break
			}
			part = w.Unwrap()
		}
	}
	return found, false
}

// maxWrappers ends the search in a wrapper that wraps itself.
const maxWrappers = 64

// Identified is implemented by transports whose servers know the client by an id, which
// traces give as messaging.client.id. The id does not change.
type Identified interface{ ClientID() string }

// clientID asks the transport, and keeps its panic.
func clientID(t Transport) (id string, err error) {
	defer containPanic("transport", &err)
	if known, ok := find[Identified](t); ok {
		id = known.ClientID()
	}
	return id, nil
}

// capabilities asks the transport what it lacks, and keeps its panic.
func capabilities(t Transport) (c Capabilities, err error) {
	defer containPanic("transport", &err)
	if capable, ok := find[Capable](t); ok {
		c = capable.Capabilities()
	}
	return c, nil
}

func (c Capabilities) set() features {
	var s features
	for _, f := range c.Lacks {
		s |= 1 << f
	}
	return s
}

// missing names what a part needs and the transport lacks.
func (c Capabilities) missing(parts []namedPart) []error {
	var errs []error
	for _, p := range parts {
		need, err := requirements(p)
		if err != nil {
			errs = append(errs, err)
		}
		for _, f := range need.Features {
			if slices.Contains(c.Lacks, f) {
				errs = append(errs, fmt.Errorf("%s: needs %v: %w", p.name, f, ErrUnsupported))
			}
		}
		for _, codec := range need.Codecs {
			if c.Codecs != nil && !slices.Contains(c.Codecs, codec) {
				errs = append(errs, fmt.Errorf("%s: needs the codec %q, the transport has %q: %w", p.name, codec, c.Codecs, ErrUnsupported))
			}
		}
	}
	return errs
}

// requirements asks a part what it needs, and keeps its panic.
func requirements(p namedPart) (need Requirements, err error) {
	defer containPanic(p.name, &err)
	if r, ok := p.part.(Requirer); ok {
		need = r.Requires()
	}
	return need, nil
}

// ofSends are the features that a send may ask for.
const ofSends features = 1<<FeatureTransaction | 1<<FeatureOneway | 1<<FeatureBatch | 1<<FeatureFixedQueue | 1<<FeatureDelayLevel | 1<<FeatureDeliverAt |
	1<<FeaturePriority | 1<<FeatureLiteTopic

// supported says whether the transport can carry the call's message as the user gave it.
func (e *engine) supported(c *Call) error {
	if e.lacks&ofSends == 0 {
		return nil
	}
	need := features(0)
	if c.mode == Oneway {
		need |= 1 << FeatureOneway
	}
	if c.batch {
		need |= 1 << FeatureBatch
	}
	if c.half {
		need |= 1 << FeatureTransaction
	}
	for i := range c.outs {
		m := c.outs[i].msg
		if m.Queue != nil {
			need |= 1 << FeatureFixedQueue
		}
		if m.DelayLevel != 0 {
			need |= 1 << FeatureDelayLevel
		}
		if !m.DeliverAt.IsZero() || m.DeliverAfter != 0 {
			need |= 1 << FeatureDeliverAt
		}
		if m.Priority != nil {
			need |= 1 << FeaturePriority
		}
		if m.LiteTopic != "" {
			need |= 1 << FeatureLiteTopic
		}
	}
	for f := range featureCount {
		if (e.lacks & need).has(f) {
			return fmt.Errorf("%w: %v", ErrUnsupported, f)
		}
	}
	return nil
}
