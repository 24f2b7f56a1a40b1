package policyfile

import (
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"os"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/liftoff-mq/liftoff/core"
	"github.com/liftoff-mq/liftoff/internal/absent"
	"github.com/liftoff-mq/liftoff/strategies/retry"
)

// Option says what a file may name, and how it is read.
type Option func(*config)

// config is what the options say.
type config struct {
	registry registry
	lookup   func(string) (string, bool)
	logger   *slog.Logger
	every    time.Duration
	foreign  bool // names of parts that nobody registered are accepted
	errs     []error
}

// Stepper is a part that places itself in the pipeline, as all of package hooks do.
type Stepper interface{ Step() core.Step }

// build makes a part of its options.
type build[T any] func(o *Options) (T, error)

// registry has the builders by name.
type registry struct {
	selectors   map[string]build[core.SelectorFactory]
	retries     map[string]build[core.RetryPolicy]
	backoffs    map[string]build[retry.Backoff]
	healths     map[string]build[core.HealthView]
	budgets     map[string]build[core.RetryBudget]
	compressors map[string]build[core.Compressor]
	limits      map[string]build[Stepper]
	steps       map[string]build[Stepper]
	own         bool // Liftoff's own names are being registered
}

// WithSelector registers a queue selector. The names of a program's parts have a dot, such as
// "acme.vip", so that they never are those of a later Liftoff. Build is called once for each
// place in the file that names the part, and may be called again when the file is read anew.
func WithSelector(name string, build func(o *Options) (core.SelectorFactory, error)) Option {
	return func(c *config) { register(c, "WithSelector", &c.registry.selectors, name, build) }
}

// WithRetry registers a retry policy; see [WithSelector].
func WithRetry(name string, build func(o *Options) (core.RetryPolicy, error)) Option {
	return func(c *config) { register(c, "WithRetry", &c.registry.retries, name, build) }
}

// WithBackoff registers the pauses of retry policies; see [WithSelector].
func WithBackoff(name string, build func(o *Options) (retry.Backoff, error)) Option {
	return func(c *config) { register(c, "WithBackoff", &c.registry.backoffs, name, build) }
}

// WithHealth registers a health view; see [WithSelector]. One that is a [Stepper] too, as a
// circuit breaker is, has its step in the calls of the policy.
func WithHealth(name string, build func(o *Options) (core.HealthView, error)) Option {
	return func(c *config) { register(c, "WithHealth", &c.registry.healths, name, build) }
}

// WithBudget registers a retry budget; see [WithSelector].
func WithBudget(name string, build func(o *Options) (core.RetryBudget, error)) Option {
	return func(c *config) { register(c, "WithBudget", &c.registry.budgets, name, build) }
}

// WithCompressor registers a codec; see [WithSelector].
func WithCompressor(name string, build func(o *Options) (core.Compressor, error)) Option {
	return func(c *config) { register(c, "WithCompressor", &c.registry.compressors, name, build) }
}

// WithLimit registers a limit, which stands under "limits"; see [WithSelector].
func WithLimit(name string, build func(o *Options) (Stepper, error)) Option {
	return func(c *config) { register(c, "WithLimit", &c.registry.limits, name, build) }
}

// WithStep registers a step, which stands under "steps"; see [WithSelector].
func WithStep(name string, build func(o *Options) (Stepper, error)) Option {
	return func(c *config) { register(c, "WithStep", &c.registry.steps, name, build) }
}

// WithVariables says where the values of variables come from. By default that is the
// environment (os.LookupEnv).
func WithVariables(lookup func(name string) (value string, set bool)) Option {
	return func(c *config) {
		if lookup == nil {
			c.errs = append(c.errs, errors.New("WithVariables: the function is nil"))
			return
		}
		c.lookup = lookup
	}
}

// register notes a builder. A bad name, a name that is taken and a nil builder are mistakes of
// the program.
func register[T any](c *config, option string, into *map[string]build[T], name string, b build[T]) {
	_, taken := (*into)[name]
	switch {
	case b == nil:
		c.errs = append(c.errs, fmt.Errorf("%s(%q): the function is nil", option, name))
		return
	case taken:
		c.errs = append(c.errs, fmt.Errorf("%s(%q): the name is registered twice", option, name))
		return
	case !c.registry.own && !isPlugin(name):
		c.errs = append(c.errs, fmt.Errorf("%s(%q): the name of a program's part has a dot and no blanks, such as %q", option, name, "acme.vip"))
		return
	}
	if *into == nil {
		*into = map[string]build[T]{}
	}
	(*into)[name] = b
}

