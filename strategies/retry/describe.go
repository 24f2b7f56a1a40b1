package retry

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

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
		{Name: "pause", Value: "random up to " + rising(p.base, p.top)},
		{Name: "stored twice", Value: twice},
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
	d := core.Describe(b.inner)
	d.Settings = append(slices.Clip(d.Settings), core.Setting{
		Name: "at least a pause of", Value: fmt.Sprintf("%s with %v of it random", rising(b.base, b.top), b.jitter),
	})
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

// rising is a back-off in words.
func rising(base, top time.Duration) string {
	if base == top {
		return base.String()
	}
	return fmt.Sprintf("%v doubling to %v", base, top)
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
