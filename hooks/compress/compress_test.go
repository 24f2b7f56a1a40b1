package compress_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"reflect"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/liftoff-mq/liftoff/core"
	"github.com/liftoff-mq/liftoff/core/coretest"
	"github.com/liftoff-mq/liftoff/core/rocketmq"
	"github.com/liftoff-mq/liftoff/hooks/compress"
	"github.com/liftoff-mq/liftoff/internal/race"
)

func step(tb testing.TB, c core.Compressor, opts ...compress.Option) core.Step {
	tb.Helper()
	s, err := compress.New(c, opts...)
	if err != nil {
		tb.Fatal(err)
	}
	return s.Step()
}

var modes = []string{"sync", "async", "oneway"}

func send(p *core.Producer, mode string, m *core.Message) error {
	ctx := context.Background()
	switch mode {
	case "sync":
		_, err := p.Send(ctx, m)
		return err
	case "async":
		ch := make(chan error, 1)
		p.SendAsync(ctx, m, func(_ core.Result, err error) { ch <- err })
		return <-ch
	default:
		return p.SendOneway(ctx, m)
	}
}

func TestThroughTheProducer(t *testing.T) {
	for _, c := range codecs(t) {
		for kind, body := range bodies {
			for _, size := range sizes {
				t.Run(fmt.Sprintf("%s/%s/%d", c.Name(), kind, size), func(t *testing.T) {
					tr := &coretest.Transport{}
					p := coretest.Start(t, config(tr, step(t, c)))
					m := &core.Message{Topic: "T", Body: body(size)}
					orig := &core.Message{Topic: "T", Body: bytes.Clone(m.Body)}
					modes := modes
					if size > 1<<20 {
						modes = modes[:1]
					}
					for _, mode := range modes {
						if err := send(p, mode, m); err != nil {
							t.Fatal(err)
						}
					}
					for _, s := range tr.Attempts() {
						packed := size >= 4096 && kind != "random"
						if packed != (s.Codec == c.Name()) || !packed && s.Codec != "" || packed != (len(s.Body) < size) {
							t.Errorf("%v: codec %q, %d bytes", s.Mode, s.Codec, len(s.Body))
						}
						got, err := compress.Decompress(nil, []byte(s.Body), flag(s.Codec), size)
						if err != nil || !bytes.Equal(got, m.Body) {
							t.Errorf("%v: the body arrives changed, %v", s.Mode, err)
						}
					}
					if !reflect.DeepEqual(m, orig) {
						t.Error("the message changed")
					}
				})
			}
		}
	}
}

// The names are those that transports and consumers know the codecs by.
func TestNames(t *testing.T) {
	want := []string{"zlib", "lz4", "zstd"}
	for i, c := range codecs(t) {
		if c.Name() != want[i] {
			t.Errorf("codec %d is named %s, want %s", i, c.Name(), want[i])
		}
		if name := step(t, c).Name(); name != "compress."+want[i] {
			t.Errorf("step is named %s", name)
		}
	}
}

func TestBatchesAreNotPacked(t *testing.T) {
	tr := &coretest.Transport{}
	tr.Do = func(_ context.Context, at *core.Attempt) (*core.Result, error) {
		for o := range at.Call().All() {
			if o.Codec() != "" || len(o.Body()) != 10000 {
				t.Errorf("codec %q, %d bytes", o.Codec(), len(o.Body()))
			}
		}
		return tr.Ack(at), nil
	}
	p := coretest.Start(t, config(tr, step(t, codecs(t)[0])))
	m := &core.Message{Topic: "T", Body: text(10000)}
	if _, err := p.SendBatch(context.Background(), []*core.Message{m, m}); err != nil || len(tr.Attempts()) != 1 {
		t.Error(err)
	}
}

// counter counts how often its codec runs.
type counter struct {
	core.Compressor
	n atomic.Int32
}

func (c *counter) Append(dst, src []byte) ([]byte, error) {
	c.n.Add(1)
	return c.Compressor.Append(dst, src)
}

