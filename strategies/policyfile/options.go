package policyfile

import (
	"errors"
	"fmt"
	"log/slog"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/liftoff-mq/liftoff/core"
	"github.com/liftoff-mq/liftoff/internal/words"
	"github.com/liftoff-mq/liftoff/strategies/retry"
)

// Options are what stands below a name in the file, such as the numbers of a retry policy. A
// builder asks for each option that it knows by its name and type. What it never asked for is
// an unknown key; what does not fit is noted with its place. So a builder need not look at
// mistakes: if there are any, what it returns is not used.
//
// Options belong to one call of one builder.
type Options struct {
	b      *builder
	node   *node // a mapping or nothing
	path   string
	asked  []asked
	below  []*Options
	told   bool // what is not known
	before int  // how many mistakes there were

	elsewhere map[string]string // keys that people write here and that stand elsewhere; in words where
}

// asked is an option that a builder knows, with its JSON Schema.
type asked struct {
	name  string
	shape shape
}

// knows reports whether a builder asked for an option.
func (o *Options) knows(name string) bool {
	return slices.ContainsFunc(o.asked, func(a asked) bool { return a.name == name })
}

func (o *Options) ask(name string, s shape) {
	if !o.knows(name) {
		o.asked = append(o.asked, asked{name, s})
	}
}

func (b *builder) options(n *node, path string) *Options {
	o := &Options{b: b, node: n, path: path, before: len(b.list)}
	switch n.kind {
	case mapping, nothing:
	case broken:
		o.node = &node{place: n.place}
	default:
		b.add(n.place, path, "it is %s, want a mapping of options", kindNames[n.kind])
		o.node = &node{place: n.place}
	}
	return o
}

// wrong reports whether a mistake was noted since the options were made.
func (o *Options) wrong() bool { return len(o.b.list) > o.before }

// finish notes the keys that nobody asked for, of all options below too.
func (o *Options) finish() {
	if o.told {
		return
	}
	o.told = true
	var known []string
	for _, a := range o.asked {
		known = append(known, a.name)
	}
	for _, k := range o.node.keys {
		if o.knows(k.name) {
			continue
		}
		hint := meant(k.name, known)
		if where, ok := o.elsewhere[k.name]; ok {
			hint = "; it stands " + where
		}
		o.b.add(k.place, join(o.path, k.name), "unknown key%s", hint)
	}
	for _, below := range o.below {
		below.finish()
	}
}

// Has reports whether the file has an option.
func (o *Options) Has(name string) bool {
	_, _, ok := o.node.entry(name)
	return ok
}

// Fail notes that an option is wrong, in words such as "is 7, at most 5 is allowed". Where the
// file does not have the option, the place is that of the options.
func (o *Options) Fail(name string, err error) {
	at := o.node.place
	if _, v, ok := o.node.entry(name); ok {
		at = v.place
	}
	o.b.add(at, join(o.path, name), "%v", err)
}

// find is the value of an option, nil without one.
func (o *Options) find(name string, s shape) *node {
	o.ask(name, s)
	_, v, ok := o.node.entry(name)
	switch {
	case !ok || v.kind == broken:
		return nil
	case v.kind == nothing:
		o.Fail(name, errors.New("it has no value"))
		return nil
	}
	return v
}

// scalar is the single value of an option, nil without one.
func (o *Options) scalar(name, want string, s shape) *node {
	v := o.find(name, s)
	if v != nil && v.kind != scalar {
		o.Fail(name, fmt.Errorf("it is %s, want %s", kindNames[v.kind], want))
		return nil
	}
	return v
}

// Text takes a text.
func (o *Options) Text(name string, into *string) {
	if v := o.scalar(name, "a text", shapeText); v != nil {
		*into = v.text
	}
}

// Texts takes a list of texts.
func (o *Options) Texts(name string, into *[]string) {
	v := o.find(name, listOf(shapeText))
	switch {
	case v == nil:
		return
	case v.kind != list:
		o.Fail(name, fmt.Errorf("it is %s, want a list, such as [a, b]", kindNames[v.kind]))
		return
	}
	out := []string{}
	for i, item := range v.items {
		if item.kind == broken {
			continue
		}
		if item.kind != scalar {
			o.b.add(item.place, fmt.Sprintf("%s[%d]", join(o.path, name), i), "it is %s, want a text", kindNames[item.kind])
			continue
		}
		out = append(out, item.text)
	}
	*into = out
}

