package sendrules

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/liftoff-mq/liftoff/core"
	"github.com/liftoff-mq/liftoff/internal/words"
)

// Rules is the step that keeps the rules. It is safe for concurrent use, also by several
// producers.
type Rules struct {
	cfg     Config
	allowed string // modes, in words
}

var (
	_ core.Interceptor = (*Rules)(nil)
	_ core.Describer   = (*Rules)(nil)
)

// New makes the step. It reports all mistakes in cfg at once. Later changes of the lists in cfg
// change nothing.
func New(cfg Config) (*Rules, error) {
	if err := cfg.check(); err != nil {
		return nil, fmt.Errorf("sendrules: %w", err)
	}
	cfg.Modes, cfg.Properties = slices.Clone(cfg.Modes), slices.Clone(cfg.Properties)
	slices.Sort(cfg.Modes)
	names := make([]string, len(cfg.Modes))
	for i, m := range cfg.Modes {
		names[i] = m.String()
	}
	return &Rules{cfg: cfg, allowed: strings.Join(names, ", ")}, nil
}

// Step places the rules in the guard stage of message scope, under the name "sendrules",
// within hooks/validate.
func (r *Rules) Step() core.Step {
	return core.CallStep("sendrules", core.StageGuard, r).After("validate?")
}

// Describe implements [core.Describer].
func (r *Rules) Describe() core.Description {
	d := core.Description{Summary: "the team's rules for messages"}
	add := func(has bool, name, value string) {
		if has {
			d.Settings = append(d.Settings, core.Setting{Name: name, Value: value})
		}
	}
	c := &r.cfg
	add(c.Key, "key", "required")
	add(c.Ordered, "order", "a sharding key that keeps its queue, or a fixed queue, is required")
	add(c.MaxBody > 0, "body", "at most "+words.Size(c.MaxBody))
	add(len(c.Modes) > 0, "sent", r.allowed)
	add(c.Tag, "tag", "required")
	add(len(c.Properties) > 0, "properties", strings.Join(c.Properties, ", ")+" required")
	add(len(d.Settings) == 0, "rules", "none")
	return d
}

// Intercept implements [core.Interceptor]: it lets the call pass if every rule holds.
func (r *Rules) Intercept(ctx context.Context, call *core.Call, next core.Handler) (*core.Result, error) {
	if err := r.check(call); err != nil {
		return nil, err
	}
	return next(ctx, call)
}

func (r *Rules) check(call *core.Call) error {
	rep := report{index: -1}
	if mode := modeOf(call); len(r.cfg.Modes) > 0 && !slices.Contains(r.cfg.Modes, mode) {
		rep.add("mode", WrongMode, "is %v, allowed: %s", mode, r.allowed)
	}
	// A batch goes to one queue as a whole: the first message's key decides.
	kept := !r.cfg.Ordered || call.Message().OrderKey() == "" || call.Consistent()
	i := 0
	for o := range call.All() {
		if rep.full() {
			break
		}
		if call.Batch() {
			rep.index = i
		}
		r.message(&rep, o.Message(), kept)
		i++
	}
	return rep.err()
}

// message checks one message. Kept says that the call's selector keeps keys in their queues.
func (r *Rules) message(rep *report, m *core.Message, kept bool) {
	c := &r.cfg
	if n := len(m.Body); c.MaxBody > 0 && n > c.MaxBody {
		rep.errs = append(rep.errs, &Error{
			Index: rep.index, Field: "Body", Rule: TooLong, Limit: c.MaxBody, Actual: n,
			Reason: fmt.Sprintf("has %d bytes, at most %d are allowed", n, c.MaxBody),
		})
	}
	if c.Tag && m.Tag == "" {
		rep.add("Tag", NoTag, "is empty, a tag is required")
	}
	if c.Key && !slices.ContainsFunc(m.Keys, func(k string) bool { return k != "" }) {
		rep.add("Keys", NoKey, "are empty, a key is required")
	}
	if c.Ordered && m.Queue == nil {
		switch {
		case m.OrderKey() == "":
			rep.add("ShardingKey", NoOrder, "is empty, and so are LiteTopic and Queue: one of them is required, for the order")
		case !kept:
			rep.add("ShardingKey", NoOrder, "gives no order: the selector does not keep messages of one key in one queue")
		}
	}
	for _, name := range c.Properties {
		if m.Properties[name] == "" {
			rep.add("Properties["+words.Quote(name)+"]", NoProperty, "is missing, it is required")
		}
	}
}