func TestMinSizeAndTrials(t *testing.T) {
	even := make([]byte, 8192) // 0, 1, 2 ... 255, 0, 1: even, but anything but random
	for i := range even {
		even[i] = byte(i)
	}
	block := random(1024)
	zlib9, err := compress.Zlib(9)
	if err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		name   string
		opts   []compress.Option
		body   []byte
		tries  int32
		packed bool
	}{
		{"below", nil, text(4095), 0, false},
		{"at", nil, text(4096), 1, true},
		{"all", []compress.Option{compress.MinSize(0)}, make([]byte, 100), 1, true},
		{"larger", []compress.Option{compress.MinSize(5000)}, text(4999), 0, false},
		{"too short to gain", []compress.Option{compress.MinSize(1)}, []byte("x"), 1, false},
		{"random", nil, random(100000), 0, false},
		{"random of 4096", nil, random(4096), 0, false},
		{"random, always", []compress.Option{compress.AlwaysTry()}, random(100000), 1, false},
		{"counting bytes", nil, even, 1, true},
		{"random block, repeated", nil, bytes.Repeat(block, 16), 1, true},
		{"half random", nil, append(random(8192), text(8192)...), 1, true},
		{"base64 alphabet", nil, func() []byte {
			b := random(8192)
			for i := range b {
				b[i] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"[b[i]&63]
			}
			return b
		}(), 1, true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			c := &counter{Compressor: zlib9}
			tr := &coretest.Transport{}
			p := coretest.Start(t, config(tr, step(t, c, tt.opts...)))
			if err := send(p, "sync", &core.Message{Topic: "T", Body: tt.body}); err != nil {
				t.Fatal(err)
			}
			s := tr.Attempts()[0]
			if c.n.Load() != tt.tries || (s.Codec != "") != tt.packed {
				t.Errorf("%d trials, codec %q, want %d, packed %v", c.n.Load(), s.Codec, tt.tries, tt.packed)
			}
			if !tt.packed && s.Body != string(tt.body) {
				t.Error("the body changed")
			}
		})
	}
}

// Packed once a call, whatever the number of attempts.
func TestOncePerCall(t *testing.T) {
	c := &counter{Compressor: codecs(t)[0]}
	tr := &coretest.Transport{Do: func(_ context.Context, at *core.Attempt) (*core.Result, error) {
		return nil, coretest.Refuse(at, rocketmq.CodeSystemBusy, "")
	}}
	cfg := config(tr, step(t, c))
	cfg.Retry = coretest.Retry(3)
	p := coretest.Start(t, cfg)
	if err := send(p, "sync", &core.Message{Topic: "T", Body: text(10000)}); err == nil {
		t.Fatal("want a failure")
	}
	a := tr.Attempts()
	if c.n.Load() != 1 || len(a) != 3 || a[0].Body != a[2].Body || a[2].Codec != "zlib" {
		t.Errorf("packed %d times for %d attempts", c.n.Load(), len(a))
	}
}

// A step further out that runs the call again finds the original.
func TestRunAgain(t *testing.T) {
	body := text(10000)
	again := core.InterceptorFunc(func(ctx context.Context, c *core.Call, next core.Handler) (*core.Result, error) {
		for range 2 {
			if _, err := next(ctx, c); err == nil {
				t.Error("want a failure")
			}
			if o := c.Outgoing(); !bytes.Equal(o.Body(), body) || o.Codec() != "" {
				t.Errorf("after a run the body has %d bytes, codec %q", len(o.Body()), o.Codec())
			}
		}
		return next(ctx, c)
	})
	tr := &coretest.Transport{}
	tr.Do = func(_ context.Context, at *core.Attempt) (*core.Result, error) {
		if n := len(tr.Attempts()); n < 3 {
			return nil, coretest.Refuse(at, rocketmq.CodeSystemBusy, "")
		}
		return tr.Ack(at), nil
	}
	p := coretest.Start(t, config(tr, step(t, codecs(t)[0]), core.CallStep("again", core.StageShape, again)))
	if err := send(p, "sync", &core.Message{Topic: "T", Body: body}); err != nil {
		t.Fatal(err)
	}
	a := tr.Attempts()
	if len(a) != 3 || a[0].Body != a[1].Body || a[1].Body != a[2].Body || a[2].Codec != "zlib" {
		t.Errorf("%d attempts with different bodies", len(a))
	}
}