// Choice takes one of a few words.
func (o *Options) Choice(name string, into *string, choices ...string) {
	v := o.scalar(name, "one of "+strings.Join(choices, ", "), oneOf(choices))
	switch {
	case v == nil:
	case !slices.Contains(choices, v.text):
		o.Fail(name, fmt.Errorf("%q is not known%s", v.text, meant(v.text, choices)))
	default:
		*into = v.text
	}
}

// Bool takes true or false.
func (o *Options) Bool(name string, into *bool) {
	v := o.scalar(name, "true or false", shapeBool)
	switch {
	case v == nil:
	case v.quoted || v.text != "true" && v.text != "false":
		o.Fail(name, fmt.Errorf("%q is neither true nor false", v.text))
	default:
		*into = v.text == "true"
	}
}

// Int takes a whole number from least to most.
func (o *Options) Int(name string, into *int, least, most int) {
	const want = "a whole number, such as 1"
	v := o.scalar(name, want, between(shapeInt, least, most))
	if v == nil {
		return
	}
	n, err := strconv.Atoi(v.text)
	switch {
	case v.quoted:
		o.Fail(name, fmt.Errorf("%q is a text, want %s", v.text, want))
	case err != nil:
		o.Fail(name, fmt.Errorf("%q is not %s", v.text, want))
	case n < least || n > most:
		o.Fail(name, fmt.Errorf("%d is not between %d and %d", n, least, most))
	default:
		v.same = strconv.Itoa(n)
		*into = n
	}
}

// Float takes a number from least to most.
func (o *Options) Float(name string, into *float64, least, most float64) {
	const want = "a number, such as 0.1"
	v := o.scalar(name, want, between(shapeFloat, least, most))
	if v == nil {
		return
	}
	n, err := strconv.ParseFloat(v.text, 64)
	switch {
	case v.quoted:
		o.Fail(name, fmt.Errorf("%q is a text, want %s", v.text, want))
	case err != nil || !isNumber(v.text):
		o.Fail(name, fmt.Errorf("%q is not %s", v.text, want))
	case n < least || n > most:
		o.Fail(name, fmt.Errorf("%v is not between %v and %v", n, least, most))
	default:
		v.same = strconv.FormatFloat(n, 'g', -1, 64)
		*into = n
	}
}

// Duration takes a time with its unit, such as 1.5s, from least to most.
func (o *Options) Duration(name string, into *time.Duration, least, most time.Duration) {
	v := o.scalar(name, "a time with its unit, such as 1.5s", shapeDuration)
	if v == nil {
		return
	}
	d, err := parseDuration(v.text)
	switch {
	case err != nil:
		o.Fail(name, err)
	case d < least || d > most:
		o.Fail(name, fmt.Errorf("%s is not between %s and %s", words.Time(d), words.Time(least), words.Time(most)))
	default:
		v.same = d.String()
		*into = d
	}
}

// Size takes a number of bytes with its unit, such as 4MiB, from least to most.
func (o *Options) Size(name string, into *int, least, most int) {
	v := o.scalar(name, "a size with its unit, such as 4MiB", shapeSize)
	if v == nil {
		return
	}
	n, err := parseSize(v.text)
	switch {
	case err != nil:
		o.Fail(name, err)
	case n < least || n > most:
		o.Fail(name, fmt.Errorf("%s is not between %s and %s", sizeText(n), sizeText(least), sizeText(most)))
	default:
		v.same = sizeText(n)
		*into = n
	}
}

// number is what JSON takes for a number.
var number = regexp.MustCompile(`^-?(0|[1-9][0-9]*)(\.[0-9]+)?([eE][+-]?[0-9]+)?$`)

func isNumber(s string) bool { return number.MatchString(s) }

func parseDuration(s string) (time.Duration, error) {
	d, err := time.ParseDuration(s)
	switch {
	case err == nil:
		return d, nil
	case isNumber(s):
		return 0, fmt.Errorf("%s has no unit; was %sms or %ss meant?", s, s, s)
	}
	if n, unit := splitUnit(s); n != "" && unit != "" {
		return 0, fmt.Errorf("%q has the unit %q; there are ns, us, ms, s, m, h, such as %sms or 1m30s", s, unit, n)
	}
	return 0, fmt.Errorf("%q is no time, such as 1.5s", s)
}

// units are those of sizes.
var units = map[string]int{"B": 1, "KiB": 1 << 10, "MiB": 1 << 20, "GiB": 1 << 30}

