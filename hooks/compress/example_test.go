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
	fmt.Printf("codec %s, less than a tenth: %v\n", sent.Codec, len(sent.Body)*10 < len(m.Body))
	// A consumer finds the codec in the message's system flag.
	flag := rocketmq.SysCompressed | rocketmq.SysCompressionZlib
	body, err := compress.Decompress(nil, []byte(sent.Body), flag, 1<<20)
	fmt.Println("unpacked:", bytes.Equal(body, m.Body), err)
	// Output:
	// codec zlib, less than a tenth: true
	// unpacked: true <nil>
}

func ExampleZlib() {
	codec, err := compress.Zlib(9)
	fmt.Println(codec.Name(), err)
	_, err = compress.Zlib(0)
	fmt.Println(err)
	// Output:
	// zlib <nil>
	// compress: zlib level 0, allowed is 1 to 9
}

func ExampleLZ4() {
	codec := compress.LZ4()
	fmt.Println(codec.Name())
	// Output:
	// lz4
}

func ExampleZstd() {
	codec, err := compress.Zstd(compress.DefaultLevel)
	fmt.Println(codec.Name(), err)
	// Output:
	// zstd <nil>
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
