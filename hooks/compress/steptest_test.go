package compress_test

import (
	"testing"

	"github.com/liftoff-mq/liftoff/core/steptest"
	"github.com/liftoff-mq/liftoff/hooks/compress"
)

// The codecs keep the rules of compressors, and the step with each of them those of
// interceptors.
func TestRules(t *testing.T) {
	for i, c := range codecs(t) {
		name := c.Name()
		t.Run(name, func(t *testing.T) {
			steptest.TestCompressor(t, func(steptest.TB) steptest.Compressor {
				return steptest.Compressor{
					Compressor: codecs(t)[i], Deterministic: true,
					Unpack: func(packed []byte) ([]byte, error) { return compress.Decompress(nil, packed, flag(name), 4<<20) },
				}
			})
		})
		t.Run("step "+name, func(t *testing.T) {
			steptest.TestStep(t, func(tb steptest.TB) steptest.Step {
				step, err := compress.New(codecs(t)[i])
				if err != nil {
					tb.Fatalf("%v", err)
				}
				return steptest.Step{Step: step.Step(), ChangesBody: true}
			})
		})
	}
}
