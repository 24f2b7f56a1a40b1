package core

import (
	"fmt"
	"strconv"
	"strings"

	"github.com/liftoff-mq/liftoff/internal/words"
)

// Every enum of this package has a text form, so that it reads well in logs, JSON, YAML
// and flags. The text is the name that String gives. Unknown names are an error that
// lists the known ones.

// nameOf is the name of value i, or "unknown(i)".
func nameOf(names []string, i int) string {
	if i < len(names) && names[i] != "" {
		return names[i]
	}
	return "unknown(" + strconv.Itoa(i) + ")"
}

// marshalName is MarshalText of an enum.
func marshalName(what string, names []string, i int) ([]byte, error) {
	if i >= len(names) || names[i] == "" {
		return nil, fmt.Errorf("rocketmq: %s %d has no name", what, i)
	}
	return []byte(names[i]), nil
}

// unmarshalName is UnmarshalText of an enum.
func unmarshalName[T ~uint8](what string, names []string, text []byte, v *T) error {
	for i, name := range names {
		if name != "" && name == string(text) {
			*v = T(i)
			return nil
		}
	}
	known := make([]string, 0, len(names))
	for _, name := range names {
		if name != "" {
			known = append(known, name)
		}
	}
	return fmt.Errorf("rocketmq: %s %s is not known; there are %s", what, words.Quote(string(text)), strings.Join(known, ", "))
}
