package selector

import (
	"slices"

	"github.com/liftoff-mq/liftoff/core"
)

// factory is a [core.SelectorFactory] whose selectors are all made alike, with what it says
// of itself.
type factory struct {
	description core.Description
	create      func() core.QueueSelector
}

// ForTopic implements [core.SelectorFactory].
func (f *factory) ForTopic(string) core.QueueSelector { return f.create() }

// Describe implements [core.Describer].
func (f *factory) Describe() core.Description {
	d := f.description
	d.Settings = slices.Clone(d.Settings)
	return d
}

// preference is the ranking of queues in a few words; see the package comment.
var preference = core.Setting{Name: "prefers", Value: "brokers that are healthy and not tried yet"}
