package policyfile

import (
	"fmt"

	"github.com/liftoff-mq/liftoff/core"
	"github.com/liftoff-mq/liftoff/hooks/compress"
)

// off leaves compression out.
const off = "off"

// compression takes the policy's codec, in the place of whatever the producer has.
func (b *builder) compression(p *policy, o *Options) {
	const name = "compression"
	v := o.find(name, shape{"$ref": "#/$defs/compression"})
	if v == nil {
		return
	}
	g := group{}
	for _, codec := range []string{"zlib", "lz4", "zstd"} { // what a producer has unless it has one of its own
		g.without = append(g.without, "compress."+codec+"?")
	}
	if v.kind == scalar && (v.text == "none" || v.text == "false" || v.text == "no") {
		o.Fail(name, fmt.Errorf("%q is no codec; did you mean off?", v.text))
		return
	}
	if v.kind != scalar || v.text != off {
		step, ok := b.packing(v, join(o.path, name))
		if !ok {
			return
		}
		g.steps = []core.Step{step}
		g.without = without(g.without, step.Name()+"?")
	}
	p.steps[compressionSteps] = g
}

// packing makes the step of "compression: {codec: lz4, minSize: 8KiB}".
func (b *builder) packing(v *node, path string) (step core.Step, ok bool) {
	if v.kind == scalar { // the codec alone
		v = &node{place: v.place, kind: mapping, keys: []key{{v.place, "codec"}}, items: []*node{v}}
	}
	o := b.options(v, path)
	o.elsewhere = belowCompression
	p := packingOptions{from: compress.DefaultMinSize}
	o.packing(&p)
	o.finish()
	if !o.Has("codec") && !o.wrong() {
		b.add(v.place, path, `it needs "codec", or is off`)
	}
	if o.wrong() {
		return step, false
	}
	opts := []compress.Option{compress.MinSize(p.from)}
	if p.always {
		opts = append(opts, compress.AlwaysTry())
	}
	c, err := compress.New(p.codec, opts...)
	if err != nil {
		o.Fail("codec", err)
		return step, false
	}
	return c.Step(), true
}

// belowCompression says where the keys stand that are easily written one level too high.
var belowCompression = map[string]string{
	"zlib": `below "codec"`, "lz4": `below "codec"`, "zstd": `below "codec"`,
	"level": "below the codec's name, such as codec: {zstd: {level: 3}}",
}

// packingOptions are what stands below "compression".
type packingOptions struct {
	codec  core.Compressor
	from   int
	always bool
}

func (o *Options) packing(p *packingOptions) {
	o.Compressor("codec", &p.codec)
	o.Size("minSize", &p.from, 0, maxSize)
	o.Bool("alwaysTry", &p.always)
}

// without is a list without a name.
func without(list []string, name string) []string {
	out := list[:0]
	for _, n := range list {
		if n != name {
			out = append(out, n)
		}
	}
	return out
}
