package steptest

import (
	"bytes"
	"context"
	"fmt"
	"math/rand/v2"
	"reflect"
	"runtime"
	"strings"
	"sync"
	"time"

	"github.com/liftoff-mq/liftoff/core"
)

// Compressor is a compressor, and what is special about it. Only Compressor is required.
type Compressor struct {
	// Compressor is the codec.
	Compressor core.Compressor

	// Unpack is what a consumer does with a packed body. Without it the kit does not
	// check that packed bodies can be unpacked.
	Unpack func(packed []byte) ([]byte, error)
	// Deterministic is for codecs that pack the same body into the same bytes each time.
	Deterministic bool
	// Bodies are what is packed. By default they are short, long, random and repeating ones, up to
	// 1 MiB.
	Bodies [][]byte

	// Limit is the time of one check, a minute if it is 0. Late is how long something takes that
	// takes no time, on a slow machine: 5 s if it is 0. In virtual time it is a millisecond.
	Limit, Late time.Duration
	// Skip gives the reason why a rule ("C5") or a check ("C5/bodies") is left out.
	Skip map[string]string
}

func (c Compressor) settings() settings {
	set := settings{limit: c.Limit, late: c.Late, skip: c.Skip}
	if v := reflect.ValueOf(c.Compressor); !v.IsValid() || v.Kind() == reflect.Pointer && v.IsNil() {
		set.missing = "there is no Compressor"
	}
	return set
}

func (c Compressor) bodies() [][]byte {
	if len(c.Bodies) > 0 {
		return c.Bodies
	}
	random := make([]byte, 64<<10)
	rnd := rand.New(rand.NewPCG(1, 2))
	for i := range random {
		random[i] = byte(rnd.Uint32())
	}
	return [][]byte{
		[]byte("x"), []byte("a short body, which hardly gets any smaller"), random,
		[]byte(strings.Repeat("in this body much repeats itself. ", 2_000)), make([]byte, 1<<20),
	}
}

const appends = "Compressor.Append"

// pack packs a copy of a body behind dst. A codec that does not come back, or fails, ends the
// check: that is another rule's business.
func (k *kit) pack(c Compressor, dst, src []byte) (out []byte) {
	return k.packOwn(c, dst, bytes.Clone(src))
}

// packOwn is pack without the copy.
func (k *kit) packOwn(c Compressor, dst, src []byte) (out []byte) {
	var err error
	if wrong := k.packs(c, dst, src, &out, &err); wrong != "" || err != nil {
		k.Skipf("a body is not packed")
	}
	return out
}

func (k *kit) packs(c Compressor, dst, src []byte, out *[]byte, err *error) string {
	var got []byte
	var failed error
	if wrong := k.tries(appends, func() { got, failed = c.Compressor.Append(dst, src) }); wrong != "" {
		return wrong
	}
	*out, *err = got, failed
	return ""
}

// ofBodies makes a check over all bodies.
func ofBodies(run func(k *kit, c Compressor, body []byte)) []check[Compressor] {
	return []check[Compressor]{{"bodies", func(k *kit, c Compressor) {
		for _, body := range c.bodies() {
			if run(k, c, bytes.Clone(body)); k.Failed() {
				return
			}
		}
	}}}
}

// codecReturns is about codecs that do not come back.
func codecReturns() Rule[Compressor] {
	return Rule[Compressor]{
		"C1", "returns", "it packs every body, or returns an error: it does not block, panic or end its goroutine",
		append(ofBodies(func(k *kit, c Compressor, body []byte) {
			var out []byte
			var err error
			if wrong := k.packs(c, nil, body, &out, &err); wrong != "" {
				k.Errorf("%s, for a body of %d bytes", wrong, len(body))
			} else if err != nil {
				k.Errorf("%s of a body of %d bytes: %v", appends, len(body), err)
			}
		}), check[Compressor]{"empty", func(k *kit, c Compressor) {
			var out []byte
			var err error
			for _, body := range [][]byte{nil, {}} {
				if wrong := k.packs(c, nil, body, &out, &err); wrong != "" { // an error is allowed
					k.Errorf("%s, for an empty body", wrong)
				}
			}
		}}),
	}
}

