package retry

import (
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/liftoff-mq/liftoff/core"
	"github.com/liftoff-mq/liftoff/core/rocketmq"
)

// Describe implements [core.Describer].
func (p *policy) Describe() core.Description {
	d := core.Description{Summary: "at least once"}
	twice := "possible after an attempt without an answer"
	if p.safe {
		d.Summary, twice = "safe", "never"
	}
	d.Settings = []core.Setting{
		{Name: "retries", Value: strconv.Itoa(p.retries)},
		{Name: "retries of a busy broker", Value: strconv.Itoa(p.busy)},
		{Name: "pause", Value: core.Describe(p.pause).String()},
		{Name: "stored twice", Value: twice},
	}
	if p.same {
		d.Settings = append(d.Settings, core.Setting{Name: "queue", Value: "the same again"})
	}
	if len(p.codes) > 0 {
		d.Settings = append(d.Settings, core.Setting{Name: "also retries", Value: codeNames(p.codes)})
	}
	if !p.safe {
		d.Settings = append(d.Settings, p.describeWeak()...)
	}
	return d
}

// Describe implements [core.Describer].
func (j *java) Describe() core.Description {
	return core.Description{
		Summary: "as the Java producer of " + j.version,
		Settings: slices.Concat([]core.Setting{
			{Name: "retries", Value: strconv.Itoa(j.retries)},
			{Name: "pause", Value: "none"},
			{Name: "stored twice", Value: "possible after an attempt without an answer"},
			{Name: "retried answers", Value: codeNames(slices.Concat(j.list, j.codes)) + " in sync sends"},
		}, j.describeWeak()),
	}
}

// Describe implements [core.Describer]: what inner says of itself, and the pauses.
func (b *backoff) Describe() core.Description {
	return with(b.inner, "pause if longer", core.Describe(b.pause).String())
}

// Describe implements [core.Describer]: what inner says of itself, and the limits.
func (l *limit) Describe() core.Description {
	var list []string
	for _, class := range slices.Sorted(maps.Keys(l.most)) {
		list = append(list, fmt.Sprintf("%v:%d", class, max(0, l.most[class])))
	}
	if len(list) == 0 {
		return core.Describe(l.inner)
	}
	return with(l.inner, "most retries by class of the last failure", strings.Join(list, " "))
}

// with is the description of a policy with one setting more.
func with(inner core.RetryPolicy, name, value string) core.Description {
	d := core.Describe(inner)
	d.Settings = append(slices.Clip(d.Settings), core.Setting{Name: name, Value: value})
	return d
}

// Describe implements [core.Describer].
func (b *Budget) Describe() core.Description {
	return core.Description{Summary: "token bucket", Settings: []core.Setting{
		{Name: "retries for each call that succeeds", Value: strconv.FormatFloat(float64(b.gain)/token, 'g', -1, 64)},
		{Name: "burst", Value: strconv.FormatInt(b.usual.full/token, 10)},
		{Name: "burst in an outage", Value: strconv.FormatInt(b.outage.full/token, 10)},
	}}
}

func (o *options) describeWeak() []core.Setting {
	if !o.restore {
		return nil
	}
	return []core.Setting{{Name: "weaker status", Value: "stored once more at another broker"}}
}

// codeNames joins names by blanks, because commas stand between settings.
func codeNames(codes []rocketmq.ResponseCode) string {
	names := make([]string, len(codes))
	for i, c := range codes {
		text, _ := c.MarshalText() // which never fails, and has the number of a code without a name
		names[i] = string(text)
	}
	return strings.Join(names, " ")
}