func TestTwoStepsPackOnce(t *testing.T) {
	cs := codecs(t)
	tr := &coretest.Transport{}
	p := coretest.Start(t, config(tr, step(t, cs[0]), step(t, cs[1])))
	body := text(10000)
	if err := send(p, "sync", &core.Message{Topic: "T", Body: body}); err != nil {
		t.Fatal(err)
	}
	s := tr.Attempts()[0]
	got, err := compress.Decompress(nil, []byte(s.Body), flag(s.Codec), len(body))
	if err != nil || !bytes.Equal(got, body) || s.Codec != "lz4" { // lz4 comes first by name
		t.Errorf("codec %q, %v", s.Codec, err)
	}
}

// user is a codec that a user wrote.
type user struct {
	name   string
	append func(dst, src []byte) ([]byte, error)
}

func (u *user) Name() string                           { return u.name }
func (u *user) Append(dst, src []byte) ([]byte, error) { return u.append(dst, src) }

func TestCodecsThatFail(t *testing.T) {
	cause := errors.New("out of paper")
	for name, tt := range map[string]struct {
		append func(dst, src []byte) ([]byte, error)
		is     func(err error) bool
	}{
		"error": {
			func([]byte, []byte) ([]byte, error) { return nil, cause },
			func(err error) bool { return errors.Is(err, cause) },
		},
		"nothing": {
			func([]byte, []byte) ([]byte, error) { return nil, nil },
			func(err error) bool { return errors.Is(err, core.ErrContract) },
		},
		"panic": {
			func([]byte, []byte) ([]byte, error) { panic("boom") },
			func(err error) bool { var pe *core.PanicError; return errors.As(err, &pe) && pe.Value == "boom" },
		},
	} {
		for _, mode := range modes {
			t.Run(name+"/"+mode, func(t *testing.T) {
				tr := &coretest.Transport{}
				p := coretest.Start(t, config(tr, step(t, &user{"mine", tt.append})))
				m := &core.Message{Topic: "T", Body: text(10000)}
				err := send(p, mode, m)
				if !tt.is(err) || core.ClassOf(err) != core.ClassPlugin || core.CertaintyOf(err) != core.NotSent {
					t.Errorf("got %v, class %v", err, core.ClassOf(err))
				}
				if !strings.Contains(err.Error(), "compress.mine") || strings.Contains(err.Error(), "order") {
					t.Errorf("the text is %q", err)
				}
				var e *compress.Error
				if name != "panic" && (!errors.As(err, &e) || e.Codec != "mine" || e.Size != 10000) {
					t.Errorf("got %+v", e)
				}
				if len(tr.Attempts()) != 0 {
					t.Error("the message was sent")
				}
				if !bytes.Equal(m.Body, text(10000)) {
					t.Error("the body changed")
				}
			})
		}
	}
}

// A codec may return a slice of its own, even one of the body. No later call
// may write to it.
func TestForeignSlicesAreNotReused(t *testing.T) {
	c := &user{"mine", func(dst, src []byte) ([]byte, error) {
		if len(src) == 5000 {
			return src[:10], nil
		}
		return append(dst, bytes.Repeat([]byte{'x'}, 100)...), nil
	}}
	p := coretest.Start(t, config(&coretest.Transport{}, step(t, c)))
	first := &core.Message{Topic: "T", Body: text(5000)}
	for range 10 {
		if err := send(p, "sync", first); err != nil {
			t.Fatal(err)
		}
		if err := send(p, "sync", &core.Message{Topic: "T", Body: text(6000)}); err != nil {
			t.Fatal(err)
		}
	}
	if !bytes.Equal(first.Body, text(5000)) {
		t.Error("a user's body was written to")
	}
}