// codecName is about the name, by which consumers unpack.
func codecName() Rule[Compressor] {
	return Rule[Compressor]{
		"C2", "name", "its name is one lower-case word, and always the same",
		[]check[Compressor]{{"name", func(k *kit, c Compressor) {
			var names [3]string
			for i := range names {
				if wrong := k.tries("Compressor.Name", func() { names[i] = c.Compressor.Name() }); wrong != "" {
					k.Fatalf("%s", wrong)
				}
			}
			name := names[0]
			if names[1] != name || names[2] != name {
				k.Errorf("the name is %q", names)
			}
			// Core has the rules of names.
			if _, err := core.Resolve(core.Order{}, core.CallStep("compress."+name, core.StageEncode, core.InterceptorFunc(nothing))); err != nil {
				k.Errorf("the name %q: %v", name, err)
			}
		}}},
	}
}

func nothing(context.Context, *core.Call, core.Handler) (*core.Result, error) { return nil, errKit }

// codecAppend is about what is in dst.
func codecAppend() Rule[Compressor] {
	return Rule[Compressor]{
		"C3", "append", "it appends: what is in dst stays in front, and what comes behind it does not depend on it",
		ofBodies(func(k *kit, c Compressor, body []byte) {
			head := []byte("steptest: what is in dst")
			size := len(k.pack(c, nil, body))
			if size == 0 {
				k.Fatalf("a body of %d bytes is packed into nothing", len(body))
			}
			for _, free := range []int{0, 2*len(body) + 1024} {
				what := fmt.Sprintf("with room for %d bytes", free)
				dst := append(make([]byte, 0, len(head)+free), head...)
				out := k.pack(c, dst, body)
				if !bytes.HasPrefix(out, head) {
					k.Fatalf("what was in a dst %s is not in front", what)
				}
				if !bytes.Equal(dst, head) {
					k.Fatalf("it wrote to what was in a dst %s", what)
				}
				if got := len(out) - len(head); got != size && c.Deterministic || got == 0 {
					k.Fatalf("behind a dst %s a body of %d bytes takes %d bytes, and behind none %d", what, len(body), got, size)
				}
				if c.Unpack != nil {
					k.unpacks(c, out[len(head):], body, "behind a dst "+what)
				}
			}
		}),
	}
}

// unpacks checks that packed is body.
func (k *kit) unpacks(c Compressor, packed, body []byte, where string) {
	var got []byte
	var err error
	if wrong := k.tries("Unpack", func() { got, err = c.Unpack(packed) }); wrong != "" {
		k.Fatalf("%s", wrong)
	}
	switch {
	case err != nil:
		k.Fatalf("a body of %d bytes that was packed %s cannot be unpacked: %v", len(body), where, err)
	case !bytes.Equal(got, body):
		k.Fatalf("a body of %d bytes that was packed %s is unpacked into another one of %d", len(body), where, len(got))
	}
}

// codecSource is about the body, which is the user's.
func codecSource() Rule[Compressor] {
	return Rule[Compressor]{
		"C4", "source", "it does not write to src, and its result is nobody else's memory",
		ofBodies(func(k *kit, c Compressor, body []byte) {
			src := append(bytes.Clone(body), bytes.Repeat([]byte{roomByte}, room)...)
			was := bytes.Clone(src)
			out := k.packOwn(c, nil, src[:len(body)])
			if !bytes.Equal(src, was) {
				k.Fatalf("it wrote to a body of %d bytes, or to the memory behind it", len(body))
			}
			packed := bytes.Clone(out)
			k.pack(c, nil, []byte(strings.Repeat("another body. ", 1+len(body)/14)))
			if !bytes.Equal(packed, out) {
				k.Fatalf("the packed form of a body of %d bytes changes when another one is packed", len(body))
			}
			for i := range src {
				src[i] ^= 0xFF
			}
			if !bytes.Equal(packed, out) {
				k.Fatalf("the packed form of a body of %d bytes changes with the body", len(body))
			}
		}),
	}
}

