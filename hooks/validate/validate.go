package validate

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"time"

	"github.com/liftoff-mq/liftoff/core"
	"github.com/liftoff-mq/liftoff/core/rocketmq"
	"github.com/liftoff-mq/liftoff/internal/plausible"
	"github.com/liftoff-mq/liftoff/internal/words"
)

// The defaults, which are those of brokers.
const (
	// DefaultMaxBodySize is 4 MiB (Java: DefaultMQProducer.maxMessageSize).
	DefaultMaxBodySize = 4 << 20
	// DefaultMaxDelay is 3 days (broker 5.x: timerMaxDelaySec).
	DefaultMaxDelay = 72 * time.Hour
	// DefaultMaxDelayLevel is 18, which is 2 hours (Java: MessageStoreConfig.messageDelayLevel).
	DefaultMaxDelayLevel = 18
)

// The most that the limits can be: beyond, they limit nothing.
const (
	maxBodySize   = 16 << 20 // of a frame (Java: com.rocketmq.remoting.frameMaxLength)
	minMaxDelay   = time.Second
	maxDelayLevel = 1000
)

var (
	_ core.Interceptor = (*Validator)(nil)
	_ core.Describer   = (*Validator)(nil)
)

// Validator is the step that checks messages. It is safe for concurrent use.
type Validator struct {
	maxBody       int
	maxProperties int
	maxDelay      time.Duration
	maxDelayLevel int
}

// Option changes a limit.
type Option func(*Validator)

// MaxBodySize limits a body before compression, and a batch's encoded size, to
// n bytes. A broker has a limit of its own (maxMessageSize), so raise both.
func MaxBodySize(n int) Option { return func(v *Validator) { v.maxBody = n } }

// MaxPropertiesSize limits the encoded properties to n bytes. Brokers can keep
// [rocketmq.MaxPropertiesLength].
func MaxPropertiesSize(n int) Option { return func(v *Validator) { v.maxProperties = n } }

// MaxDelay limits how far ahead of the call DeliverAt may be.
func MaxDelay(d time.Duration) Option { return func(v *Validator) { v.maxDelay = d } }

// MaxDelayLevel limits DelayLevel. Brokers have 18 levels unless they are configured otherwise
// (messageDelayLevel), and take the last one for any higher number, without an error.
func MaxDelayLevel(n int) Option { return func(v *Validator) { v.maxDelayLevel = n } }

// New makes the step. Limits that cannot hold any message, or more than the protocol can
// carry, and options that are nil are errors; all are reported at once.
func New(opts ...Option) (*Validator, error) {
	v := &Validator{
		maxBody:       DefaultMaxBodySize,
		maxProperties: rocketmq.MaxPropertiesLength,
		maxDelay:      DefaultMaxDelay,
		maxDelayLevel: DefaultMaxDelayLevel,
	}
	var errs []error
	for i, o := range opts {
		if o == nil {
			errs = append(errs, fmt.Errorf("option %d is nil", i))
			continue
		}
		o(v)
	}
	errs = append(errs, plausible.Named("MaxBodySize", plausible.Number(v.maxBody, 1, maxBodySize, "no frame can carry more bytes")))
	// The unique id alone takes 42 bytes.
	if v.maxProperties < 42 || v.maxProperties > rocketmq.MaxPropertiesLength {
		errs = append(errs, fmt.Errorf("MaxPropertiesSize is %d, allowed is 42 to %d", v.maxProperties, rocketmq.MaxPropertiesLength))
	}
	if v.maxDelay != 0 {
		errs = append(errs, plausible.Named("MaxDelay", plausible.Time(v.maxDelay, minMaxDelay, 10*plausible.Year)))
	}
	errs = append(errs, plausible.Named("MaxDelayLevel", plausible.Number(v.maxDelayLevel, 0, maxDelayLevel, "it is the number of a level and no time")))
	if err := errors.Join(errs...); err != nil {
		return nil, fmt.Errorf("validate: %w", err)
	}
	return v, nil
}

// Describe gives the limits.
func (v *Validator) Describe() core.Description {
	return core.Description{Summary: "messages as brokers take them", Settings: []core.Setting{
		{Name: "body", Value: "at most " + words.Size(v.maxBody)},
		{Name: "properties", Value: "at most " + words.Size(v.maxProperties)},
		{Name: "delivery", Value: "at most " + words.Time(v.maxDelay) + " ahead"},
		{Name: "delay level", Value: "at most " + strconv.Itoa(v.maxDelayLevel)},
	}}
}

// Step places the validator: "validate", in the guard stage of message scope.
func (v *Validator) Step() core.Step {
	return core.CallStep("validate", core.StageGuard, v)
}

// Intercept lets the call pass if every rule holds.
func (v *Validator) Intercept(ctx context.Context, call *core.Call, next core.Handler) (*core.Result, error) {
	if err := v.check(call); err != nil {
		return nil, err
	}
	return next(ctx, call)
}

func (v *Validator) check(call *core.Call) error {
	if !call.Batch() {
		r := report{index: -1}
		v.message(&r, call.Outgoing(), call.Start())
		return r.err()
	}
	return v.batch(call)
}
