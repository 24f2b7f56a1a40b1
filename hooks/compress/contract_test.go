package compress_test

import (
	"bytes"
	"context"
	"errors"
	"strings"
	"testing"

	"github.com/liftoff-mq/liftoff/core"
	"github.com/liftoff-mq/liftoff/core/coretest"
	"github.com/liftoff-mq/liftoff/hooks/compress"
)

func TestDescribe(t *testing.T) {
	zlib9, err := compress.Zlib(9)
	if err != nil {
		t.Fatal(err)
	}
	zstd19, err := compress.Zstd(19)
	if err != nil {
		t.Fatal(err)
	}
	mine := &user{"mine", nil}
	for _, tt := range []struct {
		step core.Step
		want string
	}{
		{step(t, codecs(t)[0]), "packs bodies (codec zlib, level 3, from 4 KiB, random bodies left as they are)"},
		{step(t, zlib9, compress.MinSize(1000)), "packs bodies (codec zlib, level 9, from 1000 bytes, random bodies left as they are)"},
		{step(t, zstd19, compress.MinSize(0)), "packs bodies (codec zstd, level 19, from 0 bytes, random bodies left as they are)"},
		{step(t, compress.LZ4(), compress.AlwaysTry()), "packs bodies (codec lz4, from 4 KiB, random bodies tried too)"},
		{step(t, mine), "packs bodies (codec mine, from 4 KiB, random bodies left as they are)"},
	} {
		p, err := core.Resolve(core.Order{}, tt.step)
		if err != nil {
			t.Fatal(err)
		}
		s := p.Steps()[0]
		if s.Scope != "call" || s.Stage != "encode" || s.Description.String() != tt.want {
			t.Errorf("got %+v: %s\nwant %s", s, s.Description, tt.want)
		}
	}
}

// limited is a transport behind which consumers know some codecs only.
type limited struct {
	coretest.Transport
	codecs []string
}

func (l *limited) Capabilities() core.Capabilities { return core.Capabilities{Codecs: l.codecs} }

func TestTheTransportHasToKnowTheCodec(t *testing.T) {
	for _, tt := range []struct {
		codecs []string
		ok     bool
	}{{nil, true}, {[]string{"lz4", "zlib"}, true}, {[]string{"lz4"}, false}, {[]string{}, false}} {
		_, err := core.NewProducer(config(&limited{codecs: tt.codecs}, step(t, codecs(t)[0])))
		if tt.ok != (err == nil) {
			t.Errorf("%q: got %v", tt.codecs, err)
		}
		if err != nil && (!errors.Is(err, core.ErrUnsupported) || !strings.Contains(err.Error(), "compress.zlib") || !strings.Contains(err.Error(), `"zlib"`)) {
			t.Errorf("%q: %v does not name the step and the codec", tt.codecs, err)
		}
	}
}

// A step that changes bodies stands outside of the compression. Inside of it the call fails:
// a consumer would unpack what is no packed body.
func TestStepsThatChangeBodies(t *testing.T) {
	xor := core.InterceptorFunc(func(ctx context.Context, c *core.Call, next core.Handler) (*core.Result, error) {
		b := bytes.Clone(c.Outgoing().Body())
		for i := range b {
			b[i] ^= 0x55
		}
		c.Outgoing().SetBody(b)
		return next(ctx, c)
	})
	tr := &coretest.Transport{}
	body := text(10000)
	p := coretest.Start(t, config(tr, step(t, codecs(t)[0]), core.CallStep("xor", core.StageEncode, xor).Before("compress.zlib")))
	if err := send(p, "sync", &core.Message{Topic: "T", Body: body}); err != nil {
		t.Fatal(err)
	}
	s := tr.Attempts()[0]
	got, err := compress.Decompress(nil, []byte(s.Body), flag(s.Codec), len(body))
	if err != nil || s.Codec != "zlib" {
		t.Fatalf("codec %q, %v", s.Codec, err)
	}
	for i := range got {
		got[i] ^= 0x55
	}
	if !bytes.Equal(got, body) {
		t.Error("the body arrives changed")
	}

	tr = &coretest.Transport{}
	p = coretest.Start(t, config(tr, step(t, codecs(t)[0]), core.CallStep("xor", core.StageEncode, xor).After("compress.zlib")))
	err = send(p, "sync", &core.Message{Topic: "T", Body: body})
	if !errors.Is(err, core.ErrEncoded) || core.ClassOf(err) != core.ClassPlugin || core.CertaintyOf(err) != core.NotSent || len(tr.Attempts()) != 0 {
		t.Errorf("got %v, %d attempts", err, len(tr.Attempts()))
	}
}
