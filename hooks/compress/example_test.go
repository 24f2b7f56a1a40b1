package compress_test

import (
	"bytes"
	"context"
	"fmt"

	"github.com/liftoff-mq/liftoff/core"
	"github.com/liftoff-mq/liftoff/core/coretest"
	"github.com/liftoff-mq/liftoff/core/rocketmq"
	"github.com/liftoff-mq/liftoff/hooks/compress"
)

func ExampleNew() {
	codec, err := compress.Zlib(compress.DefaultLevel)
	if err != nil {
		fmt.Println(err)
		return
	}
	step, err := compress.New(codec, compress.MinSize(1024))
	if err != nil {
		fmt.Println(err)
		return
	}
	tr := &coretest.Transport{}
	p, err := core.NewProducer(coretest.Config(tr, step.Step()))
	if err != nil {
		fmt.Println(err)
		return
	}
	ctx := context.Background()
	if err := p.Start(ctx); err != nil {
		fmt.Println(err)
		return
	}
	defer p.Shutdown(ctx)

	m := &core.Message{Topic: "logs", Body: bytes.Repeat([]byte("the same line\n"), 1000)}
	if _, err := p.Send(ctx, m); err != nil {
		fmt.Println(err)
		return
	}
	sent := tr.Attempts()[0]
	fmt.Printf("system flag %#x, less than a tenth: %v\n", sent.SysFlag, len(sent.Body)*10 < len(m.Body))
	body, err := compress.Decompress(nil, []byte(sent.Body), sent.SysFlag, 1<<20)
	fmt.Println("unpacked:", bytes.Equal(body, m.Body), err)
	// Output:
	// system flag 0x301, less than a tenth: true
	// unpacked: true <nil>
}

func ExampleZlib() {
	codec, err := compress.Zlib(9)
	fmt.Printf("%s %#x %v\n", codec.Name(), codec.SysFlag(), err)
	_, err = compress.Zlib(0)
	fmt.Println(err)
	// Output:
	// zlib 0x301 <nil>
	// compress: zlib level 0, allowed is 1 to 9
}

func ExampleLZ4() {
	codec := compress.LZ4()
	fmt.Printf("%s %#x\n", codec.Name(), codec.SysFlag())
	// Output:
	// lz4 0x101
}

func ExampleZstd() {
	codec, err := compress.Zstd(compress.DefaultLevel)
	fmt.Printf("%s %#x %v\n", codec.Name(), codec.SysFlag(), err)
	// Output:
	// zstd 0x201 <nil>
}

func ExampleDecompress() {
	packed, err := compress.LZ4().Append(nil, []byte("hello, hello, hello"))
	if err != nil {
		fmt.Println(err)
		return
	}
	body, err := compress.Decompress(nil, packed, rocketmq.SysCompressed|rocketmq.SysCompressionLZ4, 0)
	fmt.Println(string(body), err)
	_, err = compress.Decompress(nil, packed, rocketmq.SysCompressed|rocketmq.SysCompressionLZ4, 10)
	fmt.Println(err)
	// Output:
	// hello, hello, hello <nil>
	// compress: unpacked body is too large: more than 10 bytes
}
