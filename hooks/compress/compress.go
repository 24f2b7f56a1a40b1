package compress

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"

	"github.com/liftoff-mq/liftoff/core"
	"github.com/liftoff-mq/liftoff/hooks/internal/plugin"
	"github.com/liftoff-mq/liftoff/internal/words"
)

const (
	// DefaultMinSize is the size in bytes from which bodies are packed (Java:
	// compressMsgBodyOverHowmuch).
	DefaultMinSize = 4096
	// DefaultLevel is the level for zlib and Zstandard. Java's is 5; the libraries
	// here differ from its, and with 3 they pack text to about the same size - zlib
	// 5 to 7 % above, Zstandard below - in the least time.
	DefaultLevel = 3

	// maxPooled bounds the buffers that are kept for later calls.
	maxPooled = 8 << 20
)

var (
	_ core.Interceptor = (*Compression)(nil)
	_ core.Requirer    = (*Compression)(nil)
	_ core.Describer   = (*Compression)(nil)
)

// Compression is the step that packs bodies. It is safe for concurrent use. In
// the steady state it allocates nothing beyond what the codec does.
type Compression struct {
	codec   core.Compressor
	name    string
	minSize int
	always  bool
	buffers sync.Pool // of *[]byte
}

// Option changes how a [Compression] works.
type Option func(*Compression)

// MinSize packs bodies of n bytes and more; 0 means all. The default is
// [DefaultMinSize].
func MinSize(n int) Option { return func(c *Compression) { c.minSize = n } }

// AlwaysTry packs a body to see whether it gets smaller. Without it, a body
// whose bytes look random in a sample, as those of pictures, archives and
// ciphertext do, is sent as it is, which saves almost all of the time. The
// sample cannot see that such a body repeats itself at a distance of more than
// some KiB.
func AlwaysTry() Option { return func(c *Compression) { c.always = true } }

// New makes the step around a codec. A nil codec, a bad name, a nil option and a negative
// MinSize are errors, reported at once.
//
// A producer whose transport does not know the codec ([core.Capabilities]) is not made.
func New(codec core.Compressor, opts ...Option) (*Compression, error) {
	name, err := plugin.Name(codec)
	if err != nil {
		return nil, fmt.Errorf("compress: codec: %w", err)
	}
	c := &Compression{codec: codec, name: name, minSize: DefaultMinSize}
	c.buffers.New = func() any { return new([]byte) }
	var errs []error
	for i, o := range opts {
		if o == nil {
			errs = append(errs, fmt.Errorf("option %d is nil", i))
			continue
		}
		o(c)
	}
	if c.minSize < 0 {
		errs = append(errs, fmt.Errorf("MinSize is negative: %d", c.minSize))
	}
	// Core has the rules of names.
	if _, err := core.Resolve(core.Order{}, c.Step()); err != nil {
		errs = append(errs, err)
	}
	if err := errors.Join(errs...); err != nil {
		return nil, fmt.Errorf("compress: %w", err)
	}
	return c, nil
}

// Step places the compression: "compress.<codec>", in the encode stage of
// message scope, outside of hooks/accumulate.
func (c *Compression) Step() core.Step {
	return core.CallStep("compress."+c.name, core.StageEncode, c).Before("accumulate?")
}

// Requires asks for a transport that tells consumers how to unpack the codec's bodies.
func (c *Compression) Requires() core.Requirements {
	return core.Requirements{Codecs: []string{c.name}}
}

// Describe gives the codec, what it says of itself, such as its level, and the bodies that
// are packed.
func (c *Compression) Describe() core.Description {
	d := core.Description{Summary: "packs bodies", Settings: []core.Setting{{Name: "codec", Value: c.name}}}
	if _, ok := c.codec.(core.Describer); ok {
		d.Settings = append(d.Settings, core.Describe(c.codec).Settings...)
	}
	random := "left as they are"
	if c.always {
		random = "tried too"
	}
	d.Settings = append(d.Settings,
		core.Setting{Name: "from", Value: words.Size(c.minSize)},
		core.Setting{Name: "random bodies", Value: random})
	return d
}

// Error is a codec's failure. The send fails with it: a body is never sent
// unpacked because packing went wrong.
type Error struct {
	Codec string // its name
	Size  int    // of the body, in bytes
	Err   error
}

// Error names the step, the size and the cause.
func (e *Error) Error() string {
	return fmt.Sprintf("compress.%s: body of %d bytes: %v", e.Codec, e.Size, e.Err)
}

// Unwrap gives the cause.
func (e *Error) Unwrap() error { return e.Err }

// ErrorClass is [core.ClassPlugin].
func (e *Error) ErrorClass() core.Class { return core.ClassPlugin }

// Intercept packs the body if it is long enough, if the call is not a batch, of which no
// consumer could unpack the messages one by one, if no step has packed it before, and if
// it gets smaller. Afterwards the outgoing message is as before, so that a step further out
// may run the call again.
func (c *Compression) Intercept(ctx context.Context, call *core.Call, next core.Handler) (*core.Result, error) {
	out := call.Outgoing()
	body := out.Body()
	if call.Batch() || len(body) < c.minSize || len(body) == 0 || out.Codec() != "" ||
		!c.always && looksRandom(body) {
		return next(ctx, call)
	}
	buf := c.buffers.Get().(*[]byte)
	// Nothing longer than the body is of use, so a buffer of its size does for
	// every codec that is worth its while.
	*buf = slices.Grow((*buf)[:0], len(body))
	packed, err := c.codec.Append(*buf, body)
	if err == nil && len(packed) == 0 {
		err = fmt.Errorf("%w: the codec packed it into nothing", core.ErrContract)
	}
	if err != nil {
		c.release(buf)
		return nil, &Error{Codec: c.name, Size: len(body), Err: err}
	}
	if len(packed) >= len(body) {
		c.release(buf)
		return next(ctx, call)
	}
	out.SetPacked(packed, c.name)
	res, err := next(ctx, call)
	out.SetPacked(body, "")
	c.release(buf)
	return res, err
}

// release gives a buffer back. It is the one that Grow made, never one that a
// codec returned, which may be part of a user's body. After a panic it is not called.
func (c *Compression) release(buf *[]byte) {
	if cap(*buf) <= maxPooled {
		c.buffers.Put(buf)
	}
}