// isPlugin reports whether a name is for a program's parts: words of letters, digits, "_" and
// "-", at least two, between dots.
func isPlugin(name string) bool {
	if len(name) > maxName || !strings.Contains(name, ".") {
		return false
	}
	for word := range strings.SplitSeq(name, ".") {
		if !isWord(word) {
			return false
		}
	}
	return true
}

func newConfig(opts []Option) config {
	c := config{lookup: os.LookupEnv, every: DefaultInterval}
	c.registry.own = true
	for _, o := range builtins() {
		o(&c)
	}
	c.registry.own = false
	for i, o := range opts {
		if o == nil {
			c.errs = append(c.errs, fmt.Errorf("option %d is nil", i))
			continue
		}
		o(&c)
	}
	return c
}

// reference builds the part that a node names: a name alone, or a name with its options. It
// reports whether there is one.
func reference[T any](b *builder, n *node, path, what string, known map[string]build[T], into *T) bool {
	switch {
	case n.kind == broken:
		return false
	case n.kind == mapping && len(n.keys) == 1:
		return construct(b, n.keys[0], n.items[0], join(path, n.keys[0].name), what, known, into)
	case n.kind == mapping && len(n.keys) > 1:
		b.add(n.keys[1].place, path, "it names %d parts, want one; the options of a %s stand below its name", len(n.keys), what)
		return false
	case n.kind != scalar || n.text == "":
		b.add(n.place, path, "it is %s, want the name of a %s, alone or with its options below it", kindNames[n.kind], what)
		return false
	}
	return construct(b, key{n.place, n.text}, &node{place: n.place}, path, what, known, into)
}

// builtPart is a part with the steps of the health views that it is made of.
type builtPart struct {
	value any
	steps []core.Step
}

// construct builds the part of a name with its options. Where one was built for the same options at
// the same place of the file before, that one is used on, with all that it has learned.
func construct[T any](b *builder, name key, options *node, path, what string, known map[string]build[T], into *T) bool {
	made, ok := known[name.name]
	switch {
	case ok:
	case isPlugin(name.name) && b.foreign:
		b.unregistered = append(b.unregistered, fmt.Sprintf("%s %s", what, name.name))
		*into = standIn[T](name.name)
		return true
	case isPlugin(name.name):
		b.add(name.place, path, "this program has no %s %q, which it would have to register%s", what, name.name, meant(name.name, slices.Collect(maps.Keys(known))))
		return false
	default:
		b.add(name.place, path, "there is no %s %q%s", what, name.name, meant(name.name, slices.Collect(maps.Keys(known))))
		return false
	}
	o := b.options(options, path)
	outer := b.steps
	b.steps = nil
	part, err := call(made, o)
	o.finish()
	steps := b.steps
	b.steps = outer
	switch {
	case o.wrong():
		return false
	case err != nil:
		o.refused(name.place, err)
		return false
	case absent.Is(part):
		b.add(name.place, path, "the program made nothing of it")
		return false
	}
	id := path + "\x00" + name.name + "\x00" + options.String()
	if old, ok := b.reuse[id].value.(T); ok {
		b.parts[id], *into = b.reuse[id], old
		b.steps = append(b.steps, b.reuse[id].steps...)
		return true
	}
	if view, ok := any(part).(core.HealthView); ok {
		if s, ok := view.(Stepper); ok {
			steps = append(steps, s.Step())
		}
	}
	b.parts[id], *into = builtPart{part, steps}, part
	b.steps = append(b.steps, steps...)
	return true
}

// call keeps the panic of a builder, which is the program's.
func call[T any](made build[T], o *Options) (part T, err error) {
	defer func() {
		if v := recover(); v != nil {
			err = fmt.Errorf("the program's function panicked: %v", v)
			o.told = true // nobody knows which options there are
		}
	}()
	return made(o)
}

// refused notes why a constructor refused the options. A line that begins with the name of an
// option, as those of Liftoff's constructors do, gets that option's place.
func (o *Options) refused(at place, err error) {
	for line := range strings.SplitSeq(err.Error(), "\n") {
		line, _, _ = strings.Cut(line, "; a plain number counts") // in a file it cannot stand
		where, path := at, o.path
		for rest, more := line, true; more; _, rest, more = strings.Cut(rest, ": ") {
			word, what, _ := strings.Cut(rest, " ")
			field, index, _ := strings.Cut(word, "[")
			i := slices.IndexFunc(o.node.keys, func(k key) bool { return strings.EqualFold(k.name, field) })
			if i < 0 {
				continue
			}
			value := o.node.items[i]
			where, path, line = value.place, join(o.path, o.node.keys[i].name)+word[len(field):], what
			if n, err := strconv.Atoi(strings.TrimSuffix(index, "]")); err == nil && value.kind == list && 0 <= n && n < len(value.items) {
				where = value.items[n].place
			}
			break
		}
		o.b.add(where, path, "%s", line)
	}
}