// codecUnpack is about consumers.
func codecUnpack() Rule[Compressor] {
	return Rule[Compressor]{
		"C5", "unpack", "what it packed can be unpacked into the same body",
		ofBodies(func(k *kit, c Compressor, body []byte) {
			if c.Unpack == nil {
				k.Skipf("there is no Unpack")
			}
			k.unpacks(c, k.pack(c, nil, body), body, "alone")
		}),
	}
}

// codecSame is about codecs that promise the same bytes.
func codecSame() Rule[Compressor] {
	return Rule[Compressor]{
		"C6", "same", "with Deterministic, the same body is packed into the same bytes",
		ofBodies(func(k *kit, c Compressor, body []byte) {
			if !c.Deterministic {
				k.Skipf("the codec does not promise it")
			}
			first := k.pack(c, nil, body)
			for range 3 {
				if !bytes.Equal(first, k.pack(c, nil, body)) {
					k.Fatalf("a body of %d bytes is packed in two ways", len(body))
				}
			}
		}),
	}
}

// codecKept is about memory that is somebody else's after the codec has returned. Writers in a
// pool may hold what they worked on last until they work again; what grows with the number of
// bodies may not be.
func codecKept() Rule[Compressor] {
	return Rule[Compressor]{
		"C7", "kept", "it does not keep dst and src, but for those that it worked on last",
		[]check[Compressor]{{"bodies", func(k *kit, c Compressor) {
			last := 8 + 2*runtime.GOMAXPROCS(0)
			var gone []func() bool
			for i := range 4 * last {
				src := []byte(strings.Repeat(fmt.Sprintf("the body of message %d; ", i), 50))
				dst := make([]byte, 0, 2*len(src)+1024)
				gone = append(gone, isGone(&dst[:1][0]), isGone(&src[0]))
				k.packOwn(c, dst, src)
			}
			kept := 0
			if !k.forgotten(func() bool {
				kept = 0
				for _, g := range gone {
					if !g() {
						kept++
					}
				}
				return kept <= 2*last
			}) {
				k.Errorf("of %d dst and src %d are still kept %v after %s", len(gone), kept, k.Late, appends)
			}
			_ = c.Compressor.Name() // which keeps the codec alive until now
		}}},
	}
}

// codecConcurrency is about many bodies at a time.
func codecConcurrency() Rule[Compressor] {
	const goroutines, each = 8, 8
	return Rule[Compressor]{
		"C8", "concurrency", "many bodies may be packed at a time",
		[]check[Compressor]{{"bodies", func(k *kit, c Compressor) {
			k.pack(c, nil, c.bodies()[0])
			bodies := make([][]byte, goroutines)
			want := make([][]byte, goroutines)
			for g := range bodies {
				bodies[g] = []byte(strings.Repeat(fmt.Sprintf("the body of goroutine %d; ", g), 100+g))
				want[g] = k.pack(c, nil, bodies[g])
			}
			var wg sync.WaitGroup
			for g := range goroutines {
				wg.Go(func() {
					for range each {
						var out []byte
						var err error
						wrong := k.packs(c, nil, bytes.Clone(bodies[g]), &out, &err)
						switch {
						case wrong != "":
							k.Errorf("among others: %s", wrong)
						case err != nil:
							k.Errorf("among others %s: %v", appends, err)
						case c.Unpack != nil:
							if got, err := c.Unpack(out); err != nil || !bytes.Equal(got, bodies[g]) {
								k.Errorf("among others a body is unpacked into another one, with the error %v", err)
							}
						case c.Deterministic && !bytes.Equal(out, want[g]):
							k.Errorf("among others a body is packed in another way than alone")
						}
						if wrong != "" || err != nil {
							return
						}
					}
				})
			}
			wg.Wait()
		}}},
	}
}

// codecGoroutines is about what a codec starts.
func codecGoroutines() Rule[Compressor] {
	return Rule[Compressor]{
		"C9", "goroutines", "it leaves no goroutine behind",
		[]check[Compressor]{{"bodies", func(k *kit, c Compressor) {
			for _, body := range c.bodies() {
				k.pack(c, nil, body)
			}
			k.NoneLeft("plugin", "the last "+appends)
		}}},
	}
}