func TestNewRefusesBadCodecs(t *testing.T) {
	nop := func(dst, _ []byte) ([]byte, error) { return dst, nil }
	var typedNil *user
	good := codecs(t)[0]
	for name, f := range map[string]func() (*compress.Compression, error){
		"nil":        func() (*compress.Compression, error) { return compress.New(nil) },
		"typed nil":  func() (*compress.Compression, error) { return compress.New(typedNil) },
		"bad name":   func() (*compress.Compression, error) { return compress.New(&user{"My Codec", nop}) },
		"no name":    func() (*compress.Compression, error) { return compress.New(&user{"", nop}) },
		"size":       func() (*compress.Compression, error) { return compress.New(good, compress.MinSize(-1)) },
		"nil option": func() (*compress.Compression, error) { return compress.New(good, nil) },
	} {
		if c, err := f(); err == nil || c != nil || !strings.HasPrefix(err.Error(), "compress: ") {
			t.Errorf("%s: got %v, %v, want an error", name, c, err)
		}
	}
}

// The same message from many goroutines, with bodies of different sizes in the
// same pools.
func TestSharedMessageStaysAsItIs(t *testing.T) {
	for _, c := range codecs(t) {
		tr := &coretest.Transport{Forget: true}
		tr.Do = func(_ context.Context, at *core.Attempt) (*core.Result, error) {
			o := at.Call().Outgoing()
			got, err := compress.Decompress(nil, o.Body(), flag(o.Codec()), 1<<20)
			if err != nil || !bytes.Equal(got, o.Message().Body) || o.Codec() != c.Name() {
				t.Errorf("%s: codec %q, equal %v, %v", c.Name(), o.Codec(), bytes.Equal(got, o.Message().Body), err)
			}
			return tr.Ack(at), nil
		}
		p := coretest.Start(t, config(tr, step(t, c)))
		m1, m2 := &core.Message{Topic: "T", Body: text(5000)}, &core.Message{Topic: "T", Body: text(50000)}
		var wg sync.WaitGroup
		for range 8 {
			wg.Go(func() {
				for range 13 {
					if err := errors.Join(send(p, "sync", m1), send(p, "async", m2)); err != nil {
						t.Error(err)
					}
				}
			})
		}
		wg.Wait()
		if !bytes.Equal(m1.Body, text(5000)) || !bytes.Equal(m2.Body, text(50000)) {
			t.Errorf("%s: the message changed", c.Name())
		}
	}
}

func TestNoAllocations(t *testing.T) {
	if race.Enabled {
		t.Skip("the race detector allocates")
	}
	for _, c := range codecs(t) {
		p := coretest.Start(t, config(&coretest.Transport{Forget: true}, step(t, c)))
		for name, m := range map[string]*core.Message{
			"below the threshold": {Topic: "T", Body: text(4095)},
			"random":              {Topic: "T", Body: random(10000)},
			"packed":              {Topic: "T", Body: text(10000)},
		} {
			n := testing.AllocsPerRun(200, func() {
				if err := send(p, "sync", m); err != nil {
					t.Fatal(err)
				}
			})
			if n != 0 {
				t.Errorf("%s, %s: %v allocations, want 0", c.Name(), name, n)
			}
		}
	}
}

func BenchmarkStep(b *testing.B) {
	for _, c := range codecs(b) {
		for _, m := range []struct {
			name string
			body []byte
		}{{"below", text(4095)}, {"random-100000", random(100000)}, {"text-10000", text(10000)}} {
			b.Run(c.Name()+"/"+m.name, func(b *testing.B) {
				p := coretest.Start(b, config(&coretest.Transport{Forget: true}, step(b, c)))
				msg := &core.Message{Topic: "T", Body: m.body}
				b.SetBytes(int64(len(m.body)))
				b.ReportAllocs()
				for b.Loop() {
					if err := send(p, "sync", msg); err != nil {
						b.Fatal(err)
					}
				}
			})
		}
	}
}