func parseSize(s string) (int, error) {
	number, unit := splitUnit(s)
	if number == "" {
		return 0, fmt.Errorf("%q is no size, such as 4MiB", s)
	}
	if unit == "" {
		return 0, fmt.Errorf("%s has no unit; was %sB, %sKiB or %sMiB meant?", s, number, number, number)
	}
	factor, ok := units[unit]
	if !ok {
		names := []string{"B", "KiB", "MiB", "GiB"}
		if i := slices.IndexFunc(names, func(n string) bool {
			return strings.EqualFold(n, unit) || strings.EqualFold(strings.Replace(n, "i", "", 1), unit) || strings.EqualFold(n[:1], unit)
		}); i >= 0 {
			return 0, fmt.Errorf("%q has the unit %q; did you mean %s%s?", s, unit, number, names[i])
		}
		return 0, fmt.Errorf("%q has the unit %q; there are B, KiB, MiB, GiB", s, unit)
	}
	n, err := strconv.Atoi(number)
	switch {
	case err != nil:
		return 0, fmt.Errorf("%q is no whole number of %s", s, unit)
	case n > maxSize/factor:
		return 0, fmt.Errorf("%s is too much, at most 1GiB is allowed", s)
	}
	return n * factor, nil
}

// maxSize is the largest size that a file can name. It fits into the int of a small machine.
const maxSize = 1 << 30

// splitUnit splits "1.5 s" into number and unit.
func splitUnit(s string) (number, unit string) {
	i := 0
	for i < len(s) && (s[i] >= '0' && s[i] <= '9' || s[i] == '.') {
		i++
	}
	return s[:i], strings.TrimSpace(s[i:])
}

// Selector takes a queue selector: its name, or its name with options.
func (o *Options) Selector(name string, into *core.SelectorFactory) {
	choose(o, name, "selector", o.b.registry.selectors, into)
}

// Retry takes a retry policy likewise.
func (o *Options) Retry(name string, into *core.RetryPolicy) {
	choose(o, name, "retry policy", o.b.registry.retries, into)
}

// Backoff takes the pauses of a retry policy likewise.
func (o *Options) Backoff(name string, into *retry.Backoff) {
	choose(o, name, "back-off", o.b.registry.backoffs, into)
}

// Below are the options below an option, none if the file does not have it. A mistake among them
// is one of these options too.
func (o *Options) Below(name string) *Options {
	below := o.b.options(&node{place: o.node.place}, join(o.path, name))
	if v := o.find(name, shape{"$below": below}); v != nil {
		below = o.b.options(v, below.path)
		o.asked[slices.IndexFunc(o.asked, func(a asked) bool { return a.name == name })].shape = shape{"$below": below}
	}
	o.below = append(o.below, below)
	return below
}

// Names are the keys that the file has here, in its order.
func (o *Options) Names() []string {
	var out []string
	for _, k := range o.node.keys {
		out = append(out, k.name)
	}
	return out
}

// Health takes a view of the brokers' health likewise.
func (o *Options) Health(name string, into *core.HealthView) {
	choose(o, name, "health view", o.b.registry.healths, into)
}

// HealthViews takes a list of them.
func (o *Options) HealthViews(name string, into *[]core.HealthView) {
	v := o.find(name, listOf(named("health view")))
	if v == nil {
		return
	}
	if v.kind != list {
		o.Fail(name, fmt.Errorf("it is %s, want a list of health views", kindNames[v.kind]))
		return
	}
	for i, item := range v.items {
		var view core.HealthView
		if reference(o.b, item, fmt.Sprintf("%s[%d]", join(o.path, name), i), "health view", o.b.registry.healths, &view) {
			*into = append(*into, view)
		}
	}
}

// Budget takes a retry budget.
func (o *Options) Budget(name string, into *core.RetryBudget) {
	choose(o, name, "budget", o.b.registry.budgets, into)
}

// Compressor takes a codec.
func (o *Options) Compressor(name string, into *core.Compressor) {
	choose(o, name, "codec", o.b.registry.compressors, into)
}

// choose builds what an option names. It reports whether there is one.
func choose[T any](o *Options, name, what string, known map[string]build[T], into *T) {
	if v := o.find(name, named(what)); v != nil {
		reference(o.b, v, join(o.path, name), what, known, into)
	}
}

// Logger is what a part logs to; nil without one.
func (o *Options) Logger() *slog.Logger { return o.b.logger }
