package compress_test

import (
	"context"
	"fmt"
	"log"
	"strings"

	"github.com/liftoff-mq/liftoff/core"
	"github.com/liftoff-mq/liftoff/core/coretest"
	"github.com/liftoff-mq/liftoff/hooks/compress"
)

func ExampleMinSize() {
	ctx := context.Background()
	step, err := compress.New(compress.LZ4(), compress.MinSize(1000), compress.AlwaysTry())
	if err != nil {
		log.Fatal(err)
	}
	tr := &coretest.Transport{}
	p, err := core.NewProducer(coretest.Config(tr, step.Step()))
	if err != nil {
		log.Fatal(err)
	}
	if err := p.Start(ctx); err != nil {
		log.Fatal(err)
	}
	defer p.Shutdown(ctx)
	for _, n := range []int{999, 1000} {
		if _, err := p.Send(ctx, coretest.Message(strings.Repeat("x", n))); err != nil {
			log.Fatal(err)
		}
	}
	for _, a := range tr.Attempts() {
		fmt.Printf("codec %q, packed %v\n", a.Codec, len(a.Body) < 999)
	}
	// Output:
	// codec "", packed false
	// codec "lz4", packed true
}
